"""Reading budgets: what is granted, what orders have committed, what is paid, and what is free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import business_day
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.states import PartState
from marketplace.procurement.budgets.models import BudgetEntry, BudgetLine, BudgetRelease

TAKES_NOTHING = (PartState.CANCELLED, PartState.RETURNED)


@dataclass(frozen=True)
class Balance:
    """A budget line in fen: what was granted, what orders hold that are not paid yet, and what is paid."""

    line: BudgetLine
    granted_fen: int
    committed_fen: int
    spent_fen: int

    @property
    def used_fen(self) -> int:
        """What orders take of it."""
        return self.committed_fen + self.spent_fen

    @property
    def free_fen(self) -> int:
        """What is left."""
        return self.granted_fen - self.used_fen


def lines_of(unit_id: int | None, year: int) -> Select[BudgetLine]:
    """The budget lines of a unit and a year, in the order they were opened."""
    return (
        select(BudgetLine)
        .where(BudgetLine.unit_id == unit_id, BudgetLine.year == year)
        .order_by(BudgetLine.id)
    )


def line_by_no(session: Session, actor: Actor, number: str) -> BudgetLine:
    """A budget line of the actor's unit. Raises NotFound."""
    query = select(BudgetLine).where(
        BudgetLine.public_no == number, BudgetLine.unit_id == (actor.buyer_unit_id or 0)
    )
    line = session.scalar(query)
    if line is None:
        raise NotFound
    return line


def years_of(session: Session, unit_id: int | None) -> list[int]:
    """The years a unit keeps budgets for, the latest first."""
    query = select(BudgetLine.year).where(BudgetLine.unit_id == unit_id).distinct()
    return sorted(session.scalars(query), reverse=True)


def balances(session: Session, lines: Sequence[BudgetLine]) -> list[Balance]:
    """The balance of each line, in three statements whatever their number."""
    ids = [line.id for line in lines]
    newest = (
        select(func.max(BudgetEntry.id)).where(BudgetEntry.line_id.in_(ids)).group_by(BudgetEntry.line_id)
    )
    granted = dict(
        session.execute(
            select(BudgetEntry.line_id, BudgetEntry.granted_fen).where(BudgetEntry.id.in_(newest))
        ).all()
    )
    used = _used(session, ids)
    return [Balance(line, granted.get(line.id, 0), *used.get(line.id, (0, 0))) for line in lines]


def balance_of(session: Session, line: BudgetLine) -> Balance:
    """The balance of one line."""
    return balances(session, [line])[0]


def _used(session: Session, line_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """What the parts of a line's orders take: not paid yet, and paid; refunds are off."""
    released = (
        select(BudgetRelease.part_id, func.sum(BudgetRelease.released_fen).label("fen"))
        .group_by(BudgetRelease.part_id)
        .subquery()
    )
    net = OrderPart.total_fen - func.coalesce(released.c.fen, 0)
    paid = case((OrderPart.paid_at.is_not(None), net), else_=0)
    query = (
        select(BudgetEntry.line_id, func.sum(net), func.sum(paid))
        .join(OrderPart, OrderPart.order_id == BudgetEntry.order_id)
        .outerjoin(released, released.c.part_id == OrderPart.id)
        .where(BudgetEntry.line_id.in_(list(line_ids)), OrderPart.state.not_in(TAKES_NOTHING))
        .group_by(BudgetEntry.line_id)
    )
    return {line_id: (int(net) - int(paid), int(paid)) for line_id, net, paid in session.execute(query)}


def grants_of(line: BudgetLine) -> Select[BudgetEntry]:
    """The grants and changes of a line, the newest first."""
    query = select(BudgetEntry).where(BudgetEntry.line_id == line.id, BudgetEntry.order_id.is_(None))
    return query.order_by(BudgetEntry.id.desc()).options(joinedload(BudgetEntry.enterer))


def orders_of(line: BudgetLine) -> Select[Order]:
    """The orders that name a line, the newest first."""
    named = select(BudgetEntry.order_id).where(
        BudgetEntry.line_id == line.id, BudgetEntry.order_id.is_not(None)
    )
    return select(Order).where(Order.id.in_(named)).order_by(Order.id.desc())


def lines_named(session: Session, order_ids: Sequence[int]) -> dict[int, BudgetLine]:
    """The budget line that each order names, by order id."""
    query = (
        select(BudgetEntry.order_id, BudgetLine)
        .join(BudgetLine, BudgetLine.id == BudgetEntry.line_id)
        .where(BudgetEntry.order_id.in_(order_ids))
    )
    return {order_id: line for order_id, line in session.execute(query) if order_id is not None}


def year_of(order: Order) -> int:
    """The budget year of an order: that of the day the goods are wanted, else of its placing."""
    return budget_year(order.deliver_on, business_day(order.placed_at))


def budget_year(deliver_on: date | None, placed_on: date) -> int:
    """The year whose budget an order takes of."""
    return (deliver_on or placed_on).year


def budgeted_years(session: Session, unit_ids: Collection[int]) -> set[tuple[int, int]]:
    """The (unit id, year) for which units keep budgets."""
    query = select(BudgetLine.unit_id, BudgetLine.year).where(BudgetLine.unit_id.in_(unit_ids)).distinct()
    return {(unit_id, year) for unit_id, year in session.execute(query)}


def lacks_budget_line(session: Session, order: Order) -> bool:
    """Whether the unit keeps budgets for the order's year, and the order names no line."""
    if lines_named(session, [order.id]):
        return False
    return session.scalar(lines_of(order.buyer_unit_id, year_of(order)).limit(1)) is not None
