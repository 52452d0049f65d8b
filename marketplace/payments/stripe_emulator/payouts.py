"""Payouts from the platform's balance to its bank account, and what comes back when the bank refuses one."""

from __future__ import annotations

from marketplace.payments.stripe_emulator import balance, params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id


def create(emulator: Emulator, params: Json) -> Json:
    """POST /v1/payouts: send money of the balance to the bank account."""
    read.allow(params, "amount", "currency", "description", "metadata", "statement_descriptor")
    amount = read.amount(params)
    if amount > balance.total(emulator):
        raise balance.insufficient()
    payout: Json = {
        "id": new_id("po_"),
        "object": "payout",
        "amount": amount,
        "arrival_date": emulator.now(),
        "created": emulator.now(),
        "currency": read.currency(params),
        "description": read.text(params, "description"),
        "failure_balance_transaction": None,
        "failure_code": None,
        "livemode": False,
        "metadata": read.metadata(params),
        "statement_descriptor": read.text(params, "statement_descriptor", limit=22),
        "status": "paid",
    }
    balance.move(emulator, "payout", payout, -amount)
    emulator.store.put("payout", payout)
    emulator.emit("payout.created", {**payout, "status": "pending"})
    emulator.emit("payout.paid", payout)
    return payout


def fail(emulator: Emulator, payout: Json) -> Json:
    """The bank sends a payout back; its money is on the balance again."""
    if payout["status"] == "failed":
        raise invalid(f"Payout {payout['id']} has failed already.", param="payout")
    first = payout["balance_transaction"]
    row = balance.move(emulator, "payout_failure", payout, payout["amount"])
    payout.update(
        balance_transaction=first,
        failure_balance_transaction=row["id"],
        failure_code="account_closed",
        status="failed",
    )
    emulator.store.put("payout", payout)
    emulator.emit("payout.failed", payout)
    return payout


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/payouts/<key>."""
    read.allow(params)
    return emulator.store.one("payout", key, "payout")


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/payouts."""
    read.allow(params, "limit", "starting_after", "ending_before", "status")
    status = read.text(params, "status")
    return page_of(emulator, "payout", params, lambda row: status is None or row["status"] == status)
