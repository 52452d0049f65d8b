"""What anybody sees first, and what nobody may work out from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from marketplace.catalog.content.read import categories, in_season, seasons
from marketplace.core.clock import SHANGHAI
from marketplace.payments.settlement import settle_lines
from marketplace.reporting.front.queries import county_figures, recently_sold
from marketplace.reporting.front.suppression import withheld
from tests.conftest import Listening
from tests.factories.refunds import shared_offer
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, RegionFactory
from tests.factories.trade import sell

VILLAGES = ("360827100001", "360321100001", "361025100200", "360724100001")

# Seasons are data


def test_seasons_name_kinds_that_exist_and_months_of_the_year():
    known = {row.code for row in categories()}
    assert {code for code, _, _ in seasons()} <= known
    assert all(1 <= month <= 12 for _, first, last in seasons() for month in (first, last))


def test_oranges_are_in_season_over_the_new_year_and_tea_in_spring():
    assert all("navel-orange" in in_season(month) for month in (11, 12, 1, 2))
    assert "navel-orange" not in in_season(3)
    assert "green-tea" in in_season(4)
    assert "green-tea" not in in_season(11)
    assert all(in_season(month) for month in range(1, 13))


# Totals that must not be shown


@pytest.mark.parametrize(
    ("households", "hidden"),
    [
        ({}, set()),
        ({"a": 9, "b": 5}, set()),
        ({"a": 9, "b": 0}, set()),
        ({"a": 4, "b": 9, "c": 7}, {"a", "c"}),
        ({"a": 4, "b": 3, "c": 7}, {"a", "b"}),
        ({"a": 1, "b": 2, "c": 7, "d": 8}, {"a", "b", "c"}),
        ({"a": 3}, {"a"}),
        ({"a": 3, "b": 30}, {"a", "b"}),
    ],
)
def test_small_groups_are_withheld_with_those_that_would_give_them_away(households, hidden):
    assert withheld(households) == hidden


@given(st.dictionaries(st.integers(0, 20).map(str), st.integers(0, 12), max_size=8))
def test_nothing_under_five_households_follows_from_what_is_shown(households):
    hidden = withheld(households)
    assert all(households[code] == 0 or households[code] >= 5 for code in households if code not in hidden)
    total = sum(households.values())
    if hidden and total >= 5:
        assert sum(households[code] for code in hidden) >= 5
        assert len(hidden) >= 2 or len([count for count in households.values() if count]) == 1


# Pages


@pytest.fixture
def county_with(session) -> Callable[[int], str]:
    """A cooperative of another county each time, with so many households; the county's code."""
    left = iter(VILLAGES)

    def make(households: int) -> str:
        cooperative = CooperativeFactory(place=RegionFactory(code=next(left)))
        for _ in range(households):
            EnrolmentFactory(cooperative=cooperative)
        return cooperative.county_code

    return make


def test_an_empty_site_says_what_will_be_there(client):
    assert "还没有合作社" in client.get("/counties").text
    assert client.get("/counties.json").get_json() == {}
    home = client.get("/")
    assert home.status_code == 200
    assert "刚刚卖出" not in home.text


def test_a_county_with_few_households_is_withheld_on_page_and_in_data(client, session, county_with):
    few, many, more = county_with(3), county_with(6), county_with(8)
    found = client.get("/counties.json").get_json()
    assert (found[few]["households"], found[many]["households"], found[more]["households"]) == (None, None, 8)
    page = client.get("/counties").text
    assert page.count("不公开") >= 4
    assert "示意图" in page


def test_the_table_does_not_ask_once_a_county(client, county_with, page_statements: Listening):
    county_with(6)
    client.get("/counties")
    with page_statements() as one:
        client.get("/counties")
    for _ in range(3):
        county_with(6)
    with page_statements() as four:
        client.get("/counties")
    assert len(four) == len(one)


# Where the money of sales went


def test_sales_and_what_of_them_reaches_households_stand_beside_the_county(session, clock):
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative, 1, 1, 1, 1, 1, 1)
    sell(session, offered, 60)
    settle_lines(session)
    (row,), totals = county_figures(session)
    assert (row.county.code, row.cooperatives, row.households) == ("361025", 1, 6)
    assert (row.sales_fen, row.linked_fen) == (600, 60)
    assert (totals.households, totals.sales_fen, totals.linked_fen) == (6, 600, 60)
    clock.advance(days=366)
    (row,), totals = county_figures(session)
    assert (row.households, row.sales_fen, totals.sales_fen) == (6, 0, 0)


def test_what_was_sold_is_told_with_its_households_once_a_product(client, session, clock):
    offered, _ = shared_offer(session, CooperativeFactory(), 1, 1, 1, 1, 1)
    for key in ("the-first-order-of-them", "the-second-order-of-them"):
        sell(session, offered, 50, key=key)
    settle_lines(session)
    (line,) = recently_sold(session, most=6)
    assert (line.net_fen, line.linked_fen, line.households) == (500, 50, 5)
    assert [fen for _, fen in line.mechanisms] == [50]
    assert line.settled_at.astimezone(SHANGHAI).date().isoformat() == "2026-06-01"
    page = client.get("/").text
    assert "货款 5.00 元，其中 0.50 元归 5 户农户" in page
    assert "刚刚卖出，钱去了哪里" in page


def test_a_sale_that_reached_few_households_is_not_told(session, clock):
    offered, _ = shared_offer(session, CooperativeFactory(), 1, 1, 1, 1)
    sell(session, offered, 50)
    settle_lines(session)
    assert recently_sold(session, most=6) == []
