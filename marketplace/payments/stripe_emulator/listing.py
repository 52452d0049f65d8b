"""Lists as Stripe gives them: newest first, in pages, and ids replaced by objects where the caller asks."""

from __future__ import annotations

from collections.abc import Callable

from marketplace.payments.stripe_emulator import params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.store import kind_of

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
MAX_DEPTH = 4
PATHS = {"checkout.session": "checkout/sessions"}


def page_of(
    emulator: Emulator, kind: str, params: Json, keep: Callable[[Json], bool] = lambda _: True
) -> Json:
    """One page of the rows of `kind` that `keep` accepts."""
    limit = read.whole(params, "limit")
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid(f"Invalid limit: must be between 1 and {MAX_LIMIT}", param="limit")
    rows = [row for row in emulator.store.newest_first(kind) if keep(row)]
    for name in ("starting_after", "ending_before"):
        key = read.text(params, name)
        if key is not None:
            emulator.store.one(kind, key, name)
            place = next((at for at, row in enumerate(rows) if row["id"] == key), len(rows))
            rows = rows[place + 1 :] if name == "starting_after" else rows[:place][-limit:]
    return {
        "object": "list",
        "url": f"/v1/{PATHS.get(kind, f'{kind}s')}",
        "has_more": len(rows) > limit,
        "data": rows[:limit],
    }


def expand(emulator: Emulator, body: Json, paths: list[str]) -> Json:
    """`body` with the objects behind the ids that `paths` name, e.g. "payment_intent.latest_charge"."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_DEPTH:
            raise invalid(f"You cannot expand more than {MAX_DEPTH} levels of a property.", param="expand")
        body = _expanded(emulator, body, parts)
    return body


def _expanded(emulator: Emulator, row: Json, parts: list[str]) -> Json:
    name, rest = parts[0], parts[1:]
    if name not in row:
        raise invalid(f"This property cannot be expanded ({name}).", param="expand")
    value = row[name]
    if isinstance(value, list):
        return {**row, name: [_expanded(emulator, item, rest) for item in value]}
    if isinstance(value, str):
        kind = kind_of(value)
        if kind is None:
            raise invalid(f"This property cannot be expanded ({name}).", param="expand")
        value = emulator.store.one(kind, value, name)
    if rest and value is not None:
        value = _expanded(emulator, value, rest)
    return {**row, name: value}
