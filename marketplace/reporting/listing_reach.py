"""How many households the sales of a listing have reached, and with how much; fewer than five are withheld."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingVersion
from marketplace.ordering.models import OrderLine
from marketplace.payments.models import Credit
from marketplace.registry.cooperatives.queries import SMALL_COUNT


def reached_section(session: Session, listing: Listing) -> tuple[str, dict[str, Any]]:
    """The template of the part of a product's page, and its context: both numbers, or None where they are withheld."""
    households, amount_fen = session.execute(
        select(func.count(Credit.household_id.distinct()), func.coalesce(func.sum(Credit.amount_fen), 0))
        .join(OrderLine, OrderLine.id == Credit.line_id)
        .join(ListingVersion, ListingVersion.id == OrderLine.listing_version_id)
        .where(ListingVersion.listing_id == listing.id)
    ).one()
    is_shown = int(households) >= SMALL_COUNT
    return "reporting/_listing_reach.html", {
        "households": int(households) if is_shown else None,
        "credited_fen": int(amount_fen) if is_shown else None,
    }
