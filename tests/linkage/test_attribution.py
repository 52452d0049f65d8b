"""The arithmetic from net value to household, against published cases, by hand, and by counterexample search."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import example, given, strategies as st

from marketplace.core.money import half_up
from marketplace.linkage.attribution import (
    credits_of_pool,
    guarantee_reduction,
    pool_of_line,
    reversal_of_credits,
    reversal_target,
    reversal_to_post,
    split_pool_over_lots,
    top_up,
)

FEN = st.integers(min_value=0, max_value=10**12)
CREDITS = st.dictionaries(st.integers(1, 10**6), st.integers(0, 60), min_size=1, max_size=9)
LARGE_CREDITS = st.dictionaries(st.integers(1, 10**6), FEN, min_size=1, max_size=20)
WEIGHTS = st.dictionaries(st.integers(1, 10**6), FEN, min_size=1, max_size=60).filter(
    lambda w: sum(w.values()) > 0
)


def naive_webster(credited: dict[int, int], target_fen: int) -> dict[int, int]:
    """Fen by fen, as the method is defined: to the largest credit / (2k + 1), ties by ascending household id."""
    shares = dict.fromkeys(sorted(credited), 0)
    for _ in range(target_fen):
        winner = max(
            shares,
            key=lambda household: (Fraction(credited[household], 2 * shares[household] + 1), -household),
        )
        shares[winner] += 1
    return shares


# --- published cases ---


def test_two_fen_over_weights_3_3_3_1_go_to_the_first_two_households():
    assert credits_of_pool(2, {1: 3, 2: 3, 3: 3, 4: 1}) == {1: 1, 2: 1, 3: 0, 4: 0}


def test_the_sichuan_share_fund_pays_86_members_one_fen_less_than_the_other_52():
    shares = credits_of_pool(79_000_00, dict.fromkeys(range(1, 139), 1))
    assert Counter(shares.values()) == {572_46: 86, 572_47: 52}
    assert [household for household, fen in shares.items() if fen == 572_47] == list(range(1, 53))


def test_the_liangjian_shares_bring_115500_yuan_to_the_poor_households():
    village, cadres, households = 20, range(1001, 1036), range(1, 56)
    weights = {9999: village} | dict.fromkeys(cadres, 1) | dict.fromkeys(households, 1)
    shares = credits_of_pool(110 * 2_100_00, weights)
    assert {shares[household] for household in households} == {2_100_00}
    assert sum(shares[household] for household in households) == 115_500_00


def test_the_fenyi_rent_of_ten_mu_for_a_year_is_1500_yuan():
    assert half_up(1000 * 15_000 * 365, 100 * 365) == 150_000


def test_ten_days_late_on_ten_thousand_yuan_cost_fifty_yuan():
    assert half_up(1_000_000 * 10 * 5, 10_000) == 5_000


def test_refunds_of_credits_3_1_6_never_give_anything_back():
    credited = {1: 3, 2: 1, 3: 6}
    steps = [tuple(reversal_of_credits(credited, target).values()) for target in range(11)]
    assert steps == [
        (0, 0, 0),
        (0, 0, 1),
        (1, 0, 1),
        (1, 0, 2),
        (1, 0, 3),
        (2, 0, 3),
        (2, 1, 3),
        (2, 1, 4),
        (2, 1, 5),
        (3, 1, 5),
        (3, 1, 6),
    ]


# --- pools ---


def test_a_pool_is_rounded_once_and_then_divided_by_the_rates():
    assert pool_of_line(9_999, [500, 300]) == [500, 300]
    assert pool_of_line(10_001, [333, 333, 334]) == [333, 333, 334]
    assert pool_of_line(1, [5_000]) == [1]
    assert pool_of_line(1, [4_999]) == [0]


def test_ties_between_mechanisms_go_to_the_earlier_one():
    assert pool_of_line(10, [500, 500]) == [1, 0]
    assert pool_of_line(30, [500, 500]) == [2, 1]


def test_rates_of_the_whole_value_give_the_whole_value():
    assert pool_of_line(101, [5_000, 5_000]) == [51, 50]


def test_a_line_without_rates_has_no_pool():
    assert pool_of_line(1_000, []) == []
    assert pool_of_line(1_000, [0, 0]) == [0, 0]


@pytest.mark.parametrize(("net_fen", "rates_bp"), [(-1, [100]), (100, [-1, 2]), (100, [5_000, 5_001])])
def test_rates_above_the_whole_and_negative_values_are_refused(net_fen: int, rates_bp: list[int]):
    with pytest.raises(ValueError):
        pool_of_line(net_fen, rates_bp)


@given(FEN, st.lists(st.integers(0, 10_000), max_size=6).filter(lambda rates: sum(rates) <= 10_000))
def test_pools_sum_to_the_rounded_share_and_never_exceed_the_net_value(net_fen: int, rates_bp: list[int]):
    pools = pool_of_line(net_fen, rates_bp)
    assert sum(pools) == half_up(net_fen * sum(rates_bp), 10_000) <= net_fen
    assert all(pool >= 0 for pool in pools)
    assert all(
        abs(pool * 10_000 - net_fen * rate) < 10_000 * 2 for pool, rate in zip(pools, rates_bp, strict=True)
    )


def test_a_pool_follows_the_grams_of_its_lots():
    assert split_pool_over_lots(1_000, [12_500, 37_500]) == [250, 750]
    assert split_pool_over_lots(1, [500, 500]) == [1, 0]
    assert split_pool_over_lots(0, []) == []


def test_a_pool_without_a_gram_to_carry_it_is_refused():
    with pytest.raises(ValueError):
        split_pool_over_lots(5, [0])


# --- credits ---


@given(FEN, WEIGHTS)
def test_credits_sum_to_the_pool_and_none_is_negative(pool_fen: int, weights: dict[int, int]):
    shares = credits_of_pool(pool_fen, weights)
    assert sum(shares.values()) == pool_fen
    assert shares.keys() == weights.keys()
    total = sum(weights.values())
    for household, fen in shares.items():
        quota = Fraction(pool_fen * weights[household], total)
        assert 0 <= quota.__floor__() <= fen <= quota.__ceil__()


@given(FEN, WEIGHTS, st.randoms(use_true_random=False))
def test_the_order_of_households_does_not_matter(pool_fen: int, weights: dict[int, int], chance: Random):
    shuffled = list(weights.items())
    chance.shuffle(shuffled)
    assert credits_of_pool(pool_fen, dict(shuffled)) == credits_of_pool(pool_fen, weights)


@given(FEN, WEIGHTS)
def test_a_household_with_more_weight_never_gets_less(pool_fen: int, weights: dict[int, int]):
    shares = credits_of_pool(pool_fen, weights)
    by_weight = sorted(weights, key=lambda household: weights[household])
    for lighter, heavier in pairwise(by_weight):
        assert shares[lighter] <= shares[heavier] or weights[lighter] == weights[heavier]


def test_a_pool_without_weights_is_not_credited():
    with pytest.raises(ValueError):
        credits_of_pool(1, {})
    with pytest.raises(ValueError):
        credits_of_pool(1, {1: 0, 2: 0})
    assert credits_of_pool(0, {}) == {}


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError):
        credits_of_pool(10, {1: 5, 2: -1})


# --- refunds ---


@given(CREDITS, st.data())
@example({1: 3, 2: 1, 3: 6}, None)
def test_reversals_are_those_of_the_definition(credited: dict[int, int], data: st.DataObject | None):
    total = sum(credited.values())
    targets = range(total + 1) if data is None else [data.draw(st.integers(0, total))]
    for target in targets:
        assert reversal_of_credits(credited, target) == naive_webster(credited, target)


@given(st.dictionaries(st.integers(1, 50), st.integers(0, 5), min_size=1, max_size=12))
def test_reversals_with_many_ties_are_those_of_the_definition(credited: dict[int, int]):
    for target in range(sum(credited.values()) + 1):
        assert reversal_of_credits(credited, target) == naive_webster(credited, target)


@given(LARGE_CREDITS, st.data())
def test_a_further_refund_never_gives_anything_back(credited: dict[int, int], data: st.DataObject):
    total = sum(credited.values())
    smaller, larger = sorted(data.draw(st.tuples(st.integers(0, total), st.integers(0, total))))
    before, after = reversal_of_credits(credited, smaller), reversal_of_credits(credited, larger)
    assert sum(before.values()) == smaller
    assert all(0 <= before[household] <= after[household] <= credited[household] for household in credited)


@given(LARGE_CREDITS, st.data())
def test_any_sequence_of_refunds_ends_at_the_same_fen_as_one(credited: dict[int, int], data: st.DataObject):
    pool_fen = sum(credited.values())
    net_fen = pool_fen + data.draw(FEN)
    refunds = data.draw(
        st.lists(st.integers(0, net_fen), max_size=5).filter(lambda parts: sum(parts) <= net_fen)
    )
    reversed_fen: dict[int, int] = {}
    for refunded_fen in accumulate(refunds):
        target = reversal_target(pool_fen, net_fen, refunded_fen)
        for household, fen in reversal_to_post(credited, reversed_fen, target).items():
            assert fen > 0
            reversed_fen[household] = reversed_fen.get(household, 0) + fen
    at_once = reversal_to_post(credited, {}, reversal_target(pool_fen, net_fen, sum(refunds)))
    assert reversed_fen == at_once


@given(LARGE_CREDITS, FEN)
def test_a_full_refund_leaves_every_credit_at_zero(credited: dict[int, int], beside_fen: int):
    pool_fen = sum(credited.values())
    net_fen = pool_fen + beside_fen
    reversed_fen = reversal_of_credits(credited, reversal_target(pool_fen, net_fen, net_fen))
    assert reversed_fen == credited


def test_the_target_is_the_refunded_part_of_the_pool_rounded_half_up():
    assert reversal_target(800, 10_000, 2_500) == 200
    assert reversal_target(1, 2, 1) == 1
    assert reversal_target(1, 3, 1) == 0
    assert reversal_target(0, 0, 0) == 0


@pytest.mark.parametrize(
    ("pool_fen", "net_fen", "refunded_fen"), [(10, 100, 101), (10, 100, -1), (101, 100, 5), (1, 0, 0)]
)
def test_a_refund_beyond_the_line_is_refused(pool_fen: int, net_fen: int, refunded_fen: int):
    with pytest.raises(ValueError):
        reversal_target(pool_fen, net_fen, refunded_fen)


@pytest.mark.parametrize("target_fen", [-1, 11])
def test_a_reversal_beyond_the_credits_is_refused(target_fen: int):
    with pytest.raises(ValueError):
        reversal_of_credits({1: 3, 2: 1, 3: 6}, target_fen)


@pytest.mark.parametrize("reversed_fen", [{1: 3}, {9: 1}])
def test_a_reversal_that_does_not_follow_from_the_earlier_ones_is_refused(reversed_fen: dict[int, int]):
    with pytest.raises(ValueError):
        reversal_to_post({1: 3, 2: 1, 3: 6}, reversed_fen, 4)


def test_twenty_thousand_households_are_reversed_in_one_go():
    credited = {household: 1 + household % 997 for household in range(1, 20_001)}
    target = sum(credited.values()) // 3
    shares = reversal_of_credits(credited, target)
    assert sum(shares.values()) == target
    assert all(shares[household] <= credited[household] for household in credited)


# --- guarantee ---


def test_a_guarantee_tops_credits_up_to_what_is_due():
    assert top_up(1_000, 640) == 360
    assert top_up(1_000, 1_000) == 0
    assert top_up(1_000, 1_250) == 0


@given(FEN, FEN, st.lists(FEN, max_size=8))
def test_a_household_ends_at_the_larger_of_due_and_credited(due_fen: int, first_fen: int, later: list[int]):
    credited, standing = first_fen, top_up(due_fen, first_fen)
    for credit_fen in later:
        before = credited + standing
        standing -= guarantee_reduction(credit_fen, standing)
        credited += credit_fen
        assert credited + standing >= before
        assert credited + standing == max(due_fen, credited)


@pytest.mark.parametrize(("credit_fen", "guaranteed_fen"), [(-1, 5), (5, -1)])
def test_a_guarantee_is_not_reduced_by_less_than_nothing(credit_fen: int, guaranteed_fen: int):
    with pytest.raises(ValueError):
        guarantee_reduction(credit_fen, guaranteed_fen)
