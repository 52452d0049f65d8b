"""The balance: one transaction for everything that moved money, with the fee the provider keeps.

As at Stripe a transaction says what came (`amount`), what was kept (`fee`) and what is left (`net`). The fee is a share
of charges alone, rounded half up; nothing of it comes back with a refund.
"""

from __future__ import annotations

from marketplace.payments.stripe_emulator import params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

TYPES = ("charge", "refund", "adjustment", "transfer", "payout")
CATEGORIES = {
    "charge": "charge",
    "refund": "refund",
    "adjustment": "dispute",
    "transfer": "transfer",
    "payout": "payout",
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
    kind, source = read.choice(params, "type", TYPES), read.text(params, "source")
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


def create_payout(emulator: Emulator, params: Json) -> Json:
    """POST /v1/payouts: send money of the balance to the bank account."""
    read.allow(params, "amount", "currency", "description", "metadata", "statement_descriptor")
    amount = read.amount(params)
    if amount > total(emulator):
        raise invalid(
            "You have insufficient funds in your account.", param="amount", code="balance_insufficient"
        )
    payout: Json = {
        "id": new_id("po_"),
        "object": "payout",
        "amount": amount,
        "arrival_date": emulator.now(),
        "created": emulator.now(),
        "currency": read.currency(params),
        "description": read.text(params, "description"),
        "livemode": False,
        "metadata": read.metadata(params),
        "statement_descriptor": read.text(params, "statement_descriptor", limit=22),
        "status": "paid",
    }
    move(emulator, "payout", payout, -amount)
    emulator.store.put("payout", payout)
    emulator.emit("payout.paid", payout)
    return payout


def total(emulator: Emulator) -> int:
    """The whole balance in fen."""
    return sum(row["net"] for row in emulator.store.newest_first("balance_transaction"))
