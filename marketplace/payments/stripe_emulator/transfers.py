"""Transfers from the platform's balance to connected accounts, and their reversals."""

from __future__ import annotations

from marketplace.payments.stripe_emulator import balance, params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id


def create(emulator: Emulator, params: Json) -> Json:
    """POST /v1/transfers, to an account that may take money. With a charge as the source never more than is left of
    it, else never more than the balance."""
    read.allow(
        params,
        *("amount", "currency", "destination", "description", "metadata", "source_transaction"),
        "transfer_group",
    )
    amount = read.amount(params)
    account = emulator.store.one("account", read.required(params, "destination"), "destination")
    source = read.text(params, "source_transaction")
    transfer: Json = {
        "id": new_id("tr_"),
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": emulator.now(),
        "currency": read.currency(params),
        "description": read.text(params, "description"),
        "destination": account["id"],
        "livemode": False,
        "metadata": read.metadata(params),
        "reversed": False,
        "source_transaction": source,
        "transfer_group": read.text(params, "transfer_group"),
    }
    if account["capabilities"].get("transfers") != "active":
        message = f"The account {account['id']} cannot receive transfers: the capability is not active."
        raise invalid(message, param="destination", code="insufficient_capabilities_for_transfer")
    if source is not None:
        _check_charge(emulator, source, amount)
    elif amount > balance.total(emulator):
        raise balance.insufficient()
    balance.move(emulator, "transfer", transfer, -amount)
    _change(emulator, account, amount)
    emulator.store.put("transfer", transfer)
    emulator.emit("transfer.created", transfer)
    return transfer


def _check_charge(emulator: Emulator, source: str, amount: int) -> None:
    charge = emulator.store.one("charge", source, "source_transaction")
    sent = sum(
        row["amount"]
        for row in emulator.store.newest_first("transfer")
        if row["source_transaction"] == source
    )
    if amount > charge["amount_captured"] - charge["amount_refunded"] - sent:
        message = f"The transfer would be more than what is left of {source}."
        raise invalid(message, param="amount", code="insufficient_funds")


def reverse(emulator: Emulator, params: Json, key: str) -> Json:
    """POST /v1/transfers/<key>/reversals: take back what is still on the account, all that is left when no amount is
    given."""
    read.allow(params, "amount", "description", "metadata")
    transfer = emulator.store.one("transfer", key, "transfer")
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = read.amount(params) if "amount" in params else left
    if not 0 < amount <= left:
        message = f"The reversal would be more than what is left of {key}."
        raise invalid(message, param="amount", code="amount_too_large")
    account = emulator.store.one("account", transfer["destination"])
    if amount > account["_balance"]:
        raise balance.insufficient()
    reversal: Json = {
        "id": new_id("trr_"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": emulator.now(),
        "currency": transfer["currency"],
        "metadata": read.metadata(params),
        "transfer": transfer["id"],
    }
    given_back = transfer["amount_reversed"] + amount
    transfer.update(amount_reversed=given_back, reversed=given_back == transfer["amount"])
    balance.move(emulator, "transfer_refund", reversal, amount)
    _change(emulator, account, -amount)
    emulator.store.put("transfer_reversal", reversal)
    emulator.store.put("transfer", transfer)
    emulator.emit("transfer.reversed", transfer)
    return reversal


def _change(emulator: Emulator, account: Json, by: int) -> None:
    account["_balance"] += by
    emulator.store.put("account", account)


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/transfers/<key>."""
    read.allow(params)
    return emulator.store.one("transfer", key, "transfer")


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/transfers."""
    read.allow(params, "limit", "starting_after", "ending_before", "destination", "transfer_group")
    wanted = {name: read.text(params, name) for name in ("destination", "transfer_group")}
    return page_of(
        emulator,
        "transfer",
        params,
        lambda row: all(value is None or row[name] == value for name, value in wanted.items()),
    )


def search_reversals(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/transfers/<key>/reversals."""
    read.allow(params, "limit", "starting_after", "ending_before")
    emulator.store.one("transfer", key, "transfer")
    return page_of(emulator, "transfer_reversal", params, lambda row: bool(row["transfer"] == key))
