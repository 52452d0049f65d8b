"""Credits again: each pool that was shared out, by the entitlements that had been recorded by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.dues import Dues
from marketplace.audit.recompute.pools import Pool
from marketplace.audit.recompute.report import Kind, Numbers, Report
from marketplace.linkage.attribution import credits_of_pool
from marketplace.payments.models import Credit, PoolDistribution
from marketplace.registry.models import Household

CHUNK = 500
NAMES = ("fen", "weight", "line", "cooperative", "mechanism")


def household_no(session: Session, household_id: int) -> str:
    """The public number of a household, for naming what is missing."""
    return session.scalar(select(Household.public_no).where(Household.id == household_id)) or ""


def recompute_credits(
    session: Session, cooperative_id: int, pools: Mapping[int, Pool], dues: Dues, report: Report
) -> None:
    """Share a cooperative's pools out again and compare; the pools keep what each household should have."""
    ordered = sorted(pools.values(), key=lambda pool: (pool.stamp or 0, pool.id))
    for start in range(0, len(ordered), CHUNK):
        some = ordered[start : start + CHUNK]
        distributions = _distributions(session, some)
        stored = _stored(session, some)
        for pool in some:
            weights: Mapping[int, int] = {}
            if pool.stamp is not None:
                weights = dues.weights(pool.scope, pool.stamp, pool.distributed_at or pool.settled_at)
                _compare_distribution(pool, weights, distributions[pool.id], report)
            if any(weights.values()):
                shares = credits_of_pool(pool.fen, weights)
                pool.credits = {household_id: fen for household_id, fen in shares.items() if fen}
            _compare_credits(session, cooperative_id, pool, weights, stored.get(pool.id, {}), report)


def _distributions(session: Session, pools: Sequence[Pool]) -> dict[int, tuple[int, int | None]]:
    query = select(PoolDistribution.pool_id, PoolDistribution.weight_total_fen, PoolDistribution.period_id)
    rows = session.execute(query.where(PoolDistribution.pool_id.in_([pool.id for pool in pools])))
    return {pool_id: (weight_total_fen, period_id) for pool_id, weight_total_fen, period_id in rows}


def _compare_distribution(
    pool: Pool, weights: Mapping[int, int], stored: tuple[int, int | None], report: Report
) -> None:
    total = sum(weights.values())
    report.compare(
        Kind.DISTRIBUTION,
        stored,
        (total, pool.period_id) if total and pool.fen else None,
        lambda: (pool.line.public_no, pool.mechanism.label),
        ("weight", "period"),
    )


def _stored(session: Session, pools: Sequence[Pool]) -> dict[int, dict[int, tuple[str, tuple[object, ...]]]]:
    """What is stored as credits: by pool and household the public number and the facts."""
    rows = session.execute(
        select(
            Credit.pool_id,
            Credit.household_id,
            Credit.public_no,
            Credit.amount_fen,
            Credit.weight_fen,
            Credit.line_id,
            Credit.cooperative_id,
            Credit.mechanism,
        ).where(Credit.pool_id.in_([pool.id for pool in pools]))
    )
    found: dict[int, dict[int, tuple[str, tuple[object, ...]]]] = {}
    for pool_id, household_id, public_no, *facts in rows:
        found.setdefault(pool_id, {})[household_id] = (public_no, tuple(facts))
    return found


def _compare_credits(
    session: Session,
    cooperative_id: int,
    pool: Pool,
    weights: Mapping[int, int],
    stored: Mapping[int, tuple[str, tuple[object, ...]]],
    report: Report,
) -> None:
    for household_id in sorted(pool.credits.keys() | stored.keys()):
        fen = pool.credits.get(household_id)
        number, facts = stored.get(household_id, (None, None))
        own = (fen, weights[household_id], pool.line.id, cooperative_id, pool.mechanism) if fen else None

        def numbers(number: str | None = number, household_id: int = household_id) -> Numbers:
            named = number or household_no(session, household_id)
            return (named, pool.line.public_no, pool.mechanism.label)

        report.compare(Kind.CREDIT, facts, own, numbers, NAMES)
