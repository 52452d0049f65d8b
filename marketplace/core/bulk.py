"""Many rows at once: keys taken beforehand, so that nothing has to be read back, and rows written by the fastest way
the database has (COPY on PostgreSQL, one prepared statement on SQLite).

Only for new rows: a key that is taken is an integrity error, which ends the caller's transaction. Constraints and
triggers hold as for any insert; what SQLAlchemy would fill in (`default=`) has to be given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, cast

import psycopg
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from marketplace.core.db import Base

FEW = 200  # rows: up to here waiting for answers costs more than what COPY saves
NUMBERS = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")


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
        asked = {"table": table.name, "count": count}
        return sorted(session.connection().execute(NUMBERS, asked).scalars())
    last = session.scalar(select(func.max(table.c.id))) or 0
    return list(range(last + 1, last + 1 + count))


class Rows:
    """New rows of several tables, collected in the order in which they refer to each other and then written together.

    On PostgreSQL few rows go as one INSERT a table, sent without waiting for the answers in between; many go by COPY.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: list[tuple[type[Base], Sequence[str], list[Sequence[Any]]]] = []

    def add(self, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Collect rows of `model`, each with the values of `columns`; codes are given as their text."""
        if given := list(rows):
            self._waiting.append((model, columns, given))

    def write(self) -> None:
        """Write what was collected. Raises IntegrityError when the database refuses a row."""
        waiting, self._waiting = self._waiting, []
        count = sum(len(rows) for _, _, rows in waiting)
        if is_postgresql(self._session) and count <= FEW:
            _insert_at_once(self._session, waiting)
            return
        for model, columns, rows in waiting:
            write_rows(self._session, model, columns, rows)


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
    statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
    with (
        _wrapped(statement),
        _driver(session).cursor() as cursor,
        cursor.copy(statement.encode()) as target,
    ):
        for row in rows:
            target.write_row(row)


def _insert_at_once(
    session: Session, waiting: Sequence[tuple[type[Base], Sequence[str], list[Sequence[Any]]]]
) -> None:
    connection = _driver(session)
    with _wrapped("INSERT of several tables"), connection.pipeline(), connection.cursor() as cursor:
        for model, columns, rows in waiting:
            name, names = cast("Table", model.__table__).name, ", ".join(columns)
            statement = (  # one text a table, whatever the number of rows, so that it is planned once
                f"INSERT INTO {name} ({names})"  # noqa: S608 - names from the models
                f" SELECT {names} FROM json_populate_recordset(NULL::{name}, %s::json)"
            )
            given = [dict(zip(columns, row, strict=True)) for row in rows]
            cursor.execute(statement.encode(), [json.dumps(given, ensure_ascii=False, default=_as_text)])


def _as_text(value: object) -> str:
    if isinstance(value, date):  # an instant is one too
        return value.isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(type(value))


def _driver(session: Session) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)


@contextmanager
def _wrapped(statement: str) -> Iterator[None]:
    """Let what the driver refuses look as if SQLAlchemy had sent it."""
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error
