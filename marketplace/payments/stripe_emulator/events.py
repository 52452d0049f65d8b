"""Events, asked for afterwards: how a shop that missed messages finds out what it missed."""

from __future__ import annotations

from marketplace.payments.stripe_emulator import params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json
from marketplace.payments.stripe_emulator.listing import page_of


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/events/<key>."""
    read.allow(params)
    return emulator.store.one("event", key, "id")


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/events, by type, several types, or whether every message was delivered."""
    read.allow(params, "limit", "starting_after", "ending_before", "type", "types", "delivery_success")
    one = read.text(params, "type")
    types = set(read.texts(params, "types")) | ({one} if one else set())
    delivered = read.choice(params, "delivery_success", ("true", "false"))
    return page_of(
        emulator,
        "event",
        params,
        lambda row: (
            (not types or row["type"] in types)
            and (delivered is None or (delivered == "true") == (row["pending_webhooks"] == 0))
        ),
    )
