"""What only the embedded engine has to prove: files, locks, threads and processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from marketplace.catalog.search.engine import ListingDocument, SearchEngine, SearchRequest, SearchUnavailable
from marketplace.catalog.search.whoosh_engine import WhooshEngine


def listing(number: int, title: str = "赣南脐橙") -> ListingDocument:
    return ListingDocument(
        listing_no=f"N-{number}",
        title=title,
        product_name=title,
        cooperative_no="C-1",
        cooperative_name="山里人家专业合作社",
        category_code="navel-orange",
        category_path=("farm", "fruit", "navel-orange"),
        county_code="360724",
        county_name="上犹县",
        price_fen=100 * number,
    )


@pytest.fixture
def engine(tmp_path):
    made = WhooshEngine(tmp_path / "index")
    yield made
    made.close()


def test_it_keeps_the_contract_of_types(engine):
    kept: SearchEngine = engine
    assert kept.status().ok


def test_a_missing_folder_is_an_empty_catalogue(engine, tmp_path):
    assert engine.search(SearchRequest("脐橙")).total == 0
    assert (tmp_path / "index" / "current").exists()


def test_another_engine_on_the_same_folder_sees_each_change_at_its_next_search(engine, tmp_path):
    other = WhooshEngine(tmp_path / "index")
    try:
        for number in range(1, 6):
            engine.index([listing(number)])
            assert other.search(SearchRequest("脐橙")).total == number
        engine.rebuild([listing(9)])
        assert other.search(SearchRequest()).listing_nos == ("N-9",)
        engine.rebuild([listing(10)])
        engine.rebuild([listing(11)])
        assert other.search(SearchRequest()).listing_nos == ("N-11",)
    finally:
        other.close()


def test_old_generations_are_cleared_away(engine, tmp_path):
    for number in range(1, 6):
        engine.rebuild([listing(number)])
    assert len(list((tmp_path / "index").glob("g-*"))) == 2


def test_a_second_writer_waits_and_then_says_that_it_could_not(engine, tmp_path):
    engine.rebuild([listing(1)])
    hurried = WhooshEngine(tmp_path / "index", lock_wait_seconds=0.05)
    handle = os.open(tmp_path / "index" / "lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for write in (hurried.index, hurried.rebuild):
            with pytest.raises(SearchUnavailable) as caught:
                write([listing(2)])
            assert caught.value.reason == "another writer holds the index"
        with pytest.raises(SearchUnavailable):
            hurried.remove(["N-1"])
        assert hurried.search(SearchRequest()).listing_nos == ("N-1",)
    finally:
        os.close(handle)
        hurried.close()
    assert engine.index([listing(2)]) == 1


def test_a_killed_writer_leaves_no_lock_and_no_half_state(engine, tmp_path):
    engine.rebuild([listing(1), listing(2)])
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from marketplace.catalog.search.whoosh_store import Store, _committing\n"
        f"store = Store(Path({str(tmp_path / 'index')!r}), 1.0)\n"
        "with store._writing() as index, _committing(index) as writer:\n"
        "    writer.delete_by_term('listing_no', 'N-1')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert killed.returncode == -9
    assert engine.search(SearchRequest()).total == 2
    assert engine.index([listing(3)]) == 1
    assert engine.search(SearchRequest()).total == 3


def test_searches_of_many_threads_see_whole_states_while_listings_change(engine):
    engine.rebuild([listing(number) for number in range(1, 21)])
    done = threading.Event()

    def look() -> set[int]:
        totals = set()
        while not done.is_set():
            result = engine.search(SearchRequest("脐橙", size=100))
            assert len(set(result.listing_nos)) == result.total
            totals.add(result.total)
        return totals

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(4)]
        for turn in range(3):
            engine.index([listing(number) for number in range(1 + turn, 6 + turn)])
            engine.rebuild([listing(number) for number in range(1, 21)])
        done.set()
        assert {total for future in looking for total in future.result()} == {20}


def test_writers_of_many_threads_lose_nothing(engine):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: engine.index([listing(number)]), range(1, 17)))
    assert engine.status().document_count == 16


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Whoosh leaves a damaged file open
@pytest.mark.parametrize("damage", ["gone", "garbage", "empty"])
def test_a_damaged_index_is_reported_and_a_rebuild_mends_it(engine, tmp_path, damage):
    engine.rebuild([listing(1)])
    engine.close()
    (folder,) = (tmp_path / "index").glob("g-*")
    for file in folder.iterdir():
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(b"" if damage == "empty" else b"\x80garbage" * 40)
    status = engine.status()
    assert (status.ok, status.document_count) == (False, 0)
    assert status.reason
    with pytest.raises(SearchUnavailable):
        engine.search(SearchRequest("脐橙"))
    assert engine.rebuild([listing(1), listing(2)]) == 2
    assert engine.status().ok
    assert engine.search(SearchRequest("脐橙")).total == 2


def test_a_closed_engine_may_be_used_again(engine):
    engine.index([listing(1)])
    engine.search(SearchRequest())
    engine.close()
    assert engine.search(SearchRequest()).total == 1
