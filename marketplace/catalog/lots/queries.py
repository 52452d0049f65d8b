"""Reading the lots of products, and what makes goods of them stock: that nobody claims them, and that they keep."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Product, ProductLot
from marketplace.core.clock import today
from marketplace.identity.actors import Actor
from marketplace.linkage.models import Lot

MOST_CHOICES = 100
FREE_G = Lot.received_g * Lot.yield_bp // 10_000 - Lot.committed_g - Lot.promised_g


def in_date(on: date) -> ColumnElement[bool]:
    """The condition on `ProductLot` that its shelf life is not over on a day."""
    return or_(ProductLot.best_until.is_(None), ProductLot.best_until >= on)


def lots_of_product(session: Session, product: Product) -> list[ProductLot]:
    """The lots sold as a product, newest harvest first."""
    query = (
        select(ProductLot)
        .join(Lot, Lot.id == ProductLot.lot_id)
        .where(ProductLot.product_id == product.id)
        .order_by(Lot.harvested_on.desc(), Lot.id.desc())
    )
    return list(session.scalars(query))


def next_lot(session: Session, product: Product) -> ProductLot | None:
    """The lot that an order placed now is sent from: the oldest harvest in date that still holds a unit."""
    query = (
        select(ProductLot)
        .join(Lot, Lot.id == ProductLot.lot_id)
        .where(ProductLot.product_id == product.id, product.net_mass_g <= FREE_G, in_date(today()))
        .order_by(Lot.harvested_on, Lot.id)
        .limit(1)
    )
    return session.scalars(query).first()


def unassigned_lots(session: Session, actor: Actor) -> list[Lot]:
    """The cooperative's lots that belong to no product yet, newest first, at most a hundred."""
    assigned = select(ProductLot.lot_id)
    query = (
        select(Lot)
        .where(Lot.cooperative_id == actor.cooperative_id, Lot.id.not_in(assigned))
        .order_by(Lot.id.desc())
        .limit(MOST_CHOICES)
    )
    return list(session.scalars(query))
