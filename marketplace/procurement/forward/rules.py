"""Ordering before the harvest: a unit orders, another person of it approves, the cooperative confirms, the deposit
comes, and what a lot gives is taken in deliveries, each an order of its own.

A delivery draws on the lot that was named and on nothing else, within what was received into it times its yield and is
not committed to others. The deposit's money is payments' (payments/deposits).
"""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ProductLot
from marketplace.catalog.queries import sale_stop, unit_price_fen
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS, half_up
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.models import Lot
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import MAX_NOTE, Delivery, place_order, required_reason
from marketplace.ordering.states import PartState
from marketplace.ordering.wishes import check_quantity
from marketplace.procurement.forward.models import (
    ForwardChange,
    ForwardDelivery,
    ForwardEvent,
    ForwardOrder,
    ForwardState,
)
from marketplace.procurement.forward.queries import units_taken

MAX_FEN_PER_KG = 10_000_000
MAX_DAYS_AHEAD = 730
DAYS_OF_GRACE = 30  # after the expected harvest, before the unit alone may end it
BATCH = 100
S, E = ForwardState, ForwardEvent
STATES_OF = {
    E.APPROVE: (S.AWAITING,),
    E.REJECT: (S.AWAITING,),
    E.CONFIRM: (S.PROPOSED,),
    E.DECLINE: (S.PROPOSED,),
    E.WITHDRAW: (S.AWAITING, S.PROPOSED, S.CONFIRMED),
    E.PAY_DEPOSIT: (S.CONFIRMED,),
    E.NAME_LOT: (S.CONFIRMED, S.ACTIVE),
    E.DELIVER: (S.ACTIVE,),
    E.END: (S.CONFIRMED, S.ACTIVE),
}


def order_ahead(
    session: Session,
    actor: Actor,
    *,
    listing: Listing,
    units: int,
    price_fen_per_kg: int,
    floor_fen_per_kg: int,
    deposit_bp: int,
    harvest_on: date,
    note: str = "",
    idempotency_key: str,
) -> ForwardOrder:
    """Order `units` of a listing that will be harvested about `harvest_on`, at no more than `price_fen_per_kg` and no
    less than `floor_fen_per_kg`, with a deposit of `deposit_bp` of what it costs at most.

    The same key of the same person gives the first order. Raises Refused naming the field for what cannot be.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    if actor.buyer_unit_id is None or actor.user_id is None:
        raise NotFound
    first = _forward_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    version = listing.current_version
    if version is None or sale_stop(listing, today()) is not None:
        raise Refused("not_for_sale", N_("这个商品现在不在售，不能预订"), field="units")
    check_quantity(units)
    _check_terms(price_fen_per_kg, floor_fen_per_kg, deposit_bp, harvest_on)
    if len(note.strip()) > MAX_NOTE:
        raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field="note", most=MAX_NOTE)
    highest_fen = half_up(price_fen_per_kg * version.net_mass_g, 1000)
    deposit_fen = half_up(highest_fen * units * deposit_bp, BASIS)
    if deposit_fen <= 0:
        raise Refused("deposit", N_("订金不足一分钱，请提高比例或数量"), field="deposit")
    forward = ForwardOrder(
        buyer_unit_id=actor.buyer_unit_id,
        cooperative_id=listing.cooperative_id,
        listing_id=listing.id,
        title=version.title,
        unit_name=version.unit_name,
        units=units,
        net_mass_g=version.net_mass_g,
        price_fen_per_kg=price_fen_per_kg,
        floor_fen_per_kg=floor_fen_per_kg,
        deposit_bp=deposit_bp,
        deposit_fen=deposit_fen,
        harvest_on=harvest_on,
        note=note.strip(),
        ordered_by=actor.user_id,
        idempotency_key=idempotency_key,
    )
    try:
        with session.begin_nested():
            session.add(forward)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = _forward_under_key(session, actor, idempotency_key)
        if first is None:
            raise
        return first
    _note(session, actor, forward, E.ORDER)
    return forward


def _forward_under_key(session: Session, actor: Actor, key: str) -> ForwardOrder | None:
    query = select(ForwardOrder).where(
        ForwardOrder.ordered_by == actor.user_id, ForwardOrder.idempotency_key == key
    )
    return session.scalar(query)


def _check_terms(price_fen_per_kg: int, floor_fen_per_kg: int, deposit_bp: int, harvest_on: date) -> None:
    if not 0 < price_fen_per_kg <= MAX_FEN_PER_KG:
        raise Refused("price", N_("单价须大于 0，且不超过每千克 10 万元"), field="price")
    if not 0 < floor_fen_per_kg <= price_fen_per_kg:
        raise Refused("floor", N_("保底价须大于 0，且不高于最高价"), field="floor")
    if not 0 < deposit_bp <= BASIS:
        raise Refused("deposit", N_("订金比例须大于 0，不超过全额"), field="deposit")
    if harvest_on < today():
        raise Refused("harvest_past", N_("预计采收日已经过去；已经采收的请直接下单"), field="harvest_on")
    if (harvest_on - today()).days > MAX_DAYS_AHEAD:
        raise Refused("harvest_far", N_("预计采收日须在两年以内"), field="harvest_on")


def approve_ahead(session: Session, actor: Actor, forward: ForwardOrder) -> ForwardOrder:
    """Let an order before the harvest go to its cooperative. Raises Forbidden for whoever ordered."""
    _hold(session, actor, forward, E.APPROVE, Permission.APPROVE_ORDERS)
    _require_other(actor, forward)
    forward.approved_by, forward.state = actor.user_id, S.PROPOSED
    _note(session, actor, forward, E.APPROVE)
    return forward


def reject_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """Turn it down within the unit. Raises Forbidden for whoever ordered, Refused without a reason."""
    note = required_reason(reason, N_("请写明不通过的原因"))
    _hold(session, actor, forward, E.REJECT, Permission.APPROVE_ORDERS)
    _require_other(actor, forward)
    return _stop(session, actor, forward, E.REJECT, S.WITHDRAWN, note)


def _require_other(actor: Actor, forward: ForwardOrder) -> None:
    if forward.ordered_by == actor.user_id:
        raise Forbidden("own_order", N_("下单人不能审批自己的采购单，请由另一位审批人办理"))


def confirm_ahead(session: Session, actor: Actor, forward: ForwardOrder) -> ForwardOrder:
    """The cooperative promises to grow it; the deposit is asked for next."""
    _hold(session, actor, forward, E.CONFIRM, Permission.FULFIL_ORDERS)
    forward.state = S.CONFIRMED
    _note(session, actor, forward, E.CONFIRM)
    return forward


def decline_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """The cooperative cannot promise it. Raises Refused without a reason."""
    note = required_reason(reason, N_("请写明不接受的原因"))
    _hold(session, actor, forward, E.DECLINE, Permission.FULFIL_ORDERS)
    return _stop(session, actor, forward, E.DECLINE, S.DECLINED, note)


def withdraw_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """The unit takes it back before its deposit has come. Raises Conflict afterwards, Refused without a reason."""
    note = required_reason(reason, N_("请写明撤回的原因"))
    _hold(session, actor, forward, E.WITHDRAW, Permission.ORDER_FOR_UNIT)
    state = S.ENDED if forward.state is S.CONFIRMED else S.WITHDRAWN
    return _stop(session, actor, forward, E.WITHDRAW, state, note)


def end_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """What is not delivered by now will not be: by the cooperative at any time, by the unit once the harvest is a month
    overdue. What is left of the deposit goes back. Raises Conflict for a unit that is too early."""
    note = required_reason(reason, N_("请写明终止的原因"))
    is_seller = actor.cooperative_id == forward.cooperative_id
    _hold(
        session, actor, forward, E.END, Permission.FULFIL_ORDERS if is_seller else Permission.ORDER_FOR_UNIT
    )
    if not is_seller and today() <= forward.harvest_on + timedelta(days=DAYS_OF_GRACE):
        raise Conflict(
            "too_early",
            N_("预计采收日过后 %(days)s 天仍未交完，采购单位才能单方终止；此前请由合作社终止"),
            days=DAYS_OF_GRACE,
        )
    return _stop(session, actor, forward, E.END, S.ENDED, note)


def _stop(
    session: Session, actor: Actor, forward: ForwardOrder, event: ForwardEvent, state: ForwardState, note: str
) -> ForwardOrder:
    forward.state, forward.reason = state, note
    _note(session, actor, forward, event, note)
    return forward


def name_lot(session: Session, actor: Actor, forward: ForwardOrder, lot: Lot) -> ForwardOrder:
    """Say which lot is delivered, until the first delivery is under way. Raises NotFound for another's lot, Refused for
    one that is not sold as the product that was ordered."""
    _hold(session, actor, forward, E.NAME_LOT, Permission.FULFIL_ORDERS)
    if lot.cooperative_id != forward.cooperative_id:
        raise NotFound
    sold_as = session.scalar(select(ProductLot.product_id).where(ProductLot.lot_id == lot.id))
    if sold_as != forward.listing.product_id:
        raise Refused("other_product", N_("这个批次不属于预订的产品，请先把批次归入该产品"), field="lot")
    if units_taken(session, forward):
        raise Conflict("lot_in_use", N_("已经安排过交货，不能再换批次"))
    forward.lot_id, forward.lot = lot.id, lot
    _note(session, actor, forward, E.NAME_LOT, lot.lot_no)
    return forward


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
    the lot has too little left, and whatever else `place_order` raises.
    """
    made = _delivery_under_key(session, actor, forward, idempotency_key)
    if made is not None:
        return made
    _hold(session, actor, forward, E.DELIVER, Permission.ORDER_FOR_UNIT)
    listing, version = forward.listing, forward.listing.current_version
    if forward.lot_id is None:
        raise Conflict("no_lot", N_("合作社还没有指定批次，过磅入库以后才能安排交货"))
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
    )
    made = ForwardDelivery(forward_id=forward.id, order_id=order.id, units=units, unit_price_fen=price_fen)
    session.add(made)
    forward.delivered_units = taken + units
    _note(session, actor, forward, E.DELIVER, order.public_no)
    session.expire(forward, ["deliveries"])
    return made


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


def mark_deposit_paid(session: Session, forward: ForwardOrder) -> None:
    """The deposit has come (called by payments). Raises Conflict when it is not awaited any more."""
    session.refresh(forward, ["state"], with_for_update={"of": ForwardOrder})
    _require_state(forward, E.PAY_DEPOSIT)
    forward.state = S.ACTIVE
    _note(session, SYSTEM, forward, E.PAY_DEPOSIT)


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
        forward.state = S.DONE
        _note(session, SYSTEM, forward, E.FINISH)
    return len(done)


def _hold(
    session: Session, actor: Actor, forward: ForwardOrder, event: ForwardEvent, permission: Permission
) -> None:
    """Read an order anew, held against a second mover. Raises NotFound for a stranger, Forbidden without the duty,
    Conflict when its state does not allow the event."""
    of_unit = forward.buyer_unit_id == actor.buyer_unit_id
    if not of_unit and (actor.cooperative_id != forward.cooperative_id or forward.approved_by is None):
        raise NotFound
    actor.require(permission)
    session.refresh(forward, ["state", "delivered_units", "lot_id"], with_for_update={"of": ForwardOrder})
    _require_state(forward, event)


def _require_state(forward: ForwardOrder, event: ForwardEvent) -> None:
    if forward.state not in STATES_OF[event]:
        raise Conflict(
            "forward_state",
            N_("预订现在是“%(state)s”，不能进行“%(event)s”"),
            state=forward.state,
            event=event,
        )


def _note(session: Session, actor: Actor, forward: ForwardOrder, event: ForwardEvent, note: str = "") -> None:
    session.add(
        ForwardChange(
            forward_id=forward.id,
            event=event,
            state=forward.state,
            actor_user_id=actor.user_id,
            actor_name=actor.name,
            note=note,
        )
    )
    record_trail(
        session,
        actor,
        f"procurement.{event.value}_ahead",
        subject=("forward_order", forward.public_no),
        cooperative_id=forward.cooperative_id,
        buyer_unit_id=forward.buyer_unit_id,
    )
    session.flush()
    session.expire(forward, ["changes"])
