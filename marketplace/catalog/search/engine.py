"""What a search engine is asked and what it answers.

Two engines keep this contract, the embedded one and one in PostgreSQL, and give the same results in the same order.
Both are held to it by `tests/catalog/test_search_contract.py`.

Order of results, for every engine:
    1. more of the query's words matched (only differs when no listing has them all)
    2. in stock before sold out
    3. the asked sort; RELEVANCE and PRIORITY begin with points for where each word of the query is: 4 when the
       product is that thing (in pinyin: spelled out to its end), 3 when its name has the word, 2 for its kind, place
       or cooperative, 1 for its description. Listings of the same points are equals, and among equals the higher
       priority score comes first (RELEVANCE puts the shorter title before that: the query says more of it), then the
       newer, then the listing number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from marketplace.core.errors import DomainError
from marketplace.core.labels import N_, LabelledEnum

MAX_PAGE_SIZE = 100
MAX_WINDOW = 10_000
MAX_FACET_VALUES = 100
PRICE_BANDS_FEN: tuple[tuple[int, int | None], ...] = (
    (0, 3_000),
    (3_000, 6_000),
    (6_000, 10_000),
    (10_000, 20_000),
    (20_000, None),
)


class SearchUnavailable(DomainError):
    """The index cannot be read or written now; the page says so and the job tries again."""

    status = 503

    def __init__(self, reason: str) -> None:
        super().__init__("search_unavailable", N_("搜索暂时不可用，请稍后再试"))
        self.reason = reason


class Sort(LabelledEnum):
    """The orders a buyer may ask for."""

    PRIORITY = "priority", N_("帮扶优先")
    RELEVANCE = "relevance", N_("最相关")
    SOLD = "sold", N_("销量")
    NEWEST = "newest", N_("最新上架")
    PRICE_UP = "price_up", N_("价格从低到高")
    PRICE_DOWN = "price_down", N_("价格从高到低")
    PER_KG_UP = "per_kg_up", N_("每千克价从低到高")

    @property
    def without_words(self) -> Sort:
        """The order when nothing was typed: then nothing is more relevant than anything else."""
        return Sort.PRIORITY if self is Sort.RELEVANCE else self


class Answered(StrEnum):
    """How the results relate to the query: to all its words, to some of them, or to the suggestion instead."""

    FULLY = "fully"
    PARTLY = "partly"
    SUGGESTED = "suggested"


@dataclass(frozen=True)
class ListingDocument:
    """One listing as search sees it: what a buyer reads and chooses by. Holds no personal data.

    `category_path` is the codes from the root to `category_code`; `keywords` is further text to be found by (category
    names, certificate labels, the village). `price_fen` is the price of one unit, `price_per_kg_fen` per net
    kilogram; `priority` is `priority.priority_score` of the cooperative; `certificates` are codes of valid ones.
    """

    listing_no: str
    title: str
    product_name: str
    cooperative_no: str
    cooperative_name: str
    category_code: str
    category_path: tuple[str, ...]
    county_code: str
    county_name: str
    price_fen: int
    price_per_kg_fen: int = 0
    certificates: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    priority: int = 0
    sold: int = 0
    published_at: datetime | None = None
    description: str = ""
    in_stock: bool = True


@dataclass(frozen=True)
class SearchRequest:
    """A query, filters, an order and a page. Several values of one filter mean any of them.

    `category` may be any node of the tree; prices are inclusive, in fen per unit. Pages count from 1; page and size
    are brought into range rather than refused.
    """

    text: str = ""
    category: str = ""
    counties: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    cooperatives: tuple[str, ...] = ()
    price_min_fen: int | None = None
    price_max_fen: int | None = None
    in_stock_only: bool = False
    sort: Sort = Sort.PRIORITY
    page: int = 1
    size: int = 24

    @property
    def window(self) -> tuple[int, int]:
        """The first and one past the last place asked for, within bounds."""
        size = min(max(self.size, 1), MAX_PAGE_SIZE)
        start = min((max(self.page, 1) - 1) * size, MAX_WINDOW)
        return start, start + size


@dataclass(frozen=True)
class FacetCount:
    """How many results choosing the value `code` would show."""

    code: str
    count: int


@dataclass(frozen=True)
class PriceBand:
    """How many results cost at least `min_fen` and less than `max_fen` a unit (no upper bound when None)."""

    min_fen: int
    max_fen: int | None
    count: int


@dataclass(frozen=True)
class Facets:
    """Counts under the query and every filter except the facet's own, so a second choice shows what it would give.

    Most frequent first; category counts hold every node of the tree above a result. At most MAX_FACET_VALUES each.
    """

    category: tuple[FacetCount, ...] = ()
    county: tuple[FacetCount, ...] = ()
    certificate: tuple[FacetCount, ...] = ()
    cooperative: tuple[FacetCount, ...] = ()
    price: tuple[PriceBand, ...] = ()


@dataclass(frozen=True)
class SearchResult:
    """One page of listing numbers, how many there are in all, and the facets.

    When nothing matched all words, `answered` says whether the page holds partial matches, or the results of
    `suggestion` (the nearest known word by sound).
    """

    listing_nos: tuple[str, ...]
    total: int
    facets: Facets = field(default_factory=Facets)
    answered: Answered = Answered.FULLY
    suggestion: str = ""


@dataclass(frozen=True)
class EngineStatus:
    """For the health page: whether search answers, how many listings it holds, and which state of the index."""

    ok: bool
    document_count: int
    generation: str
    reason: str = ""


class SearchEngine(Protocol):
    """A place to put listings and find them again. Safe to share between threads; readers never wait for writers."""

    def index(self, documents: Iterable[ListingDocument]) -> int:
        """Add or replace documents by listing number; return how many different ones.

        Raises SearchUnavailable when another writer holds the index too long: ask again.
        """
        ...

    def remove(self, listing_nos: Iterable[str]) -> None:
        """Forget listings; numbers that are not there are passed over. Raises as `index`."""
        ...

    def rebuild(self, documents: Iterable[ListingDocument]) -> int:
        """Replace everything by `documents` at one stroke; return how many different ones.

        Until it is done searches see the old state, and if it fails they go on seeing it. Raises as `index`.
        """
        ...

    def search(self, request: SearchRequest) -> SearchResult:
        """The page asked for, from the newest committed state. Never fails on what was typed."""
        ...

    def status(self) -> EngineStatus:
        """Whether the engine answers; never raises."""
        ...

    def close(self) -> None:
        """Let go of open files; the engine may be used again."""
        ...
