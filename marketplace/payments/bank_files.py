"""Reading the file a bank gives out: the credits of a CSV statement, or what is wrong with it by row and column.

Leaves matching the credits to what is owed to `statements.py`. Pure: bytes in, rows out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from marketplace.core.clock import SHANGHAI
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan

COLUMNS = {
    "serial_no": ("交易流水号", "流水号", "serial_no"),
    "booked_on": ("交易日期", "记账日期", "booked_on"),
    "amount": ("收入金额", "贷方金额", "amount"),
    "payer": ("对方户名", "付款人", "payer"),
    "remark": ("附言", "摘要", "remark"),
}
DAY_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d")
NO_INCOME = frozenset({"", "-", "--"})
MAX_ROWS = 20_000
MAX_SERIAL = 60


@dataclass(frozen=True)
class StatementRow:
    """One credit as the bank wrote it; `row` is its line in the file, the header being 1."""

    row: int
    serial_no: str
    booked_on: date
    amount_fen: int
    payer: str
    remark: str


def read_statement(content: bytes) -> list[StatementRow]:
    """The credits in a CSV statement (UTF-8 or GB 18030), in the order of the file.

    Money that went out (an empty or zero income) is left out. Raises Refused naming row and column of the first fault.
    """
    table = csv.reader(io.StringIO(_text_of(content), newline=""))
    try:
        header = [cell.strip() for cell in next(table, [])]
        places = {name: _place(header, aliases) for name, aliases in COLUMNS.items()}
        found = list(_credits(table, places))
    except csv.Error:
        raise Refused(
            "statement_csv",
            N_("第 %(row)s 行不是 CSV 格式，请从网银重新导出"),
            field="file",
            row=table.line_num,
        ) from None
    if not found:
        raise Refused(
            "statement_empty", N_("对账单里没有收入记录，请确认导出的是收款账户的明细"), field="file"
        )
    return found


def _text_of(content: bytes) -> str:
    if b"\x00" not in content:  # a spreadsheet, a PDF or UTF-16 has such bytes, a text does not
        for encoding in ("utf-8-sig", "gb18030"):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                continue
    raise Refused("statement_encoding", N_("文件不是文本，请从网银导出 CSV 格式的明细"), field="file")


def _place(header: Sequence[str], aliases: Sequence[str]) -> int:
    for alias in aliases:
        if alias in header:
            return header.index(alias)
    raise Refused("statement_header", N_("表头缺少“%(column)s”一列"), field="file", column=aliases[0])


def _credits(table: Iterator[list[str]], places: Mapping[str, int]) -> Iterator[StatementRow]:
    for number, cells in enumerate(table, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if number > MAX_ROWS:
            raise Refused(
                "statement_long",
                N_("一次最多导入 %(most)s 行，请按日期分开导出"),
                field="file",
                most=MAX_ROWS,
            )
        cell = _named(cells, places, number)
        if amount_fen := _amount(cell["amount"], number):
            yield StatementRow(
                row=number,
                serial_no=_serial(cell["serial_no"], number),
                booked_on=_day(cell["booked_on"], number),
                amount_fen=amount_fen,
                payer=cell["payer"][:120],
                remark=cell["remark"][:200],
            )


def _named(cells: Sequence[str], places: Mapping[str, int], row: int) -> dict[str, str]:
    for name, place in places.items():
        if place >= len(cells):
            column = COLUMNS[name][0]
            raise Refused(
                "statement_row", N_("第 %(row)s 行缺少“%(column)s”"), field="file", row=row, column=column
            )
    return {name: cells[place].strip() for name, place in places.items()}


def _serial(text: str, row: int) -> str:
    if not text or len(text) > MAX_SERIAL:
        raise Refused("statement_serial", N_("第 %(row)s 行“交易流水号”为空或过长"), field="file", row=row)
    return text


def _day(text: str, row: int) -> date:
    day = text.split(maxsplit=1)[0] if text else ""
    for form in DAY_FORMS:
        try:
            return datetime.strptime(day, form).replace(tzinfo=SHANGHAI).date()
        except ValueError:
            continue
    raise Refused(
        "statement_date",
        N_("第 %(row)s 行“交易日期”不是日期，应为 2026-06-01 这样的写法"),
        field="file",
        row=row,
    )


def _amount(text: str, row: int) -> int:
    """Fen of an income, 0 when the line is none."""
    if text in NO_INCOME:
        return 0
    try:
        return parse_yuan(text)
    except ValueError:
        raise Refused(
            "statement_amount",
            N_("第 %(row)s 行“收入金额”不是金额（元，最多两位小数）"),
            field="file",
            row=row,
        ) from None
