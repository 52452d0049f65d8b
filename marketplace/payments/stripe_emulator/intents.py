"""PaymentIntents and their charges: one attempt to pay after another, until one succeeds.

A card pays or declines at once, or asks for 3-D Secure; a wallet always asks. Who shows the asking page, and
what a Checkout Session makes of the result, is not known here.
"""

from __future__ import annotations

from marketplace.payments.stripe_emulator import balance, params as read
from marketplace.payments.stripe_emulator.cards import METHODS, Means, Outcome, means_of
from marketplace.payments.stripe_emulator.emulator import Emulator, public
from marketplace.payments.stripe_emulator.faults import Json, StripeFault, invalid, unexpected_state
from marketplace.payments.stripe_emulator.store import new_id

PAYABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
CANCEL_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
UNAUTHENTICATED = {
    "type": "card_error",
    "code": "payment_intent_authentication_failure",
    "message": "The payer did not confirm the payment.",
}


def create(emulator: Emulator, params: Json) -> Json:
    """POST /v1/payment_intents."""
    read.allow(
        params,
        *("amount", "currency", "description", "metadata", "allowed_payment_method_types", "transfer_group"),
        *("automatic_payment_methods", "confirm", "payment_method", "payment_method_data", "return_url"),
        "payment_method_options",
    )
    intent = open_intent(
        emulator,
        amount=read.amount(params),
        currency=read.currency(params),
        methods=usable_methods(params),
        metadata=read.metadata(params),
        description=read.text(params, "description"),
        transfer_group=read.text(params, "transfer_group"),
    )
    return confirm(emulator, params, intent["id"], new=True) if read.flag(params, "confirm") else intent


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/payment_intents/<key>."""
    read.allow(params, "client_secret")
    return emulator.store.one("payment_intent", key, "intent")


def confirm(emulator: Emulator, params: Json, key: str, *, new: bool = False) -> Json:
    """POST /v1/payment_intents/<key>/confirm. Raises the 402 of a declined card."""
    if not new:
        read.allow(params, "payment_method", "payment_method_data", "return_url")
    intent = _own(emulator, key)
    data = read.group(params, "payment_method_data")
    named = read.text(params, "payment_method") or read.text(data, "type")
    if named is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise unexpected_state(message, payment_intent=public(intent))
    means = means_of(named, intent["payment_method_types"])
    intent["_return_url"] = read.web_address(params, "return_url", needed=means.card is None)
    attempt(emulator, intent, means)
    error = intent["last_payment_error"]
    if intent["status"] == "requires_payment_method" and error:
        details = {name: value for name, value in error.items() if name not in {"type", "message"}}
        raise StripeFault(402, "card_error", error["message"], payment_intent=public(intent), **details)
    return intent


def cancel(emulator: Emulator, params: Json, key: str) -> Json:
    """POST /v1/payment_intents/<key>/cancel."""
    read.allow(params, "cancellation_reason")
    reason = read.choice(params, "cancellation_reason", CANCEL_REASONS)
    intent = _own(emulator, key)
    if intent["status"] not in PAYABLE:
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise unexpected_state(message, payment_intent=public(intent))
    return call_off(emulator, intent, reason)


def call_off(emulator: Emulator, intent: Json, reason: str | None) -> Json:
    """End an intent that was not paid."""
    intent.update(status="canceled", canceled_at=emulator.now(), cancellation_reason=reason, next_action=None)
    emulator.store.put("payment_intent", intent)
    emulator.emit("payment_intent.canceled", intent)
    return intent


def retrieve_charge(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/charges/<key>."""
    read.allow(params)
    return emulator.store.one("charge", key, "charge")


def open_intent(
    emulator: Emulator,
    *,
    amount: int,
    currency: str,
    methods: list[str],
    metadata: dict[str, str],
    description: str | None,
    transfer_group: str | None = None,
    session_id: str | None = None,
) -> Json:
    """Make a new intent that waits for a means of payment."""
    key = new_id("pi_")
    intent: Json = {
        "id": key,
        "object": "payment_intent",
        "allowed_payment_method_types": methods,
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{key}_secret_{new_id('')}",
        "confirmation_method": "automatic",
        "created": emulator.now(),
        "currency": currency,
        "customer": None,
        "description": description,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": metadata,
        "next_action": None,
        "payment_method": None,
        "payment_method_types": methods,
        "status": "requires_payment_method",
        "transfer_group": transfer_group,
        "_session": session_id,
        "_means": None,
        "_return_url": None,
    }
    emulator.store.put("payment_intent", intent)
    emulator.emit("payment_intent.created", intent)
    return intent


def usable_methods(params: Json) -> list[str]:
    """The methods asked for that exist here; Stripe drops the others silently. Card alone when none was named."""
    named = read.texts(params, "allowed_payment_method_types") or ["card"]
    usable = [method for method in METHODS if method in named]
    if not usable:
        message = "None of the payment method types can be used with this account and currency."
        raise invalid(message, param="allowed_payment_method_types")
    return usable


def attempt(emulator: Emulator, intent: Json, means: Means) -> Json:
    """Charge `means` once; the intent then is succeeded, requires_action, or requires_payment_method again."""
    if intent["status"] not in PAYABLE:
        message = f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}."
        raise unexpected_state(message, payment_intent=public(intent))
    intent.update(last_payment_error=None, payment_method=new_id("pm_"), _means=means.details())
    if means.outcome is Outcome.ASKS:
        intent.update(status="requires_action", next_action=_next_action(emulator, intent, means))
        emulator.store.put("payment_intent", intent)
        emulator.emit("payment_intent.requires_action", intent)
    elif means.outcome is Outcome.PAYS:
        _succeed(emulator, intent)
    elif means.card is not None:
        error = {"type": "card_error", "code": means.card.code, "decline_code": means.card.decline_code}
        _fail(emulator, intent, {**error, "message": means.card.message})
    return intent


def _next_action(emulator: Emulator, intent: Json, means: Means) -> Json:
    """How the payer is asked: a page to go to, or for WeChat Pay a code to scan."""
    url = f"{emulator.base_url}/c/authorize/{intent['id']}"
    if means.kind == "wechat_pay":
        scan = {"data": url, "hosted_instructions_url": url, "image_url_png": url, "image_url_svg": url}
        return {"type": "wechat_pay_display_qr_code", "wechat_pay_display_qr_code": scan}
    kind = "alipay_handle_redirect" if means.kind == "alipay" else "redirect_to_url"
    return {"type": kind, kind: {"url": url, "return_url": intent["_return_url"]}}


def authorize(emulator: Emulator, intent: Json, *, agreed: bool) -> Json:
    """The payer's answer on the asking page. Anything but a waiting intent is left as it is."""
    if intent["status"] != "requires_action":
        return intent
    if agreed:
        _succeed(emulator, intent)
    else:
        _fail(emulator, intent, dict(UNAUTHENTICATED))
    return intent


def _own(emulator: Emulator, key: str) -> Json:
    """An intent that calls may steer: not one that a checkout page steers."""
    intent = emulator.store.one("payment_intent", key, "intent")
    if intent["_session"]:
        message = "This PaymentIntent belongs to a Checkout Session and cannot be changed by a call."
        raise unexpected_state(message, payment_intent=public(intent))
    return intent


def _succeed(emulator: Emulator, intent: Json) -> None:
    charge = _add_charge(emulator, intent, None)
    fee = balance.charge_fee(emulator, charge["amount"])
    balance.move(emulator, "charge", charge, charge["amount"], fee=fee)
    emulator.store.put("charge", charge)
    intent.update(
        status="succeeded",
        amount_received=intent["amount"],
        next_action=None,
        latest_charge=charge["id"],
    )
    emulator.store.put("payment_intent", intent)
    emulator.emit("charge.succeeded", charge)
    emulator.emit("payment_intent.succeeded", intent)


def _fail(emulator: Emulator, intent: Json, error: Json) -> None:
    charge = _add_charge(emulator, intent, error)
    intent.update(
        status="requires_payment_method",
        next_action=None,
        payment_method=None,
        latest_charge=charge["id"],
        last_payment_error={**error, "charge": charge["id"]},
    )
    emulator.store.put("payment_intent", intent)
    emulator.emit("charge.failed", charge)
    emulator.emit("payment_intent.payment_failed", intent)


def _add_charge(emulator: Emulator, intent: Json, error: Json | None) -> Json:
    paid = error is None
    charge = {
        "id": new_id("ch_"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": paid,
        "created": emulator.now(),
        "currency": intent["currency"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": None if error is None else error["code"],
        "failure_message": None if error is None else error["message"],
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": intent["_means"],
        "refunded": False,
        "status": "succeeded" if paid else "failed",
        "transfer_group": intent["transfer_group"],
    }
    return emulator.store.put("charge", charge)
