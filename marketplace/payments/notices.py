"""What a gateway tells: stored first, applied once, in any order; what fits nothing waits for a person."""

from __future__ import annotations

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.collecting import told
from marketplace.payments.disputes.rules import take_dispute
from marketplace.payments.gateways.protocol import (
    EventKind,
    GatewayRefused,
    GatewayUnavailable,
    PaymentFound,
    PaymentGateway,
    PaymentState as ProviderState,
)
from marketplace.payments.gateways.stripe_disputes import dispute_in
from marketplace.payments.models import GatewayNotice, NoticeOutcome, Payment, PaymentState
from marketplace.payments.online.attempts import end_page, note_failure
from marketplace.payments.refunds.sending import match_refund_notice
from marketplace.payments.rules import (
    apply_payment,
    cancel_payments,
    expire_payment,
    hold_payment,
    is_awaited,
)

log = structlog.get_logger(__name__)
BATCH = 200
CURRENCY = "cny"
LOOKED_UP = "lookup"
UNKNOWN_ORDER = N_("通知指向的订单不存在")
WRONG_AMOUNT = N_("到账金额与应付不符")
PAID_TWICE = N_("这笔订单已付清，又收到一笔款项，需要退款")
CALLED_OFF = N_("订单已取消或超时，但款项已到账，需要退款")
DISPUTED_UNPAID = N_("通道通知有付款争议，但台账里没有这笔付款，请核对后重新处理")
NOT_UNDERSTOOD = N_("通知的内容不完整或与台账对不上，没有入账，请核对后重新处理")
REFUNDED = N_("通道发生退款，请核对订单并登记")

Result = tuple[NoticeOutcome, str]  # what became of a notice, and why a person must look, if so


def take_notice(
    session: Session, gateway: PaymentGateway, *, payload: bytes, signature: str
) -> GatewayNotice:
    """Verify and store a message; a repeated one is the first. Raises BadSignature, and then stores nothing."""
    event = gateway.read_event(payload, signature)
    under_id = select(GatewayNotice).where(GatewayNotice.event_id == event.event_id)
    kept = session.scalar(under_id)
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
        failure=event.failure[:60],
        occurred_at=event.occurred_at,
        payload=payload.decode("utf-8", "replace"),
    )
    try:
        with session.begin_nested():
            session.add(notice)
    except IntegrityError:  # the same message came twice at the same moment
        return session.scalars(under_id).one()
    return notice


def apply_notices(session: Session) -> int:
    """Apply every waiting notice, oldest first. A sweep: safe to repeat and to run from two workers.

    One that a rule refuses, that lacks what its kind should say or that does not go with the rows waits for a person,
    and keeps none of the others waiting.
    """
    waiting = session.scalars(
        select(GatewayNotice)
        .where(GatewayNotice.outcome == NoticeOutcome.WAITING)
        .order_by(GatewayNotice.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for notice in waiting:
        try:
            with session.begin_nested():
                notice.outcome, notice.reason = _apply(session, notice)
        except DomainError as refusal:
            notice.outcome, notice.reason = NoticeOutcome.QUEUED, refusal.message
        except (IntegrityError, KeyError, TypeError, ValueError) as broken:
            log.exception("notice_not_applied", notice=notice.event_id, error=type(broken).__name__)
            notice.outcome, notice.reason = NoticeOutcome.QUEUED, NOT_UNDERSTOOD
        notice.applied_at = now()
    session.flush()
    return len(waiting)


def _apply(session: Session, notice: GatewayNotice) -> Result:
    if notice.kind is EventKind.OTHER:
        return NoticeOutcome.IGNORED, ""
    if notice.kind in told.APPLIED_BY:
        return told.APPLIED_BY[notice.kind](session, notice)
    payment = _payment_meant(session, notice)
    if notice.kind is EventKind.FAILED:
        return _apply_failed(session, notice, payment)
    if payment is None:
        return NoticeOutcome.QUEUED, UNKNOWN_ORDER
    hold_payment(session, payment)
    notice.payment_id = payment.id
    return APPLIED_BY[notice.kind](session, notice, payment)


def _payment_meant(session: Session, notice: GatewayNotice) -> Payment | None:
    """The payment a notice names by our number, or by the provider's when it has none of ours."""
    if notice.reference:
        return session.scalar(select(Payment).where(Payment.public_no == notice.reference))
    if notice.payment_ref:
        return session.scalar(select(Payment).where(Payment.provider_payment_ref == notice.payment_ref))
    return None


def _apply_failed(session: Session, notice: GatewayNotice, payment: Payment | None) -> Result:
    """One try that did not succeed: the order stays payable, and its page says why."""
    if payment is None or payment.state is not PaymentState.OPEN:
        return NoticeOutcome.IGNORED, ""
    notice.payment_id = payment.id
    is_kept = note_failure(session, payment, notice.failure)
    return NoticeOutcome.APPLIED if is_kept else NoticeOutcome.IGNORED, ""


def _apply_paid(session: Session, notice: GatewayNotice, payment: Payment) -> Result:
    if payment.state is PaymentState.PAID:
        if payment.provider_payment_ref == notice.payment_ref or _is_known(session, notice):
            return NoticeOutcome.REPEATED, ""
        return NoticeOutcome.QUEUED, PAID_TWICE
    if notice.amount_fen != payment.amount_fen or notice.currency.lower() != CURRENCY:
        return NoticeOutcome.QUEUED, WRONG_AMOUNT
    if not is_awaited(payment):
        return NoticeOutcome.QUEUED, CALLED_OFF
    apply_payment(
        session,
        payment,
        paid_at=notice.occurred_at,
        provider_payment_ref=notice.payment_ref,
        provider_ref=notice.provider_ref,
    )
    return NoticeOutcome.APPLIED, ""


def _is_known(session: Session, notice: GatewayNotice) -> bool:
    """Whether a look-up has shown this very money to a person already."""
    query = select(GatewayNotice.id).where(
        GatewayNotice.raw_type == LOOKED_UP, GatewayNotice.payment_ref == notice.payment_ref
    )
    return session.scalar(query.limit(1)) is not None


def _apply_expired(session: Session, notice: GatewayNotice, payment: Payment) -> Result:
    if notice.provider_ref is None or notice.provider_ref != payment.provider_ref:
        return (
            NoticeOutcome.IGNORED,
            "",
        )  # a page of the same payment that was never shown, or left for another
    if payment.state is not PaymentState.OPEN:
        return NoticeOutcome.REPEATED, ""
    _page_ended(session, payment, notice.provider_ref)
    return NoticeOutcome.APPLIED, ""


def _page_ended(session: Session, payment: Payment, provider_ref: str) -> Payment:
    """A page has ended unpaid: while there is time the buyer may open another, after it the order is called off."""
    if payment.expires_at is not None and payment.expires_at > now():
        end_page(session, payment, provider_ref)
        return payment
    return expire_payment(session, payment)


def _apply_refunded(session: Session, notice: GatewayNotice, payment: Payment) -> Result:
    if match_refund_notice(session, notice, payment):
        return NoticeOutcome.APPLIED, ""
    return NoticeOutcome.QUEUED, REFUNDED


def _apply_disputed(session: Session, notice: GatewayNotice, payment: Payment) -> Result:
    if payment.state is not PaymentState.PAID:
        return NoticeOutcome.QUEUED, DISPUTED_UNPAID
    take_dispute(session, payment, dispute_in(notice.payload))
    return NoticeOutcome.APPLIED, ""


APPLIED_BY = {
    EventKind.PAID: _apply_paid,
    EventKind.EXPIRED: _apply_expired,
    EventKind.REFUNDED: _apply_refunded,
    EventKind.DISPUTED: _apply_disputed,
}


# --- asking, when nobody told ---


def look_up_payment(gateway: PaymentGateway, provider_ref: str) -> PaymentFound | None:
    """What the provider says of a checkout now; None when it does not answer. Call it outside a transaction."""
    try:
        return gateway.find_payment(provider_ref)
    except (GatewayUnavailable, GatewayRefused):
        return None


def settle_lookup(session: Session, payment: Payment, found: PaymentFound) -> Payment:
    """Act on what a look-up found, as on a notice: the return page and the sweep need not wait for one."""
    hold_payment(session, payment)
    if payment.state is not PaymentState.OPEN:
        return payment
    if found.state is ProviderState.EXPIRED:
        return _page_ended(session, payment, found.provider_ref)
    if found.state is not ProviderState.PAID:
        note_failure(session, payment, found.failure)
        return payment
    if found.amount_fen == payment.amount_fen and is_awaited(payment):
        return apply_payment(
            session,
            payment,
            paid_at=found.paid_at or now(),
            provider_payment_ref=found.payment_ref,
            provider_ref=found.provider_ref,
        )
    queue_money(
        session, payment, found, CALLED_OFF if found.amount_fen == payment.amount_fen else WRONG_AMOUNT
    )
    cancel_payments(session, payment.order)
    return payment


def queue_money(session: Session, payment: Payment, found: PaymentFound, reason: str) -> None:
    """Let a person see money that came for nothing, unless a notice of it is here to be seen."""
    told = select(GatewayNotice.id).where(
        GatewayNotice.kind == EventKind.PAID, GatewayNotice.payment_ref == found.payment_ref
    )
    if session.scalar(told.limit(1)) is not None:
        return
    session.add(
        GatewayNotice(
            event_id=f"{LOOKED_UP}.{found.provider_ref}"[:120],
            kind=EventKind.PAID,
            raw_type=LOOKED_UP,
            reference=payment.public_no,
            provider_ref=found.provider_ref,
            payment_ref=found.payment_ref,
            amount_fen=found.amount_fen,
            currency=CURRENCY,
            occurred_at=found.paid_at or now(),
            payload="",
            outcome=NoticeOutcome.QUEUED,
            reason=reason,
            payment_id=payment.id,
            applied_at=now(),
        )
    )
    session.flush()


def resolve_notice(session: Session, actor: Actor, event_id: str, *, note: str) -> GatewayNotice:
    """A person has dealt with a queued notice. Raises NotFound when it is not queued, Refused without a note."""
    actor.require(Permission.MATCH_BANK_LINES)
    notice = session.scalar(select(GatewayNotice).where(GatewayNotice.event_id == event_id).with_for_update())
    if notice is None or notice.outcome is not NoticeOutcome.QUEUED:
        raise NotFound
    if not note.strip():
        raise Refused("note_missing", N_("请写明处理依据，例如与付款单位核对的结果"), field="note")
    notice.outcome = NoticeOutcome.RESOLVED
    record_trail(
        session,
        actor,
        "payments.resolve_notice",
        subject=("gateway_notice", notice.event_id),
        note=note.strip()[:300],
    )
    session.flush()
    return notice
