"""The database itself refuses to change history, on SQLite and on PostgreSQL, whatever the statement."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.append_only import is_append_only
from marketplace.core.schema import all_tables
from marketplace.ledger.posting import post_entry
from tests.ledger.conftest import Parties

CHANGES = [
    ("account", "UPDATE account SET key = 'bank'"),
    ("account", "DELETE FROM account"),
    ("entry", "UPDATE entry SET reason = reason"),
    ("entry", "UPDATE entry SET body = '{}' WHERE id = (SELECT min(id) FROM entry)"),
    ("entry", "DELETE FROM entry"),
    ("transfer", "UPDATE transfer SET amount_fen = amount_fen + 1"),
    ("transfer", "DELETE FROM transfer WHERE position = 1"),
]
REPLACEMENTS = {
    "account": ["SELECT id, 'bank', 'bank' FROM account", "SELECT 99999, key, 'bank' FROM account LIMIT 1"],
    "transfer": [
        "SELECT id, entry_id, position, credit_account_id, debit_account_id, 1 FROM transfer",
        "SELECT 99999, entry_id, position, debit_account_id, credit_account_id, 1 FROM transfer LIMIT 1",
    ],
}
COLUMNS = {
    "account": "id, key, kind",
    "transfer": "id, entry_id, position, debit_account_id, credit_account_id, amount_fen",
}


def content(session: Session, table: str) -> list[Any]:
    return list(session.execute(text(f"SELECT * FROM {table} ORDER BY id")))


@pytest.fixture
def posted(session: Session, parties: Parties) -> Session:
    post_entry(session, parties.paid())
    post_entry(session, parties.settled())
    session.commit()
    return session


def refused(session: Session, table: str, statement: str) -> None:
    before = content(session, table)
    session.commit()
    with pytest.raises(IntegrityError, match=f"{table} is append-only"):
        session.execute(text(statement))
    session.rollback()
    assert content(session, table) == before


@pytest.mark.parametrize(("table", "statement"), CHANGES)
def test_the_ledger_refuses_to_be_changed(posted: Session, table: str, statement: str):
    refused(posted, table, statement)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("table", ["account", "entry", "transfer"])
def test_the_ledger_refuses_to_be_emptied(posted: Session, table: str):
    refused(posted, table, f"TRUNCATE {table} CASCADE")


@pytest.mark.databases("postgresql")
def test_an_upsert_cannot_change_an_entry(posted: Session):
    statement = "INSERT INTO account SELECT * FROM account ON CONFLICT (key) DO UPDATE SET key = 'bank'"
    refused(posted, "account", statement)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("table", ["account", "transfer"])
@pytest.mark.parametrize("which", ["primary key", "unique key"])
def test_insert_or_replace_cannot_overwrite_a_row(posted: Session, table: str, which: str):
    source = REPLACEMENTS[table][which == "unique key"]
    refused(posted, table, f"INSERT OR REPLACE INTO {table} ({COLUMNS[table]}) {source}")


@pytest.mark.databases("sqlite")
def test_insert_or_replace_is_refused_on_a_connection_of_any_kind(posted: Session, engine: Engine):
    """Without the application's settings: foreign keys off, as in the SQLite shell."""
    before = content(posted, "entry")
    posted.commit()
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA recursive_triggers=OFF")
        columns = "public_no, kind, occurred_at, recorded_at, subject_kind, subject_id, reason, body, body_hash, salt"
        forged = columns.replace("public_no", "'J-FORGED'")
        with pytest.raises(IntegrityError, match="entry is append-only"):
            connection.exec_driver_sql(
                f"INSERT OR REPLACE INTO entry (id, idempotency_key, {columns})"
                f" SELECT 99999, idempotency_key, {forged} FROM entry LIMIT 1"
            )
    assert content(posted, "entry") == before


TRIGGERS = {
    "sqlite": ("SELECT name FROM sqlite_master WHERE type = 'trigger'", ("update", "delete", "replace")),
    "postgresql": ("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal", ("change", "truncate")),
}


def test_every_history_of_the_schema_has_its_triggers(session: Session, backend: str):
    query, refusals = TRIGGERS[backend]
    histories = {table.name for table in all_tables().tables.values() if is_append_only(table)}
    assert {"account", "entry", "transfer"} <= histories
    expected = {f"{history}_refuse_{what}" for history in histories for what in refusals}
    there = set(session.scalars(text(query)))
    assert expected - there == set()
    assert {
        name for name in there if name.endswith(tuple(f"_refuse_{what}" for what in refusals))
    } == expected
