"""What a lot gives to an order before the harvest: the lot is named, and taken in deliveries, each an order of its own.

A delivery draws on the lot that was named and on nothing else, within what was received into it times its yield and is
not committed or promised to others.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.models import ProductLot
from marketplace.catalog.queries import unit_price_fen
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Lot
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import Delivery, place_order
from marketplace.ordering.states import PartState
from marketplace.ordering.terms import PaymentTerms
from marketplace.ordering.wishes import check_quantity
from marketplace.procurement.forward.models import ForwardDelivery, ForwardOrder
from marketplace.procurement.forward.queries import units_taken
from marketplace.procurement.forward.reserving import let_go, set_aside
from marketplace.procurement.forward.steps import E, S, hold_forward, note_forward

BATCH = 100


def name_lot(session: Session, actor: Actor, forward: ForwardOrder, lot: Lot) -> ForwardOrder:
    """Say which lot is delivered, and set its goods aside; another one once nothing of the first is left for it.

    Raises NotFound for another's lot, Refused for one that is not sold as the product that was ordered or is past its
    shelf life, Conflict when deliveries of the first lot are to come.
    """
    hold_forward(session, actor, forward, E.NAME_LOT, Permission.FULFIL_ORDERS)
    if lot.cooperative_id != forward.cooperative_id:
        raise NotFound
    sold_as = session.get(ProductLot, lot.id)
    if sold_as is None or sold_as.product_id != forward.listing.product_id:
        raise Refused("other_product", N_("这个批次不属于预订的产品，请先把批次归入该产品"), field="lot")
    if sold_as.is_over:
        raise Refused("lot_is_over", N_("这个批次已过保质期，请选择另一个批次"), field="lot")
    if lot.id != forward.lot_id and _is_being_delivered(session, forward):
        raise Conflict("lot_in_use", N_("已经安排过交货，原批次还有留给这张预订的货，交完以后才能换批次"))
    let_go(session, forward)
    forward.lot_id, forward.lot = lot.id, lot
    set_aside(session, forward)
    note_forward(session, actor, forward, E.NAME_LOT, lot.lot_no)
    return forward


def _is_over(session: Session, forward: ForwardOrder) -> bool:
    """Whether the lot that was named is past its shelf life."""
    sold_as = session.get(ProductLot, forward.lot_id)
    return sold_as is not None and sold_as.is_over


def _is_being_delivered(session: Session, forward: ForwardOrder) -> bool:
    """Whether some of the lot that was named was taken, and more of it can be."""
    has_more = forward.reserved_g >= forward.net_mass_g and not _is_over(session, forward)
    return has_more and units_taken(session, forward) > 0


def arrange_delivery(
    session: Session,
    actor: Actor,
    forward: ForwardOrder,
    *,
    units: int,
    delivery: Delivery,
    deliver_on: date | None = None,
    idempotency_key: str,
) -> ForwardDelivery:
    """Take `units` out of the lot that was named, as an order to be approved, delivered, accepted and billed as every
    other. The same key of the same person gives the first delivery.

    Raises Refused for more than is left of what was ordered, Conflict before the deposit came or a lot was named, when
    the lot has too little left or is past its shelf life, and whatever else `place_order` raises.
    """
    made = _delivery_under_key(session, actor, forward, idempotency_key)
    if made is not None:
        return made
    hold_forward(session, actor, forward, E.DELIVER, Permission.ORDER_FOR_UNIT)
    listing, version = forward.listing, forward.listing.current_version
    if forward.lot_id is None:
        raise Conflict("no_lot", N_("合作社还没有指定批次，过磅入库以后才能安排交货"))
    if _is_over(session, forward):
        raise Conflict("lot_is_over", N_("指定的批次已过保质期，请合作社换一个批次"))
    if version is None or version.net_mass_g != forward.net_mass_g:
        raise Conflict("listing_changed", N_("商品的规格已经变了，请与合作社商量"))
    check_quantity(units)
    taken = units_taken(session, forward)
    if taken + units > forward.units:
        raise Refused(
            "more_than_ordered",
            N_("预订还剩 %(left)s %(unit)s 没有交货"),
            field="units",
            left=forward.units - taken,
            unit=forward.unit_name,
        )
    price_fen = min(max(unit_price_fen(version, units), forward.lowest_fen), forward.highest_fen)
    let_go(session, forward)  # what was set aside is what the order takes
    order = place_order(
        session,
        actor,
        kind=OrderKind.CANTEEN,
        idempotency_key=idempotency_key,
        lines=[(listing.public_no, units)],
        delivery=delivery,
        deliver_on=deliver_on,
        prices={listing.public_no: price_fen},
        lots={listing.public_no: forward.lot_id},
        terms=_terms_of(forward),
    )
    made = ForwardDelivery(forward_id=forward.id, order_id=order.id, units=units, unit_price_fen=price_fen)
    session.add(made)
    forward.delivered_units = taken + units
    session.flush()
    set_aside(session, forward)
    note_forward(session, actor, forward, E.DELIVER, order.public_no)
    session.expire(forward, ["deliveries"])
    return made


def _terms_of(forward: ForwardOrder) -> PaymentTerms | None:
    """The terms of payment that were agreed; None when those of the policy in force hold."""
    days, start, rate_bp = forward.payment_days, forward.payment_start, forward.late_rate_bp
    if days is None or start is None or rate_bp is None:
        return None
    return PaymentTerms(days, start, rate_bp, forward.payment_basis)


def _delivery_under_key(
    session: Session, actor: Actor, forward: ForwardOrder, key: str
) -> ForwardDelivery | None:
    query = (
        select(ForwardDelivery)
        .join(Order, Order.id == ForwardDelivery.order_id)
        .where(
            ForwardDelivery.forward_id == forward.id,
            Order.buyer_user_id == actor.user_id,
            Order.idempotency_key == key,
        )
    )
    return session.scalar(query)


def finish_forwards(session: Session) -> int:
    """Call orders done of which every unit was accepted; returns how many. A sweep, safe to repeat."""
    active = session.scalars(
        select(ForwardOrder)
        .where(ForwardOrder.state == S.ACTIVE, ForwardOrder.delivered_units == ForwardOrder.units)
        .order_by(ForwardOrder.id)
        .limit(BATCH)
        .with_for_update(of=ForwardOrder, skip_locked=True)
    ).all()
    done = [one for one in active if units_taken(session, one, PartState.ACCEPTED) == one.units]
    for forward in done:
        let_go(session, forward)
        forward.state = S.DONE
        note_forward(session, SYSTEM, forward, E.FINISH)
    return len(done)
