"""Settled sales of one cooperative over twelve months. Read-only; a fixed number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import start_of
from marketplace.ordering.models import Order, OrderKind, OrderLine
from marketplace.payments.models import Settlement

MONTHS = 12
MOST_PRODUCTS = 20


@dataclass(frozen=True)
class Month:
    """A month's settled net and the share of it that goes to households, in fen."""

    first_on: date
    net_fen: int
    pool_fen: int


@dataclass(frozen=True)
class Sold:
    """What was settled of one thing: units where they can be added up, and fen."""

    name: str
    units: int
    net_fen: int


@dataclass(frozen=True)
class Sales:
    """Twelve months, the products that sold best, and who bought."""

    months: tuple[Month, ...]
    products: tuple[Sold, ...]
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


def sales_of(session: Session, cooperative_id: int, *, until: date) -> Sales:
    """What settled of a cooperative in the twelve months that end with the month of `until`."""
    firsts = months_until(until)
    since = start_of(firsts[0])
    return Sales(
        _months(session, cooperative_id, firsts, since),
        _products(session, cooperative_id, since),
        _buyers(session, cooperative_id, since),
    )


def _months(
    session: Session, cooperative_id: int, firsts: Sequence[date], since: datetime
) -> tuple[Month, ...]:
    """Added up in one statement; a month begins in China, not in UTC."""
    ends = [start_of(first) for first in firsts[1:]]
    month = case(*((Settlement.settled_at < end, place) for place, end in enumerate(ends)), else_=len(ends))
    query = (
        select(month.label("month"), func.sum(Settlement.net_fen), func.sum(Settlement.pool_fen))
        .where(Settlement.cooperative_id == cooperative_id, Settlement.settled_at >= since)
        .group_by("month")
    )
    sums = {place: (int(net), int(pool)) for place, net, pool in session.execute(query)}
    return tuple(Month(first, *sums.get(place, (0, 0))) for place, first in enumerate(firsts))


def _products(session: Session, cooperative_id: int, since: datetime) -> tuple[Sold, ...]:
    net = func.sum(Settlement.net_fen)
    query = (
        select(OrderLine.title, func.sum(OrderLine.quantity), net)
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .where(Settlement.cooperative_id == cooperative_id, Settlement.settled_at >= since)
        .group_by(OrderLine.title)
        .order_by(net.desc(), OrderLine.title)
        .limit(MOST_PRODUCTS)
    )
    return tuple(Sold(title, int(units), int(fen)) for title, units, fen in session.execute(query))


def _buyers(session: Session, cooperative_id: int, since: datetime) -> tuple[tuple[OrderKind, int, int], ...]:
    query = (
        select(Order.kind, func.count(Order.id.distinct()), func.sum(Settlement.net_fen))
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .where(Settlement.cooperative_id == cooperative_id, Settlement.settled_at >= since)
        .group_by(Order.kind)
    )
    found = {kind: (count, int(fen)) for kind, count, fen in session.execute(query)}
    return tuple((kind, *found[kind]) for kind in OrderKind if kind in found)
