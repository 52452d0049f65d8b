"""Reversals again: what refunds take back of each pool, event after event.

A refund takes back by Webster's method over what stood when refunds began to count: the credits, or what a registry
correction left. How much of it had been paid out in cash (relief) depends on payouts and is read, not derived: it moves
nothing between households. What registry corrections change is derived in corrections.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.corrections import Correction, changes_of, corrections_of
from marketplace.audit.recompute.credits import household_no
from marketplace.audit.recompute.dues import Dues
from marketplace.audit.recompute.pools import Pool
from marketplace.audit.recompute.report import Kind, Numbers, Report
from marketplace.linkage.attribution import reversal_target, reversal_to_post
from marketplace.ordering.models import OrderLine
from marketplace.payments.corrections.models import CorrectionKind
from marketplace.payments.models import Credit, LinkagePool
from marketplace.payments.refunds.models import CreditAddition, CreditReversal, RefundedLine, ReversalCause


@dataclass(frozen=True, slots=True)
class Change:
    """What changed a household's money of a pool after its sharing out; `fen` is negative for what was taken back.

    `kept_fen` of it counts for guarantees all the same: what had been paid out, and what a correction took, which a
    guarantee does not give back. What comes with a claim of its own `replaces` no guarantee.
    """

    entry_id: int
    at: datetime
    pool_id: int
    household_id: int
    fen: int
    kept_fen: int = 0
    replaces: bool = True


@dataclass(slots=True)
class _Kept:
    """What one event took back of a household's share of a pool, or gave it, as it is stored."""

    entry_id: int
    at: datetime
    number: str
    fen: int
    kept_fen: int = 0


@dataclass(frozen=True, slots=True)
class _Event:
    """A refund of `fen` of a line's net, or a correction."""

    entry_id: int
    fen: int = 0
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class _Move:
    """What one event does to a household's share: `fen` taken or given."""

    fen: int
    replaces: bool = True


_ByHousehold = dict[int, list[_Move]]  # in the order of events


@dataclass
class _Moves:
    """What events do to a pool: what refunds take, and what corrections take and give."""

    refunded: _ByHousehold = field(default_factory=lambda: defaultdict(list))
    corrected: _ByHousehold = field(default_factory=lambda: defaultdict(list))
    added: _ByHousehold = field(default_factory=lambda: defaultdict(list))


_Stored = dict[int, dict[int, list[_Kept]]]  # by pool and household, in the order of events


@dataclass(slots=True)
class _Standing:
    """Where refunds of one pool have got to: they count from `base`."""

    base: dict[int, int]
    refunded_at_base: int = 0
    taken: dict[int, int] = field(default_factory=dict)

    def left(self) -> dict[int, int]:
        """What each household still has."""
        left = {key: fen - self.taken.get(key, 0) for key, fen in self.base.items()}
        return {key: fen for key, fen in left.items() if fen}

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
    session: Session, cooperative_id: int, pools: Mapping[int, Pool], dues: Dues, report: Report
) -> list[Change]:
    """Derive and compare what refunds and corrections took back, and what these gave instead.

    Returns every such change of credited money, for guarantees.
    """
    refunds = _refunds(session, cooperative_id)
    corrections = corrections_of(session, cooperative_id)
    refunded, corrected = _reversals(session, cooperative_id)
    added = _additions(session, cooperative_id)
    touched = {pool.id for pool in pools.values() if pool.line.id in refunds}
    changes: list[Change] = []
    for pool_id in sorted(touched | corrections.keys() | refunded.keys() | corrected.keys() | added.keys()):
        pool = pools[pool_id]
        events = _events(pool, refunds.get(pool.line.id, []), corrections.get(pool_id, []))
        moves = _replay(pool, events, dues)
        changes += [
            *_compare(session, report, Kind.REVERSAL, pool, moves.refunded, refunded.get(pool_id, {})),
            *(
                replace(change, kept_fen=-change.fen)
                for change in _compare(
                    session, report, Kind.REVERSAL, pool, moves.corrected, corrected.get(pool_id, {})
                )
            ),
            *_compare(session, report, Kind.ADDITION, pool, moves.added, added.get(pool_id, {})),
        ]
    return changes


def _events(
    pool: Pool, refunds: Sequence[tuple[int, int]], corrections: Sequence[Correction]
) -> list[_Event]:
    """What happened to a pool since it was shared out; refunds from before are taken of the credits right then."""
    if pool.entry_id is None:
        return []
    early = sum(fen for entry_id, fen in refunds if entry_id < pool.entry_id)
    events = [_Event(pool.entry_id, early)] if early else []
    events += [_Event(entry_id, fen) for entry_id, fen in refunds if entry_id > pool.entry_id]
    events += [_Event(correction.entry_id, correction=correction) for correction in corrections]
    return sorted(events, key=lambda event: event.entry_id)


def _replay(pool: Pool, events: Sequence[_Event], dues: Dues) -> _Moves:
    """What each event takes of each household, and gives it."""
    moves, standing, refunded = _Moves(), _Standing(dict(pool.credits)), 0
    gone: set[int] = set()
    for event in events:
        refunded += event.fen
        if event.correction is None:
            for household_id, fen in standing.take(pool, refunded).items():
                moves.refunded[household_id].append(_Move(fen))
            continue
        left = standing.left()
        weights = dues.weights(pool.scope, pool.stamp or 0, pool.distributed_at or pool.settled_at)
        shared_anew = event.correction.kind is CorrectionKind.INELIGIBLE
        for household_id, fen in sorted(changes_of(event.correction, left, weights, gone).items()):
            moved = moves.added if fen > 0 else moves.corrected
            moved[household_id].append(_Move(abs(fen), replaces=shared_anew))
            left[household_id] = left.get(household_id, 0) + fen
        standing = _Standing({key: fen for key, fen in sorted(left.items()) if fen}, refunded)
        if event.correction.leaves_nothing and not left.get(event.correction.household_id):
            gone.add(event.correction.household_id)
    return moves


def _compare(
    session: Session,
    report: Report,
    kind: Kind,
    pool: Pool,
    expected: Mapping[int, list[_Move]],
    stored: Mapping[int, list[_Kept]],
) -> Iterator[Change]:
    """Compare what events did to a pool, household by household, one after the other; yields what they should have
    done."""
    sign = 1 if kind is Kind.ADDITION else -1
    for household_id in sorted(expected.keys() | stored.keys()):
        pairs = zip_longest(expected.get(household_id, []), stored.get(household_id, []))
        for move, row in pairs:

            def numbers(row: _Kept | None = row, household_id: int = household_id) -> Numbers:
                named = row.number if row else household_no(session, household_id)
                return (named, pool.line.public_no, pool.mechanism.label)

            report.compare(kind, (row.fen,) if row else None, (move.fen,) if move else None, numbers)
            if row and move:
                fen = sign * move.fen
                yield Change(row.entry_id, row.at, pool.id, household_id, fen, row.kept_fen, move.replaces)


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


def _reversals(session: Session, cooperative_id: int) -> tuple[_Stored, _Stored]:
    """What refunds took back, and what corrections did, as it is stored."""
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
    refunded: _Stored = {}
    corrected: _Stored = {}
    for row, public_no in session.execute(query):
        found = refunded if row.cause is ReversalCause.REFUND else corrected
        # a guarantee does not give back what a correction took
        kept_fen = row.relief_fen if row.cause is ReversalCause.REFUND else row.amount_fen
        kept = found.setdefault(row.pool_id, {}).setdefault(row.household_id, [])
        if kept and kept[-1].entry_id == row.entry_id:  # one event, several shares of the household
            kept[-1].fen += row.amount_fen
            kept[-1].kept_fen += kept_fen
        else:
            kept.append(_Kept(row.entry_id, row.reversed_at, public_no or "", row.amount_fen, kept_fen))
    return refunded, corrected


def _additions(session: Session, cooperative_id: int) -> _Stored:
    query = (
        select(CreditAddition)
        .join(LinkagePool, LinkagePool.id == CreditAddition.pool_id)
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .where(OrderLine.cooperative_id == cooperative_id)
        .order_by(CreditAddition.entry_id, CreditAddition.id)
    )
    found: _Stored = {}
    for row in session.scalars(query):
        kept = _Kept(row.entry_id, row.credited_at, row.public_no, row.amount_fen)
        found.setdefault(row.pool_id, {}).setdefault(row.household_id, []).append(kept)
    return found
