"""Distribution: pools that waited for evidence are shared out among the households it has brought.

The same arithmetic as at settlement, later: from the cooperative's unallocated account to the households. A pool is
shared out once (its ledger key and its distribution's primary key are the pool), however often the job runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from marketplace.core.bulk import Rows
from marketplace.core.clock import business_day, now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.linkage.as_of import last_entitlement_id
from marketplace.linkage.models import Entitlement, LinkagePeriod
from marketplace.linkage.queries import weights_in_scope
from marketplace.linkage.voids import is_void
from marketplace.ordering.models import OrderLine
from marketplace.payments.closing.reductions import hold_scopes
from marketplace.payments.due_lines import PeriodFinder
from marketplace.payments.household_paths import Villages, goes_through_village, to_households
from marketplace.payments.models import LinkagePool, PoolDistribution, Settlement
from marketplace.payments.refunds.catching_up import catch_up, taken_of_waiting
from marketplace.payments.refunds.standing import is_wholly_refunded
from marketplace.payments.settlement import (
    PoolShare,
    SharedPool,
    Weights,
    keep_shares,
    shares_of,
    villages_behind,
)

Waiting = tuple[LinkagePool, PoolShare, int]  # the pool, its share with its scope, its cooperative


def distribute_pools(session: Session, *, limit: int = 500) -> int:
    """Share out up to `limit` waiting pools whose evidence has arrived; returns how many. Repeating is harmless."""
    waiting = waiting_pools(session, limit=limit)
    if not waiting:
        return 0
    as_of = session.scalar(select(last_entitlement_id())) or 0
    scopes = sorted({share.scope for _, share, _ in waiting}, key=str)
    weights = weights_in_scope(session, scopes, as_of_entitlement_id=as_of)
    ready = [row for row in waiting if any(weights.get(row[1].scope, {}).values())]
    villages = villages_behind(session, weights)
    taken = taken_of_waiting(session, [pool for pool, _, _ in ready])
    hold_scopes(session, [share.scope for _, share, _ in ready])
    entries = post_entries(session, [_distribution_entry(row, weights, villages, taken) for row in ready])
    shared = [
        SharedPool(
            pool.id,
            share,
            pool.line_id,
            cooperative_id,
            weights[share.scope],
            shares_of(share.pool_fen, weights[share.scope]),
            entry.id,
        )
        for (pool, share, cooperative_id), entry in zip(ready, entries, strict=True)
    ]
    keep_shares(session, Rows(session), shared, as_of=as_of, at=now())
    catch_up(session, sorted(taken))
    return len(ready)


def _distribution_entry(
    row: Waiting, weights: Weights, villages: Villages, taken: Mapping[int, int]
) -> EntryDraft:
    """The whole pool is shared out, whatever was refunded meanwhile: first comes back what refunds took of it, and
    from the credits it is taken once more (`catch_up`). So everybody ends at the same fen whichever came first."""
    pool, share, cooperative_id = row
    credited = shares_of(share.pool_fen, weights[share.scope])
    route = villages if goes_through_village(share.mechanism) else None
    source = AccountKey.unallocated(cooperative_id)
    back_fen = taken.get(pool.id, 0)
    back = (
        [TransferDraft(AccountKey.cooperative_payable(cooperative_id), source, back_fen)] if back_fen else []
    )
    return EntryDraft(
        kind=EntryKind.POOL_DISTRIBUTED,
        idempotency_key=f"distribute:pool:{pool.id}",
        occurred_at=now(),
        transfers=(*back, *to_households(source, cooperative_id, credited, route)),
        cooperative_id=cooperative_id,
        subject=("order_line", pool.line_id),
    )


def waiting_pools(session: Session, *, limit: int) -> list[Waiting]:
    """Pools not shared out yet that have evidence, oldest first, locked against a second worker.

    A pool settled before its cooperative had a linkage period belongs to the period that covers its day now. A pool of
    a line that was refunded whole has nothing left to share out.
    """
    shared = select(PoolDistribution.pool_id).where(PoolDistribution.pool_id == LinkagePool.id).exists()
    query = (
        select(LinkagePool, Settlement.cooperative_id)
        .join(Settlement, Settlement.line_id == LinkagePool.line_id)
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .where(LinkagePool.waiting, ~shared, _has_evidence(), ~is_wholly_refunded())
        .order_by(LinkagePool.id)
        .limit(limit)
        .with_for_update(of=LinkagePool, skip_locked=True)
    )
    rows = session.execute(query).all()
    ids = [pool.id for pool, _ in rows]
    done = set(session.scalars(select(PoolDistribution.pool_id).where(PoolDistribution.pool_id.in_(ids))))
    periods = PeriodFinder(session, {cooperative_id for _, cooperative_id in rows})
    return [
        (
            pool,
            _share_of(pool, periods.covering(cooperative_id, business_day(pool.settled_at))),
            cooperative_id,
        )
        for pool, cooperative_id in rows
        if pool.id not in done
    ]


def _has_evidence() -> ColumnElement[bool]:
    """Whether any entitlement could be a weight of the pool: in its lot, or in a period of its cooperative."""
    in_period = (
        select(Entitlement.id)
        .join(LinkagePeriod, LinkagePeriod.id == Entitlement.period_id)
        .where(
            LinkagePool.lot_id.is_(None),
            LinkagePeriod.cooperative_id == Settlement.cooperative_id,
            or_(LinkagePool.period_id.is_(None), LinkagePool.period_id == LinkagePeriod.id),
            Entitlement.mechanism == LinkagePool.mechanism,
            Entitlement.amount_fen > 0,
            ~is_void(),
        )
    )
    in_lot = select(Entitlement.id).where(
        Entitlement.lot_id == LinkagePool.lot_id,
        Entitlement.mechanism == LinkagePool.mechanism,
        Entitlement.amount_fen > 0,
        ~is_void(),
    )
    return or_(in_lot.exists(), in_period.exists())


def _share_of(pool: LinkagePool, period_id: int | None) -> PoolShare:
    period = None if pool.lot_id is not None else (pool.period_id or period_id)
    return PoolShare(pool.mechanism, pool.rate_bp, pool.pool_fen, lot_id=pool.lot_id, period_id=period)
