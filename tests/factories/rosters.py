"""Roster files for the tests: people as rows, rows as CSV or XLSX."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO
from typing import Any

import xlsxwriter
from openpyxl import load_workbook

from tests.factories.registry import VILLAGE, resident_id

HEADERS = (
    "户编号",
    "户主姓名",
    "村",
    "人编号",
    "姓名",
    "与户主关系",
    "身份证号",
    "户状态",
    "认定日期",
    "联系电话",
)


def person(household: int = 1, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Person `number` (1 is the head) of household `household`, as the template wants it."""
    serial = household * 10 + number
    row = {
        "户编号": f"{3_700_000_000 + household}",
        "户主姓名": f"陈户主{household}",
        "村": VILLAGE,
        "人编号": f"{370_000_000_000 + serial}",
        "姓名": f"陈户主{household}" if number == 1 else f"陈家人{serial}",
        "与户主关系": "户主" if number == 1 else "之子",
        "身份证号": id_of(household, number),
        "户状态": "建档立卡贫困户",
        "认定日期": "2015-03-01",
        "联系电话": "",
    }
    return {**row, **changes}


def id_of(household: int, number: int = 1) -> str:
    """The ID number of that person: another for each of up to 900,000 people."""
    serial = household * 10 + number
    year, month, day = (
        1940 + serial // 1000 // 336 % 60,
        serial // 1000 % 12 + 1,
        serial // 1000 // 12 % 28 + 1,
    )
    return resident_id(serial % 1000, born=f"{year}{month:02d}{day:02d}")


def household(number: int = 1, people: int = 2, **changes: Any) -> list[dict[str, Any]]:
    """The rows of one household; `changes` apply to each."""
    return [person(number, one, **changes) for one in range(1, people + 1)]


def households(count: int, people: int = 2) -> Iterator[dict[str, Any]]:
    """The rows of many households."""
    for number in range(1, count + 1):
        yield from household(number, people)


def table(rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]], headers: Sequence[str] = HEADERS) -> Any:
    """The header and the rows as lists."""
    yield list(headers)
    for row in rows:
        yield [row.get(header, "") for header in headers]


def csv_of(
    rows: Any, *, headers: Sequence[str] = HEADERS, encoding: str = "utf-8-sig", delimiter: str = ","
) -> bytes:
    """A CSV file."""
    text = StringIO()
    csv.writer(text, delimiter=delimiter).writerows(table(rows, headers))
    return text.getvalue().encode(encoding)


def xlsx_of(
    rows: Any, *, headers: Sequence[str] = HEADERS, merges: Sequence[str] = (), titles: Sequence[str] = ()
) -> bytes:
    """An XLSX file, `titles` above the header; text that begins with = becomes a formula."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("名册")
        for number, title in enumerate(titles):
            sheet.write_row(number, 0, [title])
        for number, cells in enumerate(table(rows, headers), start=len(titles)):
            sheet.write_row(number, 0, cells)
    return _with_merges(stream, merges) if merges else stream.getvalue()


def _with_merges(stream: BytesIO, merges: Sequence[str]) -> bytes:
    book = load_workbook(stream)
    for merge in merges:
        book.worksheets[0].merge_cells(merge)
    merged = BytesIO()
    book.save(merged)
    return merged.getvalue()
