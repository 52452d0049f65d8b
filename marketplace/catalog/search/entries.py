"""What every engine keeps of a listing to find it by: the tokens of its name, its kind and place, its description.

Pure. How the tokens are stored and matched is the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass

from marketplace.catalog.search.engine import ListingDocument
from marketplace.catalog.search.text import Tokens, heads_of, tokens_of, words_of


@dataclass(frozen=True)
class Entry:
    """The tokens of a document by where they stand.

    `head` says what the thing is, `name` is its title and the product's name, `place` its kind, county, cooperative and
    further keywords, `body` the words of its description in order.
    """

    head: Tokens
    name: Tokens
    place: Tokens
    body: tuple[str, ...]

    @classmethod
    def of(cls, document: ListingDocument) -> Entry:
        """The tokens of `document`."""
        return cls(
            head=heads_of(document.product_name),
            name=tokens_of(document.title, document.product_name),
            place=tokens_of(*document.keywords, document.county_name, document.cooperative_name),
            body=tuple(words_of(document.description)),
        )
