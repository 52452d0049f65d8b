"""Holding the grams of lots for order lines, and giving them back.

Stock is not a number of its own: it is what the lots of a product still have free. Grams are taken oldest harvest first
by one conditional UPDATE a lot; when another buyer was faster the update touches no row and the choice is made again.
The lot's mass-balance constraint stands behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.models import ProductLot
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.linkage.models import Lot
from marketplace.ordering.models import LineLot, OrderLine

MAX_ROUNDS = 50


def lots_of(session: Session, product_id: int) -> list[tuple[int, int]]:
    """(lot id, free grams) of a product's lots with something left, oldest harvest first, as the database has them."""
    query = (
        select(Lot.id, Lot.received_g, Lot.yield_bp, Lot.committed_g)
        .join(ProductLot, ProductLot.lot_id == Lot.id)
        .where(ProductLot.product_id == product_id)
        .order_by(Lot.harvested_on, Lot.id)
    )
    rows = session.execute(query).all()
    free = [(lot_id, received * rate // 10_000 - committed) for lot_id, received, rate, committed in rows]
    return [(lot_id, grams) for lot_id, grams in free if grams > 0]


def hold_grams(
    session: Session, *, product_id: int, mass_g: int, title: str, unit_g: int
) -> list[tuple[int, int]]:
    """Commit `mass_g` of the product's lots; returns (lot id, grams) taken. Raises Conflict when there is too little.

    Nothing is held when it raises, because the caller's transaction ends there.
    """
    held: dict[int, int] = {}
    for _round in range(MAX_ROUNDS):
        missing = mass_g - sum(held.values())
        if missing == 0:
            return sorted(held.items())
        candidates = lots_of(session, product_id)
        available = sum(grams for _lot, grams in candidates)
        if available < missing:
            units = (available + sum(held.values())) // unit_g
            raise Conflict(
                "out_of_stock",
                N_("“%(title)s”现在只剩 %(units)s 件可买，请调整数量"),
                title=title,
                units=units,
            )
        for lot_id, grams in candidates:
            taken = min(grams, mass_g - sum(held.values()))
            if taken > 0 and _commit_grams(session, lot_id, taken):
                held[lot_id] = held.get(lot_id, 0) + taken
    raise Conflict("busy_stock", N_("“%(title)s”正被很多人同时购买，请稍后再试"), title=title)


def _commit_grams(session: Session, lot_id: int, mass_g: int) -> bool:
    statement = (
        update(Lot)
        .where(Lot.id == lot_id, (Lot.committed_g + mass_g) * 10_000 <= Lot.received_g * Lot.yield_bp)
        .values(committed_g=Lot.committed_g + mass_g)
        .execution_options(synchronize_session=False)
    )
    return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]


def release_lines(session: Session, lines: Sequence[OrderLine]) -> None:
    """Give the grams of cancelled `lines` back to their lots, in the order of lot ids (so that two never deadlock)."""
    grams: dict[int, int] = {}
    for line in lines:
        for share in line.lots:
            grams[share.lot_id] = grams.get(share.lot_id, 0) + share.mass_g
    for lot_id in sorted(grams):
        session.execute(
            update(Lot)
            .where(Lot.id == lot_id)
            .values(committed_g=Lot.committed_g - grams[lot_id])
            .execution_options(synchronize_session=False)
        )


def shares_of(held: Sequence[tuple[int, int]]) -> list[LineLot]:
    """The rows that keep which lot a line drew on."""
    return [LineLot(lot_id=lot_id, mass_g=mass_g) for lot_id, mass_g in held]
