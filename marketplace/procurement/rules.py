"""A canteen's duties: who ordered may not approve. Receiving and acceptance are the order's own moves."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Forbidden, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order
from marketplace.ordering.rules import move_part, required_reason
from marketplace.ordering.states import PartEvent


def _require_other(actor: Actor, order: Order) -> None:
    """Separation of duties: the approver is of the same unit, and another person than the orderer."""
    actor.require(Permission.APPROVE_ORDERS)
    if order.buyer_unit_id is None or order.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    if order.buyer_user_id == actor.user_id:
        raise Forbidden("own_order", N_("下单人不能审批自己的采购单，请由另一位审批人办理"))


def approve_order(session: Session, actor: Actor, order: Order) -> Order:
    """Let a unit's order go to the cooperatives. Raises Forbidden for the orderer, Conflict when it is not waiting."""
    _require_other(actor, order)
    for part in order.parts:
        move_part(session, actor, part, PartEvent.APPROVE)
    order.approved_by, order.approved_at = actor.user_id, now()
    session.flush()
    return order


def reject_order(session: Session, actor: Actor, order: Order, *, reason: str) -> Order:
    """Turn a unit's order down; its goods are free again. Raises Refused without a reason."""
    _require_other(actor, order)
    note = required_reason(reason, N_("请写明不通过的原因"))
    for part in order.parts:
        move_part(session, actor, part, PartEvent.REJECT, note=note)
    order.rejection_reason = note
    session.flush()
    return order
