"""The balance: one transaction for everything that moved money, with the fee the provider keeps.

As at Stripe a transaction says what came (`amount`), what was kept (`fee`) and what is left (`net`). The fee is a share
of charges alone, rounded half up; nothing of it comes back with a refund.
"""

from __future__ import annotations

from marketplace.payments.stripe_emulator import params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, StripeFault, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

CATEGORIES = {
    "charge": "charge",
    "refund": "refund",
    "adjustment": "dispute",
    "transfer": "transfer",
    "transfer_refund": "transfer_reversal",
    "payout": "payout",
    "payout_failure": "payout_reversal",
}


def move(
    emulator: Emulator, kind: str, source: Json, amount: int, *, fee: int = 0, reversal: bool = False
) -> Json:
    """Enter `amount` (negative when money goes out) for `source`; its row gets the transaction's id."""
    row: Json = {
        "id": new_id("txn_"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": emulator.now(),
        "created": emulator.now(),
        "currency": source["currency"],
        "description": source.get("description"),
        "fee": fee,
        "net": amount - fee,
        "reporting_category": "dispute_reversal" if reversal else CATEGORIES[kind],
        "source": source["id"],
        "status": "available",
        "type": kind,
    }
    source["balance_transaction"] = row["id"]
    return emulator.store.put("balance_transaction", row)


def charge_fee(emulator: Emulator, amount: int) -> int:
    """What is kept of a charge, in fen: the emulator's rate in basis points, rounded half up."""
    return (amount * emulator.options.fee_bp + 5_000) // 10_000


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/balance_transactions, of a span of time, a type, or one source."""
    read.allow(params, "limit", "starting_after", "ending_before", "created", "type", "source", "payout")
    span = read.group(params, "created")
    read.allow(span, "gte", "gt", "lte", "lt")
    kind, source = read.choice(params, "type", CATEGORIES), read.text(params, "source")
    least, below = read.whole(span, "gte"), read.whole(span, "lt")
    return page_of(
        emulator,
        "balance_transaction",
        params,
        lambda row: (
            (kind is None or row["type"] == kind)
            and (source is None or row["source"] == source)
            and (least is None or row["created"] >= least)
            and (below is None or row["created"] < below)
        ),
    )


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/balance_transactions/<key>."""
    read.allow(params)
    return emulator.store.one("balance_transaction", key)


def total(emulator: Emulator) -> int:
    """The whole balance in fen."""
    return sum(row["net"] for row in emulator.store.newest_first("balance_transaction"))


def insufficient() -> StripeFault:
    """The 400 for more than there is; like every call that was executed it is kept under its key."""
    message = "You have insufficient available funds in your account."
    return invalid(message, param="amount", code="balance_insufficient")
