"""Holding the grams of lots for order lines, and giving them back.

Stock is not a number of its own: it is what the lots of a product still have free, taken oldest harvest first. A
cooperative's lots are locked in the order of their ids, by those who take and by those who give back, so that two
never wait for each other; the lot's mass-balance constraint stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.models import ProductLot
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.linkage.models import Lot
from marketplace.ordering.models import LineLot, OrderLine


@dataclass(frozen=True)
class Goods:
    """What a line needs: `mass_g` grams of a product that is sold in units of `unit_g`."""

    product_id: int
    mass_g: int
    unit_g: int
    title: str


@dataclass(frozen=True)
class FreeLot:
    """What a lot has left, in grams."""

    lot_id: int
    harvested_on: date
    free_g: int


@dataclass(frozen=True)
class Held:
    """The grams taken for one line, and whether less than a unit is left for others."""

    lots: list[LineLot]
    sold_out: bool


def hold_grams(session: Session, wanted: Sequence[Goods]) -> dict[int, Held]:
    """Commit the goods of one cooperative, each product named once; returns what was taken by product.

    Raises Conflict when there is too little of one. Nothing stays held then, because the caller's transaction ends.
    """
    free = _free_lots(session, [goods.product_id for goods in wanted])
    held: dict[int, Held] = {}
    for goods in wanted:
        lots = sorted(free.get(goods.product_id, ()), key=lambda lot: (lot.harvested_on, lot.lot_id))
        available = sum(lot.free_g for lot in lots)
        if available < goods.mass_g:
            raise Conflict(
                "out_of_stock",
                N_("“%(title)s”现在只剩 %(units)s 件可买，请调整数量"),
                title=goods.title,
                units=available // goods.unit_g,
            )
        held[goods.product_id] = Held(_take(lots, goods.mass_g), available - goods.mass_g < goods.unit_g)
    for share in sorted((share for one in held.values() for share in one.lots), key=lambda lot: lot.lot_id):
        _commit(session, share.lot_id, share.mass_g)
    return held


def _free_lots(session: Session, product_ids: Sequence[int]) -> dict[int, list[FreeLot]]:
    """The lots of products with something left, locked, as the database has them now."""
    query = (
        select(
            ProductLot.product_id,
            Lot.id,
            Lot.harvested_on,
            Lot.received_g,
            Lot.yield_bp,
            Lot.committed_g,
        )
        .join(Lot, Lot.id == ProductLot.lot_id)
        .where(
            ProductLot.product_id.in_(product_ids),
            Lot.committed_g * 10_000 < Lot.received_g * Lot.yield_bp,
        )
        .order_by(Lot.id)
        .with_for_update(of=Lot)
    )
    found: dict[int, list[FreeLot]] = {}
    for product_id, lot_id, harvested_on, received_g, yield_bp, committed_g in session.execute(query):
        free_g = received_g * yield_bp // 10_000 - committed_g
        found.setdefault(product_id, []).append(FreeLot(lot_id, harvested_on, free_g))
    return found


def _take(lots: Iterable[FreeLot], mass_g: int) -> list[LineLot]:
    """The rows that keep which lot a line drew on, in the order they are drawn."""
    taken: list[LineLot] = []
    for lot in lots:
        share = min(lot.free_g, mass_g)
        if share > 0:
            taken.append(LineLot(lot_id=lot.lot_id, mass_g=share))
            mass_g -= share
    return taken


def _commit(session: Session, lot_id: int, mass_g: int) -> None:
    """Move the committed grams of a lot by `mass_g`, negative to give back."""
    statement = update(Lot).where(Lot.id == lot_id).values(committed_g=Lot.committed_g + mass_g)
    session.execute(statement.execution_options(synchronize_session=False))


def release_lines(session: Session, lines: Sequence[OrderLine]) -> None:
    """Give the grams of cancelled `lines` of one cooperative back to their lots."""
    grams: dict[int, int] = {}
    for line in lines:
        for share in line.lots:
            grams[share.lot_id] = grams.get(share.lot_id, 0) + share.mass_g
    for lot_id in sorted(grams):
        _commit(session, lot_id, -grams[lot_id])
