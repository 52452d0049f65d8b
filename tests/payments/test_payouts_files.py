"""The bank's file: layouts as data, widths in bytes, totals, and lines that do not fit."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from marketplace.core.errors import Refused
from marketplace.payments.payouts.account_numbers import make_account_number
from marketplace.payments.payouts.files import (
    PayoutLine,
    bank_file,
    check_layout,
    fits,
    shipped_layouts,
)

ON = date(2026, 6, 1)
LINES = [
    PayoutLine("PO-0000000000001", "陈大", make_account_number(1), "江西农商银行", 12_345),
    PayoutLine("PO-0000000000002", "刘小芳", make_account_number(2), "江西农商银行", 7),
]
DELIMITED: dict[str, Any] = {
    "form": "delimited",
    "encoding": "gbk",
    "separator": "|",
    "line_end": "\n",
    "amount": "fen",
    "header": [{"field": "batch"}, {"field": "count"}, {"field": "total"}, {"field": "day"}],
    "columns": [
        {"field": "sequence"},
        {"field": "account"},
        {"field": "name"},
        {"field": "amount"},
        {"field": "reference"},
    ],
}


def written(layout: dict[str, Any], lines: list[PayoutLine] = LINES) -> bytes:
    return bank_file(layout, lines, batch_no="PB-0000000001", on=ON)


def test_two_layouts_are_shipped_in_their_order() -> None:
    assert list(shipped_layouts()) == ["generic_csv", "one_card_fixed"]


def test_the_generic_file_has_titles_yuan_and_accounts_that_stay_text() -> None:
    lines = written(shipped_layouts()["generic_csv"]).decode("utf-8-sig").split("\r\n")
    assert lines == [
        "发放编号,户名,银行账号,开户银行,金额（元）,附言",
        f"PO-0000000000001,陈大,\t{LINES[0].account},江西农商银行,123.45,联结收益",
        f"PO-0000000000002,刘小芳,\t{LINES[1].account},江西农商银行,0.07,联结收益",
        "",
    ]


def test_a_delimited_layout_has_its_order_totals_and_encoding() -> None:
    assert written(DELIMITED).decode("gbk").split("\n") == [
        "PB-0000000001|2|12352|20260601",
        f"1|{LINES[0].account}|陈大|12345|PO-0000000000001",
        f"2|{LINES[1].account}|刘小芳|7|PO-0000000000002",
        "",
    ]


def test_widths_are_bytes_of_the_encoding() -> None:
    layout = shipped_layouts()["one_card_fixed"]
    first = written(layout).split(b"\r\n")[1]
    assert len(first) == sum(column["width"] for column in layout["columns"])
    assert first[44:104] == "陈大".encode("gbk") + b" " * 56


def test_the_same_lines_give_the_same_bytes() -> None:
    for layout in (*shipped_layouts().values(), DELIMITED):
        assert written(layout) == written(deepcopy(layout))


@pytest.mark.parametrize(
    ("layout", "name", "is_fine"),
    [
        ("generic_csv", "陈𬭩", True),
        ("one_card_fixed", "陈𬭩", False),  # GBK has no such character
        ("one_card_fixed", "陈" * 30, True),
        ("one_card_fixed", "陈" * 31, False),
    ],
)
def test_a_name_fits_or_is_held_back(layout: str, name: str, is_fine: bool) -> None:
    assert fits(shipped_layouts()[layout], name=name, bank="农商行", amount_fen=100) is is_fine


def test_a_separator_in_a_value_is_refused_not_escaped() -> None:
    line = PayoutLine("PO-0000000000001", "陈|大", LINES[0].account, "农商行", 1)
    with pytest.raises(Refused) as refusal:
        written(DELIMITED, [line])
    assert refusal.value.code == "line_does_not_fit"


def test_an_amount_too_long_for_its_column_is_refused() -> None:
    line = PayoutLine("PO-0000000000001", "陈大", LINES[0].account, "农商行", 10**14)
    with pytest.raises(Refused):
        written(shipped_layouts()["one_card_fixed"], [line])


@pytest.mark.parametrize(
    "wrong",
    [
        {"form": "xml"},
        {"encoding": "latin-1"},
        {"amount": "jiao"},
        {"separator": "||"},
        {"columns": [{"field": "account"}, {"field": "amount"}]},
        {"columns": [{"field": "reference"}, {"field": "account"}, {"field": "amount"}, {"field": "id"}]},
        {"header": [{"field": "account"}]},
        {"form": "fixed"},
    ],
)
def test_a_layout_that_would_lose_something_is_no_layout(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        check_layout(DELIMITED | wrong)
