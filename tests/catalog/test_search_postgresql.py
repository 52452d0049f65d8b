"""What only the engine in PostgreSQL has to prove: transactions, one writer, readers beside it, no database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, func, select, text

from config import Settings
from marketplace.catalog.search.engine import SearchEngine, SearchRequest, SearchUnavailable
from marketplace.catalog.search.postgresql_engine import WRITER_LOCK, PostgresqlEngine
from tests.catalog.test_search_whoosh import listing
from tests.databases import borrowed


@pytest.fixture
def database(postgresql_store):
    with borrowed(postgresql_store) as url:
        yield postgresql_store.engines.lend(url, "search")


@pytest.fixture
def engine(database) -> SearchEngine:
    return PostgresqlEngine(database)


def test_another_server_on_the_same_database_sees_each_change_at_its_next_search(engine, database):
    other = PostgresqlEngine(database)
    for number in range(1, 4):
        engine.index([listing(number)])
        assert other.search(SearchRequest("脐橙")).total == number
    assert other.search(SearchRequest("奇橙")).suggestion == "脐橙"
    engine.rebuild([listing(9, "狗牯脑茶")])
    assert other.search(SearchRequest()).listing_nos == ("N-9",)
    assert other.search(SearchRequest("奇橙")).suggestion == ""


def test_a_second_writer_waits_and_then_says_that_it_could_not(engine, database):
    engine.rebuild([listing(1)])
    hurried = PostgresqlEngine(database, lock_wait_seconds=0.05)
    with database.begin() as busy:
        busy.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
        for write in (hurried.index, hurried.rebuild):
            with pytest.raises(SearchUnavailable) as caught:
                write([listing(2)])
            assert caught.value.reason == "another writer holds the index"
        with pytest.raises(SearchUnavailable):
            hurried.remove(["N-1"])
        assert hurried.search(SearchRequest()).listing_nos == ("N-1",)
    assert engine.index([listing(2)]) == 1


def test_searches_see_whole_states_while_the_index_is_made_anew(engine):
    engine.rebuild([listing(number) for number in range(1, 21)])
    done = threading.Event()

    def look() -> set[int]:
        totals = set()
        while not done.is_set():
            result = engine.search(SearchRequest("脐橙", size=100))
            assert len(set(result.listing_nos)) == result.total
            totals.add(result.total)
        return totals

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for _turn in range(3):
            engine.rebuild([listing(number) for number in range(1, 21)])
            engine.index([listing(number) for number in range(3, 9)])
        done.set()
        assert {total for future in looking for total in future.result()} == {20}


def test_writers_of_many_threads_lose_nothing(engine):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: engine.index([listing(number)]), range(1, 17)))
    assert engine.status().document_count == 16
    assert engine.status().generation == "16"


def test_a_search_of_many_listings_asks_the_index_of_tokens(engine, database):
    engine.rebuild([listing(number, f"山货{number}") for number in range(1, 400)])
    with database.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.scalars(
            text("EXPLAIN SELECT listing_no FROM search_entry WHERE tokens @@ CAST(:words AS tsquery)"),
            {"words": "'w山货':BCD"},
        ).all()
    assert any("ix_search_entry_tokens" in line for line in plan)


def test_a_database_that_is_gone_is_reported_and_not_raised():
    nowhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    engine = PostgresqlEngine(nowhere)
    status = engine.status()
    assert (status.ok, status.document_count) == (False, 0)
    assert "OperationalError" in status.reason
    with pytest.raises(SearchUnavailable):
        engine.search(SearchRequest("脐橙"))


@pytest.mark.parametrize(
    ("url", "asked", "used"),
    [
        ("sqlite:///market.sqlite3", "auto", "whoosh"),
        ("postgresql://host/market", "auto", "postgresql"),
        ("postgresql://host/market", "whoosh", "whoosh"),
    ],
)
def test_the_settings_choose_the_engine(tmp_path, url, asked, used):
    assert Settings(data_dir=tmp_path, database_url=url, search=asked).search == used


def test_an_engine_in_postgresql_without_one_is_refused_at_the_start(tmp_path):
    with pytest.raises(ValueError, match="SEARCH=postgresql needs a DATABASE_URL"):
        Settings(data_dir=tmp_path, database_url="sqlite:///market.sqlite3", search="postgresql")
