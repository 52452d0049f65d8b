"""The shop: search with facets, a product's page, pictures. Open to everybody; no personal data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template, request, send_file
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from marketplace.catalog import queries
from marketplace.catalog.asking import read_asked
from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.models import Category, CertificateKind, Listing, ListingVersion, Product
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.recognition.queries import Badge, recognised_of
from marketplace.catalog.search.engine import Answered, SearchEngine, SearchRequest, SearchResult, Sort
from marketplace.catalog.search.text import concepts_of
from marketplace.catalog.views.product_facts import category_name, product_facts
from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import LabelledEnum
from marketplace.identity.access import current_actor, public
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.registry.queries import counties
from marketplace.web.health import Down
from marketplace.web.paging import Page, requested_page
from marketplace.web.transaction import current_session

bp = Blueprint("catalog", __name__)
PAGE_SIZE = 24
SECTION_SIZE = 8
SUGGESTED_FROM, SUGGESTED_NAMES, SUGGESTED_KINDS = 24, 6, 3
SUGGESTIONS_SECONDS = 60
LEAF_DEPTH = 2  # kinds stand below a family, families below a root
YEAR_SECONDS = 365 * 24 * 3600


def current_engine() -> SearchEngine:
    """The deployment's search engine."""
    engine: SearchEngine = current_app.extensions["search"]
    return engine


def check_search() -> dict[str, Any]:
    """For the health page: whether search answers, and from how many listings."""
    status = current_engine().status()
    if not status.ok:
        raise Down(status.reason)
    return {"listings": status.document_count, "generation": status.generation}


@dataclass(frozen=True)
class Shown:
    """A listing as a card shows it; `certified` are the kinds of its badges."""

    listing: Listing
    version: ListingVersion
    certified: list[LabelledEnum]
    units: int
    per_kg_fen: int


def shown_listings(numbers: tuple[str, ...]) -> list[Shown]:
    """Cards in the order of `numbers`, in a fixed number of statements; what was withdrawn since is left out."""
    session = current_session()
    listings = queries.listings_by_nos(session, numbers)
    units = queries.available_units(session, [listing.product_id for listing in listings])
    recognised = recognised_of(session, units, today())
    return [
        Shown(
            listing,
            listing.current_version,
            _badge_kinds(listing.product, is_recognised=listing.product_id in recognised),
            units[listing.product_id],
            per_kg_fen(listing.current_version.tiers[0].unit_price_fen, listing.current_version.net_mass_g),
        )
        for listing in listings
        if listing.current_version is not None and queries.sale_stop(listing, today()) is None
    ]


def goods_section(_session: Session, cooperative: Cooperative) -> tuple[str, dict[str, Any]]:
    """The part of a cooperative's public page: what it has on sale."""
    if cooperative.state is not CooperativeState.ADMITTED:
        return "catalog/_goods.html", {"cooperative": cooperative, "shown": [], "total": 0}
    found = current_engine().search(SearchRequest(cooperatives=(cooperative.public_no,), size=SECTION_SIZE))
    shown = shown_listings(found.listing_nos)
    return "catalog/_goods.html", {"cooperative": cooperative, "shown": shown, "total": found.total}


def _badge_kinds(product: Product, *, is_recognised: bool) -> list[LabelledEnum]:
    kinds: list[LabelledEnum] = [certificate.kind for certificate in badges_of(product, today())]
    return [Badge.RECOGNISED, *kinds] if is_recognised else kinds


@bp.get("/products")
@public
def products() -> ResponseReturnValue:
    """Search and browse."""
    number = requested_page(queries.MAX_PAGES)
    read = read_asked(request.args, page=number, size=PAGE_SIZE)
    asked = read.request
    result = current_engine().search(asked)
    page = Page(rows=shown_listings(result.listing_nos), number=number, size=PAGE_SIZE, total=result.total)
    return render_template(
        "catalog/products.html",
        page=page,
        asked=asked,
        notices=read.notices,
        result=result,
        sorts=Sort,
        **_names(result, asked),
    )


@bp.get("/products/suggestions")
@public
def suggestions() -> ResponseReturnValue:
    """What the search box offers while somebody types: names of goods, and kinds to look among."""
    typed = request.args.get("q", "").strip()
    names: list[str] = []
    kinds: list[tuple[Category, int]] = []
    if concepts_of(typed):
        session = current_session()
        found = current_engine().search(SearchRequest(typed, size=SUGGESTED_FROM))
        if found.answered is not Answered.PARTLY:
            names = queries.product_names(session, found.listing_nos)[:SUGGESTED_NAMES]
            tree = {category.code: category for category in queries.category_tree(session)}
            kinds = [
                (tree[one.code], one.count)
                for one in found.facets.category
                if one.code in tree and tree[one.code].path.count("/") == LEAF_DEPTH
            ][:SUGGESTED_KINDS]
    answer = make_response(
        render_template(
            "catalog/_suggestions.html", typed=typed, names=names, kinds=kinds, name_of=category_name
        )
    )
    answer.cache_control.private = True
    answer.cache_control.max_age = SUGGESTIONS_SECONDS
    return answer


def _names(result: SearchResult, asked: SearchRequest) -> dict[str, object]:
    """What the facets' codes are called."""
    session = current_session()
    tree = {category.code: category for category in queries.category_tree(session)}
    numbers = [count.code for count in result.facets.cooperative] + list(asked.cooperatives)
    return {
        "tree": tree,
        "name_of": category_name,
        "county_names": {county.code: county.name for county in counties(session)},
        "cooperative_names": queries.cooperative_names(session, numbers),
        "certificate_kinds": {badge.value: badge for badge in (*CertificateKind, *Badge)},
    }


@bp.get("/products/<listing_no>")
@public
def listing(listing_no: str) -> ResponseReturnValue:
    """One product: what it is, where it is from, what it costs, and what reaches the households."""
    session = current_session()
    found = queries.listing_by_no(session, listing_no)
    version = found.current_version
    if version is None:
        raise NotFound
    return render_template("catalog/listing.html", **product_facts(session, found, version))


@bp.get("/pictures/<address>.webp")
@public
def picture(address: str) -> ResponseReturnValue:
    """A product picture. Only addresses of product pictures are served; they never change, so browsers keep them."""
    actor = current_actor()
    looks = actor.can(Permission.MANAGE_LISTINGS) or actor.can(Permission.ANSWER_REVIEWS)
    if not queries.is_picture(current_session(), address, with_waiting=looks):
        raise NotFound
    response: Response = send_file(
        current_app.extensions["files"].path_of(address), mimetype="image/webp", max_age=YEAR_SECONDS
    )
    response.cache_control.public = True
    response.cache_control.immutable = True
    return response
