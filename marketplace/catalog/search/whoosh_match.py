"""What a query's concepts mean to Whoosh: which documents of a segment have them, and where.

Posting lists are read once into sets of bits (see shelf.py) and kept with the segment, which never changes; what has
been deleted since is taken off last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import islice
from operator import and_, or_
from typing import NamedTuple

from whoosh.searching import Searcher

from marketplace.catalog.search.shelf import Row, Shelf, bits_of
from marketplace.catalog.search.text import Concept, Kind, Term

MAX_KEPT_LISTS = 4_096
MAX_EXPANSIONS = 5_000
Fields = Mapping[Kind, tuple[str, ...]]
HEAD: Fields = {Kind.WORD: ("head_words",), Kind.PINYIN: ("head_pinyin",), Kind.PAIR: ()}
NAME: Fields = {Kind.WORD: ("name_words",), Kind.PINYIN: ("name_pinyin",), Kind.PAIR: ()}
OUTSIDE: Fields = {
    Kind.WORD: ("name_words", "place_words"),
    Kind.PINYIN: ("name_pinyin", "place_pinyin"),
    Kind.PAIR: ("name_pairs", "place_pairs"),
}
ANYWHERE: Fields = {**OUTSIDE, Kind.WORD: ("name_words", "place_words", "body_words")}


class Grade(NamedTuple):
    """How many of the query's concepts a document has, and the points for where it has them."""

    matched: int = 0
    points: int = 0


@dataclass(frozen=True)
class Kept:
    """What is kept of a segment as long as it is in use: its rows, and the posting lists read so far."""

    shelf: Shelf
    postings: dict[tuple[str, Term], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """An open segment: its searcher, what is kept of it, what is not deleted."""

    searcher: Searcher
    kept: Kept
    alive: int

    @classmethod
    def open(cls, leaf: Searcher, kept: Mapping[str, Kept]) -> Segment:
        """The segment under `leaf`, with what is kept of it by its id, or read anew."""
        about = leaf.reader().segment()
        size = about.doc_count_all()
        known = kept.get(about.segment_id()) or Kept(
            Shelf.of([Row._make(leaf.stored_fields(place)["row"]) for place in range(size)])
        )
        return cls(leaf, known, ((1 << size) - 1) & ~bits_of(about.deleted_docs(), size))

    @property
    def segment_id(self) -> str:
        """The id under which Whoosh keeps the segment."""
        return str(self.searcher.reader().segment().segment_id())

    def having(self, concept: Concept, fields: Fields) -> int:
        """The documents that have `concept` in the given fields."""
        return reduce(
            or_,
            (
                reduce(and_, (self._holding(term, fields[term.kind]) for term in terms))
                for terms in concept.alternatives
                if all(fields[term.kind] for term in terms)
            ),
            0,
        )

    def _holding(self, term: Term, field_names: Iterable[str]) -> int:
        return reduce(or_, (self._posting(name, term) for name in field_names))

    def _posting(self, field_name: str, term: Term) -> int:
        kept = self.kept.postings
        bits = kept.get((field_name, term))
        if bits is None:
            if len(kept) >= MAX_KEPT_LISTS:
                kept.clear()
            bits = kept[field_name, term] = self._read(field_name, term)
        return bits

    def _read(self, field_name: str, term: Term) -> int:
        reader = self.searcher.reader()
        texts: Iterable[bytes] = [term.text.encode()]
        if term.kind is Kind.PINYIN and field_name not in HEAD[Kind.PINYIN]:
            texts = islice(reader.expand_prefix(field_name, term.text), MAX_EXPANSIONS)
        places = (
            place
            for text in texts
            if (field_name, text) in reader
            for place in reader.postings(field_name, text).all_ids()
        )
        return bits_of(places, len(self.kept.shelf.rows))


def grade_documents(segment: Segment, concepts: Sequence[Concept]) -> dict[Grade, int]:
    """The documents of `segment` that are not deleted, by how well they match (Grade(0, 0) when not at all).

    Points of a concept: 4 when the product is that thing, 3 when its name has the word, 2 for kind, place or a part
    of a word, 1 for the description.
    """
    grades = {Grade(): segment.alive}
    for concept in concepts:
        anywhere = segment.having(concept, ANYWHERE)
        if not anywhere:
            continue
        head, name, outside = (segment.having(concept, fields) for fields in (HEAD, NAME, OUTSIDE))
        levels = {
            4: head,
            3: name & ~head,
            2: outside & ~name & ~head,
            1: anywhere & ~outside & ~name & ~head,
        }
        graded: dict[Grade, int] = {}
        for grade, bits in grades.items():
            for points, level in levels.items():
                better = Grade(grade.matched + 1, grade.points + points)
                graded[better] = graded.get(better, 0) | (bits & level)
            graded[grade] = graded.get(grade, 0) | (bits & ~anywhere)
        grades = {grade: bits for grade, bits in graded.items() if bits}
    return grades
