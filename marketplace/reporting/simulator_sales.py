"""Settled lines as a simulation needs them: terms, lots, and the entitlements each pool was shared out by.

Everything is read in a fixed number of statements, however many lines there are; a page takes at most MOST_LINES.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import LinkageTerm, ListingVersion
from marketplace.core.clock import business_day, end_of, start_of
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.linkage.models import Entitlement, EntitlementVoid, Mechanism
from marketplace.linkage.queries import attributions_of
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.payments.due_lines import DueLine, PeriodFinder
from marketplace.payments.models import LinkagePool, PoolDistribution, Settlement
from marketplace.payments.settlement import PoolShare, Scope
from marketplace.procurement.receiving.queries import weights_of_lots

MOST_LINES = 2_000
Rates = Mapping[Mechanism, int]


@dataclass(frozen=True)
class Question:
    """Which sales, and under which rates in basis points (None: as they were)."""

    cooperative_id: int
    since: date
    until: date
    rates: Rates | None = None
    listing_id: int | None = None


@dataclass(frozen=True)
class Kept:
    """What a stored pool was shared by: the last entitlement that counted (None while it waits), its period, and when
    it was shared out, which voids later than that do not touch."""

    as_of: int | None
    period_id: int | None
    waited: bool
    shared_at: datetime | None


@dataclass(frozen=True)
class Sale:
    """A settled line with its pools as they were kept, by mechanism and lot."""

    line: DueLine
    settled_at: datetime
    kept: Mapping[tuple[Mechanism, int | None], Kept]

    @property
    def as_of(self) -> int | None:
        """The last entitlement that counted at settlement, None when nothing was shared out then."""
        found = [kept.as_of for kept in self.kept.values() if not kept.waited and kept.as_of is not None]
        return max(found, default=None)

    def under(self, rates: Rates) -> DueLine:
        """The line as other terms would have had it, in the order of the mechanisms."""
        line = self.line
        terms = tuple((one, rates[one]) for one in Mechanism if rates.get(one))
        return DueLine(
            line.line_id, line.cooperative_id, line.net_fen, line.due_at, terms, line.lots, line.period_id
        )

    def scope_of(self, share: PoolShare) -> Scope:
        """Whose entitlements are the weights of a share: those it was shared by, where it was."""
        kept = self.kept.get((share.mechanism, share.lot_id))
        period_id = None if share.lot_id is not None else share.period_id
        if kept is not None and share.lot_id is None:
            period_id = kept.period_id or period_id
        return (share.mechanism, share.lot_id, period_id)


def asked_lines(question: Question) -> Select[int]:
    """The ids of the settled lines asked about."""
    query = (
        select(OrderLine.id)
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .where(
            Settlement.cooperative_id == question.cooperative_id,
            Settlement.settled_at >= start_of(question.since),
            Settlement.settled_at < end_of(question.until),
        )
    )
    if question.listing_id is None:
        return query
    versions = select(ListingVersion.id).where(ListingVersion.listing_id == question.listing_id)
    return query.where(OrderLine.listing_version_id.in_(versions))


def sales_of(session: Session, question: Question) -> list[Sale]:
    """The lines with terms, lots, pools and periods, in a fixed number of statements."""
    asked = asked_lines(question)
    count = session.scalar(select(func.count()).select_from(asked.subquery())) or 0
    if count > MOST_LINES:
        raise Refused(
            "too_many_lines",
            N_("这段时间有 %(count)s 笔销售，一次最多测算 %(most)s 笔，请缩短时间或只选一个商品"),
            count=count,
            most=MOST_LINES,
        )
    rows = session.execute(
        select(
            OrderLine.id,
            OrderLine.listing_version_id,
            Settlement.net_fen,
            Settlement.settled_at,
            OrderPart.accepted_at,
            OrderPart.paid_at,
        )
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .where(OrderLine.id.in_(asked))
        .order_by(OrderLine.id)
    ).all()
    terms, lots, kept = _terms(session, asked), weights_of_lots(session, asked), _kept(session, asked)
    periods = PeriodFinder(session, {question.cooperative_id})
    sales = []
    for line_id, version_id, net_fen, settled_at, accepted_at, paid_at in rows:
        due_at = max(at for at in (accepted_at, paid_at, None if accepted_at else settled_at) if at)
        line = DueLine(
            line_id=line_id,
            cooperative_id=question.cooperative_id,
            net_fen=net_fen,
            due_at=due_at,
            terms=terms.get(version_id, ()),
            lots=tuple(lots.get(line_id, ())),
            period_id=periods.covering(question.cooperative_id, business_day(due_at)),
        )
        sales.append(Sale(line, settled_at, kept.get(line_id, {})))
    return sales


def _terms(session: Session, asked: Select[int]) -> dict[int, tuple[tuple[Mechanism, int], ...]]:
    """The terms the lines were sold under, by listing version."""
    versions = select(OrderLine.listing_version_id).where(OrderLine.id.in_(asked))
    found: dict[int, dict[Mechanism, int]] = {}
    for term in session.scalars(select(LinkageTerm).where(LinkageTerm.version_id.in_(versions))):
        found.setdefault(term.version_id, {})[term.mechanism] = term.rate_bp
    return {
        version_id: tuple((one, rates[one]) for one in Mechanism if one in rates)
        for version_id, rates in found.items()
    }


def _kept(session: Session, asked: Select[int]) -> dict[int, dict[tuple[Mechanism, int | None], Kept]]:
    """What the stored pools of each line were shared by."""
    query = (
        select(
            LinkagePool.line_id,
            LinkagePool.mechanism,
            LinkagePool.lot_id,
            LinkagePool.period_id,
            PoolDistribution.as_of_entitlement_id,
            PoolDistribution.period_id,
            LinkagePool.waiting,
            PoolDistribution.distributed_at,
        )
        .outerjoin(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .where(LinkagePool.line_id.in_(asked))
    )
    found: dict[int, dict[tuple[Mechanism, int | None], Kept]] = {}
    for line_id, mechanism, lot_id, period_id, as_of, shared_over, waited, at in session.execute(query):
        found.setdefault(line_id, {})[mechanism, lot_id] = Kept(as_of, shared_over or period_id, waited, at)
    return found


class WeightsThen:
    """The entitlements behind some sales, read once, summed as of any one of them."""

    def __init__(self, session: Session, sales: Sequence[Sale]) -> None:
        lots = {lot_id for sale in sales for lot_id, _ in sale.line.lots}
        periods = {sale.line.period_id for sale in sales} | {
            kept.period_id for sale in sales for kept in sale.kept.values()
        }
        self._rows: dict[Scope, list[tuple[int, int, int, datetime, datetime | None]]] = {}
        for mechanism, lot_id, period_id, *row in self._read(session, lots, periods - {None}):
            self._rows.setdefault((mechanism, lot_id, period_id), []).append(tuple(row))
        self._ids = {scope: [row[0] for row in rows] for scope, rows in self._rows.items()}
        self._voided = {
            scope: sorted(row[4] for row in rows if row[4] is not None) for scope, rows in self._rows.items()
        }
        self._sums: dict[tuple[Scope, int, int], dict[int, int]] = {}

    @staticmethod
    def _read(session: Session, lots: set[int], periods: set[Any]) -> Iterable[Any]:
        query = select(
            Entitlement.mechanism,
            Entitlement.lot_id,
            Entitlement.period_id,
            Entitlement.id,
            Entitlement.household_id,
            Entitlement.amount_fen,
            Entitlement.recorded_at,
            EntitlementVoid.voided_at,
        ).outerjoin(EntitlementVoid, EntitlementVoid.entitlement_id == Entitlement.id)
        scopes = or_(Entitlement.lot_id.in_(lots), Entitlement.period_id.in_(periods))
        return session.execute(query.where(scopes).order_by(Entitlement.id))

    def _summed(self, scope: Scope, count: int, at: datetime | None) -> dict[int, int]:
        """Fen by household of the first `count` entitlements of a scope, less what was voided by `at` (today: None)."""
        voided = self._voided.get(scope, [])
        gone = len(voided) if at is None else bisect_right(voided, at)
        key = (scope, count, gone)
        if key not in self._sums:
            last = voided[gone - 1] if gone else None
            sums: dict[int, int] = {}
            for _, household_id, fen, _, voided_at in self._rows.get(scope, [])[:count]:
                if voided_at is None or last is None or voided_at > last:
                    sums[household_id] = sums.get(household_id, 0) + fen
            self._sums[key] = sums
        return self._sums[key]

    def _as_of(self, scope: Scope, entitlement_id: int, at: datetime | None) -> dict[int, int]:
        return self._summed(scope, bisect_right(self._ids.get(scope, []), entitlement_id), at)

    def _at_settlement(self, scope: Scope, sale: Sale) -> dict[int, int]:
        if sale.as_of is not None:
            return self._as_of(scope, sale.as_of, sale.settled_at)
        rows = self._rows.get(scope, [])
        count = bisect_left(rows, sale.settled_at, key=lambda row: row[3])
        return self._summed(scope, count, sale.settled_at)

    def of_lots(self, sale: Sale, line: DueLine) -> dict[Scope, dict[int, int]]:
        """What decides whether a mechanism of both ways is shared by lot: the weights of the lots at settlement."""
        both = [one for one, _ in line.terms if len(attributions_of(one)) > 1]
        scopes: list[Scope] = [(one, lot_id, None) for one in both for lot_id, _ in line.lots]
        return {scope: self._at_settlement(scope, sale) for scope in scopes}

    def of_share(self, sale: Sale, share: PoolShare) -> dict[int, int]:
        """The weights of a share: as they were when its pool was shared out, else at settlement, else today's."""
        scope = sale.scope_of(share)
        kept = sale.kept.get((share.mechanism, share.lot_id))
        if kept is not None:
            return self._as_of(scope, kept.as_of, kept.shared_at) if kept.as_of is not None else {}
        then = self._at_settlement(scope, sale)
        return then if any(then.values()) else self._summed(scope, len(self._rows.get(scope, [])), None)
