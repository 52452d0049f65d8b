"""The catalogue's API: what is for sale, with prices, linkage shares and certificates. Open to everybody."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from marketplace.catalog.certificates.kinds import KINDS
from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.models import Listing, ListingState, Product
from marketplace.catalog.queries import available_units, listing_by_no
from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.identity.access import public
from marketplace.linkage.models import Mechanism
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.web.api import CursorSchema, page_of_items
from marketplace.web.transaction import current_session

bp = Blueprint(
    "listings_api",
    __name__,
    url_prefix="/api/v1/listings",
    description="What is for sale, oldest listing first.",
)


class TierSchema(Schema):
    """The unit price from a quantity on."""

    min_quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)


class TermSchema(Schema):
    """The share of the net line value that reaches households through a mechanism, in basis points."""

    mechanism = fields.String(required=True, metadata={"enum": [mechanism.value for mechanism in Mechanism]})
    rate_bp = fields.Integer(required=True)


class ListingSchema(Schema):
    """A listing as it is offered now."""

    no = fields.String(required=True)
    version = fields.Integer(required=True)
    title = fields.String(required=True)
    category = fields.String(required=True)
    cooperative = fields.String(required=True, metadata={"description": "Number of the cooperative."})
    cooperative_name = fields.String(required=True)
    county = fields.String(required=True, metadata={"description": "GB/T 2260 code of the county."})
    unit = fields.String(required=True)
    net_mass_g = fields.Integer(required=True)
    available_units = fields.Integer(required=True)
    tiers = fields.List(fields.Nested(TierSchema), required=True)
    terms = fields.List(fields.Nested(TermSchema), required=True)
    certificate = fields.String(
        required=True, allow_none=True, metadata={"description": "Number, while in force."}
    )
    published_at = fields.AwareDateTime(required=True)


class ListingPageSchema(Schema):
    """Listings, oldest first. `next` is the cursor of the following page, null at the end."""

    items = fields.List(fields.Nested(ListingSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class ListingQuerySchema(CursorSchema):
    """Which listings are asked for."""

    category = fields.String(validate=validate.Regexp(r"^[a-z0-9-]{1,40}$"))
    county = fields.String(validate=validate.Regexp(r"^[0-9]{6}$"))


def listing_document(listing: Listing, units: int) -> dict[str, Any]:
    """`listing` as ListingSchema writes it."""
    version, product = listing.current_version, listing.product
    if version is None:
        raise NotFound
    shown = [one for one in badges_of(product, today()) if not KINDS[one.kind].is_private]
    return {
        "no": listing.public_no,
        "version": version.version,
        "title": version.title,
        "category": product.category_code,
        "cooperative": product.cooperative.public_no,
        "cooperative_name": product.cooperative.name,
        "county": product.cooperative.county_code,
        "unit": version.unit_name,
        "net_mass_g": version.net_mass_g,
        "available_units": units,
        "tiers": [
            {"min_quantity": t.min_quantity, "unit_price_fen": t.unit_price_fen} for t in version.tiers
        ],
        "terms": [{"mechanism": t.mechanism.value, "rate_bp": t.rate_bp} for t in version.terms],
        "certificate": shown[0].number if shown else None,
        "published_at": listing.published_at,
    }


@bp.route("/")
@public
@bp.arguments(ListingQuerySchema, location="query")
@bp.response(200, ListingPageSchema)
def list_listings(asked: dict[str, Any]) -> dict[str, Any]:
    """Listings for sale; follow `next` through `after`."""
    session, limit = current_session(), asked["limit"]
    query = (
        select(Listing)
        .join(Product, Product.id == Listing.product_id)
        .join(Cooperative, Cooperative.id == Listing.cooperative_id)
        .where(Listing.state == ListingState.PUBLISHED, Cooperative.state == CooperativeState.ADMITTED)
        .order_by(Listing.id)
        .limit(limit + 1)
    )
    if "after" in asked:
        cursor = session.scalar(select(Listing.id).where(Listing.public_no == asked["after"]))
        if cursor is None:
            raise NotFound
        query = query.where(Listing.id > cursor)
    if "category" in asked:
        query = query.where(Product.category_code == asked["category"])
    if "county" in asked:
        query = query.where(Cooperative.county_code == asked["county"])
    listings = session.scalars(query).unique().all()
    units = available_units(session, [listing.product_id for listing in listings])
    return page_of_items([listing_document(row, units[row.product_id]) for row in listings], limit=limit)


@bp.route("/<string:listing_no>")
@public
@bp.response(200, ListingSchema)
def show_listing(listing_no: str) -> dict[str, Any]:
    """One listing for sale."""
    session = current_session()
    listing = listing_by_no(session, listing_no)
    return listing_document(listing, available_units(session, [listing.product_id])[listing.product_id])
