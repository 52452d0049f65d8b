"""The statements that write the ledger: many rows in few statements, and safe beside another worker. For posting.py.

On PostgreSQL two workers may insert the same key at once; the second waits for the first and then leaves its row out.
On SQLite writers queue before they read, so what was absent a moment ago still is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import Insert, Table, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.orm import Session

from marketplace.core.asking import Question, ask, is_postgresql, one_of
from marketplace.core.bulk import Rows, write_rows
from marketplace.ledger.accounts import OWNER_COLUMNS, AccountKey
from marketplace.ledger.models import Account, Entry, Transfer

T = TypeVar("T")
LOOKUP_CHUNK = 5_000
ACCOUNTS_NAMED = Question(select(Account.key, Account.id).where(one_of(Account.key, "keys")))
TRANSFER_COLUMNS = (
    "entry_id",
    "position",
    "debit_account_id",
    "credit_account_id",
    "amount_fen",
    "cooperative_id",
)


def account_ids(session: Session, keys: Iterable[AccountKey]) -> dict[str, int]:
    """The ids of the accounts `keys` name, by the text of the key; absent accounts are created."""
    by_text = {key.text: key for key in keys}
    ids = _existing_accounts(session, by_text)
    absent = sorted(by_text.keys() - ids.keys())
    if absent:
        rows = [
            {column: getattr(by_text[text], column) for column in ("kind", *OWNER_COLUMNS)} | {"key": text}
            for text in absent
        ]
        session.execute(_insert_absent(session, Account, "key"), rows)
        ids |= _existing_accounts(session, absent)
    return ids


def _existing_accounts(session: Session, texts: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in _chunks(texts):
        (rows,) = ask(session, (ACCOUNTS_NAMED, {"keys": chunk}))
        found |= dict(rows)
    return found


def entries_by_key(session: Session, keys: Iterable[str]) -> dict[str, Entry]:
    """The entries that were posted under `keys`."""
    found: dict[str, Entry] = {}
    for chunk in _chunks(keys):
        rows = session.scalars(select(Entry).where(Entry.idempotency_key.in_(chunk)))
        found |= {entry.idempotency_key: entry for entry in rows}
    return found


def insert_entries(session: Session, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Insert what nobody else inserted meanwhile; the ids of what was inserted, by idempotency key."""
    table = cast("Table", Entry.__table__)
    statement = _insert_absent(session, Entry, "idempotency_key").returning(
        table.c.idempotency_key, table.c.id
    )
    return {row.idempotency_key: row.id for row in session.execute(statement, rows)}


def add_new_entries(rows: Rows, ids: Sequence[int], entries: Sequence[dict[str, Any]]) -> None:
    """Collect entries whose keys nobody has used, under ids that were drawn for them."""
    if entries:
        values = ((key, *entry.values()) for key, entry in zip(ids, entries, strict=True))
        rows.add(Entry, ("id", *entries[0]), values)


def insert_transfers(session: Session, rows: Iterable[tuple[int | None, ...]]) -> None:
    """Insert the transfers of entries that were just inserted; `rows` hold the values of TRANSFER_COLUMNS."""
    write_rows(session, Transfer, TRANSFER_COLUMNS, rows)


def _insert_absent(session: Session, model: type[Account | Entry], key: str) -> Insert:
    table = cast("Table", model.__table__)
    if is_postgresql(session):
        return postgresql_insert(table).on_conflict_do_nothing(index_elements=[key])
    return insert(table)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, LOOKUP_CHUNK)):
        yield chunk
