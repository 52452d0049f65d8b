"""Posting: the one way into the ledger. Drafts are plain values; posting them is set-based and idempotent.

A draft that breaks double entry cannot be made: amounts are positive, the two accounts differ. Posting many drafts
takes a fixed number of statements. A key that was posted before gives back the first entry; with another content it
is a conflict. Two workers may post the same drafts at once: one of them writes, the other is given what was written.
Who holds the row that an entry is about, and knows that nothing was posted for it, posts in fewer statements.
Which accounts a business event moves is decided by the rooms above.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.bulk import Rows
from marketplace.core.clock import now
from marketplace.core.errors import Conflict
from marketplace.core.ids import public_nos
from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.bodies import canonical_body, content_of, hash_of
from marketplace.ledger.models import Entry, EntryKind, Transfer
from marketplace.ledger.writing import (
    TRANSFER_COLUMNS,
    account_ids,
    add_new_entries,
    entries_by_key,
    insert_entries,
    insert_transfers,
)

PUBLIC_LENGTH = 16
SALT_BYTES = 16
KEY_LENGTH = 200
REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class TransferDraft:
    """`amount_fen` from the debit of one account to the credit of another.

    Raises ValueError for an amount that is not positive, for one account on both sides, and for two cooperatives.
    """

    debit: AccountKey
    credit: AccountKey
    amount_fen: int

    def __post_init__(self) -> None:
        if self.amount_fen <= 0:
            raise ValueError("a transfer moves a positive amount")
        debit, credit = self.debit, self.credit
        if debit.text == credit.text:
            raise ValueError("a transfer has two accounts")
        if debit.cooperative_id != credit.cooperative_id and None not in {
            debit.cooperative_id,
            credit.cooperative_id,
        }:
            raise ValueError("a transfer does not cross from one cooperative to another")

    @property
    def cooperative_id(self) -> int | None:
        """The cooperative of its accounts, None where neither has one."""
        owner = self.debit.cooperative_id
        return self.credit.cooperative_id if owner is None else owner


@dataclass(frozen=True, kw_only=True)
class EntryDraft:
    """One business event to post.

    `occurred_at` is when it happened; `subject` the kind and id of the row it is about, e.g. ("order_line", 17);
    `reverses` the id of the entry it corrects, and then `reason` says why. Raises ValueError for an entry without
    transfers, with the transfers of another cooperative, or with a correction that has no reason.
    """

    kind: EntryKind
    idempotency_key: str
    occurred_at: datetime
    transfers: tuple[TransferDraft, ...]
    subject: tuple[str, int]
    cooperative_id: int | None = None
    actor_user_id: int | None = None
    reverses: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.transfers:
            raise ValueError("an entry holds at least one transfer")
        if not 0 < len(self.idempotency_key) <= KEY_LENGTH or len(self.reason) > REASON_LENGTH:
            raise ValueError("an idempotency key has 1 to 200 characters, a reason at most 300")
        if not self.subject[0]:
            raise ValueError("an entry is about something")
        if self.occurred_at.tzinfo is None:
            raise ValueError("the time of an event is aware")
        if self.kind is EntryKind.REVERSAL and self.reverses is None:
            raise ValueError("a reversal names the entry it reverses")
        if (self.reverses or self.kind is EntryKind.ADJUSTMENT) and not self.reason.strip():
            raise ValueError("a correction says why")
        if self.cooperative_id is not None:
            owners = {transfer.cooperative_id for transfer in self.transfers}
            if not owners <= {self.cooperative_id, None}:
                raise ValueError("the transfers of an entry belong to its cooperative")

    @property
    def accounts(self) -> list[AccountKey]:
        """The accounts it moves, some several times."""
        return [key for transfer in self.transfers for key in (transfer.debit, transfer.credit)]

    def body(self, number: str, recorded_at: datetime) -> str:
        """Its canonical body once recorded under the public number `number`."""
        return canonical_body(
            public_no=number,
            kind=self.kind.value,
            idempotency_key=self.idempotency_key,
            occurred_at=self.occurred_at,
            recorded_at=recorded_at,
            cooperative_id=self.cooperative_id,
            subject=self.subject,
            actor_user_id=self.actor_user_id,
            reverses=self.reverses,
            reason=self.reason,
            transfers=((t.debit.text, t.credit.text, t.amount_fen) for t in self.transfers),
        )


def post_entry(session: Session, draft: EntryDraft) -> Entry:
    """Post one draft; see `post_entries`."""
    return post_entries(session, [draft])[0]


def post_entries(session: Session, drafts: Sequence[EntryDraft]) -> list[Entry]:
    """Post `drafts` and return their entries in the same order. Does not commit.

    A draft whose key was posted before with the same content (everything but who recorded it and when) posts nothing
    and returns the first entry. Raises Conflict when the content differs; then the caller's transaction must end.
    """
    session.flush()
    wanted = _one_per_key(drafts)
    entries = entries_by_key(session, wanted)
    _refuse_other_content(entries, wanted)
    # Two workers insert the same keys in the same order, so that neither waits for the other in a circle.
    missing = sorted((draft for key, draft in wanted.items() if key not in entries), key=_order)
    if missing:
        accounts = account_ids(session, (key for draft in missing for key in draft.accounts))
        ids = insert_entries(session, _entry_rows(missing))
        insert_transfers(session, _transfer_rows(missing, ids, accounts))
        written = entries_by_key(session, [draft.idempotency_key for draft in missing])
        _refuse_other_content({key: entry for key, entry in written.items() if key not in ids}, wanted)
        entries |= written
    return [entries[draft.idempotency_key] for draft in drafts]


def post_new_entries(session: Session, rows: Rows, drafts: Sequence[EntryDraft], ids: Sequence[int]) -> None:
    """Collect in `rows` the entries of `drafts` that the caller knows to be new, under `ids` drawn for them.

    For whoever holds a lock on what each entry is about and has seen that nothing was posted for it: nothing is looked
    up before and nothing read back. A key that was used after all is refused when `rows` are written (IntegrityError).
    """
    session.flush()
    accounts = account_ids(session, (key for draft in drafts for key in draft.accounts))
    add_new_entries(rows, ids, _entry_rows(drafts))
    ids_by_key = {draft.idempotency_key: key for draft, key in zip(drafts, ids, strict=True)}
    rows.add(Transfer, TRANSFER_COLUMNS, _transfer_rows(drafts, ids_by_key, accounts))


def _order(draft: EntryDraft) -> tuple[datetime, str]:
    return draft.occurred_at, draft.idempotency_key


def _one_per_key(drafts: Iterable[EntryDraft]) -> dict[str, EntryDraft]:
    wanted: dict[str, EntryDraft] = {}
    for draft in drafts:
        first = wanted.setdefault(draft.idempotency_key, draft)
        if first is not draft and _content(first) != _content(draft):
            raise _reused(draft.idempotency_key)
    return wanted


def _refuse_other_content(entries: Mapping[str, Entry], drafts: Mapping[str, EntryDraft]) -> None:
    for key, entry in entries.items():
        if content_of(entry.body) != _content(drafts[key]):
            raise _reused(key)


def _content(draft: EntryDraft) -> dict[str, Any]:
    return content_of(draft.body("", draft.occurred_at))


def _reused(key: str) -> Conflict:
    return Conflict(
        "idempotency_key_reused", N_("记账编号 %(key)s 已用于内容不同的另一笔记账，本次没有记账"), key=key
    )


def _entry_rows(drafts: Sequence[EntryDraft]) -> list[dict[str, Any]]:
    recorded_at = now()
    numbers = public_nos("J", len(drafts), length=PUBLIC_LENGTH)
    return [_entry_row(draft, number, recorded_at) for draft, number in zip(drafts, numbers, strict=True)]


def _entry_row(draft: EntryDraft, number: str, recorded_at: datetime) -> dict[str, Any]:
    salt = os.urandom(SALT_BYTES)
    body = draft.body(number, recorded_at)
    return {
        "public_no": number,
        "idempotency_key": draft.idempotency_key,
        "kind": draft.kind.value,
        "occurred_at": draft.occurred_at,
        "recorded_at": recorded_at,
        "cooperative_id": draft.cooperative_id,
        "subject_kind": draft.subject[0],
        "subject_id": draft.subject[1],
        "actor_user_id": draft.actor_user_id,
        "reverses_entry_id": draft.reverses,
        "reason": draft.reason,
        "body": body,
        "body_hash": hash_of(salt, body),
        "salt": salt,
    }


def _transfer_rows(
    drafts: Iterable[EntryDraft], entry_ids: Mapping[str, int], accounts: Mapping[str, int]
) -> Iterator[tuple[int | None, ...]]:
    """The values of TRANSFER_COLUMNS."""
    for draft in drafts:
        entry_id = entry_ids.get(draft.idempotency_key)
        if entry_id is None:
            continue  # another worker wrote it, transfers and all
        for position, transfer in enumerate(draft.transfers, 1):
            yield (
                entry_id,
                position,
                accounts[transfer.debit.text],
                accounts[transfer.credit.text],
                transfer.amount_fen,
                transfer.cooperative_id,
            )
