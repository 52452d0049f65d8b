"""Reading when cooperatives deliver."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from marketplace.ordering.dispatch.days import first_day
from marketplace.ordering.dispatch.models import DispatchPlan


def current_plans(session: Session, cooperative_ids: Collection[int]) -> dict[int, DispatchPlan]:
    """The newest plan of each cooperative, by its id, in one statement; cooperatives without one are left out."""
    newest = (
        select(DispatchPlan.cooperative_id, func.max(DispatchPlan.version))
        .where(DispatchPlan.cooperative_id.in_(cooperative_ids))
        .group_by(DispatchPlan.cooperative_id)
    )
    query = select(DispatchPlan).where(tuple_(DispatchPlan.cooperative_id, DispatchPlan.version).in_(newest))
    return {plan.cooperative_id: plan for plan in session.scalars(query)}


def day_of_all(plans: Collection[DispatchPlan], ordered_on: date, *, not_before: date) -> date | None:
    """The first day on which all of these can deliver together; None when there is none in sight."""
    figures = [(plan.weekdays, plan.lead_days) for plan in plans]
    return first_day(ordered_on, figures, not_before=not_before)


def leaving_day(plan: DispatchPlan | None, ordered_on: date) -> date | None:
    """The day on which goods ordered on a day leave; None where the cooperative has not said."""
    return day_of_all([plan], ordered_on, not_before=ordered_on) if plan else None
