"""Many rows at once: keys taken beforehand, so that nothing has to be read back, and rows written by the fastest way
the database has (COPY on PostgreSQL, one prepared statement on SQLite).

Only for new rows: a key that is taken is an integrity error, which ends the caller's transaction. Constraints and
triggers hold as for any insert; what SQLAlchemy would fill in (`default=`) has to be given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import count
from typing import Any, cast

import psycopg
from sqlalchemy import Dialect, Integer, String, Table, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from marketplace.core.asking import (
    Driver,
    Found,
    Given,
    Question,
    ask,
    driver_of,
    is_postgresql,
    send,
    wrapped,
)
from marketplace.core.db import Base

_Waiting = tuple[type[Base], Sequence[str], list[Sequence[Any]]]
FEW = 200  # rows: up to here waiting for answers costs more than what COPY saves
SPECIAL = re.compile(r"[\\\t\n\r]")
ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_COUNTED = func.generate_series(1, bindparam("count", type_=Integer)).table_valued("value")
NUMBERS = Question(
    select(func.nextval(func.pg_get_serial_sequence(bindparam("table", type_=String), "id"))).select_from(
        _COUNTED
    )
)


def next_ids(session: Session, model: type[Base], count: int) -> list[int]:
    """`count` ids for new rows of `model`, ascending.

    PostgreSQL's sequence gives each number once. On SQLite the caller's transaction is the only one that writes, so
    the numbers after the last row stay free until it has written.
    """
    return ids_of_each(session, {model: count})[model]


def ids_of_each(session: Session, counts: Mapping[type[Base], int]) -> dict[type[Base], list[int]]:
    """The same for several tables in one go."""
    if is_postgresql(session):
        asked = [
            (NUMBERS, {"table": model.__tablename__, "count": wanted}) for model, wanted in counts.items()
        ]
        answers = ask(session, *asked)
        return {model: sorted(key for (key,) in rows) for model, rows in zip(counts, answers, strict=True)}
    found = {}
    for model, wanted in counts.items():
        last = session.scalar(select(func.max(cast("Table", model.__table__).c.id))) or 0
        found[model] = list(range(last + 1, last + 1 + wanted))
    return found


class Later:
    """The answer to a question that is asked once rows are written; empty until then."""

    def __init__(self) -> None:
        self.rows: Found = ()


class Rows:
    """New rows of several tables, collected in the order in which they refer to each other and then written together.

    On PostgreSQL few rows of all tables go as one statement; many go by COPY.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._questions: list[tuple[Question, Given, Later]] = []
        self._waiting: list[_Waiting] = []

    def add(self, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Collect rows of `model`, each with the values of `columns`; codes are given as their text."""
        if given := list(rows):
            self._waiting.append((model, columns, given))

    def then(self, question: Question, given: Given) -> Later:
        """Ask `question` in the same go, after all rows."""
        self._questions.append((question, given, later := Later()))
        return later

    def write(self) -> None:
        """Write what was collected, then ask. Raises IntegrityError when the database refuses a row."""
        waiting, self._waiting = self._waiting, []
        questions, self._questions = self._questions, []
        total = sum(len(rows) for _, _, rows in waiting)
        asked = [(question, given) for question, given, _ in questions]
        connection = self._session.connection()
        if connection.dialect.name == "postgresql" and total <= FEW:
            driver = driver_of(connection)
            with wrapped("rows of several tables"):
                with driver.pipeline():
                    _insert_few(driver, waiting)
                    receive = send(driver, asked)
                answers = receive()
        else:
            for model, columns, rows in waiting:
                write_rows(self._session, model, columns, rows)
            answers = ask(self._session, *asked) if asked else []
        for (_, _, later), answer in zip(questions, answers, strict=True):
            later.rows = answer


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
    cells = map(_cells, _by_column(columns, list(rows)))
    if lines := list(map("\t".join, zip(*cells, strict=True))):
        with (
            wrapped(statement),
            driver_of(session.connection()).cursor() as cursor,
            cursor.copy(statement.encode()) as target,
        ):
            target.write("\n".join([*lines, ""]))


def _by_column(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The values of each column."""
    return [[row[place] for row in rows] for place in range(len(columns))]


def _cells(values: Sequence[Any]) -> Iterable[str]:
    """The values of a column as COPY reads them."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return map(str, values)
    if kinds == {str} and not SPECIAL.search("".join(values)):
        return values
    texts = {value: _cell(value) for value in set(values)}
    return [texts[value] for value in values]


def _cell(value: object) -> str:
    return "\\N" if value is None else _text_of(value).translate(ESCAPED)


def _insert_few(driver: Driver, waiting: Sequence[_Waiting]) -> None:
    """All tables in one statement, one array a column: its text is the same for any number of rows."""
    if waiting:
        statement = _insert_of(tuple((model, tuple(columns)) for model, columns, _ in waiting))
        arrays = [_array(values) for _, columns, rows in waiting for values in _by_column(columns, rows)]
        psycopg.RawCursor(driver).execute(statement, arrays, prepare=True)


@lru_cache(maxsize=64)
def _insert_of(parts: tuple[tuple[type[Base], tuple[str, ...]], ...]) -> bytes:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    number, inserts = count(1), []
    for model, columns in parts:
        table = cast("Table", model.__table__)
        arrays = ", ".join(f"${next(number)}::{table.c[name].type.compile(dialect)}[]" for name in columns)
        inserts.append(
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names from the models
        )
    earlier = ", ".join(f"part_{place} AS ({insert})" for place, insert in enumerate(inserts[:-1]))
    return f"{'WITH ' if earlier else ''}{earlier} {inserts[-1]}".encode()


def _array(values: Sequence[Any]) -> str:
    """The values of a column as the text of an array."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return f"{{{','.join(map(str, values))}}}"
    if kinds == {str}:
        quoted = '","'.join(values)
        if "\\" not in quoted and quoted.count('"') == 2 * (len(values) - 1):  # nothing to escape
            return f'{{"{quoted}"}}'
    texts = {value: _element(value) for value in set(values)}
    return f"{{{','.join([texts[value] for value in values])}}}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    return '"' + _text_of(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text_of(value: object) -> str:
    """What PostgreSQL reads as the value."""
    if isinstance(value, str):
        return value
    if isinstance(value, date):  # an instant is one too
        return value.isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, int):
        return str(value).lower()  # true and false
    raise TypeError(type(value))
