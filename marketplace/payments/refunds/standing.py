"""What stands of the shares of pools: credits and additions, less what was taken back. Read-only.

A refund takes back by Webster's method over the credits of a pool. A registry correction changes those credits; from
then on the base is what stood after it, and what is still to be refunded is taken from that: at a full refund nobody
keeps a fen of the line (docs/decisions/a-refund-after-a-correction-counts-from-what-stands.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from marketplace.linkage.attribution import reversal_target, reversal_to_post
from marketplace.linkage.models import Mechanism
from marketplace.ordering.models import OrderLine
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.payments.refunds.models import CreditAddition, CreditReversal, RefundedLine, ReversalCause


@dataclass
class Share:
    """A credit or an addition to it, and how much of it was taken back so far."""

    household_id: int
    amount_fen: int
    mechanism: Mechanism
    entry_id: int
    credit_id: int | None = None
    addition_id: int | None = None
    reversed_fen: int = 0

    @property
    def standing_fen(self) -> int:
        """What the household still has of it."""
        return self.amount_fen - self.reversed_fen


@dataclass
class PoolStanding:
    """A pool, its shares, and where refunds of its line have got to.

    `base` is what each household had when refunds began to count (at the distribution, or after the last correction),
    `taken` what refunds took back of it since, both in fen by household id.
    """

    pool_id: int
    line_id: int
    cooperative_id: int
    mechanism: Mechanism
    pool_fen: int
    net_fen: int
    is_distributed: bool
    entry_id: int
    shares: list[Share] = field(default_factory=list)
    base: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    refunded_before_fen: int = 0  # of the line's net, before the base was set

    @property
    def standing(self) -> dict[int, int]:
        """What each household has of the pool now, in fen; those with nothing are left out."""
        found: dict[int, int] = {}
        for share in self.shares:
            found[share.household_id] = found.get(share.household_id, 0) + share.standing_fen
        return {household_id: fen for household_id, fen in sorted(found.items()) if fen}

    def target_fen(self, refunded_fen: int) -> int:
        """How much of the base is to be taken back once `refunded_fen` of the line's net were refunded in all."""
        return reversal_target(self.pool_fen, self.net_fen, refunded_fen) - reversal_target(
            self.pool_fen, self.net_fen, self.refunded_before_fen
        )

    def to_take(self, refunded_fen: int) -> dict[int, int]:
        """What is to be taken back now, in fen by household id."""
        return reversal_to_post(self.base, self.taken, self.target_fen(refunded_fen)) if self.base else {}


def standing_of_pools(
    session: Session, *, line_ids: Collection[int] = (), pool_ids: Collection[int] = ()
) -> list[PoolStanding]:
    """The pools of these lines, and these pools, by id, in a fixed number of statements."""
    query = (
        select(LinkagePool, Settlement, PoolDistribution.entry_id)
        .join(Settlement, Settlement.line_id == LinkagePool.line_id)
        .outerjoin(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .where(LinkagePool.line_id.in_(line_ids) | LinkagePool.id.in_(pool_ids))
        .order_by(LinkagePool.id)
    )
    pools = {
        pool.id: PoolStanding(
            pool_id=pool.id,
            line_id=pool.line_id,
            cooperative_id=settlement.cooperative_id,
            mechanism=pool.mechanism,
            pool_fen=pool.pool_fen,
            net_fen=settlement.net_fen,
            is_distributed=entry_id is not None,
            entry_id=entry_id or settlement.entry_id,
        )
        for pool, settlement, entry_id in session.execute(query)
    }
    _add_shares(session, pools)
    _set_base(session, pools)
    return list(pools.values())


def _add_shares(session: Session, pools: dict[int, PoolStanding]) -> None:
    by_credit, by_addition = dict[int, Share](), dict[int, Share]()
    for model, shares in ((Credit, by_credit), (CreditAddition, by_addition)):
        rows = session.execute(
            select(
                model.id, model.pool_id, model.household_id, model.amount_fen, model.mechanism, model.entry_id
            )
            .where(model.pool_id.in_(pools))
            .order_by(model.household_id, model.id)
        )
        for key, pool_id, household_id, amount_fen, mechanism, entry_id in rows:
            shares[key] = Share(household_id, amount_fen, mechanism, entry_id)
            pools[pool_id].shares.append(shares[key])
    for key, share in by_credit.items():
        share.credit_id = key
    for key, share in by_addition.items():
        share.addition_id = key
    query = select(CreditReversal.credit_id, CreditReversal.addition_id, func.max(CreditReversal.after_fen))
    for credit_id, addition_id, after_fen in session.execute(
        query.where(CreditReversal.pool_id.in_(pools)).group_by(
            CreditReversal.credit_id, CreditReversal.addition_id
        )
    ):
        for shares, found in ((by_credit, credit_id), (by_addition, addition_id)):
            if found is not None:
                shares[found].reversed_fen = after_fen


def _set_base(session: Session, pools: dict[int, PoolStanding]) -> None:
    """What stands now, plus what refunds took since the last correction, is the base."""
    since = _last_corrections(session, pools)
    rows = session.execute(
        select(
            CreditReversal.pool_id,
            CreditReversal.household_id,
            CreditReversal.entry_id,
            CreditReversal.amount_fen,
        ).where(CreditReversal.pool_id.in_(pools), CreditReversal.cause == ReversalCause.REFUND)
    )
    for pool_id, household_id, entry_id, fen in rows:
        if entry_id > since.get(pool_id, 0):
            taken = pools[pool_id].taken
            taken[household_id] = taken.get(household_id, 0) + fen
    for pool in pools.values():
        households = {share.household_id for share in pool.shares}
        standing = pool.standing
        base = {key: standing.get(key, 0) + pool.taken.get(key, 0) for key in sorted(households)}
        pool.base = {key: fen for key, fen in base.items() if fen}
    corrected = [pool for pool in pools.values() if pool.pool_id in since]
    refunds = _refunds_of(session, {pool.line_id for pool in corrected})
    for pool in corrected:
        earlier = [fen for entry_id, fen in refunds.get(pool.line_id, []) if entry_id <= since[pool.pool_id]]
        pool.refunded_before_fen = sum(earlier)


def _last_corrections(session: Session, pools: Collection[int]) -> dict[int, int]:
    """The entry of the last correction of each pool that was corrected, by pool id."""
    found: dict[int, int] = {}
    reversals = select(CreditReversal.pool_id, func.max(CreditReversal.entry_id)).where(
        CreditReversal.pool_id.in_(pools), CreditReversal.cause == ReversalCause.CORRECTION
    )
    additions = select(CreditAddition.pool_id, func.max(CreditAddition.entry_id)).where(
        CreditAddition.pool_id.in_(pools)
    )
    for query in (reversals.group_by(CreditReversal.pool_id), additions.group_by(CreditAddition.pool_id)):
        for pool_id, entry_id in session.execute(query):
            found[pool_id] = max(entry_id, found.get(pool_id, 0))
    return found


def _refunds_of(session: Session, line_ids: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """(entry id, fen) of the refunds after the settlement of lines."""
    query = select(RefundedLine.line_id, RefundedLine.entry_id, RefundedLine.amount_fen).where(
        RefundedLine.line_id.in_(line_ids), RefundedLine.after_settlement
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for line_id, entry_id, fen in session.execute(query):
        found.setdefault(line_id, []).append((entry_id, fen))
    return found


def refunded_after_settlement(session: Session, line_ids: Collection[int]) -> dict[int, int]:
    """The cumulative refunded part of the settled net of each of these lines, in fen; lines without are left out."""
    return {line_id: sum(fen for _, fen in rows) for line_id, rows in _refunds_of(session, line_ids).items()}


def refunded_before_settlement(session: Session, line_ids: Collection[int]) -> dict[int, int]:
    """What was refunded of each of these lines before it settled, in fen: it settles that much less."""
    query = (
        select(RefundedLine.line_id, func.sum(RefundedLine.amount_fen))
        .where(RefundedLine.line_id.in_(line_ids), ~RefundedLine.after_settlement)
        .group_by(RefundedLine.line_id)
    )
    return {line_id: int(fen) for line_id, fen in session.execute(query)}


def is_wholly_refunded() -> ColumnElement[bool]:
    """Whether every unit of the OrderLine of a query was refunded."""
    return exists().where(
        RefundedLine.line_id == OrderLine.id, RefundedLine.after_quantity == RefundedLine.line_quantity
    )
