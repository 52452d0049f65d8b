"""The whole recomputation: one cooperative after the other, because all money of a linkage stays within one.

So memory is bounded by the largest cooperative, whatever the province comes to.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.credits import recompute_credits
from marketplace.audit.recompute.entitlements import Periods, recompute_entitlements
from marketplace.audit.recompute.guarantees import recompute_guarantees
from marketplace.audit.recompute.missing import (
    find_left_out,
    find_unguaranteed,
    last_posting,
    last_sharing_out,
)
from marketplace.audit.recompute.pools import recompute_pools
from marketplace.audit.recompute.report import Report
from marketplace.audit.recompute.reversals import recompute_reversals
from marketplace.audit.recompute.voids import recompute_voids
from marketplace.registry.models import Cooperative


def recompute_everything(session: Session) -> Report:
    """Derive all money of all households again and compare; changes nothing."""
    report = Report()
    last_shared, last_posted = last_sharing_out(session), last_posting(session)
    for cooperative_id in session.scalars(select(Cooperative.id).order_by(Cooperative.id)).all():
        periods = Periods(session, cooperative_id)
        dues = recompute_entitlements(session, cooperative_id, periods, report)
        recompute_voids(session, cooperative_id, dues, report)
        pools = recompute_pools(session, cooperative_id, periods, dues, report)
        recompute_credits(session, cooperative_id, pools, dues, report)
        find_left_out(pools, periods, dues, last_shared, report)
        changes = recompute_reversals(session, cooperative_id, pools, dues, report)
        money = recompute_guarantees(session, cooperative_id, pools, changes, dues, report)
        find_unguaranteed(session, cooperative_id, money, changes, pools, dues, last_posted, report)
    return report
