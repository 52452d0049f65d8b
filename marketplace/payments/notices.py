"""A gateway's notices: stored first, applied once, in any order; what fits nothing waits for a person."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.rules import move_part
from marketplace.ordering.states import PartEvent, PartState
from marketplace.payments.gateways.protocol import (
    EventKind,
    GatewayRefused,
    GatewayUnavailable,
    PaymentFound,
    PaymentGateway,
    PaymentState as ProviderState,
)
from marketplace.payments.models import GatewayNotice, NoticeOutcome, Payment, PaymentMethod, PaymentState
from marketplace.payments.rules import CARD_MINUTES, apply_payment, expire_payment

BATCH = 200
GRACE = timedelta(minutes=5)


def take_notice(
    session: Session, gateway: PaymentGateway, *, payload: bytes, signature: str
) -> GatewayNotice:
    """Verify and store a message; a repeated one is the first. Raises BadSignature, and then stores nothing."""
    event = gateway.read_event(payload, signature)
    kept = session.scalar(select(GatewayNotice).where(GatewayNotice.event_id == event.event_id))
    if kept is not None:
        return kept
    notice = GatewayNotice(
        event_id=event.event_id,
        kind=event.kind,
        raw_type=event.raw_type,
        reference=event.reference[:40],
        provider_ref=event.provider_ref,
        payment_ref=event.payment_ref,
        amount_fen=event.amount_fen,
        currency=event.currency,
        occurred_at=event.occurred_at,
        payload=payload.decode("utf-8", "replace"),
    )
    try:
        with session.begin_nested():
            session.add(notice)
    except IntegrityError:  # the same message came twice at the same moment
        return session.scalars(select(GatewayNotice).where(GatewayNotice.event_id == event.event_id)).one()
    return notice


def apply_notices(session: Session) -> int:
    """Apply every waiting notice, oldest first. A sweep: safe to repeat and to run from two workers."""
    waiting = session.scalars(
        select(GatewayNotice)
        .where(GatewayNotice.outcome == NoticeOutcome.WAITING)
        .order_by(GatewayNotice.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for notice in waiting:
        notice.outcome, notice.reason = _apply(session, notice)
        notice.applied_at = now()
    session.flush()
    return len(waiting)


def _apply(session: Session, notice: GatewayNotice) -> tuple[NoticeOutcome, str]:
    """What became of one notice, and why a person must look, if so."""
    if notice.kind in (EventKind.OTHER, EventKind.FAILED):
        return NoticeOutcome.IGNORED, ""
    query = select(Payment).where(Payment.public_no == notice.reference)
    payment = session.scalar(query.with_for_update()) if notice.reference else None
    if payment is None and notice.payment_ref:
        payment = session.scalar(select(Payment).where(Payment.provider_payment_ref == notice.payment_ref))
    if payment is None:
        return NoticeOutcome.QUEUED, N_("通知指向的订单不存在")
    notice.payment_id = payment.id
    if notice.kind is EventKind.EXPIRED:
        if payment.state is not PaymentState.OPEN:
            return NoticeOutcome.REPEATED, ""
        expire_payment(session, payment)
        return NoticeOutcome.APPLIED, ""
    if notice.kind is EventKind.REFUNDED:
        return NoticeOutcome.QUEUED, N_("通道发生退款，请核对订单并登记")
    return _apply_paid(session, notice, payment)


def _apply_paid(session: Session, notice: GatewayNotice, payment: Payment) -> tuple[NoticeOutcome, str]:
    if payment.state is PaymentState.PAID:
        return NoticeOutcome.REPEATED, ""
    if notice.amount_fen != payment.amount_fen or notice.currency.lower() != "cny":
        return NoticeOutcome.QUEUED, N_("到账金额与应付不符")
    if payment.state is not PaymentState.OPEN:
        return NoticeOutcome.QUEUED, N_("订单已取消或超时，但款项已到账，需要退款")
    apply_payment(session, payment, paid_at=notice.occurred_at, provider_payment_ref=notice.payment_ref)
    return NoticeOutcome.APPLIED, ""


def look_up_payment(gateway: PaymentGateway, provider_ref: str) -> PaymentFound | None:
    """What the provider says of a checkout now; None when it does not answer. Call it outside a transaction."""
    try:
        return gateway.find_payment(provider_ref)
    except (GatewayUnavailable, GatewayRefused):
        return None


def settle_lookup(session: Session, payment: Payment, found: PaymentFound) -> Payment:
    """Act on what a look-up found, as on a notice: the return page and the sweep need not wait for one."""
    if payment.state is not PaymentState.OPEN or found.amount_fen != payment.amount_fen:
        return payment
    if found.state is ProviderState.PAID:
        return apply_payment(
            session, payment, paid_at=found.paid_at or now(), provider_payment_ref=found.payment_ref
        )
    if found.state is ProviderState.EXPIRED:
        return expire_payment(session, payment)
    return payment


def overdue_card_payments(session: Session) -> list[Payment]:
    """Open card payments whose time is over by a grace for late notices."""
    query = (
        select(Payment)
        .where(
            Payment.method == PaymentMethod.CARD,
            Payment.state == PaymentState.OPEN,
            Payment.expires_at < now() - GRACE,
        )
        .order_by(Payment.id)
        .limit(BATCH)
    )
    return list(session.scalars(query))


def expire_unasked_orders(session: Session) -> int:
    """Call off personal orders nobody began to pay for within the time of a card payment; returns how many parts."""
    open_payments = select(Payment.order_id).where(Payment.state == PaymentState.OPEN)
    parts = session.scalars(
        select(OrderPart)
        .join(Order, Order.id == OrderPart.order_id)
        .where(
            Order.kind == OrderKind.PERSONAL,
            OrderPart.state == PartState.AWAITING_PAYMENT,
            Order.placed_at < now() - timedelta(minutes=CARD_MINUTES) - GRACE,
            Order.id.not_in(open_payments),
        )
        .order_by(OrderPart.id)
        .limit(BATCH)
    ).unique()
    expired = [move_part(session, SYSTEM, part, PartEvent.EXPIRE, system=True) for part in parts]
    return len(expired)


def resolve_notice(session: Session, actor: Actor, notice_id: int, *, note: str) -> GatewayNotice:
    """A person has dealt with a queued notice. Raises NotFound when it is not queued."""
    actor.require(Permission.MATCH_BANK_LINES)
    notice = session.get(GatewayNotice, notice_id)
    if notice is None or notice.outcome is not NoticeOutcome.QUEUED:
        raise NotFound
    notice.outcome = NoticeOutcome.RESOLVED
    record_trail(
        session, actor, "payments.resolve_notice", subject=("gateway_notice", notice.event_id), note=note
    )
    session.flush()
    return notice
