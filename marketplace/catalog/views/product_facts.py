"""Everything a product's page tells: origin and lot, certificates, prices beside their reference, shares, and what
the rooms above add (evaluations, what reached households, freight)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.catalog import queries
from marketplace.catalog.certificates.kinds import KINDS
from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.lots.queries import next_lot
from marketplace.catalog.models import Category, Listing, ListingVersion
from marketplace.catalog.prices.guard import excess_bp, per_kg_fen
from marketplace.catalog.prices.queries import Reference, stored_references
from marketplace.catalog.recognition.queries import recognised_of
from marketplace.core.clock import today
from marketplace.registry.cooperatives.queries import public_household_counts
from marketplace.registry.queries import region_path
from marketplace.web.locale import current_locale

Section = Callable[[Session, Listing], tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Compared:
    """A price beside its reference: fen a kilogram, and how far it lies above (below: negative) in basis points."""

    per_kg_fen: int
    reference: Reference
    excess_bp: int


def category_name(category: Category) -> str:
    """The name of a category in the reader's language."""
    return category.name_zh if current_locale() == "zh_CN" else category.name_en


def product_facts(session: Session, listing: Listing, version: ListingVersion) -> dict[str, Any]:
    """The context of the page of a listing."""
    product, on = listing.product, today()
    sections: Sequence[Section] = current_app.extensions["listing_sections"]
    return {
        "listing": listing,
        "version": version,
        "product": product,
        "units": queries.available_units(session, [product.id])[product.id],
        "stop": queries.sale_stop(listing, on),
        "certificates": badges_of(product, on),
        "recognised": recognised_of(session, [product.id], on).get(product.id),
        "meanings": {kind: facts.meaning for kind, facts in KINDS.items()},
        "origin": region_path(session, product.village_code),
        "next_lot": next_lot(session, product),
        "households": public_household_counts(session, [listing.cooperative_id])[listing.cooperative_id],
        "per_kg_fen": per_kg_fen(version.tiers[0].unit_price_fen, version.net_mass_g),
        "compared": _compared(session, listing, version, on),
        "category": category_name(product.category),
        "sections": [section(session, listing) for section in sections],
    }


def _compared(session: Session, listing: Listing, version: ListingVersion, on: date) -> Compared | None:
    product = listing.product
    reference = stored_references(session, [product], on).get(product.id)
    if reference is None:
        return None
    unit_fen = version.tiers[0].unit_price_fen
    return Compared(
        per_kg_fen(unit_fen, version.net_mass_g),
        reference,
        excess_bp(unit_fen, version.net_mass_g, reference.per_kg_fen),
    )
