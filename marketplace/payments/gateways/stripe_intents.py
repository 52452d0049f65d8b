"""Wallets through Stripe: a PaymentIntent that is confirmed as soon as it is made.

The answer is either a page of the wallet to go to (Alipay) or a code to scan (WeChat Pay). An intent has no end of its
own: whoever opened it cancels it when the time is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stripe

from marketplace.payments.gateways.protocol import (
    CheckoutOpened,
    CheckoutRequest,
    GatewayRefused,
    OnlineMethod,
    PaymentFound,
    PaymentState,
)
from marketplace.payments.gateways.stripe_errors import instant_of, provider_errors
from marketplace.payments.gateways.stripe_events import CURRENCY, OWN_INTENT, failure_of

if TYPE_CHECKING:
    from stripe.params import PaymentIntentCreateParams

WALLETS = frozenset({OnlineMethod.ALIPAY, OnlineMethod.WECHAT_PAY})
STATES = {
    "succeeded": PaymentState.PAID,
    "processing": PaymentState.PROCESSING,
    "canceled": PaymentState.EXPIRED,
}
PAGES = ("alipay_handle_redirect", "redirect_to_url")


def is_intent(provider_ref: str) -> bool:
    """Whether a reference names a PaymentIntent and not a Checkout Session."""
    return provider_ref.startswith("pi_")


def open_wallet(client: stripe.StripeClient, request: CheckoutRequest) -> CheckoutOpened:
    """Make and confirm the intent of a wallet payment. Raises GatewayUnavailable, GatewayRefused."""
    with provider_errors():
        intent = client.v1.payment_intents.create(
            _params(request), {"idempotency_key": request.idempotency_key}
        )
    action: dict[str, Any] = intent.next_action.to_dict() if intent.next_action else {}
    scan = action.get("wechat_pay_display_qr_code")
    if scan:
        return CheckoutOpened(intent.id, scan["hosted_instructions_url"], request.expires_at, scan["data"])
    page = next((action[kind]["url"] for kind in PAGES if action.get(kind)), None)
    if not page:
        raise GatewayRefused("wallet_without_page", f"{intent.id} is {intent.status}")
    return CheckoutOpened(intent.id, page, request.expires_at)


def find_wallet(client: stripe.StripeClient, provider_ref: str) -> PaymentFound:
    """Where the intent of a wallet payment stands. Raises GatewayUnavailable, GatewayRefused."""
    with provider_errors():
        intent = client.v1.payment_intents.retrieve(provider_ref, {"expand": ["latest_charge"]})
    charge = intent.latest_charge
    paid = charge if isinstance(charge, stripe.Charge) and charge.paid else None
    state = STATES.get(intent.status, PaymentState.OPEN)
    error = intent.last_payment_error
    return PaymentFound(
        state=state,
        reference=str((intent.to_dict().get("metadata") or {}).get("reference", "")),
        provider_ref=intent.id,
        amount_fen=intent.amount_received if state is PaymentState.PAID else intent.amount,
        refunded_fen=paid.amount_refunded if paid else 0,
        payment_ref=intent.id,
        paid_at=instant_of(paid.created) if paid else None,
        failure=failure_of(error.to_dict()) if error and not paid else "",
    )


def _params(request: CheckoutRequest) -> PaymentIntentCreateParams:
    if request.method not in WALLETS:
        raise ValueError("only a wallet is confirmed without a page of the provider")
    params: PaymentIntentCreateParams = {
        "amount": request.amount_fen,
        "currency": CURRENCY,
        "description": request.description,
        "allowed_payment_method_types": [request.method.value],
        "payment_method_data": {"type": request.method.value},
        "confirm": True,
        "return_url": request.success_url,
        "metadata": {"reference": request.reference, "flow": OWN_INTENT},
    }
    if request.method is OnlineMethod.WECHAT_PAY:
        params["payment_method_options"] = {"wechat_pay": {"client": "web"}}
    return params
