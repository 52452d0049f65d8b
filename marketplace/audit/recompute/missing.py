"""What should have been done long ago and was not: pools left unshared, shortfalls left unguaranteed.

The jobs work every few minutes, so what is due now may simply wait for the next pass. What had been due for a day when
the job last did something, it has left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.dues import Dues
from marketplace.audit.recompute.entitlements import Periods
from marketplace.audit.recompute.guarantees import Place, numbers_of
from marketplace.audit.recompute.pools import Pool
from marketplace.audit.recompute.report import Kind, Report
from marketplace.audit.recompute.reversals import Change
from marketplace.core.clock import business_day
from marketplace.linkage.attribution import top_up
from marketplace.linkage.models import LinkagePeriod, PeriodState
from marketplace.payments.closing.models import ClosingState, Direction, GuaranteePosting, PeriodClosing
from marketplace.payments.models import LinkagePool, PoolDistribution

LATE = timedelta(days=1)


def last_sharing_out(session: Session) -> datetime | None:
    """When a pool that had waited was last shared out, anywhere."""
    query = select(func.max(PoolDistribution.distributed_at)).join(
        LinkagePool, LinkagePool.id == PoolDistribution.pool_id
    )
    return session.scalar(query.where(LinkagePool.waiting))


def find_left_out(
    pools: Mapping[int, Pool], periods: Periods, dues: Dues, last: datetime | None, report: Report
) -> None:
    """Pools that had evidence a day before others were last shared out, and were not shared out themselves."""
    if last is None:
        return
    for pool in pools.values():
        if pool.stamp is not None or not pool.fen or pool.line.is_called_off:
            continue
        period_id = pool.period_id
        if pool.lot_id is None and period_id is None:
            period_id = periods.holding(business_day(pool.settled_at))
        due = [
            one
            for one in dues.in_scope((pool.mechanism, pool.lot_id, period_id))
            if one.fen and not dues.is_void(one) and max(one.recorded_at, pool.settled_at) < last - LATE
        ]
        if due:
            report.compare(
                Kind.DISTRIBUTION,
                None,
                (sum(one.fen for one in due), period_id),
                lambda: (pool.line.public_no, pool.mechanism.label),  # noqa: B023 - asked at once
            )


def find_unguaranteed(
    session: Session,
    cooperative_id: int,
    money: Mapping[Place, int],
    changes: Sequence[Change],
    pools: Mapping[int, Pool],
    dues: Dues,
    last: datetime | None,
    report: Report,
) -> None:
    """Households that have less than they are due and should have been given the rest.

    In a closed period since it was closed; in a lot since guarantees were last posted anywhere, when it had been due
    for a day by then. What was taken back since is left to the next posting.
    """
    closed = _closed(session, cooperative_id)
    lost_since: dict[datetime, Counter[Place]] = {}
    for scope, some in dues.scopes():
        _, lot_id, period_id = scope
        times = [last - LATE] if last else []
        if lot_id is None:
            times = [*times, closed[period_id]] if period_id in closed else []
        since = max(times, default=None)
        if since is None:
            continue
        owed: dict[int, int] = defaultdict(int)
        for due in some:
            if dues.is_void(due):
                continue
            if lot_id is None or (due.due_on <= business_day(since) and due.recorded_at <= since):
                owed[due.household_id] += due.fen
        if since not in lost_since:
            lost_since[since] = _lost(changes, pools, since)
        lost = lost_since[since]
        for household_id, due_fen in owed.items():
            place = (scope, household_id)
            missing = top_up(due_fen, money.get(place, 0) + lost[place])
            if missing:
                report.compare(
                    Kind.GUARANTEE,
                    None,
                    (missing,),
                    lambda: numbers_of(session, place),  # noqa: B023 - asked at once
                )


def _lost(changes: Sequence[Change], pools: Mapping[int, Pool], since: datetime) -> Counter[Place]:
    """What was taken back since then."""
    lost: Counter[Place] = Counter()
    for change in changes:
        if change.at >= since and change.fen < 0:
            lost[pools[change.pool_id].scope, change.household_id] -= change.fen + change.kept_fen
    return lost


def last_posting(session: Session) -> datetime | None:
    """When a guarantee was last posted, anywhere."""
    query = select(func.max(GuaranteePosting.posted_at))
    return session.scalar(query.where(GuaranteePosting.direction == Direction.POSTED))


def _closed(session: Session, cooperative_id: int) -> dict[int | None, datetime]:
    """When the closed periods of a cooperative were closed."""
    query = (
        select(PeriodClosing.period_id, PeriodClosing.confirmed_at)
        .join(LinkagePeriod, LinkagePeriod.id == PeriodClosing.period_id)
        .where(
            LinkagePeriod.cooperative_id == cooperative_id,
            LinkagePeriod.state == PeriodState.CLOSED,
            PeriodClosing.state == ClosingState.CONFIRMED,
        )
    )
    return {period_id: at for period_id, at in session.execute(query) if at is not None}
