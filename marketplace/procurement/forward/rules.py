"""Ordering before the harvest: a unit orders, another person of it approves, the cooperative confirms, the deposit
comes, and what a lot gives is taken in deliveries (delivering.py). The money of the deposit is payments'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.catalog.prices.agreed import hold_agreed_price
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.queries import sale_stop
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS, half_up
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.rules import MAX_NOTE, required_reason
from marketplace.ordering.terms import PaymentTerms
from marketplace.ordering.wishes import check_quantity
from marketplace.procurement.forward.models import ForwardEvent, ForwardOrder, ForwardState
from marketplace.procurement.forward.reserving import let_go
from marketplace.procurement.forward.steps import E, S, hold_forward, note_forward, require_state
from marketplace.procurement.requests.reopening import reopen_after_forward

MAX_FEN_PER_KG = 10_000_000
MAX_DAYS_AHEAD = 730
DAYS_OF_GRACE = 30  # after the expected harvest, before the unit alone may end it


@dataclass(frozen=True)
class Price:
    """What a unit of the goods costs: the listing's price on the day, within `most` and `least` (fen per kilogram); or
    exactly `agreed_fen` a unit, to be paid by `terms`, where an offer was awarded."""

    most: int
    least: int
    agreed_fen: int | None = None
    terms: PaymentTerms | None = None

    @classmethod
    def agreed(cls, unit_fen: int, net_mass_g: int, terms: PaymentTerms) -> Price:
        """The price of an awarded offer: fen for a unit of so many grams."""
        agreed = max(1, per_kg_fen(unit_fen, net_mass_g))
        return cls(agreed, agreed, unit_fen, terms)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of an order ahead that keep it."""
        kept = {"price_fen_per_kg": self.most, "floor_fen_per_kg": self.least, "agreed_fen": self.agreed_fen}
        return kept | (self.terms.columns if self.terms else {})


def order_ahead(
    session: Session,
    actor: Actor,
    *,
    listing: Listing,
    units: int,
    price: Price,
    deposit_bp: int,
    harvest_on: date,
    note: str = "",
    idempotency_key: str,
) -> ForwardOrder:
    """Order `units` of a listing that will be harvested about `harvest_on` at a `price`, with a deposit of `deposit_bp`
    of what it costs at most.

    The same key of the same person gives the first order. Raises Refused naming the field for what cannot be, such as
    a highest price above the price guard.
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
    _check_terms(price, deposit_bp, harvest_on)
    if len(note.strip()) > MAX_NOTE:
        raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field="note", most=MAX_NOTE)
    highest_fen = price.agreed_fen or half_up(price.most * version.net_mass_g, 1000)
    deposit_fen = half_up(highest_fen * units * deposit_bp, BASIS)
    if deposit_fen <= 0:
        raise Refused("deposit", N_("订金不足一分钱，请提高比例或数量"), field="deposit")
    held = hold_agreed_price(
        session,
        listing.product,
        unit_price_fen=highest_fen,
        net_mass_g=version.net_mass_g,
        field="price",
    )
    forward = ForwardOrder(
        buyer_unit_id=actor.buyer_unit_id,
        cooperative_id=listing.cooperative_id,
        listing_id=listing.id,
        title=version.title,
        unit_name=version.unit_name,
        units=units,
        net_mass_g=version.net_mass_g,
        **price.columns,
        price_check_id=held.id,
        checked_fen=highest_fen,
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
    note_forward(session, actor, forward, E.ORDER)
    return forward


def _forward_under_key(session: Session, actor: Actor, key: str) -> ForwardOrder | None:
    query = select(ForwardOrder).where(
        ForwardOrder.ordered_by == actor.user_id, ForwardOrder.idempotency_key == key
    )
    return session.scalar(query)


def _check_terms(price: Price, deposit_bp: int, harvest_on: date) -> None:
    if not 0 < price.most <= MAX_FEN_PER_KG:
        raise Refused("price", N_("单价须大于 0，且不超过每千克 10 万元"), field="price")
    if not 0 < price.least <= price.most:
        raise Refused("floor", N_("保底价须大于 0，且不高于最高价"), field="floor")
    if not 0 < deposit_bp <= BASIS:
        raise Refused("deposit", N_("订金比例须大于 0，不超过全额"), field="deposit")
    if harvest_on < today():
        raise Refused("harvest_past", N_("预计采收日已经过去；已经采收的请直接下单"), field="harvest_on")
    if (harvest_on - today()).days > MAX_DAYS_AHEAD:
        raise Refused("harvest_far", N_("预计采收日须在两年以内"), field="harvest_on")


def approve_ahead(session: Session, actor: Actor, forward: ForwardOrder) -> ForwardOrder:
    """Let an order before the harvest go to its cooperative. Raises Forbidden for whoever ordered."""
    hold_forward(session, actor, forward, E.APPROVE, Permission.APPROVE_ORDERS)
    _require_other(actor, forward)
    forward.approved_by, forward.state = actor.user_id, S.PROPOSED
    note_forward(session, actor, forward, E.APPROVE)
    return forward


def reject_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """Turn it down within the unit. Raises Forbidden for whoever ordered, Refused without a reason."""
    note = required_reason(reason, N_("请写明不通过的原因"))
    hold_forward(session, actor, forward, E.REJECT, Permission.APPROVE_ORDERS)
    _require_other(actor, forward)
    return _stop(session, actor, forward, E.REJECT, S.WITHDRAWN, note)


def _require_other(actor: Actor, forward: ForwardOrder) -> None:
    if forward.ordered_by == actor.user_id:
        raise Forbidden("own_order", N_("下单人不能审批自己的采购单，请由另一位审批人办理"))


def confirm_ahead(session: Session, actor: Actor, forward: ForwardOrder) -> ForwardOrder:
    """The cooperative promises to grow it; the deposit is asked for next."""
    hold_forward(session, actor, forward, E.CONFIRM, Permission.FULFIL_ORDERS)
    forward.state = S.CONFIRMED
    note_forward(session, actor, forward, E.CONFIRM)
    return forward


def decline_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """The cooperative cannot promise it. Raises Refused without a reason."""
    note = required_reason(reason, N_("请写明不接受的原因"))
    hold_forward(session, actor, forward, E.DECLINE, Permission.FULFIL_ORDERS)
    return _stop(session, actor, forward, E.DECLINE, S.DECLINED, note)


def withdraw_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """The unit takes it back before its deposit has come. Raises Conflict afterwards, Refused without a reason."""
    note = required_reason(reason, N_("请写明撤回的原因"))
    hold_forward(session, actor, forward, E.WITHDRAW, Permission.ORDER_FOR_UNIT)
    state = S.ENDED if forward.state is S.CONFIRMED else S.WITHDRAWN
    return _stop(session, actor, forward, E.WITHDRAW, state, note)


def end_ahead(session: Session, actor: Actor, forward: ForwardOrder, *, reason: str) -> ForwardOrder:
    """What is not delivered by now will not be: by the cooperative at any time, by the unit once the harvest is a month
    overdue. What is left of the deposit goes back. Raises Conflict for a unit that is too early."""
    note = required_reason(reason, N_("请写明终止的原因"))
    is_seller = actor.cooperative_id == forward.cooperative_id
    hold_forward(
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
    let_go(session, forward)
    forward.state, forward.reason = state, note
    note_forward(session, actor, forward, event, note)
    by_seller = actor.cooperative_id == forward.cooperative_id
    reopen_after_forward(session, actor, forward, reason=note, by_seller=by_seller)
    return forward


def mark_deposit_paid(session: Session, forward: ForwardOrder) -> None:
    """The deposit has come (called by payments). Raises Conflict when it is not awaited any more."""
    session.refresh(forward, ["state"], with_for_update={"of": ForwardOrder})
    require_state(forward, E.PAY_DEPOSIT)
    forward.state = S.ACTIVE
    note_forward(session, SYSTEM, forward, E.PAY_DEPOSIT)
