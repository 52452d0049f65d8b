"""Sealed values open only where they belong; equal values are found by a keyed hash."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from marketplace.core.crypto import DataKey

NUMBER = "361025197001011234"
CONTEXT = "household_member.id_number:M-1"


def test_a_sealed_value_opens_in_its_own_place(data_key: DataKey):
    sealed = data_key.seal(NUMBER, context=CONTEXT)
    assert NUMBER.encode() not in sealed
    assert data_key.open(sealed, context=CONTEXT) == NUMBER
    assert data_key.open_bytes(data_key.seal(b"\x00\xff", context=CONTEXT), context=CONTEXT) == b"\x00\xff"


def test_a_value_copied_to_another_row_does_not_open(data_key: DataKey):
    sealed = data_key.seal(NUMBER, context=CONTEXT)
    with pytest.raises(InvalidTag):
        data_key.open(sealed, context="household_member.id_number:M-2")


def test_a_changed_value_does_not_open(data_key: DataKey):
    sealed = bytearray(data_key.seal(NUMBER, context=CONTEXT))
    sealed[-1] ^= 1
    with pytest.raises(InvalidTag):
        data_key.open(bytes(sealed), context=CONTEXT)


def test_another_deployment_cannot_open_it(data_key: DataKey):
    with pytest.raises(InvalidTag):
        DataKey.from_hex("60" * 32).open(data_key.seal(NUMBER, context=CONTEXT), context=CONTEXT)


@pytest.mark.parametrize("sealed", [b"", b"\x02" + b"0" * 40])
def test_a_value_of_an_unknown_key_is_refused(data_key: DataKey, sealed: bytes):
    with pytest.raises(ValueError):
        data_key.open(sealed, context=CONTEXT)


def test_equal_values_are_sealed_differently_and_found_by_their_index(data_key: DataKey):
    assert data_key.seal(NUMBER, context=CONTEXT) != data_key.seal(NUMBER, context=CONTEXT)
    index = data_key.blind_index(NUMBER, column="household_member.id_number")
    assert index == data_key.blind_index(NUMBER, column="household_member.id_number")
    assert len(index) == 32


def test_an_index_is_of_one_column_and_one_deployment(data_key: DataKey):
    index = data_key.blind_index(NUMBER, column="household_member.id_number")
    assert index != data_key.blind_index(NUMBER, column="cooperative.bank_account")
    assert index != DataKey.from_hex("60" * 32).blind_index(NUMBER, column="household_member.id_number")


@pytest.mark.parametrize("text", ["", "5f", "5f" * 31, "zz" * 32])
def test_a_data_key_has_32_bytes(text: str):
    with pytest.raises(ValueError):
        DataKey.from_hex(text)
