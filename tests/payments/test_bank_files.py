"""Reading a bank's file: the credits in it, or the row and column of the first fault."""

from __future__ import annotations

from datetime import date

import pytest

from marketplace.core.errors import Refused
from marketplace.payments.bank_files import MAX_ROWS, read_statement

HEADER = "交易流水号,交易日期,收入金额,对方户名,附言"


def statement(*lines: str, header: str = HEADER) -> bytes:
    return "\r\n".join((header, *lines)).encode()


def refused(content: bytes) -> Refused:
    with pytest.raises(Refused) as refusal:
        read_statement(content)
    assert refusal.value.field == "file"
    return refusal.value


def test_credits_are_read_in_fen_with_their_row() -> None:
    rows = read_statement(
        statement(
            'B001,2026-06-01,"1,280.50",乐安县第一小学,货款 7K3Q-9XWM',
            "B002,2026/06/02,,供电公司,电费",
            "B003,20260603 15:01:02,¥12,何秋云,",
        )
    )
    assert [
        (row.row, row.serial_no, row.booked_on, row.amount_fen, row.payer, row.remark) for row in rows
    ] == [
        (2, "B001", date(2026, 6, 1), 128_050, "乐安县第一小学", "货款 7K3Q-9XWM"),
        (4, "B003", date(2026, 6, 3), 1_200, "何秋云", ""),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_every_encoding_banks_use_is_read(encoding: str) -> None:
    content = statement("B001,2026-06-01,10.00,乐安县第一小学,货款").decode().encode(encoding)
    assert read_statement(content)[0].payer == "乐安县第一小学"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_read(ending: str) -> None:
    content = statement("B001,2026-06-01,10.00,乐安县第一小学,货款", "B002,2026-06-01,11.00,何秋云,").replace(
        b"\r\n", ending.encode()
    )
    assert [row.row for row in read_statement(content)] == [2, 3]


def test_other_names_and_orders_of_the_columns_are_read() -> None:
    content = statement(
        "货款,2026-06-01,B001,10.00,何秋云,余额", header="摘要,记账日期,流水号,贷方金额,付款人,余额"
    )
    assert (read_statement(content)[0].serial_no, read_statement(content)[0].remark) == ("B001", "货款")


def test_money_that_went_out_and_empty_lines_are_left_out() -> None:
    rows = read_statement(
        statement(
            "B1,2026-06-01,0.00,甲,", "", ",,,,", "B2,2026-06-01,-,乙,", "B3,2026-06-01,1,丙,", "B4,,0,丁,"
        )
    )
    assert [row.serial_no for row in rows] == ["B3"]


@pytest.mark.parametrize(
    ("line", "code", "params"),
    [
        ("B001,2026-06-01,10.00,甲", "statement_row", {"row": 3, "column": "附言"}),
        ("B001,2026-06-01", "statement_row", {"row": 3, "column": "收入金额"}),
        (",2026-06-01,10.00,甲,货款", "statement_serial", {"row": 3}),
        ("B" * 61 + ",2026-06-01,10.00,甲,货款", "statement_serial", {"row": 3}),
        ("B001,2026-02-30,10.00,甲,货款", "statement_date", {"row": 3}),
        ("B001,,10.00,甲,货款", "statement_date", {"row": 3}),
        ("B001,六月一日,10.00,甲,货款", "statement_date", {"row": 3}),
        ("B001,2026-06-01,10.005,甲,货款", "statement_amount", {"row": 3}),
        ("B001,2026-06-01,-10.00,甲,货款", "statement_amount", {"row": 3}),
        ("B001,2026-06-01,1e3,甲,货款", "statement_amount", {"row": 3}),
        ("B001,2026-06-01,=1+1,甲,货款", "statement_amount", {"row": 3}),
        ("B001,2026-06-01,10.00,甲," + "货" * 140_000, "statement_csv", {"row": 3}),
    ],
)
def test_a_fault_is_named_by_row_and_column(line: str, code: str, params: dict[str, object]) -> None:
    refusal = refused(statement("B000,2026-06-01,10.00,甲,货款", line))
    assert (refusal.code, refusal.params) == (code, params)


def test_a_missing_column_is_named() -> None:
    refusal = refused(statement("B001,2026-06-01,10.00", header="交易流水号,交易日期,收入金额"))
    assert (refusal.code, refusal.params) == ("statement_header", {"column": "对方户名"})


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "statement_header"),
        (statement(), "statement_empty"),
        (statement("B001,2026-06-01,0,甲,"), "statement_empty"),
        (b"PK\x03\x04\x14\x00\x06\x00", "statement_encoding"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "statement_encoding"),
        (HEADER.encode("utf-16"), "statement_encoding"),
        (b"\xff\xff\xff", "statement_encoding"),
        (HEADER.replace(",", "\t").encode(), "statement_header"),
    ],
)
def test_what_is_no_statement_is_refused(content: bytes, code: str) -> None:
    assert refused(content).code == code


def test_a_file_too_long_is_refused() -> None:
    refusal = refused(statement(*(f"B{n},2026-06-01,1,甲," for n in range(MAX_ROWS))))
    assert (refusal.code, refusal.params) == ("statement_long", {"most": MAX_ROWS})
