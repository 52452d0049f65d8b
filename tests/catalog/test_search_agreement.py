"""Both engines answer every request alike: the same listings in the same order, the same facets, the same notice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from marketplace.catalog.search.engine import ListingDocument, SearchEngine, SearchRequest, Sort
from marketplace.catalog.search.postgresql_engine import PostgresqlEngine
from marketplace.catalog.search.whoosh_engine import WhooshEngine
from tests.databases import borrowed

NAMES = (
    "赣南脐橙",
    "脐橙苗",
    "遂川金桔",
    "狗牯脑茶",
    "冷榨山茶油",
    "山茶油手工皂",
    "宁红茶",
    "高山香菇",
    "乐安霉豆腐",
)
ENDINGS = ("", " 5kg", " 礼盒装", " 10斤家庭装", " 特级 250g")
COUNTIES = (("360724", "上犹县"), ("360827", "遂川县"), ("361025", "乐安县"))
KINDS = (
    ("farm", "fruit", "navel-orange"),
    ("farm", "tea", "green-tea"),
    ("forest", "oil-tea", "camellia-oil"),
)
WORDS = (
    "脐橙",
    "茶",
    "赣南",
    "qicheng",
    "gn",
    "礼盒",
    "5斤",
    "乐安",
    "奇橙",
    "山茶油",
    "豆腐",
    "xyz",
    "茶油 脐橙",
    "果皮",
    "😀",
)


@st.composite
def documents(draw, number: int) -> ListingDocument:
    county, path = draw(st.sampled_from(COUNTIES)), draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from(NAMES))
    few = st.integers(0, 3)
    return ListingDocument(
        listing_no=f"N-{number}",
        title=name + draw(st.sampled_from(ENDINGS)),
        product_name=name,
        cooperative_no=f"C-{draw(few)}",
        cooperative_name="山里人家专业合作社",
        category_code=path[-1],
        category_path=path,
        county_code=county[0],
        county_name=county[1],
        price_fen=draw(few) * 3_000 + 500,
        price_per_kg_fen=draw(few) * 100,
        certificates=draw(st.sampled_from(((), ("green_food",), ("green_food", "organic")))),
        keywords=("果业", "茶叶"),
        priority=draw(few),
        sold=draw(few),
        published_at=draw(st.none() | st.just(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=draw(few)))),
        description=draw(st.sampled_from(("", "果皮可食，与脐橙同季上市"))),
        in_stock=draw(st.booleans()),
    )


shelves = st.integers(0, 10).flatmap(lambda size: st.tuples(*(documents(number) for number in range(size))))
requests = st.builds(
    SearchRequest,
    text=st.sampled_from(("", *WORDS)),
    category=st.sampled_from(("", "farm", "navel-orange", "no-such")),
    counties=st.sampled_from(((), ("360724",), ("360724", "361025"))),
    certificates=st.sampled_from(((), ("organic",))),
    cooperatives=st.sampled_from(((), ("C-1", "C-2"))),
    price_min_fen=st.sampled_from((None, 3_000)),
    price_max_fen=st.sampled_from((None, 6_500)),
    in_stock_only=st.booleans(),
    sort=st.sampled_from(Sort),
    page=st.integers(1, 3),
    size=st.sampled_from((3, 24)),
)


@pytest.fixture
def engines(tmp_path, postgresql_store) -> tuple[SearchEngine, SearchEngine]:
    embedded = WhooshEngine(tmp_path / "index")
    with borrowed(postgresql_store) as url:
        yield embedded, PostgresqlEngine(postgresql_store.engines.lend(url, "search"))
    embedded.close()


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(shelves, st.lists(requests, min_size=10, max_size=20))
def test_both_engines_give_one_answer(engines, shelf, asked):
    for engine in engines:
        engine.rebuild(shelf)
    for request in asked:
        embedded, in_postgresql = (engine.search(request) for engine in engines)
        assert embedded == in_postgresql
