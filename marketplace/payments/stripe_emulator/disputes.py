"""Disputes: a payer asks the bank for the money back; it is taken from the balance at once and comes back when won.

A bank may only inquire first (`warning_…`): nothing is withdrawn until it turns the inquiry into a dispute.

A test opens one with the control `disputes` or by paying with the card that is known for it. Evidence that is submitted
wins when its text says `winning_evidence` and loses with `losing_evidence`, as at Stripe; any other text leaves the
decision to the control.
"""

from __future__ import annotations

from marketplace.payments.stripe_emulator import balance, params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

DAYS_TO_ANSWER = 7
DAY_S = 86_400
INQUIRY = ("warning_needs_response", "warning_under_review")
OPEN = ("needs_response", "under_review", *INQUIRY)
REASONS = (
    "fraudulent",
    "product_not_received",
    "product_unacceptable",
    "duplicate",
    "credit_not_processed",
    "general",
)
EVIDENCE = (
    "uncategorized_text",
    "product_description",
    "shipping_carrier",
    "shipping_tracking_number",
    "shipping_date",
)
DECIDED_BY = {"winning_evidence": True, "losing_evidence": False}


def open_dispute(
    emulator: Emulator,
    charge: Json,
    amount: int | None = None,
    reason: str = "fraudulent",
    *,
    inquires: bool = False,
) -> Json:
    """The payer of `charge` disputes `amount` of it, all that is left when none is given, or the bank only inquires."""
    left = charge["amount"] - charge["amount_refunded"]
    if not charge["paid"] or charge["disputed"] or not 0 < (amount or left) <= left:
        raise invalid(f"Charge {charge['id']} cannot be disputed.", param="charge")
    dispute: Json = {
        "id": new_id("dp_"),
        "object": "dispute",
        "amount": amount or left,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": emulator.now(),
        "currency": charge["currency"],
        "evidence": dict.fromkeys(EVIDENCE),
        "evidence_details": {
            "due_by": emulator.now() + DAYS_TO_ANSWER * DAY_S,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": INQUIRY[0] if inquires else "needs_response",
        "_charge_metadata": dict(charge["metadata"]),
    }
    charge["disputed"] = True
    emulator.store.put("charge", charge)
    if inquires:
        emulator.store.put("dispute", dispute)
        emulator.emit("charge.dispute.created", dispute)
        return dispute
    _move(emulator, dispute, -dispute["amount"])
    emulator.emit("charge.dispute.created", dispute)
    emulator.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def escalate(emulator: Emulator, dispute: Json) -> Json:
    """The bank turns an inquiry into a dispute and takes the money."""
    if dispute["status"] not in INQUIRY:
        raise invalid(f"Dispute {dispute['id']} is {dispute['status']}.", param="dispute")
    dispute["status"] = "needs_response"
    _move(emulator, dispute, -dispute["amount"])
    emulator.emit("charge.dispute.updated", dispute)
    emulator.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def update(emulator: Emulator, params: Json, key: str) -> Json:
    """POST /v1/disputes/<key>: stage evidence, or submit it."""
    read.allow(params, "evidence", "submit", "metadata")
    dispute = _open_one(emulator, key)
    evidence = read.group(params, "evidence")
    read.allow(evidence, *EVIDENCE)
    for name in evidence:
        dispute["evidence"][name] = read.text(evidence, name, limit=20_000)
    dispute["evidence_details"]["has_evidence"] = any(dispute["evidence"].values())
    if read.choice(params, "submit", ("true", "false"), "true") == "true":
        dispute["evidence_details"]["submission_count"] += 1
        dispute["status"] = INQUIRY[1] if dispute["status"] in INQUIRY else "under_review"
    emulator.store.put("dispute", dispute)
    emulator.emit("charge.dispute.updated", dispute)
    decided = DECIDED_BY.get(dispute["evidence"]["uncategorized_text"] or "")
    return dispute if decided is None else decide(emulator, dispute, won=decided)


def close(emulator: Emulator, params: Json, key: str) -> Json:
    """POST /v1/disputes/<key>/close: accept the loss."""
    read.allow(params)
    return decide(emulator, _open_one(emulator, key), won=False)


def decide(emulator: Emulator, dispute: Json, *, won: bool) -> Json:
    """The bank decides; what was withdrawn comes back when the shop has won. An inquiry is closed."""
    if dispute["status"] not in OPEN:
        raise invalid(f"Dispute {dispute['id']} is {dispute['status']}.", param="dispute")
    if dispute["status"] in INQUIRY:
        return _close_inquiry(emulator, dispute, won=won)
    dispute["status"] = "won" if won else "lost"
    if won:
        _move(emulator, dispute, dispute["amount"], reversal=True)
    emulator.store.put("dispute", dispute)
    emulator.emit("charge.dispute.closed", dispute)
    if won:
        emulator.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def _close_inquiry(emulator: Emulator, dispute: Json, *, won: bool) -> Json:
    if not won:
        raise invalid("An inquiry cannot be closed.", param="dispute")
    dispute["status"] = "warning_closed"
    emulator.store.put("dispute", dispute)
    emulator.emit("charge.dispute.closed", dispute)
    return dispute


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/disputes/<key>."""
    read.allow(params)
    return emulator.store.one("dispute", key, "dispute")


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/disputes."""
    read.allow(params, "limit", "starting_after", "ending_before", "payment_intent", "charge")
    wanted = {name: read.text(params, name) for name in ("payment_intent", "charge")}
    return page_of(
        emulator,
        "dispute",
        params,
        lambda row: all(value is None or row[name] == value for name, value in wanted.items()),
    )


def _open_one(emulator: Emulator, key: str) -> Json:
    dispute = emulator.store.one("dispute", key, "dispute")
    if dispute["status"] not in OPEN:
        raise invalid(f"This dispute is already closed ({dispute['status']}).", param="dispute")
    return dispute


def _move(emulator: Emulator, dispute: Json, amount: int, *, reversal: bool = False) -> None:
    row = balance.move(emulator, "adjustment", dispute, amount, reversal=reversal)
    dispute["balance_transactions"] = [*dispute["balance_transactions"], row]
    emulator.store.put("dispute", dispute)
