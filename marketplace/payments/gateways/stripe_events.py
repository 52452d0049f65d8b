"""Stripe's signed messages, read into ours.

The signature is checked over the bytes as they came, before anything in them is looked at, and a message
older than the tolerance is refused, so a captured one cannot be played again later.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import stripe

from marketplace.payments.gateways.protocol import BadSignature, EventKind, GatewayEvent

CURRENCY = "cny"
TOLERANCE_S = 300
SESSION_KINDS = {
    "checkout.session.async_payment_succeeded": EventKind.PAID,
    "checkout.session.async_payment_failed": EventKind.FAILED,
    "checkout.session.expired": EventKind.EXPIRED,
}

INTENT_KINDS = {
    "payment_intent.succeeded": EventKind.PAID,
    "payment_intent.payment_failed": EventKind.FAILED,
    "payment_intent.canceled": EventKind.EXPIRED,
}
COLLECTING_KINDS = {
    "account.updated": EventKind.ACCOUNT,
    "transfer.created": EventKind.TRANSFERRED,
    "transfer.reversed": EventKind.TRANSFER_REVERSED,
}
OWN_INTENT = "intent"  # in the metadata of a PaymentIntent that is a checkout of its own


def read_event(payload: bytes, signature: str, secret: str, tolerance_s: int = TOLERANCE_S) -> GatewayEvent:
    """The verified event in `payload`, with `signature` from the Stripe-Signature header.

    `secret` may hold several, separated by commas: messages about connected accounts come from an endpoint with a
    secret of its own. Raises BadSignature when it is not signed with one of them, was altered, is older than
    `tolerance_s` seconds, or is signed but is no event.
    """
    try:
        return _read(_verified(payload, signature, secret, tolerance_s))
    except (stripe.StripeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSignature(f"{type(error).__name__}: {error}") from error


def _verified(payload: bytes, signature: str, secrets: str, tolerance_s: int) -> dict[str, Any]:
    *others, last = secrets.split(",")
    for secret in others:
        try:
            return stripe.Webhook.construct_event(
                payload, signature, secret.strip(), tolerance=tolerance_s
            ).to_dict()
        except stripe.SignatureVerificationError:
            continue  # perhaps signed with the next one
    return stripe.Webhook.construct_event(payload, signature, last.strip(), tolerance=tolerance_s).to_dict()


def reread_event(payload: bytes) -> GatewayEvent:
    """The event in `payload`, which was verified when it was stored. Raises BadSignature when it is none."""
    try:
        return _read(json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSignature(f"{type(error).__name__}: {error}") from error


def _read(event: dict[str, Any]) -> GatewayEvent:
    """Our event from Stripe's. A kind we do not act on is OTHER; it is still an event to be kept."""
    raw_type, row = event["type"], event["data"]["object"]
    kind, provider_ref, payment_ref, amount_fen = _meaning_of(raw_type, row)
    return GatewayEvent(
        event_id=event["id"],
        kind=kind,
        reference=row.get("client_reference_id") or (row.get("metadata") or {}).get("reference", ""),
        amount_fen=amount_fen,
        occurred_at=datetime.fromtimestamp(event["created"], UTC),
        raw_type=raw_type,
        provider_ref=provider_ref,
        payment_ref=payment_ref,
        currency=row.get("currency") or CURRENCY,
        failure=failure_of(row.get("last_payment_error")),
    )


def _meaning_of(raw_type: str, row: dict[str, Any]) -> tuple[EventKind, str | None, str | None, int]:
    """Kind, checkout, payment and amount of one message.

    A completed session is paid only when it says so: with delayed methods the money follows in a later
    message. A succeeded PaymentIntent is OTHER, because its session's own message says the same; one that we opened
    without a session is its own checkout.
    """
    if raw_type.startswith("checkout.session."):
        kind = SESSION_KINDS.get(raw_type, EventKind.OTHER)
        if raw_type == "checkout.session.completed" and row.get("payment_status") == "paid":
            kind = EventKind.PAID
        return kind, row["id"], id_of(row.get("payment_intent")), row.get("amount_total") or 0
    if raw_type in INTENT_KINDS and (row.get("metadata") or {}).get("flow") == OWN_INTENT:
        amount_fen = row.get("amount_received") or row["amount"]
        return INTENT_KINDS[raw_type], row["id"], row["id"], amount_fen
    if raw_type == "payment_intent.payment_failed":
        return EventKind.FAILED, None, row["id"], row["amount"]
    if raw_type.startswith("charge."):
        return _meaning_of_charge(raw_type, row)
    if raw_type in COLLECTING_KINDS:
        moved = row.get("amount_reversed" if raw_type == "transfer.reversed" else "amount") or 0
        return COLLECTING_KINDS[raw_type], row["id"], None, moved
    return EventKind.OTHER, None, None, row.get("amount") or 0


def _meaning_of_charge(raw_type: str, row: dict[str, Any]) -> tuple[EventKind, str | None, str | None, int]:
    if raw_type.startswith("charge.dispute."):
        return EventKind.DISPUTED, row["id"], id_of(row.get("payment_intent")), row["amount"]
    if raw_type == "charge.refunded":
        return EventKind.REFUNDED, None, id_of(row.get("payment_intent")), row["amount_refunded"]
    return EventKind.OTHER, None, None, row.get("amount") or 0


def failure_of(error: Any) -> str:
    """The most telling code of a `last_payment_error`, empty when there is none."""
    if not error:
        return ""
    return str(error.get("decline_code") or error.get("code") or error.get("type") or "")


def id_of(value: Any) -> str | None:
    """The id in a field that Stripe fills with an id, with the whole object, or not at all."""
    if value is None or isinstance(value, str):
        return value
    found = value["id"]
    return str(found)
