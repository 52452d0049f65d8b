"""The search engine in PostgreSQL: a row a listing, a GIN index over the tokens made by text.py.

Nothing is kept in memory but the words that may be suggested, so any number of web servers share one index. A change is
one transaction: readers see the state before it or after it, and a rebuild needs no second copy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from sqlalchemy import Connection, Engine, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from marketplace.catalog.search.engine import (
    EngineStatus,
    ListingDocument,
    SearchRequest,
    SearchResult,
    SearchUnavailable,
)
from marketplace.catalog.search.models import SearchEntry, SearchState
from marketplace.catalog.search.postgresql_match import answer_of, has_at_least, row_of
from marketplace.catalog.search.reading import Reading, read_query
from marketplace.catalog.search.shelf import FACETS, Counts
from marketplace.catalog.search.text import Concept

LOCK_WAIT_SECONDS = 10.0
WRITER_LOCK = 362_020_31  # one writer at a time; any constant does
BATCH = 200


class PostgresqlEngine:
    """`SearchEngine` over the tables `search_entry` and `search_state` of the database behind `engine`."""

    def __init__(self, engine: Engine, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ")
        self._lock_wait_ms = int(lock_wait_seconds * 1000)
        self._guard = threading.Lock()
        self._words: tuple[int, Sequence[tuple[str, int]]] = (-1, ())

    def index(self, documents: Iterable[ListingDocument]) -> int:
        """Add or replace documents by listing number; return how many."""
        with self._writing() as connection:
            return _put(connection, documents)

    def remove(self, listing_nos: Iterable[str]) -> None:
        """Forget listings; numbers that are not there are passed over."""
        with self._writing() as connection:
            connection.execute(delete(SearchEntry).where(SearchEntry.listing_no.in_(list(listing_nos))))

    def rebuild(self, documents: Iterable[ListingDocument]) -> int:
        """Replace everything by `documents` at one stroke; return how many."""
        with self._writing() as connection:
            connection.execute(delete(SearchEntry))
            return _put(connection, documents)

    def search(self, request: SearchRequest) -> SearchResult:
        """The page asked for, from the newest committed state."""
        with _unavailable_on_failure(), self._reading.connect() as connection:
            reading = read_query(
                request.text,
                holds=lambda concepts, least: _holds(connection, concepts, least),
                vocabulary=lambda: self._vocabulary(connection),
            )
            return _result(connection, reading, request)

    def status(self) -> EngineStatus:
        """Whether the engine answers, and from how many listings."""
        try:
            with _unavailable_on_failure(), self._reading.connect() as connection:
                count = connection.scalar(select(func.count()).select_from(SearchEntry)) or 0
                generation = str(_generation(connection))
                return EngineStatus(ok=True, document_count=count, generation=generation)
        except SearchUnavailable as failure:
            return EngineStatus(ok=False, document_count=0, generation="", reason=failure.reason)

    def close(self) -> None:
        """Nothing is open between two searches; the database is the app's."""

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction of the one writer, which counts as a new state of the index when it ends well."""
        with _unavailable_on_failure(), self._engine.begin() as connection:
            self._wait_for_the_lock(connection)
            yield connection
            counted = insert(SearchState).values(id=1, generation=1)
            connection.execute(
                counted.on_conflict_do_update(
                    index_elements=["id"], set_={"generation": SearchState.generation + 1}
                )
            )

    def _wait_for_the_lock(self, connection: Connection) -> None:
        connection.execute(
            text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{self._lock_wait_ms}ms"}
        )
        try:
            connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
        except OperationalError as error:
            raise SearchUnavailable("another writer holds the index") from error

    def _vocabulary(self, connection: Connection) -> Sequence[tuple[str, int]]:
        """The words that may be suggested, each with its number of listings; read once a state of the index."""
        generation = _generation(connection)
        with self._guard:
            known, words = self._words
        if known == generation:
            return words
        named = select(func.unnest(SearchEntry.words).label("word")).subquery()
        found = connection.execute(select(named.c.word, func.count()).group_by(named.c.word))
        words = [(word, count) for word, count in found]
        with self._guard:
            self._words = (generation, words)
        return words


@contextmanager
def _unavailable_on_failure() -> Iterator[None]:
    """Tell callers one thing about a database that does not answer, whatever it says."""
    try:
        yield
    except SQLAlchemyError as error:
        raise SearchUnavailable(f"{type(error).__name__}: {error}") from error


def _generation(connection: Connection) -> int:
    return connection.scalar(select(SearchState.generation)) or 0


def _put(connection: Connection, documents: Iterable[ListingDocument]) -> int:
    """Write documents in batches; a number given twice is taken once."""
    given = insert(SearchEntry)
    replacing = given.on_conflict_do_update(
        index_elements=["listing_no"],
        set_={column.name: column for column in given.excluded if column.name != "listing_no"},
    )
    seen: set[str] = set()
    source = iter(documents)
    while batch := list(islice(source, BATCH)):
        rows = {
            document.listing_no: document for document in reversed(batch) if document.listing_no not in seen
        }
        seen.update(rows)
        if rows:
            connection.execute(replacing, [row_of(document) for document in rows.values()])
    return len(seen)


def _holds(connection: Connection, concepts: Sequence[Concept], least: int) -> bool:
    found = select(SearchEntry.listing_no).where(has_at_least(concepts, least)).limit(1)
    return connection.scalar(found) is not None


def _result(connection: Connection, reading: Reading, request: SearchRequest) -> SearchResult:
    places: dict[int, str] = {}
    counts = Counts()
    total = 0
    for part, code, number in connection.execute(answer_of(reading, request)):
        if part == "listing":
            places[number] = code
        elif part == "total":
            total = number
        elif part == FACETS[-1]:
            counts.bands[int(code)] = number
        else:
            counts.values[part][code] = int(number)  # sums are numeric
    listing_nos = tuple(places[place] for place in sorted(places))
    return SearchResult(listing_nos, total, counts.facets(), reading.answered, reading.suggestion)
