"""Many rows at once: keys taken beforehand, so that nothing has to be read back, and rows written by the fastest way
the database has (COPY on PostgreSQL, one prepared statement on SQLite).

Only for new rows: a key that is taken is an integrity error, which ends the caller's transaction. Constraints and
triggers hold as for any insert; what SQLAlchemy would fill in (`default=`) has to be given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import psycopg
from sqlalchemy import Table, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from marketplace.core.db import Base


def is_postgresql(session: Session) -> bool:
    """Whether the session speaks to PostgreSQL, where writers race, rather than to SQLite, where they queue."""
    return session.get_bind().dialect.name == "postgresql"


def next_ids(session: Session, model: type[Base], count: int) -> list[int]:
    """`count` ids for new rows of `model`, ascending.

    PostgreSQL's sequence gives each number once. On SQLite the caller's transaction is the only one that writes, so
    the numbers after the last row stay free until it has written.
    """
    table = cast("Table", model.__table__)
    if is_postgresql(session):
        sequence = func.pg_get_serial_sequence(table.name, "id")
        numbers = func.generate_series(1, count).table_valued("number")
        return sorted(session.scalars(select(func.nextval(sequence)).select_from(numbers)))
    last = session.scalar(select(func.max(table.c.id))) or 0
    return list(range(last + 1, last + 1 + count))


def write_rows(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write new `rows` of `model`, each with the values of `columns`; codes are given as their text.

    Raises IntegrityError for a row that the database refuses.
    """
    table = cast("Table", model.__table__)
    if is_postgresql(session):
        _copy(session, table, columns, rows)
    elif given := [dict(zip(columns, row, strict=True)) for row in rows]:
        session.execute(insert(table), given)


def _copy(session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    connection = cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)
    statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
    try:
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as target:
            for row in rows:
                target.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error
