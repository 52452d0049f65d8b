"""Numbers of people, households, cooperatives and places."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st

from marketplace.core.errors import Refused
from marketplace.registry.identifiers import (
    check_cooperative_uscc,
    check_household_no,
    check_mobile,
    check_person_no,
    check_region_code,
    check_uscc,
    make_resident_id,
    make_uscc,
    parse_resident_id,
)

births = st.dates(min_value=date(1930, 1, 1), max_value=date(2020, 12, 31))
counties = st.sampled_from(["360724", "360827", "361025", "360113", "361104"])


def refusal(check, *args, **kwargs) -> str:
    with pytest.raises(Refused) as caught:
        check(*args, **kwargs)
    assert str(caught.value)  # the message takes its own parameters
    return caught.value.code


def test_the_example_of_the_standard_is_read():
    person = parse_resident_id("11010519491231002X")
    assert (person.region_code, person.born_on, person.is_male) == ("110105", date(1949, 12, 31), False)


@given(counties, births, st.integers(0, 99))
def test_a_generated_person_has_a_number_that_reads_back(county, birth, sequence):
    person = parse_resident_id(make_resident_id(county, birth, sequence))
    assert (person.region_code, person.born_on) == (county, birth)
    assert person.number[14:17] == str(999 - sequence)


@given(counties, births, st.integers(0, 99), st.integers(0, 17), st.sampled_from("0123456789"))
def test_one_wrong_digit_is_always_noticed(county, birth, sequence, place, digit):
    number = make_resident_id(county, birth, sequence)
    if number[place] == digit:
        return
    with pytest.raises(Refused):
        parse_resident_id(number[:place] + digit + number[place + 1 :])


@given(counties, births, st.integers(0, 99), st.integers(0, 16))
def test_two_neighbours_swapped_are_always_noticed(county, birth, sequence, place):
    number = make_resident_id(county, birth, sequence)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if swapped != number:
        with pytest.raises(Refused):
            parse_resident_id(swapped)


def test_a_county_code_younger_than_its_bearer_is_no_fault():
    assert parse_resident_id(make_resident_id("360702", date(1990, 5, 20), 0)).born_on == date(1990, 5, 20)


def test_spacing_lower_case_and_full_width_digits_are_taken():
    assert parse_resident_id(" １１０１０５ 19491231 002x ").number == "11010519491231002X"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", "resident_id_length"),
        ("11010519491231002", "resident_id_length"),
        ("110105491231002", "resident_id_length"),
        ("1101051949123100٣X", "resident_id_characters"),
        ("11010519491231002Y", "resident_id_characters"),
        ("A1010519491231002X", "resident_id_characters"),
        ("110105194913310027", "resident_id_birthday"),
        ("110105194902300024", "resident_id_birthday"),
        ("110105184912310020", "resident_id_birthday"),
        ("110105194912310021", "resident_id_check"),
        ("360724198501011231x", "resident_id_length"),
    ],
)
def test_a_bad_resident_id_is_refused_with_what_is_wrong(number, code):
    assert refusal(parse_resident_id, number) == code


def test_nobody_is_born_tomorrow():
    number = make_resident_id("360724", date(2026, 3, 2), 0)
    assert refusal(parse_resident_id, number, on=date(2026, 3, 1)) == "resident_id_birthday"
    assert parse_resident_id(number, on=date(2026, 3, 2)).born_on == date(2026, 3, 2)


def test_a_refusal_never_repeats_the_number():
    with pytest.raises(Refused) as caught:
        parse_resident_id("110105194912310021")
    assert "1949" not in str(caught.value)
    assert "1949" not in repr(caught.value.params)


def test_a_real_credit_code_is_taken_and_tidied():
    assert check_uscc("9111 0000 6000 3734 1l") == "91110000600037341L"


@given(counties, st.integers(0, 99_999))
def test_a_generated_cooperative_has_a_credit_code_of_a_cooperative(county, serial):
    number = make_uscc(county, serial)
    assert check_cooperative_uscc(number) == number
    assert number[:8] == f"93{county}"


@given(
    counties, st.integers(0, 99_999), st.integers(0, 17), st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY")
)
def test_one_wrong_character_of_a_credit_code_is_always_noticed(county, serial, place, character):
    number = make_uscc(county, serial)
    if number[place] != character:
        with pytest.raises(Refused):
            check_uscc(number[:place] + character + number[place + 1 :])


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("9111000060003734", "uscc_length"),
        ("91I10000600037341L", "uscc_characters"),
        ("91110000600O37341L", "uscc_characters"),
        ("91110000600037341M", "uscc_check"),
        ("九一一一〇〇〇〇六〇〇〇三七三四一", "uscc_length"),
    ],
)
def test_a_bad_credit_code_is_refused_with_what_is_wrong(number, code):
    assert refusal(check_uscc, number) == code


def test_a_company_cannot_apply_as_a_cooperative():
    assert refusal(check_cooperative_uscc, "91110000600037341L") == "uscc_not_cooperative"


def test_generated_offices_and_schools_have_their_own_beginning():
    assert make_uscc("360724", 7, prefix="11").startswith("11360724DEM00007")
    assert check_uscc(make_uscc("360724", 7, prefix="12"))


def test_register_numbers_keep_their_leading_zeros():
    assert check_household_no(" 0012345678 ") == "0012345678"
    assert check_person_no("001234567801") == "001234567801"
    assert refusal(check_household_no, "12345678") == "household_no_form"
    assert refusal(check_household_no, "123456789O") == "household_no_form"
    assert refusal(check_household_no, "１２３４５６７８９٣") == "household_no_form"
    assert refusal(check_person_no, "1234567890") == "person_no_form"


@pytest.mark.parametrize(
    "typed", ["13870712345", "+86 138 7071 2345", "86-13870712345", "０１３８"[1:] + "70712345"]
)
def test_a_mobile_number_is_taken_as_people_write_it(typed):
    assert check_mobile(typed) == "13870712345"


@pytest.mark.parametrize("typed", ["12870712345", "1387071234", "0791-88123456", "", "1387071234a"])
def test_what_is_no_mobile_number_is_refused(typed):
    assert refusal(check_mobile, typed) == "mobile_form"


def test_places_are_in_jiangxi():
    assert check_region_code("360724") == "360724"
    assert check_region_code("360724100001") == "360724100001"
    assert refusal(check_region_code, "440100") == "region_code_form"
    assert refusal(check_region_code, "36072") == "region_code_form"


def test_a_generator_refuses_what_it_cannot_number():
    with pytest.raises(ValueError, match=r"0\.\.99"):
        make_resident_id("360724", date(1980, 1, 1), 100)
    with pytest.raises(ValueError, match="6 digits"):
        make_resident_id("3607", date(1980, 1, 1), 0)
    with pytest.raises(ValueError, match=r"0\.\.99999"):
        make_uscc("360724", 100_000)
