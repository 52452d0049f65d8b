"""Reversals again: what refunds take back of each pool, event after event.

A refund takes back by Webster's method over what stood when refunds began to count: the credits, or what a registry
correction left. How much of it had been paid out in cash (relief) depends on payouts and is read, not derived: it moves
nothing between households. What corrections decided is read as events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.credits import household_no
from marketplace.audit.recompute.pools import Pool
from marketplace.audit.recompute.report import Kind, Numbers, Report
from marketplace.linkage.attribution import reversal_target, reversal_to_post
from marketplace.ordering.models import OrderLine
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.refunds.models import CreditAddition, CreditReversal, RefundedLine, ReversalCause


@dataclass(frozen=True, slots=True)
class Change:
    """What changed a household's money of a pool after its sharing out; `fen` is negative for what was taken back.

    `kept_fen` of it stayed with the household after all, because it had been paid out.
    """

    entry_id: int
    at: datetime
    pool_id: int
    household_id: int
    fen: int
    kept_fen: int = 0


@dataclass(slots=True)
class _Stored:
    """What one event took back of a household's share of a pool, as it is stored."""

    entry_id: int
    at: datetime
    fen: int
    kept_fen: int
    number: str


@dataclass(slots=True)
class _Standing:
    """Where refunds of one pool have got to."""

    base: dict[int, int]
    refunded_at_base: int = 0
    taken: dict[int, int] = field(default_factory=dict)

    def left(self) -> dict[int, int]:
        """What each household still has."""
        return {key: fen - self.taken.get(key, 0) for key, fen in self.base.items()}

    def take(self, pool: Pool, refunded_fen: int) -> dict[int, int]:
        """What a refund takes now, `refunded_fen` of the line's net being refunded in all."""
        net_fen = pool.line.net_fen
        target = reversal_target(pool.fen, net_fen, min(refunded_fen, net_fen)) - reversal_target(
            pool.fen, net_fen, min(self.refunded_at_base, net_fen)
        )
        now = reversal_to_post(self.base, self.taken, min(target, sum(self.base.values())))
        for household_id, fen in now.items():
            self.taken[household_id] = self.taken.get(household_id, 0) + fen
        return now


def recompute_reversals(
    session: Session, cooperative_id: int, pools: Mapping[int, Pool], report: Report
) -> list[Change]:
    """Derive and compare what refunds took back; returns every later change of credited money, for guarantees."""
    refunds = _refunds(session, cooperative_id)
    stored, corrections = _stored(session, cooperative_id)
    corrections += _additions(session, cooperative_id)
    by_pool: dict[int, list[Change]] = defaultdict(list)
    for change in corrections:
        by_pool[change.pool_id].append(change)
    touched = {pool.id for pool in pools.values() if pool.line.id in refunds}
    changes = list(corrections)
    for pool_id in sorted(touched | {key[0] for key in stored}):
        pool = pools[pool_id]
        expected = _expected(pool, refunds.get(pool.line.id, []), by_pool[pool_id])
        for household_id in sorted(expected.keys() | {key[1] for key in stored if key[0] == pool_id}):
            changes += _compare(
                session,
                pool,
                household_id,
                expected.get(household_id, []),
                stored.get((pool_id, household_id), []),
                report,
            )
    return changes


def _expected(
    pool: Pool, refunds: Sequence[tuple[int, int]], corrections: Sequence[Change]
) -> dict[int, list[int]]:
    """What each refund takes back of each household, in the order of events; nothing before the pool is shared out."""
    found: dict[int, list[int]] = defaultdict(list)
    if pool.entry_id is None:
        return found
    standing, refunded = _Standing(dict(pool.credits)), 0
    early = sum(fen for entry_id, fen in refunds if entry_id < pool.entry_id)
    events: list[tuple[int, int, list[Change]]] = [(pool.entry_id, early, [])] if early else []
    events += [(entry_id, fen, []) for entry_id, fen in refunds if entry_id > pool.entry_id]
    for entry_id in {change.entry_id for change in corrections}:
        events.append((entry_id, 0, [change for change in corrections if change.entry_id == entry_id]))
    for _, fen, changes in sorted(events, key=lambda event: event[:2]):
        refunded += fen
        if changes:
            left = standing.left()
            for change in changes:
                left[change.household_id] = left.get(change.household_id, 0) + change.fen
            standing = _Standing({key: fen for key, fen in sorted(left.items()) if fen}, refunded)
            continue
        for household_id, taken in standing.take(pool, refunded).items():
            found[household_id].append(taken)
    return found


def _compare(
    session: Session,
    pool: Pool,
    household_id: int,
    expected: Sequence[int],
    stored: Sequence[_Stored],
    report: Report,
) -> list[Change]:
    """Compare what was taken of one household's share, event by event; returns what should have been taken."""
    changes = []
    for position in range(max(len(expected), len(stored))):
        fen = expected[position] if position < len(expected) else None
        row = stored[position] if position < len(stored) else None

        def numbers(row: _Stored | None = row) -> Numbers:
            named = row.number if row else household_no(session, household_id)
            return (named, pool.line.public_no, pool.mechanism.label)

        report.compare(Kind.REVERSAL, (row.fen,) if row else None, (fen,) if fen else None, numbers)
        if row and fen:
            changes.append(Change(row.entry_id, row.at, pool.id, household_id, -fen, row.kept_fen))
    return changes


def _refunds(session: Session, cooperative_id: int) -> dict[int, list[tuple[int, int]]]:
    """(entry, fen) of the refunds after settlement, by line, in their order."""
    query = (
        select(
            RefundedLine.line_id,
            RefundedLine.entry_id,
            RefundedLine.quantity * RefundedLine.unit_price_fen,
        )
        .join(OrderLine, OrderLine.id == RefundedLine.line_id)
        .where(OrderLine.cooperative_id == cooperative_id, RefundedLine.after_settlement)
        .order_by(RefundedLine.line_id, RefundedLine.before_quantity)
    )
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for line_id, entry_id, fen in session.execute(query):
        found[line_id].append((entry_id, fen))
    return found


def _stored(
    session: Session, cooperative_id: int
) -> tuple[dict[tuple[int, int], list[_Stored]], list[Change]]:
    """What is stored: of refunds by pool and household, in the order of events; of corrections as changes."""
    number = func.coalesce(Credit.public_no, CreditAddition.public_no)
    query = (
        select(CreditReversal, number)
        .join(LinkagePool, LinkagePool.id == CreditReversal.pool_id)
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .outerjoin(Credit, Credit.id == CreditReversal.credit_id)
        .outerjoin(CreditAddition, CreditAddition.id == CreditReversal.addition_id)
        .where(OrderLine.cooperative_id == cooperative_id)
        .order_by(CreditReversal.entry_id, CreditReversal.id)
    )
    found: dict[tuple[int, int], list[_Stored]] = defaultdict(list)
    corrections = []
    for row, public_no in session.execute(query):
        if row.cause is ReversalCause.CORRECTION:
            corrections.append(
                Change(
                    row.entry_id,
                    row.reversed_at,
                    row.pool_id,
                    row.household_id,
                    -row.amount_fen,
                    row.amount_fen,  # a guarantee does not give back what a correction took
                )
            )
            continue
        events = found[row.pool_id, row.household_id]
        if events and events[-1].entry_id == row.entry_id:  # one event, several shares of the household
            events[-1].fen += row.amount_fen
            events[-1].kept_fen += row.relief_fen
        else:
            events.append(
                _Stored(row.entry_id, row.reversed_at, row.amount_fen, row.relief_fen, public_no or "")
            )
    return found, corrections


def _additions(session: Session, cooperative_id: int) -> list[Change]:
    query = (
        select(CreditAddition)
        .join(LinkagePool, LinkagePool.id == CreditAddition.pool_id)
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .where(OrderLine.cooperative_id == cooperative_id)
        .order_by(CreditAddition.id)
    )
    return [
        Change(row.entry_id, row.credited_at, row.pool_id, row.household_id, row.amount_fen)
        for row in session.scalars(query)
    ]
