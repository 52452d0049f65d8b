"""Public numbers tell nothing and can be read over the phone."""

from __future__ import annotations

import re

from marketplace.core.ids import public_no, random_key


def test_a_public_number_is_opaque_and_readable():
    assert re.fullmatch(r"H-[0-9A-HJKMNP-TV-Z]{10}", public_no("H"))
    assert re.fullmatch(r"J-[0-9A-HJKMNP-TV-Z]{16}", public_no("J", length=16))


def test_public_numbers_use_every_character_and_do_not_repeat():
    numbers = {public_no("H") for _ in range(2_000)}
    assert len(numbers) == 2_000
    for place in range(2, 12):
        assert len({number[place] for number in numbers}) == 32


def test_keys_of_forms_do_not_repeat():
    keys = {random_key() for _ in range(1_000)}
    assert len(keys) == 1_000
    assert all(re.fullmatch(r"[\w-]{22}", key) for key in keys)
