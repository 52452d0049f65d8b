"""Buying: placing an order once, and moving its parts through their states. Carts are in cart/rules.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import index_anew
from marketplace.catalog.models import ListingVersion
from marketplace.catalog.queries import listings_by_nos
from marketplace.catalog.rules import count_sold
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.cart.rules import empty_cart
from marketplace.ordering.freight.charging import Carriage, freight_charged
from marketplace.ordering.freight.queries import FREE, Freight
from marketplace.ordering.gi_caps import Caps, give_back
from marketplace.ordering.kinds import FIRST_STATE, NOT_FOR, PERMISSION_OF
from marketplace.ordering.models import (
    LineGiUse,
    Order,
    OrderKind,
    OrderLine,
    OrderPart,
    PartChange,
)
from marketplace.ordering.states import SELLERS, PartEvent, PartState, duties_of, transition_of
from marketplace.ordering.stock import hold_grams, release_lines
from marketplace.ordering.terms import PaymentTerms, terms_in_force
from marketplace.ordering.wishes import (
    Wish,
    frozen_facts,
    goods_of,
    reference_fens,
    units_wanted,
    wishes_of,
)
from marketplace.registry.models import BuyerUnit

MAX_NOTE = 300
MAX_CARRIER = 40
DELIVERY_LENGTHS = {"recipient_name": 60, "recipient_phone": 20, "address": 200, "note": MAX_NOTE}
RETURNS_GOODS = frozenset({PartEvent.CANCEL, PartEvent.EXPIRE, PartEvent.REJECT, PartEvent.DECLINE})


@dataclass(frozen=True)
class Delivery:
    """Where an order goes."""

    recipient_name: str
    recipient_phone: str
    address: str
    note: str = ""
    region_code: str | None = None


def place_order(
    session: Session,
    actor: Actor,
    *,
    kind: OrderKind,
    idempotency_key: str,
    lines: Sequence[tuple[str, int]],
    delivery: Delivery,
    seen: Mapping[str, tuple[int, int]] | None = None,
    terms: PaymentTerms | None = None,
    deliver_on: date | None = None,
    prices: Mapping[str, int] | None = None,
    lots: Mapping[str, int] | None = None,
    carriage: Carriage | None = None,
) -> Order:
    """Place an order for (listing number, units) `lines`, split into one part per cooperative, holding its goods.

    `seen` is (version, units) of each listing as the buyer was shown it: nothing is bought at terms nobody saw. `terms`
    are frozen in a unit's order (when not given, those of the policy in force); `deliver_on` is the day the buyer wants
    the goods; `prices` are the fen a unit of listings whose price was agreed elsewhere, `lots` the ids of the lots that
    their goods were agreed to come from. With a `carriage` the buyer is charged freight; without one none. The same key
    of the same buyer gives the first order, whatever the lines.
    Raises Refused for an empty or malformed order or a place that is not delivered to, Conflict when a listing or the
    freight has changed, is no longer for sale or has too little left; then nothing is placed or held.
    """
    actor.require(PERMISSION_OF[kind])
    first = _order_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    check_delivery(delivery)
    unit = _unit_of(session, actor, kind)
    units = units_wanted(lines, seen)
    wanted = wishes_of(
        {row.public_no: row for row in listings_by_nos(session, list(units))}, units, seen, prices, lots
    )
    freights = freight_charged(session, wanted, carriage)
    order = Order(
        kind=kind,
        buyer_user_id=actor.user_id,
        idempotency_key=idempotency_key,
        **destination(
            actor, unit, delivery, terms or (terms_in_force(session, unit, today()) if unit else None)
        ),
        buyer_unit=unit,
        deliver_on=deliver_on,
        total_fen=sum(wish.price_fen * wish.quantity for wish in wanted)
        + sum(freight.fen for freight in freights.values()),
    )
    try:
        with session.begin_nested():
            session.add(order)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = _order_under_key(session, actor, idempotency_key)
        if first is None:
            raise
        return first
    references = reference_fens(session, wanted)
    for cooperative_id in sorted({wish.listing.cooperative_id for wish in wanted}):
        own = [wish for wish in wanted if wish.listing.cooperative_id == cooperative_id]
        freight = freights.get(cooperative_id, FREE)
        _add_part(session, actor, order, cooperative_id, own, references, freight)
    if prices is None:  # what was agreed elsewhere did not come out of the cart
        empty_cart(session, actor, kind, [wish.listing.id for wish in wanted])
    record_trail(
        session, actor, "ordering.place", subject=("order", order.public_no), total_fen=order.total_fen
    )
    session.flush()
    return order


def _order_under_key(session: Session, actor: Actor, idempotency_key: str) -> Order | None:
    query = select(Order).where(
        Order.buyer_user_id == actor.user_id, Order.idempotency_key == idempotency_key
    )
    return session.scalar(query)


def destination(
    actor: Actor, unit: BuyerUnit | None, delivery: Delivery, terms: PaymentTerms | None
) -> dict[str, Any]:
    """The columns of an order that say for whom it is, where it goes, and when a unit pays."""
    return {
        "buyer_unit_id": unit.id if unit else None,
        "buyer_county_code": unit.county_code if unit else actor.county_code,
        "recipient_name": delivery.recipient_name.strip(),
        "recipient_phone": delivery.recipient_phone.strip(),
        "address": delivery.address.strip(),
        "deliver_region_code": delivery.region_code or None,
        "note": delivery.note.strip(),
        **(terms.columns if unit and terms else {}),
    }


def check_delivery(delivery: Delivery) -> None:
    """Raise Refused naming the field unless there is a person, a telephone and a place, each of a bearable length."""
    for name, most in DELIVERY_LENGTHS.items():
        text = getattr(delivery, name).strip()
        if not text and name != "note":
            raise Refused("delivery_missing", N_("请写明收货人、联系电话和收货地址"), field=name)
        if len(text) > most:
            raise Refused("delivery_long", N_("这一项最多 %(most)s 个字"), field=name, most=most)


def _unit_of(session: Session, actor: Actor, kind: OrderKind) -> BuyerUnit | None:
    if kind is OrderKind.PERSONAL:
        return None
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise Forbidden
    return unit


def _add_part(
    session: Session,
    actor: Actor,
    order: Order,
    cooperative_id: int,
    wanted: Sequence[Wish],
    references: Mapping[int, int],
    freight: Freight,
) -> None:
    """One cooperative's part of the order, its goods held; `references` are frozen in its lines."""
    goods = [goods_of(wish) for wish in wanted]
    held, caps = hold_grams(session, goods), Caps(session, [one.product_id for one in goods])
    uses = caps.find(goods)
    caps.take(goods, uses)
    caps.hold()
    lines = [
        OrderLine(
            order_id=order.id, **frozen_facts(wish, references), lots=held[wish.listing.product_id].lots
        )
        for wish in wanted
    ]
    part = OrderPart(
        order=order,
        cooperative_id=cooperative_id,
        state=FIRST_STATE[order.kind],
        total_fen=sum(line.net_fen for line in lines),
        freight_fen=freight.fen,
        freight_sheet_id=freight.sheet_id,
        lines=lines,
    )
    session.add(part)
    session.flush()
    session.add_all(
        LineGiUse(line_id=line.id, certificate_id=uses[one.product_id], mass_g=one.mass_g)
        for line, one in zip(lines, goods, strict=True)
        if one.product_id in uses
    )
    index_anew(session, [wish.listing.id for wish in wanted if held[wish.listing.product_id].sold_out])
    _note_change(session, actor, part, None, "")


def move_part(
    session: Session, actor: Actor, part: OrderPart, event: PartEvent, *, note: str = "", system: bool = False
) -> OrderPart:
    """Move a part by `event`.

    Raises NotFound when the part is no concern of the actor's, Conflict when its state does not allow the event,
    Forbidden when the actor's duties do not. The move is conditional on the state it was read in, so that of two at
    the same moment one wins.
    """
    if not system:
        _require_party(actor, part, event)
    transition = transition_of(event, part.state)
    if not system:
        allowed = transition.permissions - NOT_FOR[part.order.kind]
        if not any(actor.can(permission) for permission in allowed):
            raise Forbidden
    statement = (
        update(OrderPart)
        .where(OrderPart.id == part.id, OrderPart.state == transition.source)
        .values(state=transition.target)
        .execution_options(synchronize_session=False)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise Conflict("moved_meanwhile", N_("订单刚刚已被其他人处理，请刷新后再看"))
    part.state = transition.target
    if event in RETURNS_GOODS:
        release_lines(session, part.lines)
        give_back(session, [line.id for line in part.lines])
        index_anew(session, _units_by_listing(session, part))
    _note_change(session, actor, part, event, note)
    record_trail(
        session,
        actor,
        f"ordering.{event.value}",
        subject=("order_part", part.public_no),
        cooperative_id=part.cooperative_id,
        buyer_unit_id=part.order.buyer_unit_id,
    )
    session.flush()
    return part


def _require_party(actor: Actor, part: OrderPart, event: PartEvent) -> None:
    """Raise NotFound unless the part is the actor's to move: as its cooperative, as its county, as the unit or the
    person that bought it."""
    duties, order = duties_of(event), part.order
    if Permission.FULFIL_ORDERS in duties and actor.cooperative_id == part.cooperative_id:
        return
    if Permission.MEDIATE_DISPUTES in duties and mediates(actor, part):
        return
    if order.buyer_unit_id is None:
        bought = actor.user_id == order.buyer_user_id
    else:
        bought = actor.buyer_unit_id == order.buyer_unit_id
    if not bought or duties == SELLERS:
        raise NotFound


def mediates(actor: Actor, part: OrderPart) -> bool:
    """Whether a contested rejection of this part is the actor's to decide: an official of the cooperative's county."""
    return actor.can(Permission.MEDIATE_DISPUTES) and actor.county_code == part.cooperative.county_code


def _units_by_listing(
    session: Session, part: OrderPart, left_out: Mapping[int, int] | None = None
) -> dict[int, int]:
    """The units of each listing in a part, by listing id, less those `left_out` by line id."""
    query = (
        select(ListingVersion.listing_id, OrderLine.id, OrderLine.quantity)
        .join(ListingVersion, ListingVersion.id == OrderLine.listing_version_id)
        .where(OrderLine.part_id == part.id)
    )
    units: dict[int, int] = {}
    for listing_id, line_id, quantity in session.execute(query):
        units[listing_id] = units.get(listing_id, 0) + quantity - (left_out or {}).get(line_id, 0)
    return units


def _note_change(session: Session, actor: Actor, part: OrderPart, event: PartEvent | None, note: str) -> None:
    session.add(
        PartChange(
            part_id=part.id,
            event=event,
            state=part.state,
            actor_user_id=actor.user_id,
            actor_name=actor.name,
            note=note,
        )
    )


def required_reason(reason: str, message: str) -> str:
    """The reason, trimmed. Raises Refused with `message` when there is none, or when it is too long to keep."""
    text = reason.strip()
    if not text:
        raise Refused("reason_missing", message, field="reason")
    if len(text) > MAX_NOTE:
        raise Refused("reason_long", N_("原因最多 %(most)s 个字"), field="reason", most=MAX_NOTE)
    return text


def confirm_part(session: Session, actor: Actor, part: OrderPart) -> OrderPart:
    """The cooperative promises to deliver."""
    return move_part(session, actor, part, PartEvent.CONFIRM)


def decline_part(session: Session, actor: Actor, part: OrderPart, *, reason: str) -> OrderPart:
    """The cooperative cannot deliver. Raises Refused for a part already paid: that needs a refund first."""
    if part.paid_at is not None:
        raise Refused("paid_already", N_("这笔订单已付款，不能直接拒单；请买方申请退款，您同意后订单即取消"))
    note = required_reason(reason, N_("请写明无法供货的原因"))
    return move_part(session, actor, part, PartEvent.DECLINE, note=note)


def ship_part(session: Session, actor: Actor, part: OrderPart, *, carrier: str, waybill_no: str) -> OrderPart:
    """The goods are under way. Raises Refused without a carrier."""
    carrier, waybill_no = carrier.strip(), waybill_no.strip()
    if not carrier:
        raise Refused("carrier_missing", N_("请填写承运方，自送请填“自送”"), field="carrier")
    if max(len(carrier), len(waybill_no)) > MAX_CARRIER:
        raise Refused("carrier_long", N_("这一项最多 %(most)s 个字"), field="carrier", most=MAX_CARRIER)
    move_part(session, actor, part, PartEvent.SHIP, note=f"{carrier} {waybill_no}".strip())
    part.carrier, part.waybill_no, part.shipped_at = carrier, waybill_no, now()
    return part


def receive_part(session: Session, actor: Actor, part: OrderPart) -> OrderPart:
    """The goods have arrived."""
    move_part(session, actor, part, PartEvent.RECEIVE)
    part.received_at = now()
    return part


def accept_part(
    session: Session,
    actor: Actor,
    part: OrderPart,
    *,
    by: PartEvent = PartEvent.ACCEPT,
    note: str = "",
    system: bool = False,
    rejected: Mapping[int, int] | None = None,
) -> OrderPart:
    """The goods are accepted: whole, or all but the `rejected` units (by line id). `by` is the event that says so."""
    move_part(session, actor, part, by, note=note, system=system)
    part.accepted_at = now()
    session.flush()
    count_sold(session, _units_by_listing(session, part, rejected or {}))
    return part


def cancel_order(session: Session, actor: Actor, order: Order, *, reason: str) -> Order:
    """The buyer calls the order off before anybody approved or paid it; every part, or none. Raises Refused without a
    reason."""
    note = required_reason(reason, N_("请写明取消的原因"))
    for part in order.parts:
        move_part(session, actor, part, PartEvent.CANCEL, note=note)
    return order


def mark_paid(session: Session, actor: Actor, part: OrderPart, *, at: datetime) -> OrderPart:
    """The money for a part has come (called by payments). A part that waited for it goes on to the cooperative."""
    part.paid_at = at
    if part.state is PartState.AWAITING_PAYMENT:
        move_part(session, actor, part, PartEvent.PAY, system=True)
    session.flush()
    return part
