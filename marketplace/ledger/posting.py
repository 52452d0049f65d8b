"""Posting: the one way into the ledger. Drafts are plain values; posting them is set-based and idempotent.

A draft that breaks double entry cannot be made: amounts are positive, the two accounts differ. Posting many drafts
takes a fixed number of statements. A key that was posted before gives back the first entry; with another content it
is a conflict. Two workers may post the same drafts at once: one of them writes, the other is given what was written.
Which accounts a business event moves is decided by the rooms above.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.bodies import canonical_body, content_of, hash_of
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.writing import account_ids, entries_by_key, insert_entries, insert_transfers

PUBLIC_LENGTH = 16
SALT_BYTES = 16
KEY_LENGTH = 200
REASON_LENGTH = 300


@dataclass(frozen=True)
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
        if self.debit == self.credit:
            raise ValueError("a transfer has two accounts")
        if len(self.cooperatives) > 1:
            raise ValueError("a transfer does not cross from one cooperative to another")

    @property
    def cooperatives(self) -> set[int]:
        """The cooperative its accounts belong to, if any."""
        owners = (self.debit.cooperative_id, self.credit.cooperative_id)
        return {owner for owner in owners if owner is not None}

    @property
    def cooperative_id(self) -> int | None:
        """The cooperative of its accounts, None where neither has one."""
        return self.debit.cooperative_id or self.credit.cooperative_id


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
            foreign = {c for transfer in self.transfers for c in transfer.cooperatives} - {
                self.cooperative_id
            }
            if foreign:
                raise ValueError("the transfers of an entry belong to its cooperative")

    @property
    def accounts(self) -> set[AccountKey]:
        """The accounts it moves."""
        return {key for transfer in self.transfers for key in (transfer.debit, transfer.credit)}

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
    missing = sorted(
        (draft for key, draft in wanted.items() if key not in entries),
        key=lambda draft: (draft.occurred_at, draft.idempotency_key),
    )
    if missing:
        accounts = account_ids(session, {key for draft in missing for key in draft.accounts})
        recorded_at = now()
        ids = insert_entries(session, [_entry_row(draft, recorded_at) for draft in missing])
        insert_transfers(session, list(_transfer_rows(missing, ids, accounts)))
        written = entries_by_key(session, [draft.idempotency_key for draft in missing])
        _refuse_other_content({key: entry for key, entry in written.items() if key not in ids}, wanted)
        entries |= written
    return [entries[draft.idempotency_key] for draft in drafts]


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


def _entry_row(draft: EntryDraft, recorded_at: datetime) -> dict[str, Any]:
    number = public_no("J", length=PUBLIC_LENGTH)
    salt = os.urandom(SALT_BYTES)
    body = draft.body(number, recorded_at)
    return {
        "public_no": number,
        "idempotency_key": draft.idempotency_key,
        "kind": draft.kind,
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
) -> Iterator[dict[str, Any]]:
    for draft in drafts:
        if draft.idempotency_key not in entry_ids:
            continue  # another worker wrote it, transfers and all
        for position, transfer in enumerate(draft.transfers, 1):
            yield {
                "entry_id": entry_ids[draft.idempotency_key],
                "position": position,
                "debit_account_id": accounts[transfer.debit.text],
                "credit_account_id": accounts[transfer.credit.text],
                "amount_fen": transfer.amount_fen,
                "cooperative_id": transfer.cooperative_id,
            }
