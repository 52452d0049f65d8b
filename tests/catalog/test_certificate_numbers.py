"""Green Food numbers and bar codes."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given, strategies as st

from marketplace.catalog.certificates.numbers import (
    check_ean13,
    make_ean13,
    make_green_food_enterprise,
    make_green_food_product,
    parse_green_food_enterprise,
    parse_green_food_product,
)
from marketplace.core.errors import Refused

approvals = st.dates(min_value=date(2009, 8, 1), max_value=date(2060, 12, 31))


def refusal(check, text) -> Refused:
    with pytest.raises(Refused) as caught:
        check(text)
    assert str(caught.value)
    return caught.value


def test_a_product_number_is_taken_apart():
    product = parse_green_food_product("LB-18-2503140123A")
    assert product.number == "LB-18-2503140123A"
    assert (product.product_class, product.approved_year, product.approved_month) == ("18", 2025, 3)
    assert (product.province_no, product.serial, product.grade) == ("14", "0123", "A")
    assert product.is_jiangxi


def test_a_number_of_eleven_digits_has_a_serial_of_five():
    product = parse_green_food_product("LB-44-25031412345AA")
    assert (product.serial, product.grade) == ("12345", "AA")


@pytest.mark.parametrize(
    "typed", ["lb-18-2503140123a", " LB－18－２５０３140123A ", "LB182503140123A", "LB—18—2503 1401 23A"]
)
def test_a_number_is_tidied_to_its_printed_form(typed):
    assert parse_green_food_product(typed).number == "LB-18-2503140123A"


@pytest.mark.parametrize(
    ("typed", "code", "params"),
    [
        ("", "green_food_form", {}),
        ("XB-18-2503140123A", "green_food_form", {}),
        ("LB-1-2503140123A", "green_food_form", {}),
        ("LB-18-250314012A", "green_food_digits", {"count": 9}),
        ("LB-18-250314012345A", "green_food_digits", {"count": 12}),
        ("LB-18-2503140123", "green_food_grade", {}),
        ("LB-18-2503140123AAA", "green_food_grade", {}),
        ("LB-18-2503140123B", "green_food_grade", {}),
        ("LB-00-2503140123A", "green_food_class", {}),
        ("LB-18-2513140123A", "green_food_month", {"month": "13"}),
        ("LB-18-2500140123A", "green_food_month", {"month": "00"}),
        ("LB-18-2503000123A", "green_food_province", {}),
        ("LB-18-2503140000A", "green_food_serial", {}),
        ("LB-18-25031401٢3A", "green_food_form", {}),
    ],
)
def test_a_bad_product_number_is_refused_with_what_is_wrong(typed, code, params):
    refused = refusal(parse_green_food_product, typed)
    assert (refused.code, refused.params) == (code, params)


def test_a_number_of_another_province_is_read_and_told_apart():
    product = parse_green_food_product("LB-18-2503150123A")
    assert not product.is_jiangxi


def test_a_certificate_of_next_month_is_not_approved_yet():
    product = parse_green_food_product("LB-18-2503140123A")
    assert not product.is_approved_by(date(2025, 2, 28))
    assert product.is_approved_by(date(2025, 3, 1))


@given(approvals, st.integers(1, 9999), st.sampled_from(["A", "AA"]))
def test_a_generated_product_number_reads_back(approved_on, serial, grade):
    product = parse_green_food_product(make_green_food_product(approved_on, serial, grade=grade))
    assert (product.approved_year, product.approved_month) == (approved_on.year, approved_on.month)
    assert (int(product.serial), product.grade, product.is_jiangxi) == (serial, grade, True)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    for parse in (parse_green_food_product, parse_green_food_enterprise, check_ean13):
        with suppress(Refused):
            assert parse(text)


def test_an_enterprise_number_says_county_year_and_serial():
    enterprise = parse_green_food_enterprise("gf 360724 25 0017")
    assert enterprise.number == "GF360724250017"
    assert (enterprise.county_code, enterprise.first_year, enterprise.serial) == ("360724", 2025, "0017")
    assert make_green_food_enterprise("360724", 2025, 17) == enterprise.number


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("GF36072425001", "green_food_enterprise_form"),
        ("360724250017", "green_food_enterprise_form"),
        ("GF060724250017", "green_food_enterprise_form"),
        ("GF360724250000", "green_food_enterprise_serial"),
        ("LB-18-2503140123A", "green_food_enterprise_form"),
    ],
)
def test_a_bad_enterprise_number_is_refused(typed, code):
    assert refusal(parse_green_food_enterprise, typed).code == code


def test_a_bar_code_is_checked():
    assert check_ean13("6901234567892") == "6901234567892"
    assert check_ean13("690 1234 567892") == "6901234567892"
    assert refusal(check_ean13, "6901234567893").code == "ean13_check"
    assert refusal(check_ean13, "690123456789").code == "ean13_form"


@given(st.integers(0, 9999), st.integers(0, 99_999), st.integers(0, 12), st.integers(0, 9))
def test_one_wrong_digit_of_a_bar_code_is_always_noticed(maker, item, place, digit):
    number = make_ean13(maker, item)
    assert check_ean13(number) == number
    if number[place] != str(digit):
        with pytest.raises(Refused):
            check_ean13(f"{number[:place]}{digit}{number[place + 1 :]}")


def test_a_generator_refuses_what_it_cannot_number():
    with pytest.raises(ValueError, match=r"1\.\.9999"):
        make_green_food_product(date(2025, 3, 1), 0)
    with pytest.raises(ValueError, match=r"1\.\.9999"):
        make_green_food_enterprise("360724", 2025, 10_000)
    with pytest.raises(ValueError, match="maker"):
        make_ean13(10_000, 0)
