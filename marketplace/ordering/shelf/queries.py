"""Stock by product and lot, and the pace at which it sells. Set-based: three statements for a page of products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingVersion, Product, ProductLot
from marketplace.catalog.queries import available_units
from marketplace.core.clock import start_of, today
from marketplace.identity.actors import Actor
from marketplace.linkage.models import Lot
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.ordering.states import PartState

PACE_DAYS = 28
LOW_DAYS = 14


@dataclass(frozen=True)
class ShelfLot:
    """A lot of a product, in grams: what it may sell in all, what is sold, set aside, and left. What is left of a lot
    whose shelf life is over is not stock."""

    sold_as: ProductLot
    saleable_g: int
    left_g: int

    @property
    def lot(self) -> Lot:
        """The lot itself."""
        return self.sold_as.lot


@dataclass(frozen=True)
class Shelf:
    """A product, its units in stock, the units ordered of it in the last four weeks, and its lots that are not sold
    out, oldest harvest first."""

    product: Product
    units: int
    sold: int
    lots: tuple[ShelfLot, ...]

    @property
    def lasts_days(self) -> int | None:
        """For how many days the stock lasts at that pace, None when nothing was ordered."""
        return self.units * PACE_DAYS // self.sold if self.sold else None

    @property
    def is_low(self) -> bool:
        """Whether it will be sold out within two weeks."""
        return self.lasts_days is not None and self.lasts_days < LOW_DAYS


def products_on_shelf(actor: Actor) -> Select[tuple[Product]]:
    """The products of the actor's cooperative that are not archived, by name."""
    own = select(Product).where(Product.cooperative_id == actor.cooperative_id, Product.archived_at.is_(None))
    return own.order_by(Product.name, Product.id)


def shelves_of(session: Session, products: Sequence[Product]) -> list[Shelf]:
    """The shelf of each product."""
    ids = [product.id for product in products]
    units, sold, lots = available_units(session, ids), _sold(session, ids), _lots(session, ids)
    return [
        Shelf(product, units[product.id], sold.get(product.id, 0), tuple(lots.get(product.id, ())))
        for product in products
    ]


def _sold(session: Session, product_ids: Sequence[int]) -> dict[int, int]:
    """Units ordered of each product in the last four weeks, orders that were called off left out."""
    since = start_of(today() - timedelta(days=PACE_DAYS))
    recent = (
        select(OrderLine.listing_version_id, OrderLine.quantity)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .where(Order.placed_at >= since, OrderPart.state.not_in((PartState.CANCELLED, PartState.RETURNED)))
        .subquery()
    )
    query = (
        select(Listing.product_id, func.sum(recent.c.quantity))
        .join(ListingVersion, ListingVersion.listing_id == Listing.id)
        .join(recent, recent.c.listing_version_id == ListingVersion.id)
        .where(Listing.product_id.in_(product_ids))
        .group_by(Listing.product_id)
    )
    return {product_id: int(count) for product_id, count in session.execute(query)}


def _lots(session: Session, product_ids: Sequence[int]) -> dict[int, list[ShelfLot]]:
    query = (
        select(ProductLot)
        .join(Lot, Lot.id == ProductLot.lot_id)
        .where(
            ProductLot.product_id.in_(product_ids),
            (Lot.committed_g + Lot.promised_g) * 10_000 < Lot.received_g * Lot.yield_bp,
        )
        .order_by(Lot.harvested_on, Lot.id)
    )
    found: dict[int, list[ShelfLot]] = {}
    for sold_as in session.scalars(query):
        lot = sold_as.lot
        saleable_g = lot.received_g * lot.yield_bp // 10_000
        left = ShelfLot(sold_as, saleable_g, saleable_g - lot.committed_g - lot.promised_g)
        found.setdefault(sold_as.product_id, []).append(left)
    return found
