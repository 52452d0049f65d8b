"""How a surplus is shared out: exact sums, the law's part by patronage, the base first, days held."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import assume, given, strategies as st

from marketplace.core.money import split_by_weights
from marketplace.linkage.mechanisms.share_cooperation.formula import BaseTooLarge, Decided, share_out

MONEY = st.integers(1, 10_000_000_000)
STAKES = st.lists(st.tuples(st.integers(1, 10_000_000), st.integers(0, 10_000_000)), min_size=1, max_size=30)


def decided(surplus_fen, *, patronage_bp=6000, base_bp=0, capital_fen=1000, dealings_fen=1000, days=365):
    return Decided(surplus_fen, patronage_bp, base_bp, capital_fen, dealings_fen, days)


def test_the_sichuan_share_fund_gives_138_equal_members_79000_yuan():
    shares = Counter(split_by_weights(7_900_000, [1] * 138))
    assert shares == {57_246: 86, 57_247: 52}
    everything = decided(7_900_000, patronage_bp=10_000, capital_fen=138, dealings_fen=138)
    shared = share_out(everything, [(365, 1)] * 138)
    assert [share.total_fen for share in shared.shares] == [57_247] * 52 + [57_246] * 86
    assert (shared.others_patronage_fen, shared.others_capital_fen) == (0, 0)


def test_the_liangjian_village_gives_55_households_115500_yuan():
    """110 shares; the village holds 20, cadres 35, 55 poor households one each, and all deal alike."""
    village = decided(23_100_000, capital_fen=110, dealings_fen=110)
    shared = share_out(village, [(365, 1)] * 55)
    assert {share.total_fen for share in shared.shares} == {210_000}
    assert sum(share.total_fen for share in shared.shares) == 11_550_000
    assert (shared.patronage_fen, shared.capital_fen) == (13_860_000, 9_240_000)
    assert shared.others_patronage_fen + shared.others_capital_fen == 11_550_000


@pytest.mark.parametrize(
    ("surplus_fen", "patronage_bp", "patronage_fen"),
    [(1, 6000, 1), (10_000, 6000, 6000), (10_001, 6000, 6001), (333, 6667, 223), (5, 10_000, 5)],
)
def test_the_part_by_patronage_is_rounded_up(surplus_fen, patronage_bp, patronage_fen):
    assert decided(surplus_fen, patronage_bp=patronage_bp).patronage_fen == patronage_fen


def test_the_base_comes_first_and_out_of_the_part_left_to_capital():
    """10,000.00 yuan, 60 % by patronage; a base of 5 % on two stakes of 2,000.00 leaves 3,800.00 to capital."""
    meeting = decided(1_000_000, base_bp=500, capital_fen=1_000_000, dealings_fen=100_000)
    shared = share_out(meeting, [(200_000 * 365, 10_000), (200_000 * 365, 0)])
    first, second = shared.shares
    assert (first.base_fen, first.patronage_fen, first.capital_fen) == (10_000, 60_000, 76_000)
    assert (second.base_fen, second.patronage_fen, second.capital_fen) == (10_000, 0, 76_000)
    assert (shared.base_fen, shared.patronage_fen, shared.capital_fen) == (20_000, 600_000, 380_000)
    assert (shared.others_patronage_fen, shared.others_capital_fen) == (540_000, 228_000)


def test_a_base_that_does_not_fit_is_an_error():
    meeting = decided(1_000_000, base_bp=10_000, capital_fen=500_000, dealings_fen=1)
    with pytest.raises(BaseTooLarge) as error:
        share_out(meeting, [(400_001 * 365, 0)])
    assert (error.value.base_fen, error.value.room_fen) == (400_001, 400_000)
    assert share_out(meeting, [(400_000 * 365, 0)]).capital_fen == 0


@pytest.mark.parametrize(("days_held", "base_fen"), [(365, 6_000), (182, 2_992), (183, 3_008), (1, 16)])
def test_a_base_counts_the_days_held_and_is_rounded_once(days_held, base_fen):
    assert decided(1, base_bp=600).base_of(100_000 * days_held) == base_fen


def test_half_a_year_of_a_stake_has_half_its_capital_share():
    meeting = decided(1_000_000, capital_fen=400, dealings_fen=1, days=364)
    whole, half = share_out(meeting, [(100 * 364, 0), (100 * 182, 0)]).shares
    assert (whole.capital_fen, half.capital_fen) == (100_000, 50_000)


@given(MONEY, st.integers(6000, 10_000), st.integers(0, 300), STAKES, MONEY, MONEY, st.integers(1, 366))
def test_shares_are_never_negative_and_sum_exactly(surplus, patronage_bp, base_bp, stakes, more, other, days):
    held = [(stake * days, dealings) for stake, dealings in stakes]
    meeting = decided(
        surplus,
        patronage_bp=patronage_bp,
        base_bp=base_bp,
        capital_fen=sum(stake for stake, _ in stakes) + more - 1,
        dealings_fen=sum(dealings for _, dealings in stakes) + other,
        days=days,
    )
    bases = sum(meeting.base_of(stake_days) for stake_days, _ in held)
    assume(bases <= surplus - meeting.patronage_fen)
    shared = share_out(meeting, held)
    assert (
        sum(share.total_fen for share in shared.shares)
        + shared.others_patronage_fen
        + (shared.others_capital_fen)
        == surplus
    )
    assert min(shared.others_patronage_fen, shared.others_capital_fen) >= 0
    for share in shared.shares:
        assert min(share.base_fen, share.patronage_fen, share.capital_fen) >= 0
        assert {share.patronage_extra, share.capital_extra} <= {0, 1}
    assert Fraction(shared.patronage_fen, surplus) >= Fraction(6, 10)
    assert (
        sum(share.patronage_fen for share in shared.shares) + shared.others_patronage_fen
        == shared.patronage_fen
    )


@given(MONEY, STAKES)
def test_a_larger_stake_never_has_the_smaller_capital_share(surplus, stakes):
    held = sorted(((stake * 365, dealings) for stake, dealings in stakes), reverse=True)
    capital = sum(stake for stake, _ in stakes)
    shared = share_out(
        decided(surplus, capital_fen=capital, dealings_fen=sum(dealings for _, dealings in stakes) + 1), held
    )
    shares = [share.capital_fen for share in shared.shares]
    assert shares == sorted(shares, reverse=True)
