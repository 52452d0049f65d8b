"""Which product a lot is sold as, and from which day its goods keep.

Packed goods keep from the day they were made or packed, others from the harvest; goods past their shelf life may be
sold to nobody (Food Safety Law of the PRC, article 34). What was ordered of a lot was ordered with its dates, so they
stay as they are from the first order on.
"""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy.orm import Session

from marketplace.catalog.models import Product, ProductLot
from marketplace.catalog.rules import ask_for_index
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.models import Lot


def assign_lot(
    session: Session, actor: Actor, product: Product, lot: Lot, *, produced_on: date | None = None
) -> ProductLot:
    """Sell a lot as `product`, made or packed on `produced_on`, or on the day of its harvest; a lot that is sold as it
    already stays as it is.

    Raises NotFound for another cooperative's, Conflict when it belongs to another product, Refused for a day that
    cannot be.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    if not actor.cooperative_id == product.cooperative_id == lot.cooperative_id:
        raise NotFound
    existing = session.get(ProductLot, lot.id)
    if existing is not None:
        if existing.product_id == product.id:
            return existing
        raise Conflict("lot_taken", N_("批次 %(lot)s 已归入另一个产品"), lot=lot.lot_no)
    _check_day(lot, produced_on)
    assigned = ProductLot(
        lot_id=lot.id,
        product_id=product.id,
        produced_on=produced_on,
        best_until=_last_day(product, lot, produced_on),
    )
    session.add(assigned)
    ask_for_index(session, product)
    session.flush()
    record_trail(
        session, actor, "catalog.assign_lot", subject=("product", product.public_no), lot=lot.public_no
    )
    return assigned


def correct_production_day(
    session: Session, actor: Actor, product: Product, lot: Lot, *, produced_on: date | None
) -> ProductLot:
    """Say another day on which the goods of a lot were made or packed, None for that of the harvest.

    Raises NotFound for a lot that is not sold as `product`, Conflict once some of it is ordered or promised, Refused
    for a day that cannot be.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    sold = session.get(ProductLot, lot.id)
    if actor.cooperative_id != product.cooperative_id or sold is None or sold.product_id != product.id:
        raise NotFound
    session.refresh(lot, ["committed_g", "promised_g"], with_for_update=True)
    if lot.committed_g or lot.promised_g:
        raise Conflict("lot_ordered", N_("批次 %(lot)s 已经有人订货，日期不能再改"), lot=lot.lot_no)
    _check_day(lot, produced_on)
    before = sold.produced_on or lot.harvested_on
    sold.produced_on, sold.best_until = produced_on, _last_day(product, lot, produced_on)
    ask_for_index(session, product)
    session.flush()
    record_trail(
        session,
        actor,
        "catalog.correct_production_day",
        subject=("product", product.public_no),
        lot=lot.public_no,
        from_on=before.isoformat(),
        until_on=(produced_on or lot.harvested_on).isoformat(),
    )
    return sold


def _check_day(lot: Lot, produced_on: date | None) -> None:
    if produced_on is None:
        return
    if produced_on < lot.harvested_on:
        raise Refused(
            "produced_before_harvest",
            N_("生产日期不能早于采收日期 %(day)s"),
            field="produced_on",
            day=lot.harvested_on.isoformat(),
        )
    if produced_on > today():
        raise Refused("produced_in_future", N_("生产日期不能晚于今天"), field="produced_on")


def _last_day(product: Product, lot: Lot, produced_on: date | None) -> date | None:
    """The last day on which the goods may be sold: the shelf life after the day they keep from."""
    if product.shelf_life_days is None:
        return None
    return (produced_on or lot.harvested_on) + timedelta(days=product.shelf_life_days)
