"""Stripe's disputes: reading them, sending evidence, accepting the loss."""

from __future__ import annotations

import json
from typing import Any

import stripe

from marketplace.payments.gateways.disputes import DisputeStatus, DisputeTold
from marketplace.payments.gateways.stripe_errors import instant_of, provider_errors
from marketplace.payments.gateways.stripe_events import id_of

STATUSES = {
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "warning_needs_response": DisputeStatus.INQUIRY,
    "warning_under_review": DisputeStatus.INQUIRY,
    "warning_closed": DisputeStatus.CLOSED,
}


def dispute_in(payload: str) -> DisputeTold:
    """The dispute in a stored message. Raises ValueError, KeyError or TypeError for a message of another kind."""
    return _told(json.loads(payload)["data"]["object"])


def answer(client: stripe.StripeClient, ref: str, text: str, key: str) -> DisputeTold:
    """Submit evidence in words. Raises GatewayUnavailable, GatewayRefused."""
    with provider_errors():
        found = client.v1.disputes.update(
            ref, {"evidence": {"uncategorized_text": text}, "submit": True}, {"idempotency_key": key}
        )
    return _told(found.to_dict())


def accept(client: stripe.StripeClient, ref: str, key: str) -> DisputeTold:
    """Accept the loss. Raises GatewayUnavailable, GatewayRefused."""
    with provider_errors():
        return _told(client.v1.disputes.close(ref, {}, {"idempotency_key": key}).to_dict())


def _told(row: dict[str, Any]) -> DisputeTold:
    due_by = (row.get("evidence_details") or {}).get("due_by")
    return DisputeTold(
        ref=row["id"],
        payment_ref=id_of(row.get("payment_intent")),
        amount_fen=row["amount"],
        reason=row.get("reason") or "general",
        status=STATUSES.get(row["status"], DisputeStatus.NEEDS_ANSWER),
        due_at=instant_of(due_by) if due_by else None,
        opened_at=instant_of(row["created"]),
    )
