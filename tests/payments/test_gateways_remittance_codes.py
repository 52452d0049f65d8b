"""Remittance codes survive a bank's remark field; typing errors in them are found."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from marketplace.core.ids import ALPHABET
from marketplace.payments.gateways.remittance_codes import (
    code_of,
    display_code,
    find_codes,
    is_code,
    new_code,
)

CODES = st.integers(0, 2**35 - 1).map(code_of)
PLACES = st.integers(0, 7)
HANZI = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=20)
FULL_WIDTH = {ord(c): ord(c) + 0xFEE0 for c in ALPHABET + ALPHABET.lower()}


def test_known_numbers_have_known_codes() -> None:
    assert code_of(0) == "00000000"
    assert code_of(1) == "0000001M"
    assert code_of(2**35 - 1) == "ZZZZZZZC"


def test_a_number_that_does_not_fit_is_an_error() -> None:
    for number in (-1, 2**35):
        with pytest.raises(ValueError, match="35 bits"):
            code_of(number)


def test_a_new_code_is_a_code_and_differs_from_the_next() -> None:
    codes = {new_code() for _ in range(50)}
    assert len(codes) == 50
    assert all(is_code(code) for code in codes)


@given(CODES, PLACES, st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(code: str, place: int, wrong: str) -> None:
    typed = code[:place] + wrong + code[place + 1 :]
    assert is_code(typed) == (typed == code)
    if typed != code:
        assert find_codes(typed) == ()


@given(CODES, PLACES, PLACES)
def test_two_exchanged_characters_are_found(code: str, one: int, other: int) -> None:
    characters = list(code)
    characters[one], characters[other] = characters[other], characters[one]
    typed = "".join(characters)
    assert is_code(typed) == (typed == code)


@given(CODES, HANZI, HANZI)
def test_a_code_is_found_inside_chinese_words(code: str, before: str, after: str) -> None:
    assert find_codes(f"{before}{code}{after}") == (code,)


@given(CODES)
def test_the_printed_form_is_read_back(code: str) -> None:
    assert find_codes(display_code(code)) == (code,)


@given(CODES, st.lists(st.sampled_from(["", " ", "-", "　", " - "]), min_size=8, max_size=8))
def test_gaps_do_not_matter(code: str, gaps: list[str]) -> None:
    assert find_codes("".join(c + gap for c, gap in zip(code, gaps, strict=True)).strip()) == (code,)


@given(CODES)
def test_lower_case_full_width_and_look_alikes_are_read(code: str) -> None:
    assert find_codes(code.lower()) == (code,)
    assert find_codes(code.translate(FULL_WIDTH)) == (code,)
    assert find_codes(code.lower().translate(FULL_WIDTH)) == (code,)
    assert find_codes(code.replace("0", "O").replace("1", "I")) == (code,)
    assert find_codes(code.replace("0", "o").replace("1", "l")) == (code,)


@given(CODES, CODES)
def test_a_code_between_separators_comes_before_one_cut_out(code: str, other: str) -> None:
    found = find_codes(f"货款X{other}X 汇款码 {code}，谢谢")
    assert set(found) >= {code, other}
    assert code == other or found.index(code) < found.index(other)


@given(st.text(max_size=300))
def test_any_remark_can_be_read_and_gives_only_codes(remark: str) -> None:
    assert all(is_code(code) for code in find_codes(remark))


def test_a_remark_of_ordinary_words_holds_no_code() -> None:
    for remark in ("", "货款", "2026年11月食堂采购款 30 天", "PAYMENT FOR RICE", "7K3Q-9XW"):
        assert find_codes(remark) == ()


def test_two_codes_in_one_remark_are_both_given_for_a_person_to_decide() -> None:
    one, other = code_of(12_345), code_of(67_890)
    assert find_codes(f"{one}、{other}") == (one, other)
