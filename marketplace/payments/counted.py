"""What counts towards a reserved quota: goods of a canteen's order that are accepted, paid and evaluated, less refunds.

One place says it for quotas, purchase certificates and reports (domain.md section 9). A purchase belongs to the year in
which the last of the three happened, on China's calendar; a refund takes from that same year, whenever it comes.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ColumnElement, Subquery, and_, func, or_, select

from marketplace.core.clock import end_of, start_of
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.refunds.models import RefundedLine


def year_span(year: int) -> tuple[datetime, datetime]:
    """The instants at which a year of China's calendar begins and ends (exclusive)."""
    return start_of(date(year, 1, 1)), end_of(date(year, 12, 31))


def is_complete() -> ColumnElement[bool]:
    """Whether an OrderPart is accepted, paid and evaluated, whoever bought it."""
    return and_(
        OrderPart.state == PartState.ACCEPTED,
        OrderPart.accepted_at.is_not(None),
        OrderPart.paid_at.is_not(None),
        OrderPart.evaluated_at.is_not(None),
    )


def is_counted() -> ColumnElement[bool]:
    """Whether an OrderPart, joined to its Order, counts towards a quota: complete, and a canteen's."""
    return and_(Order.kind == OrderKind.CANTEEN, is_complete())


def completed_within(since: datetime, until: datetime) -> ColumnElement[bool]:
    """Whether the last of acceptance, payment and evaluation of an OrderPart fell into [since, until)."""
    steps = (OrderPart.accepted_at, OrderPart.paid_at, OrderPart.evaluated_at)
    return and_(*(step < until for step in steps), or_(*(step >= since for step in steps)))


def refunded_by_line() -> Subquery:
    """line_id and fen given back of it by agreed refunds, for lines with any."""
    given_back = func.sum(RefundedLine.amount_fen).label("refunded_fen")
    return select(RefundedLine.line_id, given_back).group_by(RefundedLine.line_id).subquery()
