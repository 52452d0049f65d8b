"""Redeeming a voucher at the cooperative's counter, once: goods are held from the lots, sold as a union's order of the
unit that bought the vouchers, and its bill is paid from the voucher, so that settlement follows as for any sale."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.models import OrganisationKind, Role
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import Delivery, accept_part, mark_paid, move_part, place_order
from marketplace.ordering.states import PartEvent
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.rules import hold_payment
from marketplace.payments.vouchers.models import BatchState, Voucher, VoucherBatch, VoucherState
from marketplace.payments.vouchers.posting import post_set_off
from marketplace.payments.vouchers.rules import BATCH, hash_of, note_batch

STEPS = (PartEvent.APPROVE, PartEvent.CONFIRM, PartEvent.SHIP, PartEvent.RECEIVE)
CARRIER = "柜台自提"


def find_voucher(session: Session, actor: Actor, code: str, key: DataKey) -> Voucher:
    """The voucher of a code, held, when the actor's cooperative may redeem it now.

    Raises Refused for an unknown code or another cooperative's (the two are never told apart), Conflict when it was
    redeemed or has lapsed.
    """
    actor.require(Permission.FULFIL_ORDERS)
    if actor.cooperative_id is None:
        raise NotFound
    voucher = session.scalar(
        select(Voucher)
        .where(Voucher.code_hash == hash_of(code, key), Voucher.cooperative_id == actor.cooperative_id)
        .with_for_update(of=Voucher)
        .execution_options(populate_existing=True)
    )
    if voucher is None:
        raise Refused("voucher_unknown", N_("没有这张券，或不是本合作社的券，请核对券码"), field="code")
    if voucher.state is VoucherState.REDEEMED:
        raise Conflict("voucher_redeemed", N_("这张券已经使用过，不能再用"), field="code")
    if voucher.state is VoucherState.LAPSED or voucher.batch.valid_until < today():
        raise Conflict("voucher_lapsed", N_("这张券已过有效期，余款退回购券单位"), field="code")
    return voucher


def redeem_voucher(
    session: Session, actor: Actor, *, code: str, key: DataKey, listing: Listing, quantity: int
) -> Voucher:
    """Hand over units of one of the cooperative's listings for a voucher, within its value.

    Raises as `find_voucher`, NotFound for another cooperative's listing, Refused when the goods cost more than the
    voucher is worth, Conflict when they are not there.
    """
    voucher = find_voucher(session, actor, code, key)
    if listing.cooperative_id != actor.cooperative_id:
        raise NotFound
    batch = voucher.batch
    order = _sold(session, batch, voucher, listing, quantity)
    if order.total_fen > voucher.face_fen:
        raise Refused("voucher_short", N_("商品超过券面金额，请减少数量或换一种商品"), field="quantity")
    part = order.parts[0]
    for event in STEPS:
        move_part(session, actor, part, event, system=True)
    order.approved_by, order.approved_at = batch.approved_by, now()
    part.carrier, part.shipped_at, part.received_at = CARRIER, now(), now()
    accept_part(session, actor, part, system=True)
    won = session.execute(
        update(Voucher)
        .where(Voucher.id == voucher.id, Voucher.state == VoucherState.ISSUED)
        .values(state=VoucherState.REDEEMED, order_id=order.id, redeemed_at=now(), redeemed_by=actor.user_id)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if not won:
        raise Conflict("voucher_redeemed", N_("这张券已经使用过，不能再用"), field="code")
    session.refresh(voucher)
    note_batch(session, actor, batch, "redeem_voucher")
    return voucher


def _sold(session: Session, batch: VoucherBatch, voucher: Voucher, listing: Listing, quantity: int) -> Order:
    """The order of what is picked up, in the name of who bought the vouchers."""
    unit = batch.unit
    buyer = Actor(
        user_id=batch.ordered_by,
        name=batch.orderer.display_name,
        roles=frozenset({Role.UNIT_ORDERER}),
        organisation_id=unit.id,
        organisation_kind=OrganisationKind.BUYER_UNIT,
        region_code=unit.county_code,
    )
    return place_order(
        session,
        buyer,
        kind=OrderKind.UNION,
        idempotency_key=f"voucher:{voucher.public_no}",
        lines=[(listing.public_no, quantity)],
        delivery=Delivery(unit.contact_name, unit.contact_phone, CARRIER),
    )


def set_off_vouchers(session: Session) -> int:
    """Let redeemed vouchers pay the bills of what was picked up with them; returns how many did.

    A sweep, safe to repeat and to run from two workers: it holds the payment and the voucher.
    """
    rows = session.execute(
        select(Payment.id, Voucher.id)
        .join(Voucher, Voucher.order_id == Payment.order_id)
        .where(Payment.state == PaymentState.OPEN, Payment.part_id.is_not(None), Voucher.set_off_at.is_(None))
        .order_by(Payment.id)
        .limit(BATCH)
    ).all()
    return sum(
        _set_off(session, session.get_one(Payment, payment_id), session.get_one(Voucher, voucher_id))
        for payment_id, voucher_id in rows
    )


def _set_off(session: Session, payment: Payment, voucher: Voucher) -> bool:
    hold_payment(session, payment)
    session.refresh(voucher, with_for_update={"of": Voucher})
    batch = voucher.batch
    session.refresh(batch, with_for_update={"of": VoucherBatch})
    if payment.state is not PaymentState.OPEN or voucher.set_off_at is not None or payment.part is None:
        return False
    if batch.state is not BatchState.ISSUED:
        return False
    voucher.used_fen, voucher.set_off_at = payment.amount_fen, now()
    batch.used_fen += payment.amount_fen
    payment.state, payment.paid_at = PaymentState.PAID, now()
    post_set_off(session, voucher, payment)
    mark_paid(session, SYSTEM, payment.part, at=payment.paid_at)
    note_batch(session, SYSTEM, batch, "set_off_voucher")
    return True
