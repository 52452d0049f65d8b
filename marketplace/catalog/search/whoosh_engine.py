"""The embedded search engine: Whoosh finds by text, shelves in memory filter, count and order.

Searchers are kept open between searches, one for each thread that searches at the same moment, and replaced when the
index has changed. Shelves are built once a segment, so a small update costs a small shelf.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from whoosh.searching import Searcher

from marketplace.catalog.search.engine import (
    EngineStatus,
    ListingDocument,
    SearchRequest,
    SearchResult,
    SearchUnavailable,
)
from marketplace.catalog.search.reading import Reading, read_query
from marketplace.catalog.search.shelf import Candidate, Counts, window_of
from marketplace.catalog.search.text import Concept, is_suggestible
from marketplace.catalog.search.whoosh_match import Grade, Kept, Segment, grade_documents
from marketplace.catalog.search.whoosh_store import Store

LOCK_WAIT_SECONDS = 10.0
MAX_IDLE_READERS = 8


@dataclass(frozen=True)
class _Reader:
    """An open state of the index."""

    generation: str
    searcher: Searcher
    segments: Sequence[Segment]


@dataclass(frozen=True)
class _Answer:
    """What a query was taken for, and per segment the documents by how well they match it."""

    reading: Reading
    grades: Sequence[dict[Grade, int]]


class WhooshEngine:
    """`SearchEngine` over the folder `root`, which is made when it is missing."""

    def __init__(self, root: Path, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        self._store = Store(root, lock_wait_seconds)
        self._guard = threading.Lock()
        self._idle: list[_Reader] = []
        self._kept_of = ""
        self._kept: dict[str, Kept] = {}

    def index(self, documents: Iterable[ListingDocument]) -> int:
        """Add or replace documents by listing number; return how many."""
        return self._store.put(documents)

    def remove(self, listing_nos: Iterable[str]) -> None:
        """Forget listings; numbers that are not there are passed over."""
        self._store.remove(listing_nos)

    def rebuild(self, documents: Iterable[ListingDocument]) -> int:
        """Replace everything by `documents` at one stroke; return how many."""
        return self._store.replace_all(documents)

    def search(self, request: SearchRequest) -> SearchResult:
        """The page asked for, from the newest committed state."""
        with _unavailable_on_failure(), self._reading() as reader:
            answer = _answer(reader, request.text)
            candidates: list[Candidate] = []
            counts = Counts()
            total = 0
            for segment, grades in zip(reader.segments, answer.grades, strict=True):
                passed, sideways = segment.kept.shelf.filtered(reduce(or_, grades.values(), 0), request)
                segment.kept.shelf.count(sideways, counts)
                total += passed.bit_count()
                candidates += _best(segment, passed, grades, request)
            reading = answer.reading
            return SearchResult(
                window_of(candidates, request), total, counts.facets(), reading.answered, reading.suggestion
            )

    def status(self) -> EngineStatus:
        """Whether the engine answers, and from how many listings."""
        try:
            with _unavailable_on_failure(), self._reading() as reader:
                count = sum(segment.alive.bit_count() for segment in reader.segments)
                return EngineStatus(ok=True, document_count=count, generation=reader.generation)
        except SearchUnavailable as failure:
            return EngineStatus(ok=False, document_count=0, generation="", reason=failure.reason)

    def close(self) -> None:
        """Close the searchers kept open."""
        with self._guard:
            idle, self._idle = self._idle, []
            self._kept = {}
        for reader in idle:
            reader.searcher.close()

    @contextmanager
    def _reading(self) -> Iterator[_Reader]:
        """A reader of the newest state, for one thread at a time."""
        generation = self._store.generation()
        with self._guard:
            stale = [reader for reader in self._idle if reader.generation != generation]
            self._idle = [reader for reader in self._idle if reader.generation == generation]
            reader = self._idle.pop() if self._idle else None
        for old in stale:
            old.searcher.close()
        reader = reader or self._open()
        try:
            yield reader
        finally:
            with self._guard:
                kept = len(self._idle) < MAX_IDLE_READERS
                if kept:
                    self._idle.append(reader)
            if not kept:
                reader.searcher.close()

    def _open(self) -> _Reader:
        """What was kept of a segment counts in its own folder only: ids of segments are not unique beyond it."""
        generation, searcher = self._store.open_searcher()
        folder = generation.rpartition(".")[0]
        with self._guard:
            kept = self._kept if self._kept_of == folder else {}
        segments = [
            Segment.open(leaf, kept)
            for leaf, _offset in searcher.leaf_searchers()
            if leaf.reader().segment() is not None  # an index without any document has one that is none
        ]
        with self._guard:
            self._kept_of = folder
            self._kept = {segment.segment_id: segment.kept for segment in segments}
        return _Reader(generation, searcher, segments)


@contextmanager
def _unavailable_on_failure() -> Iterator[None]:
    """Tell callers one thing about a broken index, whatever in it is broken: files can be damaged in many ways."""
    try:
        yield
    except SearchUnavailable:
        raise
    except Exception as error:
        raise SearchUnavailable(f"{type(error).__name__}: {error}") from error


def _answer(reader: _Reader, text: str) -> _Answer:
    """What the query is taken for, and the documents that match it."""
    graded: dict[Sequence[Concept], Sequence[dict[Grade, int]]] = {}

    def matching(concepts: Sequence[Concept], least: int) -> Sequence[dict[Grade, int]]:
        if concepts not in graded:
            graded[concepts] = [grade_documents(segment, concepts) for segment in reader.segments]
        return [_matching(part, least) for part in graded[concepts]]

    reading = read_query(
        text,
        holds=lambda concepts, least: any(matching(concepts, least)),
        vocabulary=lambda: _vocabulary(reader),
    )
    return _Answer(reading, matching(reading.concepts, reading.least))


def _matching(grades: dict[Grade, int], least: int) -> dict[Grade, int]:
    """Only the documents with at least `least` of the concepts."""
    return {grade: bits for grade, bits in grades.items() if grade.matched >= least}


def _vocabulary(reader: _Reader) -> Iterator[tuple[str, int]]:
    for word, info in reader.searcher.reader().iter_field("name_words"):
        text = word.decode("utf-8")
        if is_suggestible(text):
            yield text, info.doc_frequency()


def _best(
    segment: Segment, passed: int, grades: dict[Grade, int], request: SearchRequest
) -> Iterator[Candidate]:
    for grade, bits in grades.items():
        yield from segment.kept.shelf.best(bits & passed, request, matched=grade.matched, points=grade.points)
