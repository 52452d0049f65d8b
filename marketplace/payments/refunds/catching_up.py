"""Pools that waited for evidence while their line was refunded in part.

While a pool waits, a refund takes its share out of the cooperative's unallocated account. When the pool is shared out
at last, the credits are those of the whole pool, and what was refunded is taken back of them as from any credit: the
households end at the same fen as if the evidence had come before the refund.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.labels import N_
from marketplace.linkage.attribution import reversal_target
from marketplace.payments.models import LinkagePool, Settlement
from marketplace.payments.refunds.models import ReversalCause
from marketplace.payments.refunds.reversing import Reversal, Taking, reverse_credits
from marketplace.payments.refunds.standing import refunded_after_settlement, standing_of_pools

CAUGHT_UP = N_("联结资金分配前，买方已部分退款")


def taken_of_waiting(session: Session, pools: Sequence[LinkagePool]) -> dict[int, int]:
    """What refunds have taken of each of these waiting pools, in fen by pool id; those untouched are left out."""
    refunded = refunded_after_settlement(session, {pool.line_id for pool in pools})
    if not refunded:
        return {}
    query = select(Settlement.line_id, Settlement.net_fen).where(Settlement.line_id.in_(refunded))
    nets = dict(session.execute(query).all())
    taken = {
        pool.id: reversal_target(pool.pool_fen, nets[pool.line_id], refunded[pool.line_id])
        for pool in pools
        if pool.line_id in refunded
    }
    return {pool_id: fen for pool_id, fen in taken.items() if fen}


def catch_up(session: Session, pool_ids: Collection[int]) -> None:
    """Take back of pools that were shared out just now what refunds had taken of them before."""
    if not pool_ids:
        return
    pools = standing_of_pools(session, pool_ids=pool_ids)
    refunded = refunded_after_settlement(session, {pool.line_id for pool in pools})
    at = now()
    reversals = [
        Reversal(
            key=f"refund:pool:{pool.pool_id}",
            cause=ReversalCause.REFUND,
            line_id=pool.line_id,
            cooperative_id=pool.cooperative_id,
            takings=(Taking(pool, pool.to_take(refunded[pool.line_id])),),
            reverses=pool.entry_id,
            reason=CAUGHT_UP,
            at=at,
        )
        for pool in pools
    ]
    reverse_credits(session, reversals)
