"""Saying when a cooperative delivers, and holding the day a unit wants against it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.dispatch.days import leaves, mask_of
from marketplace.ordering.dispatch.models import DispatchPlan
from marketplace.ordering.dispatch.queries import current_plans, day_of_all
from marketplace.registry.models import Cooperative

MOST_LEAD = 30


def write_dispatch_plan(
    session: Session, actor: Actor, *, weekdays: Collection[int], lead_days: int
) -> DispatchPlan:
    """Let a plan hold for orders placed from now on: weekdays from 0, Monday, and days to prepare.

    Raises Refused for no weekday or days that cannot be, Conflict when somebody else wrote one at the same moment.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id is None:
        raise NotFound
    if not weekdays or not set(weekdays) <= set(range(7)):
        raise Refused("no_weekday", N_("请至少选一个星期几"), field="weekdays")
    if not 0 <= lead_days <= MOST_LEAD:
        raise Refused("lead_days", N_("备货天数须在 0 到 %(most)s 天之间"), field="lead_days", most=MOST_LEAD)
    last = session.scalar(
        select(func.max(DispatchPlan.version)).where(DispatchPlan.cooperative_id == actor.cooperative_id)
    )
    plan = DispatchPlan(
        cooperative_id=actor.cooperative_id,
        version=(last or 0) + 1,
        weekdays=mask_of(weekdays),
        lead_days=lead_days,
        created_by=actor.user_id,
    )
    try:
        with session.begin_nested():
            session.add(plan)
    except IntegrityError as error:
        raise Conflict("dispatch_written", N_("刚刚有同事改了送货日，请刷新后核对")) from error
    number = session.scalar(select(Cooperative.public_no).where(Cooperative.id == actor.cooperative_id)) or ""
    record_trail(
        session,
        actor,
        "ordering.write_dispatch",
        subject=("cooperative", number),
        cooperative_id=actor.cooperative_id,
        version=plan.version,
    )
    return plan


def require_delivers_on(session: Session, cooperative_ids: Collection[int], deliver_on: date) -> None:
    """Raise Refused, at `deliver_on`, with the next day that does, when one of the cooperatives does not deliver then
    or has too little time to prepare. One that has not said when it delivers is not asked."""
    plans = current_plans(session, cooperative_ids)
    missing = [
        plan
        for _key, plan in sorted(plans.items())
        if not leaves(deliver_on, today(), weekdays=plan.weekdays, lead_days=plan.lead_days)
    ]
    if not missing:
        return
    name = session.scalar(select(Cooperative.name).where(Cooperative.id == missing[0].cooperative_id))
    next_day = day_of_all(list(plans.values()), today(), not_before=max(deliver_on, today()))
    if next_day is None:
        raise Refused(
            "no_common_day",
            N_("“%(name)s”这一天不送货，几家合作社也没有共同的送货日，请按合作社分开下单"),
            field="deliver_on",
            name=name,
        )
    raise Refused(
        "not_delivered_then",
        N_("“%(name)s”这一天不送货或来不及备货，最近可以选 %(day)s"),
        field="deliver_on",
        name=name,
        day=next_day.isoformat(),
    )
