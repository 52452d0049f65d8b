"""Fen: rounding, splitting, apportioning, reading and writing."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from marketplace.core.money import format_yuan, half_up, parse_yuan, split_by_weights, webster

WHOLE = st.integers(0, 10**13)


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (5, 10, 1),
        (4, 10, 0),
        (15, 10, 2),
        (25, 10, 3),
        (-5, 10, 0),
        (-6, 10, -1),
        (0, 7, 0),
        (10**30 + 1, 2, 5 * 10**29 + 1),
    ],
)
def test_one_half_is_rounded_up(numerator: int, denominator: int, rounded: int):
    assert half_up(numerator, denominator) == rounded


@given(WHOLE, st.integers(1, 10**9))
def test_rounding_is_that_of_decimal_arithmetic(numerator: int, denominator: int):
    exact = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), ROUND_HALF_UP)
    assert half_up(numerator, denominator) == exact


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_is_positive(denominator: int):
    with pytest.raises(ValueError):
        half_up(1, denominator)


@given(WHOLE, st.lists(WHOLE, min_size=1, max_size=50).filter(any))
def test_a_split_sums_to_the_amount_within_one_fen_of_each_quota(amount_fen: int, weights: list[int]):
    shares = split_by_weights(amount_fen, weights)
    assert sum(shares) == amount_fen
    for share, weight in zip(shares, weights, strict=True):
        quota = Fraction(amount_fen * weight, sum(weights))
        assert quota - 1 < share < quota + 1
        assert share >= 0


def test_ties_of_a_split_go_to_the_earlier_weight():
    assert split_by_weights(2, [3, 3, 3, 1]) == [1, 1, 0, 0]
    assert split_by_weights(100, [1, 1, 1]) == [34, 33, 33]


def test_nothing_is_split_among_nobody():
    assert split_by_weights(0, []) == []
    assert split_by_weights(0, [0, 0]) == [0, 0]


@pytest.mark.parametrize(("amount_fen", "weights"), [(1, []), (1, [0]), (-1, [1]), (1, [2, -1])])
def test_a_split_without_weights_or_below_zero_is_refused(amount_fen: int, weights: list[int]):
    with pytest.raises(ValueError):
        split_by_weights(amount_fen, weights)


@given(st.lists(WHOLE, min_size=1, max_size=30), st.data())
def test_webster_sums_to_its_target_and_never_exceeds_a_weight(weights: list[int], data: st.DataObject):
    target = data.draw(st.integers(0, sum(weights)))
    shares = webster(target, weights)
    assert sum(shares) == target
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))


@given(st.lists(WHOLE, min_size=1, max_size=12).filter(any), st.data())
def test_webster_gives_no_fen_to_a_weaker_claim_than_one_it_left_out(weights: list[int], data: st.DataObject):
    shares = webster(data.draw(st.integers(0, sum(weights))), weights)
    held = [(Fraction(w, 2 * s - 1), -i) for i, (w, s) in enumerate(zip(weights, shares, strict=True)) if s]
    refused = [(Fraction(w, 2 * s + 1), -i) for i, (w, s) in enumerate(zip(weights, shares, strict=True))]
    assert not held or min(held) > max(refused)


@pytest.mark.parametrize(("target", "weights"), [(-1, [5]), (6, [5]), (1, []), (1, [3, -1])])
def test_webster_refuses_a_target_outside_the_weights(target: int, weights: list[int]):
    with pytest.raises(ValueError):
        webster(target, weights)


def test_webster_of_nothing_is_nothing():
    assert webster(0, []) == []
    assert webster(0, [0, 0]) == [0, 0]
    assert webster(0, [4, 4]) == [0, 0]


@pytest.mark.parametrize(
    ("typed", "fen"),
    [
        ("1,280.50", 128_050),
        ("1，280.50", 128_050),
        ("￥12", 1_200),
        ("¥ 0.05", 5),
        ("12元", 1_200),
        (" 7.5 ", 750),
        ("１２.３", 1_230),
        ("0", 0),
        ("9999999999999.99", 999_999_999_999_999),
        ("999,999,999,999,999", 99_999_999_999_999_900),
    ],
)
def test_an_amount_is_read_as_people_type_it(typed: str, fen: int):
    assert parse_yuan(typed) == fen


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "-5",
        "+5",
        "1.234",
        ".5",
        "5.",
        "1,28",
        "1e3",
        "12,3456",
        "一百",
        "1 000",
        "NaN",
        "9" * 14,
        "1" + ",000" * 5,
        "12 yuan",
    ],
)
def test_what_is_no_amount_is_refused(typed: str):
    with pytest.raises(ValueError):
        parse_yuan(typed)


@given(WHOLE)
def test_an_amount_survives_being_written_and_read(amount_fen: int):
    assert parse_yuan(format_yuan(amount_fen)) == amount_fen
    assert parse_yuan(format_yuan(amount_fen, grouped=False)) == amount_fen


@pytest.mark.parametrize(
    ("fen", "grouped", "plain"),
    [
        (0, "0.00", "0.00"),
        (5, "0.05", "0.05"),
        (123_456, "1,234.56", "1234.56"),
        (-1, "-0.01", "-0.01"),
        (-123_456, "-1,234.56", "-1234.56"),
    ],
)
def test_an_amount_is_written_with_two_decimals(fen: int, grouped: str, plain: str):
    assert format_yuan(fen) == grouped
    assert format_yuan(fen, grouped=False) == plain
