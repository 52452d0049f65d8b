"""Several prepared questions to the database in one go, for passes that run again and again.

On PostgreSQL they are sent together in their order, without waiting for the answers in between, and each is compiled
once for the whole process. On SQLite, where nothing has to travel, they are executed one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import psycopg
from sqlalchemy import BigInteger, Boolean, Connection, Dialect, Executable, String, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

Driver = psycopg.Connection[Any]
Given = Mapping[str, Any]
Found = Sequence[Any]  # of rows
Processor = Callable[[Any], Any]


def is_postgresql(session: Session) -> bool:
    """Whether the session speaks to PostgreSQL, where writers race, rather than to SQLite, where they queue."""
    return session.get_bind().dialect.name == "postgresql"


class _Several(TypeDecorator[Collection[Any]]):
    """Numbers or texts as one parameter: an array, or JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[BigInteger | String]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.of) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        return list(value or ()) if dialect.name == "postgresql" else json.dumps(list(value or ()))


class one_of(FunctionElement[bool]):  # noqa: N801 - reads as the function of SQL that it is
    """Whether `column` is among the values given as `name`, numbers or texts: one text for any number of them."""

    inherit_cache = True
    name = "one_of"
    type = Boolean()

    def __init__(self, column: Any, name: str) -> None:
        of = String if isinstance(column.type, String) else BigInteger
        super().__init__(column, bindparam(name, type_=_Several(of)))


@compiles(one_of)
def _any(element: one_of, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(one_of, "sqlite")
def _in_json(element: one_of, compiler: Any, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - parts of the same statement


class Question:
    """A statement of Core with named parameters, which are numbers, aware instants, or what `one_of` takes."""

    def __init__(self, statement: Executable) -> None:
        self.statement = statement

    @cached_property
    def prepared(self) -> _Prepared:
        """What the driver of PostgreSQL is given."""
        return _Prepared(self.statement)


class _Prepared:
    """A question in the words of PostgreSQL: `$1`, `$2`, so that the driver need not look for parameters."""

    def __init__(self, statement: Any) -> None:
        dialect: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self._text = str(compiled).encode()
        self._names: Sequence[str] = compiled.positiontup or ()
        self._constants = {
            name: _processed(bind.type.dialect_impl(dialect).bind_processor(dialect), bind.value)
            for name, bind in compiled.binds.items()
            if not bind.required
        }
        columns = getattr(statement, "selected_columns", None)
        found = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns or ()
        ]
        self._has_rows = columns is not None
        self._processors = [(place, process) for place, process in enumerate(found) if process]

    def sent_to(self, driver: Driver, given: Given) -> psycopg.RawCursor[Any]:
        values = {**self._constants, **given}
        return psycopg.RawCursor(driver).execute(
            self._text, [values[name] for name in self._names], prepare=True
        )

    def rows_of(self, cursor: psycopg.RawCursor[Any]) -> Found:
        if not self._has_rows:
            return ()
        rows: list[Any] = cursor.fetchall()
        if self._processors:
            rows = [list(row) for row in rows]
            for row in rows:
                for place, process in self._processors:
                    row[place] = process(row[place])
        return rows


def _processed(process: Processor | None, value: Any) -> Any:
    return process(value) if process else value


PLAN_ONCE = Question(text("SET LOCAL plan_cache_mode = force_generic_plan"))


def ask(session: Session, *asked: tuple[Question, Given]) -> list[Found]:
    """The rows of each question, in their order. Raises what the database answers as SQLAlchemy's errors."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return [_answer(connection.execute(question.statement, dict(given))) for question, given in asked]
    driver = driver_of(connection)
    with wrapped("questions in one go"):
        if len(asked) == 1:
            question, given = asked[0]
            return [question.prepared.rows_of(question.prepared.sent_to(driver, given))]
        with driver.pipeline():
            receive = send(driver, asked)
        return receive()


def send(driver: Driver, asked: Sequence[tuple[Question, Given]]) -> Callable[[], list[Found]]:
    """PostgreSQL: send questions without waiting, in a pipeline; call what is returned after it for their rows."""
    sent = [question.prepared.sent_to(driver, given) for question, given in asked]
    return lambda: [
        question.prepared.rows_of(cursor) for (question, _), cursor in zip(asked, sent, strict=True)
    ]


def planning_once(session: Session) -> list[tuple[Question, Given]]:
    """What lets PostgreSQL plan each question once for a connection, until the transaction ends: for a pass whose
    questions look for few rows by their keys, so that no values ask for another plan."""
    return [(PLAN_ONCE, {})] if is_postgresql(session) else []


def _answer(result: Any) -> Found:
    return cast("Found", result.all()) if result.returns_rows else []


def driver_of(connection: Connection) -> Driver:
    """The driver's own connection to PostgreSQL, in the same transaction."""
    return cast("Driver", connection.connection.driver_connection)


@contextmanager
def wrapped(statement: str) -> Iterator[None]:
    """Let what the driver refuses look as if SQLAlchemy had sent it."""
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error
