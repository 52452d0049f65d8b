"""Tables that are history: the database itself refuses to change or remove their rows.

A table is marked with `{"info": APPEND_ONLY}` in its `__table_args__`; `create_all` then installs the triggers, and
migrations execute the same statements. The refusal is an integrity error whose message names the table. What this
cannot stop is an owner of the database who drops the triggers first: that is what the ledger's checks are for.

On SQLite `INSERT OR REPLACE` removes rows without asking a delete trigger, so an insert whose primary or unique key is
taken is refused as well. `ON CONFLICT DO NOTHING` on these tables is therefore for PostgreSQL, where writers race; on
SQLite writers queue, and a look before the insert is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, MetaData, PrimaryKeyConstraint, Table, UniqueConstraint, event

from marketplace.core.db import Base

APPEND_ONLY = {"append_only": True}
KEY_OF_ROWS = (("id",),)
_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = TG_TABLE_NAME || ' is append-only, ' || TG_OP || ' is refused',
        ERRCODE = 'integrity_constraint_violation';
END $refuse$
""".strip()


def append_only_statements(
    table_name: str, dialect_name: str, *, keys: Sequence[Sequence[str]] = KEY_OF_ROWS
) -> list[str]:
    """The DDL that makes `table_name` append-only on "sqlite" or "postgresql"; running it again changes nothing.

    `keys` are the columns of its primary and unique keys (SQLite only, see above). Raises ValueError for any other
    dialect: a history that could be edited unnoticed must not be created.
    """
    if dialect_name == "sqlite":
        return _sqlite_statements(table_name, keys)
    if dialect_name == "postgresql":
        return _postgresql_statements(table_name)
    raise ValueError(f"no append-only triggers for {dialect_name}")


def keys_of(table: Table) -> list[tuple[str, ...]]:
    """The columns of the primary key, the unique constraints and the whole-table unique indexes of `table`, sorted."""
    keys = {
        tuple(constraint.columns.keys())
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
    }
    for index in table.indexes:
        is_partial = index.dialect_options["sqlite"]["where"] is not None
        if index.unique and not is_partial:
            keys.add(tuple(index.columns.keys()))
    return sorted(keys)


def is_append_only(table: Table) -> bool:
    """Whether `table` is marked as history."""
    return bool(table.info.get("append_only"))


def _sqlite_statements(table_name: str, keys: Sequence[Sequence[str]]) -> list[str]:
    same_key = " OR ".join(
        "(" + " AND ".join(f'"{column}" = NEW."{column}"' for column in key) + ")" for key in keys
    )
    key_is_taken = f'EXISTS (SELECT 1 FROM "{table_name}" WHERE {same_key})'  # noqa: S608 - names from the models
    begin = f"CREATE TRIGGER IF NOT EXISTS {table_name}_refuse"
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table_name} is append-only, "
    return [
        f'{begin}_update BEFORE UPDATE ON "{table_name}" {refuse}UPDATE is refused\'); END',
        f'{begin}_delete BEFORE DELETE ON "{table_name}" {refuse}DELETE is refused\'); END',
        f'{begin}_replace BEFORE INSERT ON "{table_name}" WHEN {key_is_taken} {refuse}the key is taken\'); END',
    ]


def _postgresql_statements(table_name: str) -> list[str]:
    begin = f"CREATE OR REPLACE TRIGGER {table_name}_refuse"
    return [
        _FUNCTION,
        f'{begin}_change BEFORE UPDATE OR DELETE ON "{table_name}" FOR EACH ROW EXECUTE FUNCTION refuse_change()',
        f'{begin}_truncate BEFORE TRUNCATE ON "{table_name}" FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
    ]


@event.listens_for(Base.metadata, "after_create")
def _install(
    _metadata: MetaData, connection: Connection, *, tables: Iterable[Table], **_options: Any
) -> None:
    for table in tables:
        if not is_append_only(table):
            continue
        for statement in append_only_statements(table.name, connection.dialect.name, keys=keys_of(table)):
            connection.exec_driver_sql(statement)
