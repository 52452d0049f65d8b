"""Cards through Stripe Checkout, with the provider's own library.

The payer types the card on the provider's page; no card number reaches us. One checkout session per payment,
its key kept by the caller, so a retry after an outage finds the session that exists instead of opening a
second one. Reading messages is in stripe_events.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import stripe

from marketplace.payments.gateways.protocol import (
    CheckoutOpened,
    CheckoutRequest,
    GatewayEvent,
    GatewayRefused,
    GatewayUnavailable,
    PaymentFound,
    PaymentState,
    RefundMade,
    RefundState,
)
from marketplace.payments.gateways.stripe_events import CURRENCY, id_of, read_event

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_RETRIES = 2
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
REFUND_STATES = {"succeeded": RefundState.DONE, "failed": RefundState.FAILED, "canceled": RefundState.FAILED}


class StripeGateway:
    """The card channel.

    `api_base` empty means Stripe itself, otherwise the address of the emulator. `methods` are Stripe's
    payment method types shown on the page; a mainland entity cannot take WeChat Pay through Stripe, hence
    card alone by default. `retries` are made by the library with the same idempotency key, `timeout_s` is per
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
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=timeout_s, session=_direct_session(api_base)),
        )

    def open_checkout(self, request: CheckoutRequest) -> CheckoutOpened:
        """Open a Checkout Session in payment mode. Raises GatewayUnavailable, GatewayRefused."""
        with _provider_errors():
            session = self._client.v1.checkout.sessions.create(
                self._session_params(request), {"idempotency_key": request.idempotency_key}
            )
        if not session.url:
            raise GatewayRefused("session_without_page", f"{session.id} is {session.status}")
        return CheckoutOpened(session.id, session.url, _instant(session.expires_at))

    def find_payment(self, provider_ref: str) -> PaymentFound:
        """The state of the Checkout Session `provider_ref`. Raises GatewayUnavailable, GatewayRefused."""
        with _provider_errors():
            session = self._client.v1.checkout.sessions.retrieve(
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
            paid_at=_instant(paid.created) if paid else None,
            expires_at=_instant(session.expires_at),
        )

    def refund(self, payment_ref: str, amount_fen: int, idempotency_key: str) -> RefundMade:
        """Give back `amount_fen` of the PaymentIntent `payment_ref`, to the means it was paid with.

        Raises GatewayRefused when it is more than is left, GatewayUnavailable when unknown whether it
        happened.
        """
        params: RefundCreateParams = {"payment_intent": payment_ref, "amount": amount_fen}
        with _provider_errors():
            made = self._client.v1.refunds.create(params, {"idempotency_key": idempotency_key})
        state = REFUND_STATES.get(made.status or "", RefundState.PENDING)
        return RefundMade(made.id, payment_ref, made.amount, state)

    def read_event(self, payload: bytes, signature: str) -> GatewayEvent:
        """Verify and read a webhook body exactly as it came. Raises BadSignature."""
        return read_event(payload, signature, self._secret)

    def _session_params(self, request: CheckoutRequest) -> SessionCreateParams:
        metadata = {"reference": request.reference}
        params: SessionCreateParams = {
            "mode": "payment",
            "allowed_payment_method_types": list(self._methods),
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
        if "wechat_pay" in self._methods:
            params["payment_method_options"] = {"wechat_pay": {"client": "web"}}
        return params


@contextmanager
def _provider_errors() -> Iterator[None]:
    """Turn the library's errors into ours: unknown outcome, or a clear no."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise GatewayUnavailable(str(error)) from error
    except stripe.APIError as error:  # a 5xx, or 409 while the first call still runs
        raise GatewayUnavailable(f"{error.http_status}: {error}") from error
    except stripe.IdempotencyError as error:
        raise GatewayRefused("idempotency_error", str(error)) from error
    except stripe.StripeError as error:
        raise GatewayRefused(error.code or type(error).__name__, str(error)) from error


def _state_of(session: stripe.checkout.Session) -> PaymentState:
    """Stripe's pair (status, payment_status) as one word."""
    if session.payment_status == "paid":
        return PaymentState.PAID
    if session.status == "expired":
        return PaymentState.EXPIRED
    return PaymentState.PROCESSING if session.status == "complete" else PaymentState.OPEN


def _direct_session(api_base: str) -> requests.Session | None:
    """For an emulator on this machine, a session that ignores the proxy of the office network."""
    if urlsplit(api_base).hostname not in LOOPBACK:
        return None
    session = requests.Session()
    session.trust_env = False
    return session


def _instant(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
