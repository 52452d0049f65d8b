"""Closing pages that were left: nobody shall pay at one any more; money that came there all the same is found."""

from __future__ import annotations

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.ordering.models import OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.gateways.protocol import (
    GatewayRefused,
    GatewayUnavailable,
    PaymentFound,
    PaymentGateway,
    PaymentState as ProviderState,
)
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.notices import PAID_TWICE, queue_money, settle_lookup
from marketplace.payments.online.models import AttemptState, PaymentAttempt

BATCH = 50


def left_pages(session: Session, *, payment_id: int | None = None) -> list[tuple[int, str | None]]:
    """Attempts to close as (id, provider's reference), oldest first: left by the buyer, or of a payment that is not
    wanted any more. Of one payment only those the buyer left."""
    if payment_id is not None:
        wanted = (PaymentAttempt.payment_id == payment_id) & (PaymentAttempt.state == AttemptState.CLOSING)
    else:
        called_off = exists().where(
            OrderPart.order_id == Payment.order_id, OrderPart.state != PartState.AWAITING_PAYMENT
        )
        is_unwanted = or_(Payment.state != PaymentState.OPEN, called_off)
        wanted = (PaymentAttempt.state == AttemptState.CLOSING) | (
            (PaymentAttempt.state == AttemptState.OPEN) & is_unwanted
        )
    query = (
        select(PaymentAttempt.id, PaymentAttempt.provider_ref)
        .join(Payment, Payment.id == PaymentAttempt.payment_id)
        .where(wanted)
        .order_by(PaymentAttempt.id)
        .limit(BATCH)
    )
    return [(key, ref) for key, ref in session.execute(query)]


def close_page(gateway: PaymentGateway, provider_ref: str) -> PaymentFound | None:
    """End a page at the provider; None when it did not answer. Call it outside a transaction."""
    try:
        return gateway.close_checkout(provider_ref)
    except (GatewayUnavailable, GatewayRefused):
        return None


def keep_closed(session: Session, attempt_id: int, found: PaymentFound | None) -> bool:
    """Keep how a left page ended; `found` is None where the provider was never told of it. Whether it has ended."""
    attempt = session.get_one(PaymentAttempt, attempt_id)
    payment = attempt.payment
    if found is None and attempt.provider_ref is not None:
        return False
    if found is not None and found.state is ProviderState.PAID:
        attempt.state, attempt.ended_at = AttemptState.PAID, now()
        session.flush()
        _settle(session, payment, found)
        return True
    if found is not None and found.state is not ProviderState.EXPIRED:
        return False
    attempt.state, attempt.ended_at = AttemptState.CLOSED, now()
    session.flush()
    return True


def _settle(session: Session, payment: Payment, found: PaymentFound) -> None:
    """Money came at a page that was left: it pays the order when nothing else did, else a person gives it back."""
    if payment.state is PaymentState.OPEN:
        settle_lookup(session, payment, found)
    elif payment.state is PaymentState.PAID and payment.provider_payment_ref != found.payment_ref:
        queue_money(session, payment, found, PAID_TWICE)
