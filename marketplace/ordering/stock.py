"""Holding the grams of lots for order lines, and giving them back.

Stock is not a number of its own: it is what the lots of a product that are in date still have free, neither sold nor
promised to an order that was agreed ahead, taken oldest harvest first. A cooperative's lots are locked in the order of
their ids, and cooperatives in the order of theirs, by those who take and by those who give back, so that two never wait
for each other; the lot's mass-balance constraint stands behind it, and the database lets no goods past their shelf life
into a line (migration 0053).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, and_, bindparam, case, or_, select, update
from sqlalchemy.orm import Session

from marketplace.catalog.lots.queries import FREE_G, in_date
from marketplace.catalog.models import ProductLot
from marketplace.core.clock import today
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.linkage.models import Lot
from marketplace.ordering.models import LineLot, OrderLine


@dataclass(frozen=True)
class Goods:
    """What a line needs: `mass_g` grams of a product that is sold in units of `unit_g`; or of one lot."""

    product_id: int
    mass_g: int
    unit_g: int
    title: str
    lot_id: int | None = None


@dataclass(frozen=True)
class Taken:
    """The grams taken of one product, as (lot id, grams), and whether less than a unit is left for others."""

    shares: tuple[tuple[int, int], ...]
    sold_out: bool


@dataclass(frozen=True)
class Held:
    """The grams taken for one line, and whether less than a unit is left for others."""

    lots: list[LineLot]
    sold_out: bool


class Shelves:
    """The free grams of products, locked as the database has them now; taken for one order after the other and then
    committed together, in two statements whatever their number."""

    def __init__(self, session: Session, product_ids: Sequence[int]) -> None:
        self._session = session
        self._free: dict[int, dict[int, int]] = {}  # grams by lot, by product, oldest harvest first
        self._taken: dict[int, int] = {}
        for product_id, lot_id, free_g in _free_lots(session, product_ids):
            self._free.setdefault(product_id, {})[lot_id] = free_g

    def take(self, wanted: Sequence[Goods]) -> dict[int, Taken]:
        """Take the goods of one order, each product named once; returns what was taken by product.

        Raises Conflict when there is too little of one; then nothing is taken.
        """
        for goods in wanted:
            available = sum(self._free_for(goods).values())
            if available < goods.mass_g:
                raise Conflict(
                    "out_of_stock",
                    N_("“%(title)s”现在只剩 %(units)s 件可买，请调整数量"),
                    title=goods.title,
                    units=available // goods.unit_g,
                )
        return {goods.product_id: self._take_product(goods) for goods in wanted}

    def _free_for(self, goods: Goods) -> dict[int, int]:
        """The free grams by lot that may be taken, oldest harvest first."""
        free = self._free.get(goods.product_id, {})
        if goods.lot_id is None:
            return free
        return {goods.lot_id: free[goods.lot_id]} if goods.lot_id in free else {}

    def _take_product(self, goods: Goods) -> Taken:
        free, mass_g = self._free[goods.product_id], goods.mass_g
        shares: list[tuple[int, int]] = []
        for lot_id, free_g in self._free_for(goods).items():
            share = min(free_g, mass_g)
            if share > 0:
                shares.append((lot_id, share))
                free[lot_id] -= share
                self._taken[lot_id] = self._taken.get(lot_id, 0) + share
                mass_g -= share
        return Taken(tuple(shares), sum(free.values()) < goods.unit_g)

    def hold(self) -> None:
        """Count what was taken as committed."""
        taken, self._taken = self._taken, {}
        _commit(self._session, taken)


def hold_grams(session: Session, wanted: Sequence[Goods]) -> dict[int, Held]:
    """Commit the goods of one cooperative, each product named once; returns what was taken by product.

    Raises Conflict when there is too little of one. Nothing stays held then, because the caller's transaction ends.
    """
    shelves = Shelves(session, [goods.product_id for goods in wanted])
    taken = shelves.take(wanted)
    shelves.hold()
    return {
        product_id: Held(
            [LineLot(lot_id=lot_id, mass_g=mass_g) for lot_id, mass_g in one.shares], one.sold_out
        )
        for product_id, one in taken.items()
    }


def _free_lots(
    session: Session, product_ids: Sequence[int], *, also: int | None = None
) -> Iterator[tuple[int, int, int]]:
    """(product id, lot id, free grams) of the lots of products with something left to sell, and of the lot `also`
    whatever it has, oldest harvest first; locked, as the database has them now. What is past its shelf life is not
    free."""
    has_left = and_(
        (Lot.committed_g + Lot.promised_g) * 10_000 < Lot.received_g * Lot.yield_bp, in_date(today())
    )
    query = (
        select(
            ProductLot.product_id,
            Lot.id,
            Lot.harvested_on,
            case((in_date(today()), FREE_G), else_=0).label("free_g"),
        )
        .join(Lot, Lot.id == ProductLot.lot_id)
        .where(
            ProductLot.product_id.in_(product_ids),
            has_left if also is None else or_(has_left, Lot.id == also),
        )
        .order_by(Lot.cooperative_id, Lot.id)
        .with_for_update(of=Lot)
    )
    rows = sorted(session.execute(query).all(), key=lambda row: (row.harvested_on, row.id))
    for product_id, lot_id, _harvested_on, free_g in rows:
        yield product_id, lot_id, free_g


def _commit(session: Session, grams: Mapping[int, int]) -> None:
    """Move the committed grams of lots, negative to give back, in the order of ids."""
    if not grams:
        return
    lots = cast("Table", Lot.__table__)
    statement = (
        update(lots)
        .where(lots.c.id == bindparam("lot"))
        .values(committed_g=lots.c.committed_g + bindparam("grams"))
    )
    session.execute(statement, [{"lot": lot_id, "grams": grams[lot_id]} for lot_id in sorted(grams)])


def promise_grams(session: Session, *, product_id: int, lot_id: int, wanted_g: int, held_g: int) -> int:
    """Set grams of one lot of a product aside for an order agreed ahead: `wanted_g`, or what is free when that is
    less, in place of the `held_g` set aside for it before. Returns what is set aside now.

    The lots of the product are locked as `hold_grams` locks them.
    """
    free = {lot_id: free_g for _product_id, lot_id, free_g in _free_lots(session, [product_id], also=lot_id)}
    now_g = max(0, min(wanted_g, free[lot_id] + held_g))
    if now_g != held_g:
        statement = update(Lot).where(Lot.id == lot_id).values(promised_g=Lot.promised_g + now_g - held_g)
        session.execute(statement.execution_options(synchronize_session=False))
    return now_g


def release_lines(session: Session, lines: Sequence[OrderLine]) -> None:
    """Give the grams of cancelled `lines` of one cooperative back to their lots."""
    grams: dict[int, int] = {}
    for line in lines:
        for share in line.lots:
            grams[share.lot_id] = grams.get(share.lot_id, 0) - share.mass_g
    _commit(session, grams)
