"""Filter, count and order listings in memory: one shelf for each unchanging part of an index.

Pure. A set of documents is an integer with one bit a document, so a facet of a hundred values over 20,000 listings
is counted in about a millisecond. Finding documents by text is the engine's work.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from marketplace.catalog.search.engine import (
    MAX_FACET_VALUES,
    PRICE_BANDS_FEN,
    FacetCount,
    Facets,
    ListingDocument,
    PriceBand,
    SearchRequest,
    Sort,
)

FACETS = ("category", "county", "certificate", "cooperative", "price")


class Row(NamedTuple):
    """What an engine keeps of a document to filter and order by; plain values, so that it may be stored."""

    listing_no: str
    category: tuple[str, ...]
    county: tuple[str, ...]
    certificate: tuple[str, ...]
    cooperative: tuple[str, ...]
    price_fen: int
    price_per_kg_fen: int
    name_length: int
    priority: int
    sold: int
    published: int
    in_stock: bool

    @classmethod
    def of(cls, document: ListingDocument) -> Row:
        """The row of a document; its category counts with every node above it."""
        path = document.category_path
        published = document.published_at
        return cls(
            listing_no=document.listing_no,
            category=tuple(dict.fromkeys((*path, document.category_code))),
            county=(document.county_code,),
            certificate=document.certificates,
            cooperative=(document.cooperative_no,),
            price_fen=document.price_fen,
            price_per_kg_fen=document.price_per_kg_fen,
            name_length=len(document.title),
            priority=document.priority,
            sold=document.sold,
            published=int(published.timestamp()) if published else 0,
            in_stock=document.in_stock,
        )


OrderKey = tuple[int | str, ...]
_ORDERS: dict[Sort, Callable[[Row], OrderKey]] = {
    Sort.PRIORITY: lambda row: (-row.priority, -row.published),
    Sort.RELEVANCE: lambda row: (row.name_length, -row.priority, -row.published),
    Sort.SOLD: lambda row: (-row.sold, -row.priority, -row.published),
    Sort.NEWEST: lambda row: (-row.published, -row.priority),
    Sort.PRICE_UP: lambda row: (row.price_fen, -row.priority, -row.published),
    Sort.PER_KG_UP: lambda row: (row.price_per_kg_fen, -row.priority, -row.published),
    Sort.PRICE_DOWN: lambda row: (-row.price_fen, -row.priority, -row.published),
}
SORTS_BY_POINTS = (Sort.PRIORITY, Sort.RELEVANCE)


class Candidate(NamedTuple):
    """A row that may stand in the window, by its full order key."""

    key: OrderKey
    listing_no: str


def window_of(candidates: Iterable[Candidate], request: SearchRequest) -> tuple[str, ...]:
    """The listing numbers in the places asked for, from the best of every shelf."""
    start, end = request.window
    return tuple(one.listing_no for one in heapq.nsmallest(end, candidates)[start:end])


def bits_of(places: Iterable[int], size: int) -> int:
    """The set of `places`, each below `size`."""
    octets = bytearray((size + 7) // 8)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


def places_of(bits: int) -> list[int]:
    """The places in a set, ascending."""
    return [place for place, bit in enumerate(bin(bits)[:1:-1]) if bit == "1"]


@dataclass(frozen=True)
class Shelf:
    """The rows of one part of an index by their place in it, and the sets of places that share a value."""

    rows: Sequence[Row]
    _values: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _prices: Sequence[tuple[int, int]] = ()
    _in_stock: int = 0
    _keys: dict[Sort, list[OrderKey]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Shelf:
        """A shelf of `rows`, in their places."""
        values: dict[str, dict[str, int]] = {}
        for facet in FACETS[:-1]:
            holders: defaultdict[str, list[int]] = defaultdict(list)
            for place, row in enumerate(rows):
                for value in getattr(row, facet):
                    holders[value].append(place)
            values[facet] = {value: bits_of(places, len(rows)) for value, places in holders.items()}
        prices = sorted((row.price_fen, place) for place, row in enumerate(rows))
        in_stock = bits_of((place for place, row in enumerate(rows) if row.in_stock), len(rows))
        return cls(rows, values, prices, in_stock)

    def priced(self, least_fen: int | None, most_fen: int | None) -> int:
        """The places whose unit price lies between the two, inclusive; None is no bound."""
        start = 0 if least_fen is None else bisect_left(self._prices, (least_fen, -1))
        end = (
            len(self._prices) if most_fen is None else bisect_right(self._prices, (most_fen, len(self.rows)))
        )
        return bits_of((place for _, place in self._prices[start:end]), len(self.rows))

    def filtered(self, base: int, request: SearchRequest) -> tuple[int, dict[str, int]]:
        """Of the set `base`: what passes all filters, and for each facet what passes all but its own."""
        if request.in_stock_only:
            base &= self._in_stock
        allowed: dict[str, int] = {}
        chosen = {
            "category": (request.category,) if request.category else (),
            "county": request.counties,
            "certificate": request.certificates,
            "cooperative": request.cooperatives,
        }
        for facet, codes in chosen.items():
            if codes:
                allowed[facet] = 0
                for code in codes:
                    allowed[facet] |= self._values[facet].get(code, 0)
        if request.price_min_fen is not None or request.price_max_fen is not None:
            allowed["price"] = self.priced(request.price_min_fen, request.price_max_fen)
        sideways = dict.fromkeys(FACETS, base)
        for facet, bits in allowed.items():
            base &= bits
            for other in FACETS:
                if other != facet:
                    sideways[other] &= bits
        return base, sideways

    def best(self, bits: int, request: SearchRequest, *, matched: int, points: int) -> list[Candidate]:
        """The first rows of the set `bits`, equal in how they match, as many as the window needs. Order: engine.py."""
        keys = self._keys_of(request.sort if matched else request.sort.without_words)
        ranked = points if request.sort in SORTS_BY_POINTS else 0

        def full_key(place: int) -> OrderKey:
            return (-matched, not self.rows[place].in_stock, -ranked, *keys[place])

        return [
            Candidate(full_key(place), self.rows[place].listing_no)
            for place in heapq.nsmallest(request.window[1], places_of(bits), key=keys.__getitem__)
        ]

    def _keys_of(self, sort: Sort) -> list[OrderKey]:
        if sort not in self._keys:
            order = _ORDERS[sort]
            self._keys[sort] = [(not row.in_stock, *order(row), row.listing_no) for row in self.rows]
        return self._keys[sort]

    def count(self, sideways: Mapping[str, int], into: Counts) -> None:
        """Add to `into` how often each value of each facet occurs in the facet's own set."""
        for facet, holders in self._values.items():
            within = sideways[facet]
            for value, bits in holders.items():
                if count := (bits & within).bit_count():
                    into.values[facet][value] += count
        for band, bits in enumerate(self._bands()):
            into.bands[band] += (bits & sideways["price"]).bit_count()

    def _bands(self) -> Iterable[int]:
        for least, below in PRICE_BANDS_FEN:
            yield self.priced(least, None if below is None else below - 1)


@dataclass
class Counts:
    """Facet counts while they are added up over the shelves."""

    values: dict[str, Counter[str]] = field(
        default_factory=lambda: {facet: Counter() for facet in FACETS[:-1]}
    )
    bands: Counter[int] = field(default_factory=Counter)

    def facets(self) -> Facets:
        """The finished counts, most frequent first, then by code."""
        ordered = {
            facet: tuple(
                FacetCount(code, count)
                for code, count in sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[
                    :MAX_FACET_VALUES
                ]
            )
            for facet, counter in self.values.items()
        }
        bands = tuple(
            PriceBand(least, below, self.bands[band]) for band, (least, below) in enumerate(PRICE_BANDS_FEN)
        )
        return Facets(**ordered, price=bands)
