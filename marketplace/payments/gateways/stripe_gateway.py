"""Cards and wallets through Stripe, with the provider's own library.

A card is typed on the provider's page (a Checkout Session); no card number reaches us. A wallet is a PaymentIntent
that is confirmed at once: Alipay sends the payer to its page, WeChat Pay gives a code to scan. The key of each request
is kept by the caller, so a retry after an outage finds what exists instead of opening a second one. Reading messages
is in stripe_events.py, PaymentIntents are in stripe_intents.py, errors in stripe_errors.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import stripe

from marketplace.payments.gateways import stripe_disputes, stripe_intents
from marketplace.payments.gateways.balance import BalanceMove
from marketplace.payments.gateways.disputes import DisputeTold
from marketplace.payments.gateways.protocol import (
    CheckoutOpened,
    CheckoutRequest,
    GatewayEvent,
    GatewayRefused,
    OnlineMethod,
    PaymentFound,
    PaymentState,
    RefundMade,
    RefundState,
)
from marketplace.payments.gateways.stripe_balance import balance_moves
from marketplace.payments.gateways.stripe_client import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S, stripe_client
from marketplace.payments.gateways.stripe_errors import instant_of, provider_errors
from marketplace.payments.gateways.stripe_events import CURRENCY, failure_of, id_of, read_event, reread_event

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

LOOK_TIMEOUT_S = (
    4.0  # a page that waits asks every few seconds: a provider that hangs must not hold our threads
)
REFUND_STATES = {"succeeded": RefundState.DONE, "failed": RefundState.FAILED, "canceled": RefundState.FAILED}


class StripeGateway:
    """The card channel.

    `api_base` empty means Stripe itself, otherwise the address of the emulator. `methods` are Stripe's payment method
    types that buyers may choose from; a mainland entity cannot take WeChat Pay through Stripe, hence card alone by
    default. `retries` are made by the library with the same idempotency key, `timeout_s` is per
    attempt, in seconds.
    """

    name = "stripe"

    def __init__(
        self,
        api_key: str,
        webhook_secret: str,
        *,
        api_base: str = "",
        methods: Sequence[str] = ("card",),
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = DEFAULT_RETRIES,
    ) -> None:
        if not api_key or not webhook_secret:
            raise ValueError("the card channel needs an API key and a webhook secret")
        self._secret = webhook_secret
        self._methods = tuple(methods)
        self._client = stripe_client(api_key, api_base=api_base, timeout_s=timeout_s, retries=retries)
        self._looking = stripe_client(
            api_key, api_base=api_base, timeout_s=min(timeout_s, LOOK_TIMEOUT_S), retries=0
        )

    @property
    def methods(self) -> tuple[OnlineMethod, ...]:
        """What a buyer may choose from, in the order of the setting."""
        return tuple(OnlineMethod(method) for method in self._methods)

    def open_checkout(self, request: CheckoutRequest) -> CheckoutOpened:
        """Open a Checkout Session in payment mode, or a PaymentIntent for a wallet that was chosen.

        Raises GatewayUnavailable, GatewayRefused.
        """
        if request.method in stripe_intents.WALLETS:
            return stripe_intents.open_wallet(self._client, request)
        with provider_errors():
            session = self._client.v1.checkout.sessions.create(
                self._session_params(request), {"idempotency_key": request.idempotency_key}
            )
        if not session.url:
            raise GatewayRefused("session_without_page", f"{session.id} is {session.status}")
        return CheckoutOpened(session.id, session.url, instant_of(session.expires_at))

    def find_payment(self, provider_ref: str) -> PaymentFound:
        """The state of a Checkout Session or of a wallet's PaymentIntent, asked once and briefly: without an answer
        it is asked again later. Raises GatewayUnavailable, GatewayRefused."""
        if stripe_intents.is_intent(provider_ref):
            return stripe_intents.find_wallet(self._looking, provider_ref)
        with provider_errors():
            session = self._looking.v1.checkout.sessions.retrieve(
                provider_ref, {"expand": ["payment_intent.latest_charge"]}
            )
        intent = session.payment_intent
        charge = None if intent is None or isinstance(intent, str) else intent.latest_charge
        paid = charge if isinstance(charge, stripe.Charge) and charge.paid else None
        return PaymentFound(
            state=_state_of(session),
            reference=session.client_reference_id or "",
            provider_ref=session.id,
            amount_fen=session.amount_total or 0,
            refunded_fen=paid.amount_refunded if paid else 0,
            payment_ref=id_of(intent),
            paid_at=instant_of(paid.created) if paid else None,
            expires_at=instant_of(session.expires_at),
            failure="" if paid or intent is None or isinstance(intent, str) else _failure(intent),
        )

    def close_checkout(self, provider_ref: str) -> PaymentFound:
        """Expire an open session, or cancel a wallet's intent; what was paid or ended before stays as it is.

        Raises GatewayUnavailable, GatewayRefused.
        """
        found = self.find_payment(provider_ref)
        if found.state is not PaymentState.OPEN:
            return found
        try:
            with provider_errors():
                if stripe_intents.is_intent(provider_ref):
                    self._client.v1.payment_intents.cancel(provider_ref)
                else:
                    self._client.v1.checkout.sessions.expire(provider_ref)
        except GatewayRefused:  # it ended between the question and the call: the answer below says how
            pass
        return self.find_payment(provider_ref)

    def refund(self, payment_ref: str, amount_fen: int, idempotency_key: str) -> RefundMade:
        """Give back `amount_fen` of the PaymentIntent `payment_ref`, to the means it was paid with.

        Raises GatewayRefused when it is more than is left, GatewayUnavailable when unknown whether it
        happened.
        """
        params: RefundCreateParams = {"payment_intent": payment_ref, "amount": amount_fen}
        with provider_errors():
            made = self._client.v1.refunds.create(params, {"idempotency_key": idempotency_key})
        state = REFUND_STATES.get(made.status or "", RefundState.PENDING)
        return RefundMade(made.id, payment_ref, made.amount, state)

    def answer_dispute(self, ref: str, text: str, key: str) -> DisputeTold:
        """Send evidence on a dispute. Raises GatewayUnavailable, GatewayRefused."""
        return stripe_disputes.answer(self._client, ref, text, key)

    def accept_dispute(self, ref: str, key: str) -> DisputeTold:
        """Accept that a dispute is lost. Raises GatewayUnavailable, GatewayRefused."""
        return stripe_disputes.accept(self._client, ref, key)

    def balance_moves(self, since: datetime, until: datetime) -> list[BalanceMove]:
        """Stripe's balance transactions. Raises GatewayUnavailable, GatewayRefused."""
        return balance_moves(self._client, since, until)

    def read_event(self, payload: bytes, signature: str) -> GatewayEvent:
        """Verify and read a webhook body exactly as it came. Raises BadSignature."""
        return read_event(payload, signature, self._secret)

    def reread_event(self, payload: bytes) -> GatewayEvent:
        """Read a stored webhook body again. Raises BadSignature when it is none."""
        return reread_event(payload)

    def _session_params(self, request: CheckoutRequest) -> SessionCreateParams:
        metadata = {"reference": request.reference}
        methods = [request.method.value] if request.method else list(self._methods)
        params: SessionCreateParams = {
            "mode": "payment",
            "allowed_payment_method_types": methods,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": CURRENCY,
                        "unit_amount": request.amount_fen,
                        "product_data": {"name": request.description},
                    },
                }
            ],
            "client_reference_id": request.reference,
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata, "description": request.description},
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
            "expires_at": int(request.expires_at.timestamp()),
            "locale": "zh" if request.locale.lower().startswith("zh") else "en",
        }
        if "wechat_pay" in methods:
            params["payment_method_options"] = {"wechat_pay": {"client": "web"}}
        return params


def _state_of(session: stripe.checkout.Session) -> PaymentState:
    """Stripe's pair (status, payment_status) as one word."""
    if session.payment_status == "paid":
        return PaymentState.PAID
    if session.status == "expired":
        return PaymentState.EXPIRED
    return PaymentState.PROCESSING if session.status == "complete" else PaymentState.OPEN


def _failure(intent: stripe.PaymentIntent) -> str:
    error = intent.last_payment_error
    return failure_of(error.to_dict()) if error else ""
