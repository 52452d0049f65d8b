"""Where the embedded index lies and how it changes: one folder a generation, one writer, one stroke to switch.

The root folder holds the generations, a file `current` that names the one in use, and a lock file for writers.
Readers of any process see a new state at their next look; what they have open stays readable, since a deleted file
lives on while it is open. See docs/decisions/the-embedded-search-engine-is-whoosh-with-our-own-words.md.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from whoosh import fields, index as whoosh_index
from whoosh.index import FileIndex
from whoosh.searching import Searcher
from whoosh.writing import IndexWriter

from marketplace.catalog.search.engine import ListingDocument, SearchUnavailable
from marketplace.catalog.search.entries import Entry
from marketplace.catalog.search.shelf import Row

LOCK_POLL_SECONDS = 0.02
LOOKS = 5
T = TypeVar("T")
_COMMIT = re.compile(r"_MAIN_(\d+)\.toc")


def _marks() -> fields.KEYWORD:
    """Tokens that are there or not."""
    return fields.KEYWORD(scorable=False)


SCHEMA = fields.Schema(
    listing_no=fields.ID(unique=True),
    row=fields.STORED,
    head_words=_marks(),
    head_pinyin=_marks(),
    name_words=_marks(),
    name_pairs=_marks(),
    name_pinyin=_marks(),
    place_words=_marks(),
    place_pairs=_marks(),
    place_pinyin=_marks(),
    body_words=_marks(),
)


def _fields_of(document: ListingDocument) -> dict[str, object]:
    entry = Entry.of(document)
    return {
        "listing_no": document.listing_no,
        "row": tuple(Row.of(document)),
        "head_words": " ".join(entry.head.words),
        "head_pinyin": " ".join(entry.head.pinyin),
        "name_words": " ".join(entry.name.words),
        "name_pairs": " ".join(entry.name.pairs),
        "name_pinyin": " ".join(entry.name.pinyin),
        "place_words": " ".join(entry.place.words),
        "place_pairs": " ".join(entry.place.pairs),
        "place_pinyin": " ".join(entry.place.pinyin),
        "body_words": " ".join(entry.body),
    }


@dataclass(frozen=True)
class Store:
    """The index under the folder `root`, made when it is missing."""

    root: Path
    lock_wait_seconds: float

    def put(self, documents: Iterable[ListingDocument]) -> int:
        """Add or replace documents; return how many. A number given twice in one call is taken once."""
        with self._writing() as current, _committing(current) as writer:
            return _add_each(writer.update_document, documents)

    def remove(self, listing_nos: Iterable[str]) -> None:
        """Forget listings."""
        with self._writing() as current, _committing(current) as writer:
            for listing_no in listing_nos:
                writer.delete_by_term("listing_no", listing_no)

    def replace_all(self, documents: Iterable[ListingDocument]) -> int:
        """Build a new generation beside the one in use, then switch to it; return how many documents it holds.

        The generation left behind stays until the next rebuild, for readers that are just opening it.
        """
        with self._locked():
            before, name = self._current_name(), f"g-{secrets.token_hex(6)}"
            try:
                with _committing(self._create(name)) as writer:
                    count = _add_each(writer.add_document, documents)
                self._switch_to(name)
            except BaseException:
                shutil.rmtree(self.root / name, ignore_errors=True)
                raise
            for folder in self.root.glob("g-*"):
                if folder.name not in {name, before}:
                    shutil.rmtree(folder, ignore_errors=True)
            return count

    def generation(self) -> str:
        """What names the newest committed state; cheap enough to ask at every search."""
        return self._in_peace(self._newest)

    def open_searcher(self) -> tuple[str, Searcher]:
        """The newest state and its name.

        A new searcher each time: `Searcher.refresh` of Whoosh-Reloaded 2.7.5 brings replaced documents back.
        """

        def newest_searcher() -> tuple[str, Searcher]:
            generation = self._newest()
            return generation, self._open_index(generation.rpartition(".")[0]).searcher()

        return self._in_peace(newest_searcher)

    def _newest(self) -> str:
        name = self._current_name() or self._begin()
        commits = (_COMMIT.fullmatch(file.name) for file in (self.root / name).iterdir())
        return f"{name}.{max((int(commit[1]) for commit in commits if commit), default=0)}"

    def _in_peace(self, look: Callable[[], T]) -> T:
        """What `look` sees; again when a writer has cleared away what it was looking at."""
        for _ in range(LOOKS - 1):
            with suppress(OSError, whoosh_index.EmptyIndexError):
                return look()
            time.sleep(LOCK_POLL_SECONDS)
        return look()

    @contextmanager
    def _writing(self) -> Iterator[FileIndex]:
        with self._locked():
            yield self._open_index(self._current_name() or self._create_first())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the one writer's lock over the whole root. The kernel lets go of it when a process dies."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for(handle)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int) -> None:
        deadline = time.monotonic() + self.lock_wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SearchUnavailable("another writer holds the index") from None
                time.sleep(LOCK_POLL_SECONDS)
            else:
                return

    def _current_name(self) -> str:
        try:
            return (self.root / "current").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""

    def _begin(self) -> str:
        with self._locked():
            return self._current_name() or self._create_first()

    def _create_first(self) -> str:
        name = f"g-{secrets.token_hex(6)}"
        self._create(name)
        self._switch_to(name)
        return name

    def _create(self, name: str) -> FileIndex:
        (self.root / name).mkdir()
        return whoosh_index.create_in(self.root / name, SCHEMA)

    def _open_index(self, name: str) -> FileIndex:
        return whoosh_index.open_dir(self.root / name)

    def _switch_to(self, name: str) -> None:
        part = self.root / "current.part"
        part.write_text(name, encoding="ascii")
        part.replace(self.root / "current")


def _add_each(add: Callable[..., None], documents: Iterable[ListingDocument]) -> int:
    seen: set[str] = set()
    for document in documents:
        if document.listing_no not in seen:
            seen.add(document.listing_no)
            add(**_fields_of(document))
    return len(seen)


@contextmanager
def _committing(target: FileIndex) -> Iterator[IndexWriter]:
    """A writer whose changes all come into force at the end, or none of them."""
    writer = target.writer()
    try:
        yield writer
    except BaseException:
        writer.cancel()
        raise
    writer.commit()
