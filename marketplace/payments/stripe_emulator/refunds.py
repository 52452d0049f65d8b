"""Refunds: money back to where it came from, in parts or whole, never more than was paid."""

from __future__ import annotations

from marketplace.core.money import format_yuan
from marketplace.payments.stripe_emulator import balance, params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create(emulator: Emulator, params: Json) -> Json:
    """POST /v1/refunds, for a PaymentIntent or a charge; all that is left when no amount is given."""
    read.allow(params, "payment_intent", "charge", "amount", "reason", "metadata")
    charge = _charge_of(emulator, params)
    if charge["disputed"]:
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = read.amount(params) if "amount" in params else left
    if amount > left:
        message = (
            f"Refund amount (¥{format_yuan(amount)}) is greater than unrefunded amount on charge"
            f" (¥{format_yuan(left)})"
        )
        raise invalid(message, param="amount", code="amount_too_large")
    refund: Json = {
        "id": new_id("re_"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": emulator.now(),
        "currency": charge["currency"],
        "metadata": read.metadata(params),
        "payment_intent": charge["payment_intent"],
        "reason": read.choice(params, "reason", REASONS),
        "receipt_number": None,
        "status": "succeeded",
    }
    given_back = charge["amount_refunded"] + amount
    charge.update(amount_refunded=given_back, refunded=given_back == charge["amount"])
    balance.move(emulator, "refund", refund, -amount)
    emulator.store.put("refund", refund)
    emulator.store.put("charge", charge)
    emulator.emit("refund.created", refund)
    emulator.emit("charge.refunded", charge)
    return refund


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/refunds/<key>."""
    read.allow(params)
    return emulator.store.one("refund", key, "refund")


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/refunds."""
    read.allow(params, "limit", "starting_after", "ending_before", "payment_intent", "charge")
    wanted = {name: read.text(params, name) for name in ("payment_intent", "charge")}
    return page_of(
        emulator,
        "refund",
        params,
        lambda row: all(value is None or row[name] == value for name, value in wanted.items()),
    )


def _charge_of(emulator: Emulator, params: Json) -> Json:
    """The paid charge to refund."""
    named = read.text(params, "charge")
    if named is None:
        intent = emulator.store.one(
            "payment_intent", read.required(params, "payment_intent"), "payment_intent"
        )
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise invalid(message, param="payment_intent")
        named = intent["latest_charge"]
    charge = emulator.store.one("charge", named or "", "charge")
    if not charge["paid"]:
        raise invalid(f"Charge {charge['id']} was not paid.", param="charge")
    return charge
