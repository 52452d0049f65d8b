"""What evidence entitles to: integers, rounded once, growing with what was delivered."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from marketplace.linkage.mechanisms.contract_farming import mechanism as contract_farming
from marketplace.linkage.mechanisms.land_transfer import mechanism as land_transfer
from marketplace.linkage.mechanisms.pages import PAGES
from marketplace.linkage.mechanisms.seam import Described
from marketplace.linkage.mechanisms.table import MECHANISMS

DAY = date(2026, 5, 20)
GRAMS = st.integers(1, 50_000_000)
PRICES = st.integers(1, 1_000_000)
AREAS = st.integers(1, 100_000)
DAYS = st.integers(1, 366)


def slip(net_g: int, market: int | None = None) -> dict[str, object]:
    return {
        "slip_no": "1",
        "weighed_on": DAY.isoformat(),
        "grade": "统货",
        "net_g": net_g,
        "market_price_fen_per_kg": market,
    }


def contract(floor: int, premium: int = 0, days: int = 30) -> dict[str, object]:
    return {
        "commodity": "油茶籽",
        "floor_price_fen_per_kg": floor,
        "premium_fen_per_kg": premium,
        "guarantee_days": days,
    }


def year(area_cmu: int, days: int) -> dict[str, object]:
    return {
        "parcel_no": "1",
        "area_cmu": area_cmu,
        "starts_on": DAY.isoformat(),
        "ends_on": (DAY + timedelta(days=days)).isoformat(),
        "period_ends_on": "2027-01-01",
    }


def lease(rate: int, days_in_year: int = 365) -> dict[str, object]:
    return {"rate_fen_per_mu": rate, "days_in_year": days_in_year}


@pytest.mark.parametrize(
    ("net_g", "floor", "market", "premium", "amount_fen"),
    [
        (12_500, 800, None, 50, 10_625),  # 12.5 kg at the floor of 8.00 and a premium of 0.50
        (12_500, 800, 700, 50, 10_625),  # a market below the floor changes nothing
        (12_500, 800, 960, 50, 12_625),  # a market above it is paid
        (1, 500, None, 0, 1),  # half a fen is rounded up
        (1, 499, None, 0, 0),
        (3, 500, None, 0, 2),
        (50_000_000, 1_000_000, None, 1_000_000, 100_000_000_000),
    ],
)
def test_a_slip_is_paid_at_the_higher_of_floor_and_market_plus_the_premium(
    net_g, floor, market, premium, amount_fen
):
    computed = contract_farming.entitlement(slip(net_g, market), contract(floor, premium))
    assert computed.amount_fen == amount_fen
    assert computed.due_on == date(2026, 6, 19)
    assert computed.rule_version == 1


@given(GRAMS, PRICES, st.integers(0, 1_000_000), st.none() | PRICES)
def test_a_slip_is_rounded_once_and_by_less_than_a_fen(net_g, floor, premium, market):
    computed = contract_farming.entitlement(slip(net_g, market), contract(floor, premium))
    exact = Fraction(net_g * (max(floor, market or 0) + premium), 1000)
    assert isinstance(computed.amount_fen, int)
    assert Fraction(-1, 2) < computed.amount_fen - exact <= Fraction(1, 2)


@given(GRAMS, st.integers(0, 1_000_000), PRICES, PRICES, st.integers(0, 1000))
def test_more_weight_or_a_better_price_never_pays_less(net_g, more_g, floor, market, premium):
    one = contract_farming.entitlement(slip(net_g, market), contract(floor, premium)).amount_fen
    assert (
        contract_farming.entitlement(slip(net_g + more_g, market), contract(floor, premium)).amount_fen >= one
    )
    assert contract_farming.entitlement(slip(net_g, market + 1), contract(floor, premium)).amount_fen >= one
    assert contract_farming.entitlement(slip(net_g, market), contract(floor + 1, premium)).amount_fen >= one


def test_the_fenyi_rent_is_1500_yuan():
    computed = land_transfer.entitlement(year(1000, 365), lease(15_000))
    assert computed.amount_fen == 150_000
    assert computed.due_on == date(2027, 1, 1)


@pytest.mark.parametrize(
    ("area_cmu", "rate", "days", "days_in_year", "amount_fen"),
    [
        (1000, 15_000, 1, 365, 411),  # 410.96
        (333, 50_000, 90, 360, 41_625),
        (1, 1, 1, 366, 0),
        (150, 36_500, 366, 365, 54_900),
    ],
)
def test_rent_counts_area_and_days(area_cmu, rate, days, days_in_year, amount_fen):
    assert land_transfer.entitlement(year(area_cmu, days), lease(rate, days_in_year)).amount_fen == amount_fen


@given(AREAS, PRICES, DAYS, st.sampled_from((360, 365, 366)))
def test_rent_is_rounded_once_and_by_less_than_a_fen(area_cmu, rate, days, days_in_year):
    amount_fen = land_transfer.entitlement(year(area_cmu, days), lease(rate, days_in_year)).amount_fen
    exact = Fraction(area_cmu * rate * days, 100 * days_in_year)
    assert isinstance(amount_fen, int)
    assert Fraction(-1, 2) < amount_fen - exact <= Fraction(1, 2)


@given(AREAS, PRICES, st.integers(1, 365))
def test_more_ground_rent_or_days_never_pay_less(area_cmu, rate, days):
    one = land_transfer.entitlement(year(area_cmu, days), lease(rate)).amount_fen
    assert land_transfer.entitlement(year(area_cmu + 1, days), lease(rate)).amount_fen >= one
    assert land_transfer.entitlement(year(area_cmu, days), lease(rate + 1)).amount_fen >= one
    assert land_transfer.entitlement(year(area_cmu, days + 1), lease(rate)).amount_fen >= one


@pytest.mark.parametrize("module", MECHANISMS.values())
def test_an_unknown_rule_version_is_an_error(module):
    details = {**slip(1), **year(1, 1)}
    with pytest.raises(ValueError, match="rule version 99"):
        module.entitlement(details, {**contract(1), **lease(1)}, rule_version=99)


def test_every_mechanism_in_use_has_its_pages():
    assert set(PAGES) == set(MECHANISMS)


def test_how_an_amount_came_about_is_told_in_words():
    computed = contract_farming.entitlement(slip(12_500, 960), contract(800, 50))
    assert [(line.label, line.text % line.params) for line in contract_farming.explain(computed.inputs)] == [
        ("净重", "12.5 千克"),
        ("保底价", "8.00 元/千克"),
        ("当日市价", "9.60 元/千克"),
        ("加价", "0.50 元/千克"),
        ("结算单价", "10.10 元/千克"),
    ]
    computed = land_transfer.entitlement(year(1000, 365), lease(15_000))
    assert land_transfer.explain(computed.inputs)[-1] == Described(
        "天数", "%(days)s 天（一年按 %(days_in_year)s 天）", {"days": 365, "days_in_year": 365}
    )
