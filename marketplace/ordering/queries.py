"""Reading orders and parts, as far as an actor may see them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, false, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.states import PartState
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task

UNIT_DUTIES = (
    Permission.ORDER_FOR_UNIT,
    Permission.APPROVE_ORDERS,
    Permission.RECEIVE_FOR_UNIT,
    Permission.PAY_FOR_UNIT,
)


def works_for_unit(actor: Actor) -> bool:
    """Whether the actor has one of the four duties of a buyer unit."""
    return actor.buyer_unit_id is not None and any(actor.can(duty) for duty in UNIT_DUTIES)


def orders_visible_to(actor: Actor) -> Select[Order]:
    """Orders, newest first: one's own personal ones, those of one's unit; an auditor's are those with a
    cooperative of its jurisdiction."""
    query = select(Order).order_by(Order.id.desc())
    if actor.can(Permission.READ_AUDIT):
        audited = select(OrderPart.order_id).where(OrderPart.cooperative_id.in_(cooperatives_within(actor)))
        return query.where(Order.id.in_(audited))
    own = (Order.buyer_user_id == actor.user_id) & (Order.kind == OrderKind.PERSONAL)
    if works_for_unit(actor):
        return query.where(or_(own, Order.buyer_unit_id == actor.buyer_unit_id))
    return query.where(own)


def parts_visible_to(actor: Actor) -> Select[OrderPart]:
    """Parts, newest first: those a cooperative delivers, or those of the orders the actor sees. A cooperative does not
    see a part that nobody has approved or paid."""
    query = select(OrderPart).order_by(OrderPart.id.desc())
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        hidden = (PartState.AWAITING_APPROVAL, PartState.AWAITING_PAYMENT)
        return query.where(OrderPart.cooperative_id == actor.cooperative_id, OrderPart.state.not_in(hidden))
    visible = orders_visible_to(actor).order_by(None).with_only_columns(Order.id)
    return query.where(OrderPart.order_id.in_(visible))


def deliveries_of(actor: Actor) -> Select[OrderPart]:
    """The parts the actor receives and accepts, newest first: of the own orders, and of the unit for its receiver."""
    own = (Order.buyer_user_id == actor.user_id) & (Order.kind == OrderKind.PERSONAL)
    wanted: list[ColumnElement[bool]] = [own] if actor.can(Permission.BUY_PERSONALLY) else []
    if actor.can(Permission.RECEIVE_FOR_UNIT) and actor.buyer_unit_id is not None:
        wanted.append(Order.buyer_unit_id == actor.buyer_unit_id)
    orders = select(Order.id).where(or_(false(), *wanted))
    return select(OrderPart).where(OrderPart.order_id.in_(orders)).order_by(OrderPart.id.desc())


def delivery_by_no(session: Session, actor: Actor, part_no: str) -> OrderPart:
    """A part the actor may receive and accept. Raises NotFound."""
    part = session.scalar(deliveries_of(actor).where(OrderPart.public_no == part_no))
    if part is None:
        raise NotFound
    return part


def order_by_no(session: Session, actor: Actor, order_no: str) -> Order:
    """The order under that number. Raises NotFound when there is none the actor may see."""
    order = session.scalar(orders_visible_to(actor).where(Order.public_no == order_no))
    if order is None:
        raise NotFound
    return order


def part_by_no(session: Session, actor: Actor, part_no: str) -> OrderPart:
    """The part under that number. Raises NotFound when there is none the actor may see."""
    part = session.scalar(parts_visible_to(actor).where(OrderPart.public_no == part_no))
    if part is None:
        raise NotFound
    return part


def _count(session: Session, query: Select[OrderPart]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits for the actor: to confirm and ship at a cooperative, to receive and accept at a buyer's."""
    if actor.can(Permission.FULFIL_ORDERS):
        wanted = (
            (PartState.PLACED, NN_("%(count)s 笔订单待确认")),
            (PartState.CONFIRMED, NN_("%(count)s 笔订单待发货")),
        )
        endpoint, parts = "ordering.fulfilment", parts_visible_to(actor)
    elif actor.can(Permission.BUY_PERSONALLY) or actor.can(Permission.RECEIVE_FOR_UNIT):
        wanted = (
            (PartState.SHIPPED, NN_("%(count)s 笔订单在路上，收到后请确认收货")),
            (PartState.RECEIVED, NN_("%(count)s 笔订单待验收")),
        )
        endpoint, parts = "ordering.deliveries", deliveries_of(actor)
    else:
        return []
    counts = [
        (state, message, _count(session, parts.where(OrderPart.state == state))) for state, message in wanted
    ]
    return [
        Task(message, count, endpoint, {"state": state.value}) for state, message, count in counts if count
    ]


def fulfilment_counts(session: Session, actor: Actor) -> dict[PartState, int]:
    """How many parts of the actor's cooperative are in each state, in one statement."""
    visible = parts_visible_to(actor).order_by(None).subquery()
    query = select(visible.c.state, func.count()).group_by(visible.c.state)
    return dict(session.execute(query).all())
