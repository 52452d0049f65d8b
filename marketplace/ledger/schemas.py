"""The ledger as machines read it: entries with their transfers, under public numbers only."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.models import Account, Entry, EntryKind
from marketplace.ledger.queries import PublicNumbers
from marketplace.web.api import CursorSchema


class AccountSchema(Schema):
    """An account, named by its kind and the public numbers of its owners."""

    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in AccountKind]))
    cooperative = fields.String(allow_none=True, metadata={"description": "Number of the cooperative."})
    household = fields.String(allow_none=True, metadata={"description": "Number of the household."})
    buyer_unit = fields.String(allow_none=True, metadata={"description": "Number of the buyer unit."})
    village = fields.String(allow_none=True, metadata={"description": "GB/T 2260 code of the village."})
    channel = fields.String(allow_none=True, metadata={"description": "Payment channel."})


class TransferSchema(Schema):
    """A positive amount from the debit of one account to the credit of another."""

    position = fields.Integer(required=True)
    debit = fields.Nested(AccountSchema, required=True)
    credit = fields.Nested(AccountSchema, required=True)
    amount_fen = fields.Integer(required=True, metadata={"description": "1/100 yuan, always positive."})


class EntrySchema(Schema):
    """One business event."""

    no = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": [kind.value for kind in EntryKind]})
    about = fields.String(required=True, metadata={"description": "The kind of row the event is about."})
    cooperative = fields.String(required=True, allow_none=True)
    occurred_at = fields.AwareDateTime(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    reverses = fields.String(
        required=True, allow_none=True, metadata={"description": "The entry it corrects."}
    )
    reason = fields.String(required=True)
    transfers = fields.List(fields.Nested(TransferSchema), required=True)


class EntryPageSchema(Schema):
    """Entries, oldest first. `next` is the cursor of the following page, null at the end."""

    items = fields.List(fields.Nested(EntrySchema), required=True)
    next = fields.String(required=True, allow_none=True)


class EntryQuerySchema(CursorSchema):
    """Which entries are asked for."""

    kind = fields.Enum(EntryKind, by_value=True)


def entry_document(entry: Entry, numbers: PublicNumbers) -> dict[str, Any]:
    """`entry` as EntrySchema writes it; its transfers and accounts are loaded."""
    return {
        "no": entry.public_no,
        "kind": entry.kind.value,
        "about": entry.subject_kind,
        "cooperative": numbers.cooperatives.get(entry.cooperative_id or 0),
        "occurred_at": entry.occurred_at,
        "recorded_at": entry.recorded_at,
        "reverses": numbers.entries.get(entry.reverses_entry_id or 0),
        "reason": entry.reason,
        "transfers": [
            {
                "position": transfer.position,
                "debit": _account_document(transfer.debit_account, numbers),
                "credit": _account_document(transfer.credit_account, numbers),
                "amount_fen": transfer.amount_fen,
            }
            for transfer in entry.transfers
        ],
    }


def _account_document(account: Account, numbers: PublicNumbers) -> dict[str, str]:
    owners = {
        "cooperative": numbers.cooperatives.get(account.cooperative_id or 0),
        "household": numbers.households.get(account.household_id or 0),
        "buyer_unit": numbers.buyer_units.get(account.buyer_unit_id or 0),
        "village": account.village_code,
        "channel": account.channel,
    }
    return {"kind": account.kind.value} | {name: owner for name, owner in owners.items() if owner}
