"""What a query is taken for: all its words, some of them, or the word that sounds nearest. The same for every engine.

Pure but for the two questions it puts to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from marketplace.catalog.search.engine import Answered
from marketplace.catalog.search.text import Concept, concepts_of, nearest_word


@dataclass(frozen=True)
class Reading:
    """What to look for: documents with at least `least` of the concepts; how that relates to what was typed."""

    concepts: tuple[Concept, ...]
    least: int
    answered: Answered = Answered.FULLY
    suggestion: str = ""


def read_query(
    text: str,
    *,
    holds: Callable[[Sequence[Concept], int], bool],
    vocabulary: Callable[[], Iterable[tuple[str, int]]],
) -> Reading:
    """Listings with every word of the query; else with some; else with the word that sounds nearest.

    `holds(concepts, least)` says whether any document has at least `least` of the concepts; `vocabulary()` gives the
    words of names that may be suggested, each with its number of documents, and is asked only when words are missing.
    """
    concepts = concepts_of(text)
    if not concepts or holds(concepts, len(concepts)):
        return Reading(concepts, len(concepts))
    nearest = nearest_word(text, vocabulary())
    if not nearest.same_sound and holds(concepts, 1):
        return Reading(concepts, 1, Answered.PARTLY, nearest.word)
    if not nearest.word:
        return Reading(concepts, 1)
    instead = concepts_of(nearest.word)
    return Reading(instead, len(instead), Answered.SUGGESTED, nearest.word)
