"""Every facet under every combination of filters counts what counting by hand gives, "recognised" among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from marketplace.catalog.recognition.queries import Badge
from marketplace.catalog.search.engine import (
    PRICE_BANDS_FEN,
    ListingDocument,
    SearchEngine,
    SearchRequest,
)
from tests.catalog.test_search_agreement import documents

RECOGNISED = Badge.RECOGNISED.value
Passes = Callable[[ListingDocument], bool]


@st.composite
def recognised_or_not(draw, number: int) -> ListingDocument:
    """A listing whose product is recognised or not, beside whatever certificates it has."""
    document = draw(documents(number))
    is_recognised = draw(st.booleans())
    return replace(document, certificates=(*document.certificates, *([RECOGNISED] if is_recognised else [])))


shelves = st.integers(0, 12).flatmap(
    lambda size: st.tuples(*(recognised_or_not(number) for number in range(size)))
)
CATEGORIES = ("", "farm", "tea", "navel-orange", "no-such")
COUNTIES = ((), ("360724",), ("360724", "361025"))
CERTIFICATES = ((), (RECOGNISED,), ("organic", RECOGNISED), ("green_food",))
COOPERATIVES = ((), ("C-1",), ("C-1", "C-2", "C-9"))
PRICES = ((None, None), (3_000, 6_500), (None, 3_499), (9_500, None))
STOCK = (False, True)
COMBINATIONS = tuple(product(CATEGORIES, COUNTIES, CERTIFICATES, COOPERATIVES, PRICES, STOCK))


def request_of(combination: tuple) -> SearchRequest:
    category, counties, certificates, cooperatives, (least, most), in_stock_only = combination
    return SearchRequest(
        category=category,
        counties=counties,
        certificates=certificates,
        cooperatives=cooperatives,
        price_min_fen=least,
        price_max_fen=most,
        in_stock_only=in_stock_only,
    )


def filters_of(asked: SearchRequest) -> dict[str, Passes]:
    """What each filter lets through, read from the request as its docstring says."""
    least, most = asked.price_min_fen, asked.price_max_fen
    return {
        "category": lambda one: not asked.category or asked.category in one.category_path,
        "county": lambda one: not asked.counties or one.county_code in asked.counties,
        "certificate": lambda one: (
            not asked.certificates or bool({*asked.certificates} & {*one.certificates})
        ),
        "cooperative": lambda one: not asked.cooperatives or one.cooperative_no in asked.cooperatives,
        "price": lambda one: (
            (least is None or one.price_fen >= least) and (most is None or one.price_fen <= most)
        ),
        "stock": lambda one: one.in_stock or not asked.in_stock_only,
    }


def passing(
    shelf: Iterable[ListingDocument], filters: dict[str, Passes], but: str = ""
) -> list[ListingDocument]:
    """The listings that pass all filters but one."""
    return [one for one in shelf if all(lets(one) for name, lets in filters.items() if name != but)]


def by_hand(shelf: Iterable[ListingDocument], asked: SearchRequest) -> dict[str, dict[str, int]]:
    """The counts of every facet, counted one by one."""
    filters = filters_of(asked)
    values: dict[str, Callable[[ListingDocument], Iterable[str]]] = {
        "category": lambda one: one.category_path,
        "county": lambda one: (one.county_code,),
        "certificate": lambda one: one.certificates,
        "cooperative": lambda one: (one.cooperative_no,),
    }
    counted = {
        facet: dict(Counter(value for one in passing(shelf, filters, facet) for value in of(one)))
        for facet, of in values.items()
    }
    prices = [one.price_fen for one in passing(shelf, filters, "price")]
    counted["price"] = {
        str(least): sum(least <= price and (below is None or price < below) for price in prices)
        for least, below in PRICE_BANDS_FEN
    }
    return counted


def told(engine: SearchEngine, asked: SearchRequest) -> dict[str, dict[str, int]]:
    facets = engine.search(asked).facets
    counted = {
        facet: {one.code: one.count for one in getattr(facets, facet)}
        for facet in ("category", "county", "certificate", "cooperative")
    }
    return {**counted, "price": {str(band.min_fen): band.count for band in facets.price}}


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(shelves, st.lists(st.sampled_from(COMBINATIONS), min_size=15, max_size=25, unique=True))
def test_every_facet_under_any_filters_counts_what_counting_by_hand_gives(search_engine, shelf, combinations):
    search_engine.rebuild(shelf)
    for combination in combinations:
        asked = request_of(combination)
        assert told(search_engine, asked) == by_hand(shelf, asked), asked
        assert search_engine.search(asked).total == len(passing(shelf, filters_of(asked)))


@pytest.mark.parametrize("chosen", CERTIFICATES[1:])
def test_recognised_counts_beside_what_is_chosen_and_finds_what_it_counts(search_engine, chosen):
    """Choosing more of one facet adds listings: its counts do not depend on what of it is chosen already."""
    shelf = [
        ListingDocument(
            listing_no=f"N-{number}",
            title="山茶油",
            product_name="山茶油",
            cooperative_no="C-1",
            cooperative_name="山里人家专业合作社",
            category_code="camellia-oil",
            category_path=("forest", "camellia-oil"),
            county_code="360724",
            county_name="上犹县",
            price_fen=5_000,
            certificates=certificates,
        )
        for number, certificates in enumerate(
            ((), (RECOGNISED,), (RECOGNISED, "organic"), ("organic",), (RECOGNISED, "green_food"))
        )
    ]
    search_engine.rebuild(shelf)
    counts = told(search_engine, SearchRequest(certificates=chosen))["certificate"]
    assert counts == {RECOGNISED: 3, "organic": 2, "green_food": 1}
    found = search_engine.search(SearchRequest(certificates=(RECOGNISED,)))
    assert sorted(found.listing_nos) == ["N-1", "N-2", "N-4"]
