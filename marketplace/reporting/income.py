"""A household's income: by mechanism and by month, each credit back to its goods. Pending is never added to credited.

Who bought is shown as its kind and county only. `cooperative_id` leaves only what came from that cooperative: a
cooperative does not read what a household earns elsewhere (None: from all).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Row, Select, Subquery, and_, func, select, union_all
from sqlalchemy.orm import Session

from marketplace.core.clock import SHANGHAI, end_of, start_of
from marketplace.ledger.models import Entry
from marketplace.linkage.models import Attribution, Entitlement, LinkagePeriod, Lot, Mechanism
from marketplace.ordering.models import LineLot, Order, OrderKind, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.closing.models import GuaranteePosting
from marketplace.payments.closing.standing import CHANGE_FEN
from marketplace.payments.models import Credit, LinkagePool, Settlement
from marketplace.payments.refunds.models import CreditAddition, CreditReversal, ReversalCause
from marketplace.procurement.receiving.models import ReplacementLot
from marketplace.registry.models import BuyerUnit, Cooperative, Region, UnitKind

NEVER_SETTLE = (PartState.CANCELLED, PartState.RETURNED)


@dataclass(frozen=True)
class Span:
    """The days [since, until] of a statement."""

    since: date
    until: date

    @property
    def instants(self) -> tuple[datetime, datetime]:
        """The span as instants, the end exclusive."""
        return start_of(self.since), end_of(self.until)


@dataclass(frozen=True)
class MonthIncome:
    """What one mechanism brought in one month."""

    year: int
    month: int
    mechanism: Mechanism
    amount_fen: int


def _concerns(model: Any, household_id: int, cooperative_id: int | None) -> ColumnElement[bool]:
    """Rows of `model` about the household, of one cooperative or of all."""
    wanted = [model.household_id == household_id]
    if cooperative_id is not None:
        wanted.append(model.cooperative_id == cooperative_id)
    return and_(*wanted)


def credits_of(
    household_id: int, span: Span | None = None, *, cooperative_id: int | None = None
) -> Select[tuple[Credit, ...]]:
    """A household's credits with goods, cooperative, and the buyer's kind and county; newest first.

    Rows: Credit, attribution, line title, line number, cooperative name, order kind, unit kind, county name.
    """
    query = (
        select(
            Credit,
            LinkagePool.attribution,
            OrderLine.title,
            OrderLine.public_no.label("line_no"),
            Cooperative.name.label("cooperative_name"),
            Order.kind.label("order_kind"),
            BuyerUnit.kind.label("unit_kind"),
            Region.name.label("county_name"),
        )
        .join(LinkagePool, LinkagePool.id == Credit.pool_id)
        .join(OrderLine, OrderLine.id == Credit.line_id)
        .join(Cooperative, Cooperative.id == Credit.cooperative_id)
        .join(Order, Order.id == OrderLine.order_id)
        .outerjoin(BuyerUnit, BuyerUnit.id == Order.buyer_unit_id)
        .outerjoin(Region, Region.code == Order.buyer_county_code)
        .where(_concerns(Credit, household_id, cooperative_id))
        .order_by(Credit.id.desc())
    )
    if span is not None:
        since, until = span.instants
        query = query.where(Credit.credited_at >= since, Credit.credited_at < until)
    return query


def buyer_words(order_kind: OrderKind, unit_kind: UnitKind | None) -> OrderKind | UnitKind:
    """What may be said of a buyer: the kind of its unit, or that a person bought."""
    return unit_kind or order_kind


def months_of(
    session: Session, household_id: int, span: Span | None = None, *, cooperative_id: int | None = None
) -> list[MonthIncome]:
    """Credited fen, less what was taken back, by Shanghai month and mechanism, newest month first."""
    changes = _changes(household_id, span, cooperative_id)
    totals: dict[tuple[int, int, Mechanism], int] = {}
    for at, mechanism, amount_fen in session.execute(
        select(changes.c.at, changes.c.mechanism, changes.c.fen)
    ):
        local = at.astimezone(SHANGHAI)
        key = (local.year, local.month, mechanism)
        totals[key] = totals.get(key, 0) + amount_fen
    order = list(Mechanism)
    return [
        MonthIncome(year, month, mechanism, totals[year, month, mechanism])
        for year, month, mechanism in sorted(totals, key=lambda key: (-key[0], -key[1], order.index(key[2])))
    ]


def _changes(household_id: int, span: Span | None, cooperative_id: int | None) -> Subquery:
    """What raised (positive) or lowered the credited money of a household, each on its own day: rows of at, mechanism,
    pool_id, fen."""
    arms = [
        select(at.label("at"), model.mechanism, model.pool_id, fen.label("fen"))
        .where(_concerns(model, household_id, cooperative_id))
        .where(*(() if span is None else (at >= span.instants[0], at < span.instants[1])))
        for model, at, fen in (
            (Credit, Credit.credited_at, Credit.amount_fen),
            (CreditAddition, CreditAddition.credited_at, CreditAddition.amount_fen),
            (CreditReversal, CreditReversal.reversed_at, -CreditReversal.amount_fen),
        )
    ]
    return union_all(*arms).subquery()


@dataclass(frozen=True)
class Change:
    """A credit taken back in part (negative), or given afterwards: when, for which goods, why.

    `relief_fen` of it the household keeps, because it was paid out already.
    """

    at: datetime
    title: str
    mechanism: Mechanism
    amount_fen: int
    relief_fen: int
    cause: ReversalCause
    reason: str


def later_changes(
    session: Session,
    household_id: int,
    span: Span | None = None,
    *,
    cooperative_id: int | None = None,
    limit: int = 200,
) -> list[Change]:
    """What refunds and corrections changed of a household's credits, newest first."""
    within = () if span is None else span.instants
    taken = (
        select(CreditReversal, OrderLine.title)
        .join(OrderLine, OrderLine.id == CreditReversal.line_id)
        .where(_concerns(CreditReversal, household_id, cooperative_id))
        .order_by(CreditReversal.id.desc())
        .limit(limit)
    )
    given = (
        select(CreditAddition, OrderLine.title, Entry.reason)
        .join(OrderLine, OrderLine.id == CreditAddition.line_id)
        .join(Entry, Entry.id == CreditAddition.entry_id)
        .where(_concerns(CreditAddition, household_id, cooperative_id))
        .order_by(CreditAddition.id.desc())
        .limit(limit)
    )
    if within:
        taken = taken.where(CreditReversal.reversed_at >= within[0], CreditReversal.reversed_at < within[1])
        given = given.where(CreditAddition.credited_at >= within[0], CreditAddition.credited_at < within[1])
    found = [
        Change(row.reversed_at, title, row.mechanism, -row.amount_fen, row.relief_fen, row.cause, row.reason)
        for row, title in session.execute(taken)
    ]
    correction = ReversalCause.CORRECTION
    found += [
        Change(row.credited_at, title, row.mechanism, row.amount_fen, 0, correction, reason)
        for row, title, reason in session.execute(given)
    ]
    return sorted(found, key=lambda change: change.at, reverse=True)[:limit]


@dataclass(frozen=True)
class Guarantee:
    """What the cooperative added because a period or a lot earned less than was owed; negative where later income took
    its place. Never part of the credited money. The last day of the period is included."""

    at: datetime
    mechanism: Mechanism
    amount_fen: int
    lot: str | None
    since: date | None
    until: date | None


def guarantees_of(
    session: Session,
    household_id: int,
    span: Span | None = None,
    *,
    cooperative_id: int | None = None,
    limit: int = 200,
) -> list[Guarantee]:
    """The guarantees of a household, newest first."""
    query = (
        select(
            GuaranteePosting.posted_at,
            GuaranteePosting.mechanism,
            CHANGE_FEN,
            Lot.commodity + " " + Lot.lot_no,
            LinkagePeriod.starts_on,
            LinkagePeriod.ends_on,
        )
        .outerjoin(Lot, Lot.id == GuaranteePosting.lot_id)
        .outerjoin(LinkagePeriod, LinkagePeriod.id == GuaranteePosting.period_id)
        .where(_concerns(GuaranteePosting, household_id, cooperative_id), *_posted_in(span))
        .order_by(GuaranteePosting.id.desc())
        .limit(limit)
    )
    return [
        Guarantee(at, mechanism, int(fen), lot, since, until and until - timedelta(days=1))
        for at, mechanism, fen, lot, since, until in session.execute(query)
    ]


def guaranteed_fen(
    session: Session, household_id: int, span: Span | None = None, *, cooperative_id: int | None = None
) -> int:
    """What guarantees added in all, in fen, less what later income took the place of."""
    query = select(func.coalesce(func.sum(CHANGE_FEN), 0)).where(
        _concerns(GuaranteePosting, household_id, cooperative_id), *_posted_in(span)
    )
    return int(session.scalar(query) or 0)


def _posted_in(span: Span | None) -> tuple[ColumnElement[bool], ...]:
    if span is None:
        return ()
    since, until = span.instants
    return (GuaranteePosting.posted_at >= since, GuaranteePosting.posted_at < until)


def by_mechanism(months: Sequence[MonthIncome]) -> dict[Mechanism, int]:
    """The sums of `months` by mechanism, in the order of the mechanisms."""
    totals = dict.fromkeys((m for m in Mechanism if any(row.mechanism is m for row in months)), 0)
    for row in months:
        totals[row.mechanism] += row.amount_fen
    return totals


def by_month(months: Sequence[MonthIncome]) -> dict[date, dict[Mechanism, int]]:
    """The sums of `months` by the first day of the month, as they come, and within it by mechanism."""
    found: dict[date, dict[Mechanism, int]] = {}
    for row in months:
        found.setdefault(date(row.year, row.month, 1), {})[row.mechanism] = row.amount_fen
    return found


def by_attribution(
    session: Session, household_id: int, span: Span | None = None, *, cooperative_id: int | None = None
) -> dict[Attribution, int]:
    """Credited fen, less what was taken back, DIRECT and ALLOCATED apart: the two are never added up into one claim
    about an order."""
    changes = _changes(household_id, span, cooperative_id)
    query = (
        select(LinkagePool.attribution, func.sum(changes.c.fen))
        .join(LinkagePool, LinkagePool.id == changes.c.pool_id)
        .group_by(LinkagePool.attribution)
    )
    return {attribution: int(amount) for attribution, amount in session.execute(query)}


def entitled_fen(session: Session, household_id: int, *, cooperative_id: int | None = None) -> int:
    """What agreements and evidence say is owed, in all: another fact than what was credited."""
    query = select(func.coalesce(func.sum(Entitlement.amount_fen), 0)).where(
        _concerns(Entitlement, household_id, cooperative_id)
    )
    return int(session.scalar(query) or 0)


def pending_lines(
    session: Session, household_id: int, *, cooperative_id: int | None = None, limit: int = 20
) -> Sequence[Row[tuple[str, PartState, int]]]:
    """Lines under way that drew on lots this household delivered to, counted by (title, state, lines), the latest
    first. Not money yet."""
    lots = select(Entitlement.lot_id).where(
        _concerns(Entitlement, household_id, cooperative_id), Entitlement.lot_id.is_not(None)
    )
    from_lots = _lines_of_lots(lots)
    settled = select(Settlement.line_id).where(Settlement.line_id == OrderLine.id).exists()
    query = (
        select(OrderLine.title, OrderPart.state, func.count(OrderLine.id).label("lines"))
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .where(OrderLine.id.in_(from_lots), ~settled, OrderPart.state.not_in(NEVER_SETTLE))
        .group_by(OrderLine.title, OrderPart.state)
        .order_by(func.max(OrderLine.id).desc())
        .limit(limit)
    )
    return session.execute(query).all()


def _lines_of_lots(lots: Select[tuple[int | None]]) -> CompoundSelect[tuple[int]]:
    ordered = select(LineLot.line_id).where(LineLot.lot_id.in_(lots))
    return ordered.union(select(ReplacementLot.line_id).where(ReplacementLot.lot_id.in_(lots)))
