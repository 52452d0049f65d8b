"""What settled in twelve months: of a cooperative, of a unit's purchases, of a jurisdiction. Read-only, in a fixed
number of statements. Whose sales they are is a condition on Settlement and Order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import start_of
from marketplace.ordering.models import Order, OrderKind, OrderLine
from marketplace.payments.models import Settlement
from marketplace.registry.models import Cooperative

MONTHS = 12
MOST_ROWS = 20


@dataclass(frozen=True)
class Month:
    """A month's settled net and the share of it that goes to households, in fen."""

    first_on: date
    net_fen: int
    pool_fen: int


@dataclass(frozen=True)
class Sold:
    """What was settled of one thing, in units of one name, and fen."""

    name: str
    units: int
    unit_name: str
    net_fen: int


@dataclass(frozen=True)
class Seller:
    """What settled of one cooperative, and the share for households, in fen."""

    name: str
    public_no: str
    net_fen: int
    pool_fen: int


@dataclass(frozen=True)
class Sales:
    """Twelve months, the products that sold best, the cooperatives that sold most, and who bought."""

    months: tuple[Month, ...]
    products: tuple[Sold, ...]
    sellers: tuple[Seller, ...]
    buyers: tuple[tuple[OrderKind, int, int], ...]  # kind, orders, fen

    @property
    def net_fen(self) -> int:
        """All of it."""
        return sum(month.net_fen for month in self.months)

    @property
    def pool_fen(self) -> int:
        """The share for households."""
        return sum(month.pool_fen for month in self.months)


def months_until(day: date) -> list[date]:
    """The first days of the twelve months that end with the month of `day`."""
    last = day.year * 12 + day.month - 1
    return [date(index // 12, index % 12 + 1, 1) for index in range(last - MONTHS + 1, last + 1)]


def sales_of(session: Session, whose: ColumnElement[bool], *, until: date) -> Sales:
    """What settled in the twelve months that end with the month of `until`."""
    firsts = months_until(until)
    since = start_of(firsts[0])
    where = and_(whose, Settlement.settled_at >= since)
    return Sales(
        _months(session, where, firsts),
        _products(session, where),
        _sellers(session, where),
        _buyers(session, where),
    )


def _settled(*columns: Any) -> Select[Any]:
    lines = select(*columns).select_from(Settlement).join(OrderLine, OrderLine.id == Settlement.line_id)
    return lines.join(Order, Order.id == OrderLine.order_id)


def _months(session: Session, where: ColumnElement[bool], firsts: Sequence[date]) -> tuple[Month, ...]:
    """Added up in one statement; a month begins in China, not in UTC."""
    ends = [start_of(first) for first in firsts[1:]]
    month = case(*((Settlement.settled_at < end, place) for place, end in enumerate(ends)), else_=len(ends))
    query = (
        _settled(month.label("month"), func.sum(Settlement.net_fen), func.sum(Settlement.pool_fen))
        .where(where)
        .group_by("month")
    )
    sums = {place: (int(net), int(pool)) for place, net, pool in session.execute(query)}
    return tuple(Month(first, *sums.get(place, (0, 0))) for place, first in enumerate(firsts))


def _products(session: Session, where: ColumnElement[bool]) -> tuple[Sold, ...]:
    net = func.sum(Settlement.net_fen)
    query = (
        _settled(OrderLine.title, func.sum(OrderLine.quantity), OrderLine.unit_name, net)
        .where(where)
        .group_by(OrderLine.title, OrderLine.unit_name)
        .order_by(net.desc(), OrderLine.title, OrderLine.unit_name)
        .limit(MOST_ROWS)
    )
    return tuple(
        Sold(title, int(units), unit, int(fen)) for title, units, unit, fen in session.execute(query)
    )


def _sellers(session: Session, where: ColumnElement[bool]) -> tuple[Seller, ...]:
    net = func.sum(Settlement.net_fen)
    query = (
        _settled(Cooperative.name, Cooperative.public_no, net, func.sum(Settlement.pool_fen))
        .join(Cooperative, Cooperative.id == Settlement.cooperative_id)
        .where(where)
        .group_by(Cooperative.name, Cooperative.public_no)
        .order_by(net.desc(), Cooperative.public_no)
        .limit(MOST_ROWS)
    )
    return tuple(
        Seller(name, number, int(fen), int(pool)) for name, number, fen, pool in session.execute(query)
    )


def _buyers(session: Session, where: ColumnElement[bool]) -> tuple[tuple[OrderKind, int, int], ...]:
    query = (
        _settled(Order.kind, func.count(Order.id.distinct()), func.sum(Settlement.net_fen))
        .where(where)
        .group_by(Order.kind)
    )
    found = {kind: (count, int(fen)) for kind, count, fen in session.execute(query)}
    return tuple((kind, *found[kind]) for kind in OrderKind if kind in found)
