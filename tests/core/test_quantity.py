"""Grams and hundredths of a mu, as people type and read them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from marketplace.core.quantity import format_kg, format_mu, parse_decimal, parse_kg, parse_mu


@pytest.mark.parametrize(
    ("typed", "mass_g"),
    [("12.5", 12_500), ("0.001", 1), (" 3 ", 3_000), ("0", 0), ("999999999.999", 999_999_999_999)],
)
def test_kilograms_are_read_as_grams(typed: str, mass_g: int):
    assert parse_kg(typed) == mass_g


@pytest.mark.parametrize("typed", ["", "-1", "1.2345", "1,5", "kg", "1e3", ".5", "5.", "1234567890"])
def test_what_is_no_mass_is_refused(typed: str):
    with pytest.raises(ValueError):
        parse_kg(typed)


def test_an_area_has_two_decimals():
    assert parse_mu("10.5") == 1_050
    assert parse_mu("0.01") == 1
    with pytest.raises(ValueError):
        parse_mu("0.001")


def test_a_count_has_no_decimals():
    assert parse_decimal("12", places=0) == 12
    with pytest.raises(ValueError):
        parse_decimal("12.0", places=0)


@pytest.mark.parametrize(
    ("mass_g", "written"),
    [(12_500, "12.5"), (1, "0.001"), (3_000, "3"), (0, "0"), (-1_500, "-1.5"), (1_234_567_000, "1,234,567")],
)
def test_a_mass_is_written_without_trailing_zeros(mass_g: int, written: str):
    assert format_kg(mass_g) == written


def test_an_area_is_written_without_trailing_zeros():
    assert [format_mu(area) for area in (1_050, 100, 1)] == ["10.5", "1", "0.01"]


@given(st.integers(0, 999_999_999))
def test_a_mass_survives_being_written_and_read(mass_g: int):
    assert parse_kg(format_kg(mass_g).replace(",", "")) == mass_g
