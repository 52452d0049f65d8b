"""What waits for a canteen's approver, and for who stands in for one today."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order
from marketplace.procurement.approvals.queries import desk_of, stands_for, waiting_orders
from marketplace.web.tasks import Task

MOST_COUNTED = 200


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """The orders whose step that waits the actor may decide on, of the newest two hundred."""
    if actor.buyer_unit_id is None:
        return []
    if not actor.can(Permission.APPROVE_ORDERS) and not stands_for(session, actor.user_id, today()):
        return []
    orders = list(
        session.scalars(
            waiting_orders(actor).where(Order.buyer_user_id != actor.user_id).limit(MOST_COUNTED)
        ).unique()
    )
    desk = desk_of(session, actor, orders)
    count = sum(desk.may_decide(order.id) for order in orders)
    return [Task(NN_("%(count)s 张采购单待审批"), count, "procurement.approvals")] if count else []
