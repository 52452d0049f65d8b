"""The database layer: instants, writers that queue on SQLite, and histories nobody may change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from marketplace.core.append_only import APPEND_ONLY, append_only_statements, is_append_only, keys_of
from marketplace.core.db import UtcInstant, open_engine

MOMENTS = MetaData()
MOMENT = Table("moment", MOMENTS, Column("id", Integer, primary_key=True), Column("at", UtcInstant))
HISTORY = Table(
    "stone",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("mason", String(20)),
    Column("year", Integer),
    Column("mark", String(20)),
    UniqueConstraint("mason", "year"),
    Index("uq_stone_mark", "mark", unique=True),
    Index("ix_stone_year", "year"),
    info=APPEND_ONLY,
)


@pytest.fixture
def carved(session: Session) -> Session:
    """A session in which the append-only table `stone` has one row."""
    connection = session.connection()
    HISTORY.create(connection)
    for statement in append_only_statements("stone", connection.dialect.name, keys=keys_of(HISTORY)):
        connection.exec_driver_sql(statement)
    session.execute(insert(HISTORY), [{"mason": "何", "year": 2020, "mark": "甲"}])
    return session


# --- instants ---


def test_an_instant_comes_back_as_the_same_instant_in_utc(session: Session):
    MOMENTS.create_all(session.connection())
    written = datetime(2026, 6, 1, 10, 30, 15, 123456, tzinfo=timezone(timedelta(hours=8)))
    session.execute(insert(MOMENT), [{"at": written}, {"at": None}])
    read = session.scalars(select(MOMENT.c.at).order_by(MOMENT.c.id)).all()
    assert read == [written, None]
    assert read[0] is not None
    assert read[0].tzinfo is UTC or read[0].utcoffset() == timedelta(0)
    assert session.scalar(select(MOMENT.c.id).where(MOMENT.c.at < written + timedelta(microseconds=1))) == 1
    assert session.scalar(select(MOMENT.c.id).where(MOMENT.c.at < written)) is None


def test_a_naive_time_cannot_be_stored(session: Session):
    MOMENTS.create_all(session.connection())
    with pytest.raises(StatementError, match="naive"):
        session.execute(insert(MOMENT), [{"at": datetime(2026, 6, 1)}])  # noqa: DTZ001 - what is refused


# --- SQLite ---


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'tally.sqlite3'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE tally (count INTEGER)")
        connection.exec_driver_sql("INSERT INTO tally VALUES (0)")
    yield engine
    engine.dispose()


def test_writers_on_sqlite_queue_and_lose_nothing(tally: Engine):
    def add(_: int) -> None:
        with tally.begin() as connection:
            count = connection.exec_driver_sql("SELECT count FROM tally").scalar_one()
            connection.execute(text("UPDATE tally SET count = :count"), {"count": count + 1})

    with ThreadPoolExecutor(6) as writers:
        list(writers.map(add, range(30)))
    with tally.connect() as connection:
        assert connection.exec_driver_sql("SELECT count FROM tally").scalar_one() == 30


def test_a_reader_on_sqlite_does_not_wait_for_a_writer(tally: Engine):
    reading = tally.execution_options(read_only=True)
    with tally.begin() as writer:
        writer.exec_driver_sql("UPDATE tally SET count = 7")
        with reading.begin() as reader:
            assert reader.exec_driver_sql("SELECT count FROM tally").scalar_one() == 0


def test_sqlite_keeps_references_and_survives_power_cuts(tally: Engine):
    with tally.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    assert settings == ["wal", 1, 2]


# --- histories ---


def test_a_table_is_marked_as_history():
    assert is_append_only(HISTORY)
    assert not is_append_only(MOMENT)
    assert keys_of(HISTORY) == [("id",), ("mark",), ("mason", "year")]


@pytest.mark.parametrize("statement", ["UPDATE stone SET mark = '乙'", "DELETE FROM stone"])
def test_a_history_is_not_changed(carved: Session, statement: str):
    with pytest.raises(IntegrityError, match="stone is append-only"), carved.begin_nested():
        carved.execute(text(statement))
    assert carved.execute(select(HISTORY)).all() == [(1, "何", 2020, "甲")]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("row", ["(1, '李', 2021, '乙')", "(2, '何', 2020, '乙')", "(2, '李', 2021, '甲')"])
def test_a_row_with_a_key_that_is_taken_does_not_replace_it(carved: Session, row: str):
    with pytest.raises(IntegrityError, match="stone is append-only"), carved.begin_nested():
        carved.execute(text(f"REPLACE INTO stone VALUES {row}"))
    assert carved.execute(select(HISTORY)).all() == [(1, "何", 2020, "甲")]


def test_a_history_grows(carved: Session):
    carved.execute(
        insert(HISTORY),
        [{"mason": "何", "year": 2021, "mark": None}, {"mason": None, "year": 2020, "mark": None}],
    )
    carved.execute(insert(HISTORY), [{"mason": None, "year": 2020, "mark": None}])
    assert len(carved.execute(select(HISTORY)).all()) == 4


def test_the_statements_may_run_again(carved: Session):
    connection = carved.connection()
    for statement in append_only_statements("stone", connection.dialect.name, keys=keys_of(HISTORY)):
        connection.exec_driver_sql(statement)
    with pytest.raises(IntegrityError), carved.begin_nested():
        carved.execute(text("DELETE FROM stone"))


def test_a_database_that_cannot_guard_a_history_is_refused():
    with pytest.raises(ValueError, match="mysql"):
        append_only_statements("stone", "mysql")
