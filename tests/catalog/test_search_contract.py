"""What every search engine must do: the embedded one and the one in PostgreSQL, in the same order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from marketplace.catalog.search.engine import (
    MAX_PAGE_SIZE,
    Answered,
    FacetCount,
    ListingDocument,
    SearchEngine,
    SearchRequest,
    Sort,
)

OPENED = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
COUNTIES = {"360724": "上犹县", "360827": "遂川县", "361025": "乐安县", "360424": "修水县"}
KINDS = {
    "navel-orange": ("farm", "fruit", "果业 脐橙 Navel oranges"),
    "tangerine": ("farm", "fruit", "果业 蜜桔与金桔"),
    "green-tea": ("farm", "tea", "茶叶 绿茶 Green tea"),
    "black-tea": ("farm", "tea", "茶叶 红茶"),
    "camellia-oil": ("forest", "oil-tea", "油茶 山茶油"),
    "camellia-care": ("forest", "oil-tea", "油茶 茶油日化"),
    "seedling": ("forest", "nursery", "苗木花卉 造林与果树苗"),
    "mushroom": ("forest", "under-forest", "林下经济 食用菌"),
}


def listing(number: int, title: str, kind: str, county: str, **fields: object) -> ListingDocument:
    root, family, names = KINDS[kind]
    document = ListingDocument(
        listing_no=f"N-{number}",
        title=title,
        product_name=title.partition(" ")[0],
        cooperative_no=f"C-{county}",
        cooperative_name=f"{COUNTIES[county]}山里人家专业合作社",
        category_code=kind,
        category_path=(root, family, kind),
        county_code=county,
        county_name=COUNTIES[county],
        price_fen=1000 * number,
        keywords=tuple(names.split()),
        priority=10,
        published_at=OPENED + timedelta(days=number),
    )
    return replace(document, **fields)


SHELF = (
    listing(1, "赣南脐橙 10斤家庭装", "navel-orange", "360724", certificates=("green_food",), sold=5),
    listing(2, "赣南纽荷尔 5kg 礼盒", "navel-orange", "360724", sold=90),
    listing(3, "脐橙苗 两年生", "seedling", "360724"),
    listing(4, "遂川金桔 5斤", "tangerine", "360827", description="果皮可食，与脐橙同季上市"),
    listing(5, "狗牯脑茶 明前一级 250g", "green-tea", "360827", certificates=("green_food",), sold=40),
    listing(6, "冷榨山茶油 500ml", "camellia-oil", "361025", certificates=("green_food",)),
    listing(7, "山茶油手工皂 100g", "camellia-care", "361025", priority=500),
    listing(8, "宁红茶 Ninghong 特级 200克", "black-tea", "360424", in_stock=False, sold=200),
    listing(9, "高山香菇 干货 250g", "mushroom", "361025"),
)


@pytest.fixture
def engine(search_engine) -> SearchEngine:
    search_engine.rebuild(SHELF)
    return search_engine


def found(engine, text="", **fields) -> list[str]:
    return [no.removeprefix("N-") for no in engine.search(SearchRequest(text, **fields)).listing_nos]


# Finding


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("脐橙", {"1", "2", "3", "4"}),
        ("赣南脐橙", {"1", "2"}),
        ("赣南", {"1", "2"}),
        ("qicheng", {"1", "2", "3"}),
        ("QiCheng", {"1", "2", "3"}),
        ("qiche", {"1", "2", "3"}),
        ("gannanqicheng", {"1"}),
        ("gan nan qi cheng", {"1"}),
        ("gannan", {"1", "2"}),
        ("gnqc", {"1"}),
        ("gn", {"1", "2"}),
        ("赣南qicheng", {"1", "2"}),
        ("navel orange", {"1", "2", "3", "4"}),
        ("茶油", {"6", "7"}),
        ("油茶籽油", {"6", "7"}),
        ("山茶油 500毫升", {"6"}),
        ("camellia oil", {"6", "7"}),
        ("狗牯脑", {"5"}),
        ("gounaocha", set()),
        ("gougunaocha", {"5"}),
        ("Ninghong", {"8"}),
        ("ＮＩＮＧＨＯＮＧ", {"8"}),
        ("红茶", {"8"}),
        ("green tea", {"5"}),
        ("绿茶", {"5"}),
        ("茶叶", {"5", "8"}),
        ("5斤", {"4"}),
        ("10斤的脐橙", {"1", "2"}),
        ("半斤 香菇", {"9"}),
        ("乐安", {"6", "7", "9"}),
        ("乐安县", {"6", "7", "9"}),
        ("遂川 茶", {"5"}),
        ("菇", {"9"}),
        ("果皮", {"4"}),
        ("山里人家", {"1", "2", "3", "4", "5", "6", "7", "8", "9"}),
    ],
)
def test_what_people_type_finds_what_they_mean(engine, typed, expected):
    assert set(found(engine, typed)) == expected


def test_every_part_of_a_name_of_two_characters_finds_it(engine):
    for document in SHELF:
        name = document.title.split()[0]
        for start in range(len(name) - 1):
            assert document.listing_no in engine.search(SearchRequest(name[start : start + 2])).listing_nos


def test_the_goods_come_before_things_made_for_or_of_them(engine):
    assert found(engine, "脐橙") == ["2", "1", "3", "4"]
    assert found(engine, "山茶油") == ["6", "7"]


def test_when_no_listing_has_every_word_those_with_most_come_first(engine):
    result = engine.search(SearchRequest("乐安 香菇 包邮"))
    assert result.answered is Answered.PARTLY
    assert result.listing_nos[0] == "N-9"
    assert set(result.listing_nos) == {"N-6", "N-7", "N-9"}


@pytest.mark.parametrize(
    ("typed", "meant"), [("奇橙", "脐橙"), ("ganan", "赣南"), ("gannnan", "赣南"), ("gangnan", "赣南")]
)
def test_a_slip_is_answered_with_the_word_that_sounds_nearest(engine, typed, meant):
    result = engine.search(SearchRequest(typed))
    assert (result.answered, result.suggestion) == (Answered.SUGGESTED, meant)
    assert "N-1" in result.listing_nos


def test_a_word_nobody_sells_finds_nothing_and_says_so(engine):
    result = engine.search(SearchRequest("xylophone"))
    assert (result.listing_nos, result.total, result.answered) == ((), 0, Answered.FULLY)
    assert [band.count for band in result.facets.price] == [0, 0, 0, 0, 0]


# Bad input


@pytest.mark.parametrize(
    "typed",
    [
        "???",
        "，。！",
        "😀🍊",
        "\x00\x01",
        "\ud83d",
        "   ",
        "* ? ~ ^ ( ) [ ] { } : / \\ \" ' + - && ||",
        "．．",
    ],
)
def test_signs_alone_are_no_query(engine, typed):
    assert engine.search(SearchRequest(typed)).total == len(SHELF)


@pytest.mark.parametrize(
    "typed",
    [
        "脐橙 AND (赣南 OR NOT",
        "name_words:脐橙",
        "脐橙*",
        '"脐橙',
        "脐橙~2^9",
        "🍊脐橙🍊",
        "脐橙'; DROP TABLE listing; --",
        "脐橙\u200b\u202e",
    ],
)
def test_operators_are_only_signs(engine, typed):
    assert "N-1" in engine.search(SearchRequest(typed)).listing_nos


@pytest.mark.parametrize("typed", ["脐橙" * 1000, "a" * 2000, "q w " * 500, "赣南脐橙，" * 400, "9" * 2000])
def test_two_thousand_characters_are_answered(engine, typed):
    assert engine.search(SearchRequest(typed)).total <= len(SHELF)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60), st.integers(), st.integers(), st.none() | st.integers(), st.none() | st.integers()
)
def test_nothing_typed_makes_search_fail(engine, text, page, size, least, most):
    request = SearchRequest(
        text, page=page, size=size, price_min_fen=least, price_max_fen=most, category=text[:8]
    )
    result = engine.search(request)
    assert len(result.listing_nos) <= min(result.total, MAX_PAGE_SIZE)


# Order


def test_among_equals_the_cooperative_that_takes_in_more_households_comes_first(engine):
    engine.rebuild(
        [
            listing(1, "赣南脐橙", "navel-orange", "360724", priority=12),
            listing(2, "赣南脐橙", "navel-orange", "360827", priority=13),
            listing(3, "赣南脐橙", "navel-orange", "361025", priority=11),
            listing(4, "赣南脐橙", "navel-orange", "361025", priority=12),
            listing(5, "金桔", "tangerine", "361025", priority=900, description="与脐橙同季"),
            listing(6, "赣南脐橙", "navel-orange", "361025", priority=999, in_stock=False),
        ]
    )
    assert found(engine, "脐橙") == ["2", "4", "1", "3", "5", "6"]
    assert found(engine) == ["5", "2", "4", "1", "3", "6"]
    assert found(engine, "脐橙", sort=Sort.RELEVANCE)[-2:] == ["5", "6"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort.PRIORITY, ["7", "9", "6", "5", "4", "3", "2", "1", "8"]),
        (Sort.RELEVANCE, ["7", "9", "6", "5", "4", "3", "2", "1", "8"]),
        (Sort.NEWEST, ["9", "7", "6", "5", "4", "3", "2", "1", "8"]),
        (Sort.PRICE_UP, ["1", "2", "3", "4", "5", "6", "7", "9", "8"]),
        (Sort.PRICE_DOWN, ["9", "7", "6", "5", "4", "3", "2", "1", "8"]),
        (Sort.SOLD, ["2", "5", "1", "7", "9", "6", "4", "3", "8"]),
    ],
)
def test_browsing_follows_the_asked_order_and_what_is_sold_out_comes_last(engine, sort, expected):
    assert found(engine, sort=sort) == expected


def test_pages_follow_one_another_without_gap_or_overlap(engine):
    pages = [found(engine, page=page, size=4, sort=Sort.PRICE_UP) for page in (1, 2, 3, 4)]
    assert pages == [["1", "2", "3", "4"], ["5", "6", "7", "9"], ["8"], []]
    assert engine.search(SearchRequest(page=4, size=4)).total == 9


# Filters and facets


def test_filters_narrow_together(engine):
    assert set(found(engine, category="farm")) == {"1", "2", "4", "5", "8"}
    assert set(found(engine, category="fruit", counties=("360724",))) == {"1", "2"}
    assert set(found(engine, counties=("360724", "360827"), certificates=("green_food",))) == {"1", "5"}
    assert set(found(engine, cooperatives=("C-361025",), price_min_fen=6000, price_max_fen=7000)) == {
        "6",
        "7",
    }
    assert "8" not in found(engine, in_stock_only=True)
    assert found(engine, category="no-such") == []
    assert found(engine, price_min_fen=7000, price_max_fen=6000) == []


def counts(facet) -> dict[str, int]:
    return {one.code: one.count for one in facet}


def test_facets_count_every_result_and_every_node_above_it(engine):
    facets = engine.search(SearchRequest()).facets
    assert counts(facets.category)["farm"] == 5
    assert counts(facets.category)["tea"] == 2
    assert counts(facets.category)["green-tea"] == 1
    assert facets.county == (
        FacetCount("360724", 3), FacetCount("361025", 3), FacetCount("360827", 2), FacetCount("360424", 1),
    )  # fmt: skip
    assert facets.certificate == (FacetCount("green_food", 3),)
    assert counts(facets.cooperative)["C-360724"] == 3
    assert [(band.min_fen, band.max_fen, band.count) for band in facets.price] == [
        (0, 3000, 2), (3000, 6000, 3), (6000, 10000, 4), (10000, 20000, 0), (20000, None, 0),
    ]  # fmt: skip


def test_a_facet_ignores_its_own_filter_and_keeps_the_others(engine):
    chosen = SearchRequest(counties=("360827",), category="tea", price_max_fen=7000)
    result = engine.search(chosen)
    assert result.listing_nos == ("N-5",)
    assert counts(result.facets.county) == {"360827": 1}
    assert counts(result.facets.category) == {"farm": 2, "fruit": 1, "tangerine": 1, "tea": 1, "green-tea": 1}
    assert [band.count for band in result.facets.price] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("text", ["", "脐橙", "茶", "乐安"])
def test_a_facet_count_is_what_choosing_it_shows(engine, text):
    request = SearchRequest(text, counties=("360724", "361025"))
    for one in engine.search(request).facets.county:
        assert engine.search(replace(request, counties=(one.code,))).total == one.count
    for one in engine.search(request).facets.category:
        assert engine.search(replace(request, category=one.code)).total == one.count
    for one in engine.search(request).facets.certificate:
        assert engine.search(replace(request, certificates=(one.code,))).total == one.count
    for band in engine.search(request).facets.price:
        most = None if band.max_fen is None else band.max_fen - 1
        asked = replace(request, price_min_fen=band.min_fen, price_max_fen=most)
        assert engine.search(asked).total == band.count


# Keeping up


def test_a_changed_listing_is_found_as_it_is_now(engine):
    assert engine.index([replace(SHELF[8], title="高山木耳 250g", product_name="木耳", price_fen=50)]) == 1
    assert found(engine, "木耳") == ["9"]
    assert "9" not in found(engine, "香菇")
    assert found(engine, sort=Sort.PRICE_UP)[0] == "9"
    assert engine.status().document_count == len(SHELF)


def test_a_withdrawn_listing_is_gone_and_removing_it_again_is_no_fault(engine):
    engine.remove(["N-1", "N-404"])
    engine.remove(["N-1"])
    assert "1" not in found(engine, "脐橙")
    status = engine.status()
    assert (status.ok, status.document_count) == (True, len(SHELF) - 1)
    assert counts(engine.search(SearchRequest()).facets.county)["360724"] == 2


def test_many_small_changes_leave_each_listing_once(engine):
    for turn in range(12):
        engine.index([replace(document, sold=turn) for document in SHELF[turn % 5 : turn % 5 + 3]])
    result = engine.search(SearchRequest(size=50))
    assert sorted(result.listing_nos) == sorted(document.listing_no for document in SHELF)
    assert result.total == len(SHELF) == engine.status().document_count


def test_a_rebuild_leaves_nothing_of_before(engine):
    before = engine.status().generation
    assert engine.rebuild([SHELF[0], SHELF[1], SHELF[0]]) == 2
    assert found(engine, sort=Sort.PRICE_UP) == ["1", "2"]
    assert engine.status().generation != before


def test_a_rebuild_that_fails_changes_nothing(engine):
    def breaking_off():
        yield replace(SHELF[0], title="半途而废")
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        engine.rebuild(breaking_off())
    assert engine.search(SearchRequest()).total == len(SHELF)
    assert found(engine, "半途而废") == []


def test_an_update_that_fails_changes_nothing(engine):
    def breaking_off():
        yield replace(SHELF[0], title="半途而废")
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        engine.index(breaking_off())
    assert engine.search(SearchRequest()).total == len(SHELF)
    assert "1" in found(engine, "赣南脐橙")


def test_an_empty_catalogue_is_a_state_like_any_other(engine):
    engine.rebuild([])
    assert engine.search(SearchRequest("脐橙")).total == 0
    assert engine.search(SearchRequest()).total == 0
    status = engine.status()
    assert (status.ok, status.document_count, status.reason) == (True, 0, "")
    engine.index(SHELF[:1])
    assert found(engine) == ["1"]
