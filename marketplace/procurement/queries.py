"""What waits for a canteen's approver."""

from __future__ import annotations

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.queries import orders_visible_to
from marketplace.ordering.states import PartState
from marketplace.web.tasks import Task


def awaiting_approval(actor: Actor) -> Select[Order]:
    """The unit's orders that wait for an approval."""
    waiting = select(OrderPart.order_id).where(OrderPart.state == PartState.AWAITING_APPROVAL)
    of_unit = orders_visible_to(actor).where(Order.buyer_unit_id == actor.buyer_unit_id)
    return of_unit.where(Order.id.in_(waiting)).options(joinedload(Order.buyer))


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Orders to approve that the actor did not place."""
    if not actor.can(Permission.APPROVE_ORDERS) or actor.buyer_unit_id is None:
        return []
    mine = awaiting_approval(actor).where(Order.buyer_user_id != actor.user_id).order_by(None)
    count = session.scalar(select(func.count()).select_from(mine.subquery())) or 0
    return [Task(N_("%(count)s 张采购单待审批"), count, "procurement.approvals")] if count else []
