"""Settlements, pools and their sharing out again: from order lines, lots, listing terms and the days of acceptance and
payment.

That a line has settled, and that a pool was shared out, are events; of their rows the time stamps are used: the ledger
entry's id says when, `as_of_entitlement_id` which evidence had been recorded by then. Amounts are only compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.dues import Dues, Scope
from marketplace.audit.recompute.entitlements import Periods
from marketplace.audit.recompute.report import Kind, Report
from marketplace.catalog.models import LinkageTerm
from marketplace.core.clock import business_day
from marketplace.linkage.attribution import pool_of_line, split_pool_over_lots
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.models import LinkagePool, PoolDistribution, Settlement
from marketplace.payments.refunds.models import RefundedLine
from marketplace.procurement.receiving.queries import weights_of_lots

CHUNK = 500
RULE_VERSION = 1
POOL_NAMES = ("fen", "rate_bp", "attribution", "period", "waiting")


@dataclass(frozen=True, slots=True)
class Line:
    """A settled line as it was sold, and when it settled; `net_fen` is less what was refunded before."""

    id: int
    public_no: str
    version_id: int
    net_fen: int
    due_on: date
    is_due: bool
    is_called_off: bool  # every unit was refunded
    entry_id: int
    period_id: int | None


@dataclass(slots=True)
class Pool:
    """A pool as it should be; `entry_id`, `stamp` and `distributed_at` are of its sharing out, None while it waits."""

    id: int
    line: Line
    mechanism: Mechanism
    lot_id: int | None
    period_id: int | None
    fen: int
    settled_at: datetime
    entry_id: int | None = None
    stamp: int | None = None
    distributed_at: datetime | None = None
    credits: dict[int, int] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """Whose entitlements are the weights."""
        return (self.mechanism, self.lot_id, self.period_id)


When = tuple[int, datetime]  # a line settled: the last entitlement recorded by then, and the instant
Part = tuple[Mechanism, int | None]  # of a line: the mechanism, and the lot for what is shared by lot


@dataclass(frozen=True, slots=True)
class _Share:
    fen: int
    rate_bp: int
    attribution: Attribution


def recompute_pools(
    session: Session, cooperative_id: int, periods: Periods, dues: Dues, report: Report
) -> dict[int, Pool]:
    """Derive and compare the settlements and pools of a cooperative; returns the pools by id."""
    found: dict[int, Pool] = {}
    for settlements in _settlements(session, cooperative_id):
        ids = [settlement.line_id for settlement in settlements]
        lines = _lines(session, ids, periods)
        terms = _terms(session, {line.version_id for line in lines.values()})
        lots = weights_of_lots(session, ids)
        stored = _stored_pools(session, ids)
        for settlement in settlements:
            line, rows = lines[settlement.line_id], stored.get(settlement.line_id, [])
            stamp = max(
                (
                    shared.as_of_entitlement_id
                    for _, shared in rows
                    if shared and shared.entry_id == line.entry_id
                ),
                default=0,
            )
            when = (stamp, settlement.settled_at)
            shares = _shares(line, terms.get(line.version_id, ()), lots.get(line.id, ()), dues, when)
            total = sum(share.fen for share in shares.values())
            report.compare(
                Kind.SETTLEMENT,
                (settlement.net_fen, settlement.pool_fen, settlement.cooperative_id, settlement.rule_version),
                (line.net_fen, total, cooperative_id, RULE_VERSION) if line.is_due else None,
                lambda: (line.public_no,),  # noqa: B023 - asked at once
                ("fen", "pool_fen", "cooperative", "rule_version"),
            )
            for pool in _compare_pools(line, rows, shares, periods, dues, when, report):
                found[pool.id] = pool
    return found


def _settlements(session: Session, cooperative_id: int) -> Iterator[Sequence[Settlement]]:
    """The settlements of a cooperative's lines, in chunks."""
    last_id = 0
    while True:
        query = (
            select(Settlement)
            .join(OrderLine, OrderLine.id == Settlement.line_id)
            .where(OrderLine.cooperative_id == cooperative_id, Settlement.line_id > last_id)
            .order_by(Settlement.line_id)
            .limit(CHUNK)
        )
        rows = session.scalars(query).all()
        if not rows:
            return
        last_id = rows[-1].line_id
        yield rows


def _lines(session: Session, ids: Sequence[int], periods: Periods) -> dict[int, Line]:
    """The lines as they were sold and delivered."""
    refunded_fen, refunded_units = Counter[int](), Counter[int]()
    refunds = select(
        RefundedLine.line_id,
        RefundedLine.quantity,
        RefundedLine.unit_price_fen,
        RefundedLine.after_settlement,
    )
    for line_id, units, price_fen, after in session.execute(refunds.where(RefundedLine.line_id.in_(ids))):
        refunded_units[line_id] += units
        refunded_fen[line_id] += 0 if after else units * price_fen
    rows = session.execute(
        select(
            OrderLine.id,
            OrderLine.public_no,
            OrderLine.listing_version_id,
            OrderLine.quantity,
            OrderLine.unit_price_fen,
            OrderPart.state,
            OrderPart.accepted_at,
            OrderPart.paid_at,
            Settlement.entry_id,
            Settlement.settled_at,
        )
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .join(Settlement, Settlement.line_id == OrderLine.id)
        .where(OrderLine.id.in_(ids))
    )
    found = {}
    for (
        line_id,
        number,
        version_id,
        units,
        price_fen,
        state,
        accepted_at,
        paid_at,
        entry_id,
        settled_at,
    ) in rows:
        net_fen = units * price_fen - refunded_fen[line_id]
        due_on = business_day(max(accepted_at or settled_at, paid_at or settled_at))
        is_due = (
            state is PartState.ACCEPTED
            and net_fen > 0
            and accepted_at is not None
            and paid_at is not None
            and settled_at >= max(accepted_at, paid_at)
        )
        is_called_off = refunded_units[line_id] >= units
        period_id = periods.holding(due_on)
        found[line_id] = Line(
            line_id, number, version_id, net_fen, due_on, is_due, is_called_off, entry_id, period_id
        )
    return found


def _terms(session: Session, version_ids: set[int]) -> dict[int, list[tuple[Mechanism, int]]]:
    """The linkage terms pinned by lines, in the order in which ties between mechanisms are broken."""
    query = select(LinkageTerm.version_id, LinkageTerm.mechanism, LinkageTerm.rate_bp)
    order = list(Mechanism)
    found: dict[int, list[tuple[Mechanism, int]]] = {}
    for version_id, mechanism, rate_bp in session.execute(
        query.where(LinkageTerm.version_id.in_(version_ids))
    ):
        found.setdefault(version_id, []).append((mechanism, rate_bp))
    for terms in found.values():
        terms.sort(key=lambda term: order.index(term[0]))
    return found


def _stored_pools(
    session: Session, ids: Sequence[int]
) -> dict[int, list[tuple[LinkagePool, PoolDistribution | None]]]:
    query = (
        select(LinkagePool, PoolDistribution)
        .outerjoin(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .where(LinkagePool.line_id.in_(ids))
        .order_by(LinkagePool.id)
    )
    found: dict[int, list[tuple[LinkagePool, PoolDistribution | None]]] = {}
    for pool, shared in session.execute(query):
        found.setdefault(pool.line_id, []).append((pool, shared))
    return found


def _shares(
    line: Line,
    terms: Sequence[tuple[Mechanism, int]],
    lots: Sequence[tuple[int, int]],
    dues: Dues,
    when: When,
) -> dict[Part, _Share]:
    """How a line's linkage money divides: by mechanism, then by lot where goods hold produce or labour."""
    shares: dict[Part, _Share] = {}
    pools = pool_of_line(max(0, line.net_fen), [rate_bp for _, rate_bp in terms])
    for (mechanism, rate_bp), pool_fen in zip(terms, pools, strict=True):
        ways, rest_fen = MECHANISMS[mechanism].attributions, pool_fen
        if Attribution.DIRECT in ways:
            for (lot_id, _), fen in zip(
                lots, split_pool_over_lots(pool_fen, [grams for _, grams in lots]), strict=True
            ):
                if Attribution.ALLOCATED in ways and not dues.has_weight((mechanism, lot_id, None), *when):
                    continue  # no labour in this lot: its part is spread over the period
                rest_fen -= fen
                if fen:
                    shares[mechanism, lot_id] = _Share(fen, rate_bp, Attribution.DIRECT)
        if rest_fen:
            shares[mechanism, None] = _Share(rest_fen, rate_bp, Attribution.ALLOCATED)
    return shares


def _compare_pools(
    line: Line,
    rows: Sequence[tuple[LinkagePool, PoolDistribution | None]],
    shares: Mapping[Part, _Share],
    periods: Periods,
    dues: Dues,
    when: When,
    report: Report,
) -> Iterator[Pool]:
    """Compare a line's pools; yields those that are there, with what they should hold (nothing, if one too many)."""
    left = dict(shares)
    for row, shared in rows:
        share = left.pop((row.mechanism, row.lot_id), None) if line.is_due else None
        period_id = None if row.lot_id is not None else line.period_id
        if row.waiting and row.period_id is None:
            period_id = None  # it waited for a period as well, which was opened later
        waiting = not dues.has_weight((row.mechanism, row.lot_id, period_id), *when)
        report.compare(
            Kind.POOL,
            (row.pool_fen, row.rate_bp, row.attribution, row.period_id, row.waiting),
            (share.fen, share.rate_bp, share.attribution, period_id, waiting) if share else None,
            lambda: (line.public_no, row.mechanism.label),  # noqa: B023 - asked at once
            POOL_NAMES,
        )
        if row.lot_id is None and period_id is None and shared is not None:
            period_id = periods.holding(business_day(row.settled_at))
        fen = share.fen if share else 0
        pool = Pool(row.id, line, row.mechanism, row.lot_id, period_id, fen, row.settled_at)
        if shared is not None:
            pool.entry_id, pool.stamp = shared.entry_id, shared.as_of_entitlement_id
            pool.distributed_at = shared.distributed_at
        yield pool
    for (mechanism, _), share in left.items() if line.is_due else ():
        report.compare(
            Kind.POOL,
            None,
            (share.fen,),
            lambda: (line.public_no, mechanism.label),  # noqa: B023 - asked at once
        )
