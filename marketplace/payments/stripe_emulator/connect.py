"""Connected accounts and transfers to them, as far as a marketplace needs to try them out."""

from __future__ import annotations

from marketplace.payments.stripe_emulator import balance, params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

TYPES = ("custom", "express", "standard")
BUSINESS_TYPES = ("company", "government_entity", "individual", "non_profit")


def create_account(emulator: Emulator, params: Json) -> Json:
    """POST /v1/accounts. Every capability asked for is active at once."""
    read.allow(params, "type", "country", "email", "business_type", "capabilities", "metadata")
    capabilities = read.group(params, "capabilities")
    account: Json = {
        "id": new_id("acct_"),
        "object": "account",
        "business_type": read.choice(params, "business_type", BUSINESS_TYPES),
        "capabilities": dict.fromkeys(capabilities, "active"),
        "charges_enabled": True,
        "country": read.text(params, "country", limit=2) or "HK",
        "created": emulator.now(),
        "default_currency": "cny",
        "details_submitted": True,
        "email": read.text(params, "email"),
        "metadata": read.metadata(params),
        "payouts_enabled": True,
        "type": read.choice(params, "type", TYPES, "standard"),
    }
    emulator.store.put("account", account)
    emulator.emit("account.updated", account)
    return account


def retrieve_account(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/accounts/<key>."""
    read.allow(params)
    return emulator.store.one("account", key, "account")


def search_accounts(emulator: Emulator, params: Json) -> Json:
    """GET /v1/accounts."""
    read.allow(params, "limit", "starting_after", "ending_before")
    return page_of(emulator, "account", params)


def create_transfer(emulator: Emulator, params: Json) -> Json:
    """POST /v1/transfers. Transfers from one charge never exceed what is left of it."""
    read.allow(
        params,
        *("amount", "currency", "destination", "description", "metadata", "source_transaction"),
        "transfer_group",
    )
    amount = read.amount(params)
    destination = emulator.store.one("account", read.required(params, "destination"), "destination")
    source = read.text(params, "source_transaction")
    if source is not None:
        charge = emulator.store.one("charge", source, "source_transaction")
        sent = sum(
            row["amount"]
            for row in emulator.store.newest_first("transfer")
            if row["source_transaction"] == source
        )
        if amount > charge["amount_captured"] - charge["amount_refunded"] - sent:
            message = f"The transfer would be more than what is left of {source}."
            raise invalid(message, param="amount", code="insufficient_funds")
    transfer: Json = {
        "id": new_id("tr_"),
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": emulator.now(),
        "currency": read.currency(params),
        "description": read.text(params, "description"),
        "destination": destination["id"],
        "livemode": False,
        "metadata": read.metadata(params),
        "reversed": False,
        "source_transaction": source,
        "transfer_group": read.text(params, "transfer_group"),
    }
    balance.move(emulator, "transfer", transfer, -amount)
    emulator.store.put("transfer", transfer)
    emulator.emit("transfer.created", transfer)
    return transfer


def retrieve_transfer(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/transfers/<key>."""
    read.allow(params)
    return emulator.store.one("transfer", key, "transfer")


def search_transfers(emulator: Emulator, params: Json) -> Json:
    """GET /v1/transfers."""
    read.allow(params, "limit", "starting_after", "ending_before", "destination", "transfer_group")
    wanted = {name: read.text(params, name) for name in ("destination", "transfer_group")}
    return page_of(
        emulator,
        "transfer",
        params,
        lambda row: all(value is None or row[name] == value for name, value in wanted.items()),
    )
