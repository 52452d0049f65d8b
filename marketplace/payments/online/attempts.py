"""What becomes of the provider's pages of a payment as the payment goes its way. Below payments/rules.py."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.payments.models import Payment
from marketplace.payments.online.models import AttemptState, PaymentAttempt

UNENDED = (AttemptState.OPEN, AttemptState.CLOSING)
FAILURE_LENGTH = 60


def open_attempt(session: Session, payment_id: int) -> PaymentAttempt | None:
    """The page the buyer may be on now."""
    return session.scalar(
        select(PaymentAttempt).where(
            PaymentAttempt.payment_id == payment_id, PaymentAttempt.state == AttemptState.OPEN
        )
    )


def last_attempt(session: Session, payment_id: int) -> PaymentAttempt | None:
    """The latest page of a payment, whatever became of it."""
    query = select(PaymentAttempt).where(PaymentAttempt.payment_id == payment_id)
    return session.scalar(query.order_by(PaymentAttempt.number.desc()).limit(1))


def leave_page(session: Session, payment: Payment) -> None:
    """The open page is not the way any more: it is to be closed at the provider, and no page is the payment's."""
    payment.provider_ref, payment.redirect_url = None, ""
    attempt = open_attempt(session, payment.id)
    if attempt is not None:
        attempt.state = AttemptState.CLOSING
    session.flush()


def end_page(session: Session, payment: Payment, provider_ref: str) -> None:
    """The provider has ended a page without payment: the buyer may open another one."""
    if payment.provider_ref == provider_ref:
        payment.provider_ref, payment.redirect_url = None, ""
    attempt = _attempt_at(session, provider_ref)
    if attempt is not None and attempt.state in UNENDED:
        attempt.state, attempt.ended_at = AttemptState.CLOSED, now()
    session.flush()


def end_attempts(session: Session, payment: Payment, *, paid_at_page: str | None) -> None:
    """The payment has ended: the page it was paid at is done, every other one is to be closed at the provider."""
    query = select(PaymentAttempt).where(
        PaymentAttempt.payment_id == payment.id, PaymentAttempt.state.in_(UNENDED)
    )
    for attempt in session.scalars(query):
        if paid_at_page is not None and attempt.provider_ref == paid_at_page:
            attempt.state, attempt.ended_at = AttemptState.PAID, now()
        else:
            attempt.state = AttemptState.CLOSING
    session.flush()


def note_failure(session: Session, payment: Payment, failure: str) -> bool:
    """Keep why the last try did not succeed; whether there is a page it belongs to."""
    attempt = open_attempt(session, payment.id)
    if attempt is None or not failure:
        return False
    attempt.failure = failure[:FAILURE_LENGTH]
    session.flush()
    return True


def _attempt_at(session: Session, provider_ref: str) -> PaymentAttempt | None:
    return session.scalar(select(PaymentAttempt).where(PaymentAttempt.provider_ref == provider_ref))
