"""Reading orders before the harvest, as far as an actor may see them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.lots.queries import in_date
from marketplace.catalog.models import ProductLot
from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Lot
from marketplace.linkage.queries import free_g
from marketplace.ordering.models import OrderPart
from marketplace.ordering.queries import works_for_unit
from marketplace.ordering.states import PartState
from marketplace.procurement.forward.models import ForwardDelivery, ForwardOrder, ForwardState
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task

GONE = (PartState.CANCELLED, PartState.RETURNED)


def forwards_visible_to(actor: Actor) -> Select[ForwardOrder]:
    """Orders before the harvest, newest first: of one's unit; of one's cooperative, once they were approved; an
    auditor's are those with a cooperative of its jurisdiction, the cashier's are all."""
    query = select(ForwardOrder).order_by(ForwardOrder.id.desc())
    if actor.can(Permission.MATCH_BANK_LINES):
        return query
    if actor.can(Permission.READ_AUDIT):
        return query.where(ForwardOrder.cooperative_id.in_(cooperatives_within(actor)))
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(
            ForwardOrder.cooperative_id == actor.cooperative_id, ForwardOrder.approved_by.is_not(None)
        )
    if works_for_unit(actor):
        return query.where(ForwardOrder.buyer_unit_id == actor.buyer_unit_id)
    return query.where(false())


def forward_by_no(session: Session, actor: Actor, number: str) -> ForwardOrder:
    """One the actor may see. Raises NotFound."""
    forward = session.scalar(forwards_visible_to(actor).where(ForwardOrder.public_no == number))
    if forward is None:
        raise NotFound
    return forward


def units_taken(session: Session, forward: ForwardOrder, *states: PartState) -> int:
    """Units of the deliveries that were not called off or returned; of those in `states` alone when named."""
    taken = OrderPart.state.in_(states) if states else OrderPart.state.not_in(GONE)
    query = (
        select(func.coalesce(func.sum(ForwardDelivery.units), 0))
        .join(OrderPart, OrderPart.order_id == ForwardDelivery.order_id)
        .where(ForwardDelivery.forward_id == forward.id, taken)
    )
    return int(session.scalar(query) or 0)


def units_for(forward: ForwardOrder) -> int:
    """Units of its lot that a delivery may take now: what is set aside for it, and what nobody has claimed."""
    return (free_g(forward.lot) + forward.reserved_g) // forward.net_mass_g if forward.lot else 0


def forwards_by_order(session: Session, order_ids: Collection[int]) -> dict[int, int]:
    """The forward order behind each of these orders that has one, ids by order id."""
    query = select(ForwardDelivery.order_id, ForwardDelivery.forward_id).where(
        ForwardDelivery.order_id.in_(order_ids)
    )
    return dict(session.execute(query).all())


def lots_to_name(session: Session, forward: ForwardOrder) -> list[Lot]:
    """The lots in date that are sold as the product of an order before the harvest, newest first, at most a hundred."""
    query = (
        select(Lot)
        .join(ProductLot, ProductLot.lot_id == Lot.id)
        .where(ProductLot.product_id == forward.listing.product_id, in_date(today()))
        .order_by(Lot.id.desc())
        .limit(100)
    )
    return list(session.scalars(query))


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: approvals that are not one's own, orders to confirm, lots to name, deliveries to arrange."""
    if actor.cooperative_id is None and actor.buyer_unit_id is None:
        return []
    own = forwards_visible_to(actor).order_by(None)
    counted: list[tuple[str, Select[ForwardOrder]]] = []
    if actor.can(Permission.APPROVE_ORDERS):
        waiting = own.where(
            ForwardOrder.state == ForwardState.AWAITING, ForwardOrder.ordered_by != actor.user_id
        )
        counted.append((NN_("%(count)s 张预订待审批"), waiting))
    if actor.can(Permission.FULFIL_ORDERS):
        counted.append(
            (NN_("%(count)s 张预订待答复"), own.where(ForwardOrder.state == ForwardState.PROPOSED))
        )
    tasks = [
        Task(
            message,
            session.scalar(select(func.count()).select_from(query.subquery())) or 0,
            "forward.index",
        )
        for message, query in counted
    ]
    return [task for task in tasks if task.count]
