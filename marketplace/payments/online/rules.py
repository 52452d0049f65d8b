"""Choosing how to pay, and opening the provider's page for it without ever opening two that can both be paid.

The order of things: the choice is stored with the key of its request; the page that was open before is closed at the
provider; only then the new one is opened. A call that gets no answer is made again with the same key.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.gateways.protocol import (
    CheckoutOpened,
    CheckoutRequest,
    GatewayRefused,
    OnlineMethod,
)
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.online.attempts import FAILURE_LENGTH, leave_page, open_attempt
from marketplace.payments.online.models import AttemptState, PaymentAttempt
from marketplace.payments.rules import hold_payment, is_awaited, keep_checkout

PROVIDER_SHORTEST = timedelta(minutes=30)  # the provider opens no page for less
SHORTEST_PAGE = PROVIDER_SHORTEST + timedelta(minutes=1)  # we close it earlier when time is over


def choose_method(
    session: Session,
    actor: Actor,
    payment: Payment,
    *,
    method: OnlineMethod | None,
    offered: Collection[OnlineMethod],
    locale: str,
) -> PaymentAttempt:
    """The page to open for a means of payment: the open one when it is of that means, else a new one in its place.

    Raises NotFound for somebody else's payment, Refused for a means that is not offered, Conflict when nothing is to be
    paid or the time for it is over.
    """
    actor.require(Permission.BUY_PERSONALLY)
    if payment.order.buyer_user_id != actor.user_id or payment.method is not PaymentMethod.CARD:
        raise NotFound
    if method is None or method not in offered:
        raise Refused("method", N_("请选择一种付款方式"), field="method")
    hold_payment(session, payment)
    if not is_awaited(payment) or payment.expires_at is None:
        raise Conflict("not_payable", N_("这张订单现在不需要付款，请查看订单状态"))
    if payment.expires_at <= now():
        raise Conflict("payment_time_over", N_("付款时间已过，订单即将自动取消，请重新下单"))
    current = open_attempt(session, payment.id)
    if current is not None and current.method is method and _is_good(current):
        return current
    leave_page(session, payment)
    numbers = select(func.max(PaymentAttempt.number)).where(PaymentAttempt.payment_id == payment.id)
    attempt = PaymentAttempt(
        payment_id=payment.id,
        number=(session.scalar(numbers) or 0) + 1,
        method=method,
        locale=locale,
        expires_at=max(payment.expires_at, (now() + SHORTEST_PAGE).replace(microsecond=0)),
    )
    session.add(attempt)
    session.flush()
    record_trail(
        session, actor, "payments.choose_method", subject=("payment", payment.public_no), method=method.value
    )
    return attempt


def _is_good(attempt: PaymentAttempt) -> bool:
    """Whether an open attempt leads somewhere: its page is open, or may still be opened under its key."""
    if attempt.provider_ref is not None:
        return attempt.expires_at > now()
    return attempt.expires_at - now() >= PROVIDER_SHORTEST


def attempt_request(
    payment: Payment, attempt: PaymentAttempt, *, success_url: str, cancel_url: str
) -> CheckoutRequest:
    """What to send to the provider for an attempt: the same every time, so that its key is good for a retry.

    Of the order it says its number, of the buyer nothing.
    """
    return CheckoutRequest(
        reference=payment.public_no,
        amount_fen=payment.amount_fen,
        description=payment.order.public_no,
        success_url=success_url,
        cancel_url=cancel_url,
        idempotency_key=f"{payment.public_no}.{attempt.number}",
        expires_at=attempt.expires_at,
        locale=attempt.locale,
        method=attempt.method,
    )


def keep_opened(session: Session, attempt_id: int, opened: CheckoutOpened) -> bool:
    """Remember the page that was opened for an attempt; whether it is still the payment's way.

    One that was left while the provider thought is kept to be closed.
    """
    attempt = session.get_one(PaymentAttempt, attempt_id, with_for_update={"of": PaymentAttempt})
    attempt.provider_ref, attempt.redirect_url = opened.provider_ref, opened.redirect_url
    attempt.qr_text = opened.qr_text
    if attempt.state is AttemptState.CLOSED:
        attempt.state, attempt.ended_at = AttemptState.CLOSING, None
    session.flush()
    is_current = attempt.state is AttemptState.OPEN
    if is_current:
        keep_checkout(session, attempt.payment_id, opened)
    return is_current


def keep_refused(session: Session, attempt_id: int, refusal: GatewayRefused) -> None:
    """The provider opened no page for an attempt and never will: the next choice begins another one."""
    attempt = session.get_one(PaymentAttempt, attempt_id, with_for_update={"of": PaymentAttempt})
    if attempt.provider_ref is None and attempt.state is AttemptState.OPEN:
        attempt.state, attempt.ended_at = AttemptState.CLOSED, now()
        attempt.failure = refusal.code[:FAILURE_LENGTH]
        session.flush()


def method_of(value: str) -> OnlineMethod | None:
    """The means with this code; None for any other word."""
    return next((method for method in OnlineMethod if method.value == value), None)
