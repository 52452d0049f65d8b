"""The bank's file: a layout described as data, and the lines it makes of payouts. Pure: values in, bytes out.

A layout is a JSON object: `form` is "csv" (quoted, opened by spreadsheets), "delimited" (by `separator`, nothing
quoted) or "fixed" (each column `width` bytes, `align` left or right, filled with `fill`); `columns` name their `field`
in order; `header` and `trailer` are lines of totals; `amount` is "yuan" or "fen"; `encoding` what the bank reads.
Shipped layouts are the files in `data/`. The same batch always gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan

DATA = Path(__file__).resolve().parent / "data"
FORMS = ("csv", "delimited", "fixed")
ENCODINGS = ("utf-8", "utf-8-sig", "gbk", "gb18030")
LINE_FIELDS = frozenset(
    {"reference", "name", "account", "bank", "amount", "remark", "sequence", "literal", "batch", "day"}
)
TOTAL_FIELDS = frozenset({"batch", "day", "count", "total", "literal"})
LONGEST_ACCOUNT = "0" * 19
Layout = Mapping[str, Any]


@dataclass(frozen=True)
class PayoutLine:
    """One payout as the bank is told of it."""

    reference: str
    name: str
    account: str
    bank: str
    amount_fen: int


@cache
def shipped_layouts() -> dict[str, dict[str, Any]]:
    """The layouts to choose from, by code, in their order. Raises ValueError when one of them is no layout."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.json"))]
    for layout in read:
        check_layout(layout)
    return {layout["code"]: layout for layout in sorted(read, key=lambda layout: layout["position"])}


def check_layout(layout: Layout) -> None:
    """Raise ValueError for a description that could not be written or would lose money on the way."""
    if layout["form"] not in FORMS or layout["encoding"] not in ENCODINGS:
        raise ValueError("a layout is csv, delimited or fixed, in an encoding banks read")
    if layout["amount"] not in ("yuan", "fen"):
        raise ValueError("amounts are in yuan or in fen")
    fields = [column["field"] for column in layout["columns"]]
    if not {"reference", "account", "amount"} <= set(fields) <= LINE_FIELDS:
        raise ValueError("each line holds at least the reference, the account and the amount")
    totals = [column for part in ("header", "trailer") for column in layout.get(part, ())]
    if not {column["field"] for column in totals} <= TOTAL_FIELDS:
        raise ValueError("a line of totals holds counts, sums, days and words")
    if layout["form"] == "fixed":
        if any(column.get("width", 0) < 1 for column in [*layout["columns"], *totals]):
            raise ValueError("each column of a fixed layout has a width")
    elif len(layout["separator"]) != 1:
        raise ValueError("a separator is one character")


def bank_file(layout: Layout, lines: Sequence[PayoutLine], *, batch_no: str, on: date) -> bytes:
    """The file of a batch dated `on`, its lines in the order given. Raises Refused for a line that does not fit."""
    rows = []
    if layout.get("titles"):
        rows.append([column["title"] for column in layout["columns"]])
    shared = {"batch": batch_no, "day": f"{on:%Y%m%d}", "remark": layout.get("remark", "")}
    totals = {
        **shared,
        "count": str(len(lines)),
        "total": _amount(layout, sum(line.amount_fen for line in lines)),
    }
    if layout.get("header"):
        rows.append(_cells(layout, layout["header"], totals))
    for number, line in enumerate(lines, 1):
        values = {**shared, **_values(layout, line), "sequence": str(number)}
        rows.append(_cells(layout, layout["columns"], values))
    if layout.get("trailer"):
        rows.append(_cells(layout, layout["trailer"], totals))
    return _joined(layout, rows)


def fits(layout: Layout, *, name: str, bank: str, amount_fen: int) -> bool:
    """Whether a payout with this holder and bank can be written in `layout`: encoding, widths, separators."""
    line = PayoutLine("0" * 16, name, LONGEST_ACCOUNT, bank, amount_fen)
    try:
        bank_file(layout, [line], batch_no="0" * 16, on=date(2026, 1, 1))
    except Refused:
        return False
    return True


def _values(layout: Layout, line: PayoutLine) -> dict[str, str]:
    return {
        "reference": line.reference,
        "name": line.name,
        "account": line.account,
        "bank": line.bank,
        "amount": _amount(layout, line.amount_fen),
    }


def _amount(layout: Layout, amount_fen: int) -> str:
    return str(amount_fen) if layout["amount"] == "fen" else format_yuan(amount_fen, grouped=False)


def _cells(layout: Layout, columns: Sequence[Layout], values: Mapping[str, str]) -> list[str]:
    return [
        _cell(layout, column, column["value"] if column["field"] == "literal" else values[column["field"]])
        for column in columns
    ]


def _cell(layout: Layout, column: Layout, value: str) -> str:
    if layout["form"] == "csv":
        # A spreadsheet reads 19 digits as a number and loses the last four; a tab in front keeps them text.
        return f"\t{value}" if column.get("as_text") else value
    if layout["form"] == "delimited":
        if layout["separator"] in value:
            raise _does_not_fit()
        return value
    fill: str = column.get("fill", " ")
    room: int = column["width"] - len(_encoded(layout, value))
    if room < 0:
        raise _does_not_fit()
    return fill * room + value if column.get("align") == "right" else value + fill * room


def _joined(layout: Layout, rows: Sequence[Sequence[str]]) -> bytes:
    end = layout.get("line_end", "\r\n")
    if layout["form"] == "csv":
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=layout["separator"], lineterminator=end).writerows(rows)
        return _encoded(layout, out.getvalue())
    separator = layout["separator"] if layout["form"] == "delimited" else ""
    return _encoded(layout, "".join(separator.join(row) + end for row in rows))


def _encoded(layout: Layout, text: str) -> bytes:
    try:
        return text.encode(layout["encoding"])
    except UnicodeEncodeError:
        raise _does_not_fit() from None


def _does_not_fit() -> Refused:
    return Refused("line_does_not_fit", N_("户名或开户银行写不进银行文件的格式，请更正后再发放"))
