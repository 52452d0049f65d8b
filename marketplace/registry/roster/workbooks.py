"""Sheets that people download: the empty template with notes, and their own roster with what to mend beside it.

Both are written as they go, so that a sheet of 100,000 lines needs no more memory than a short one. Text stays text:
nothing a roster holds is ever written as a formula or a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import groupby
from typing import IO, Any, Protocol, TypeVar

import xlsxwriter

from marketplace.core.labels import N_
from marketplace.registry.models import HouseholdStatusKind
from marketplace.registry.roster.checks import EXAMPLE_REGISTRY_NO, HEAD
from marketplace.registry.roster.columns import OPTIONAL, Column
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.xlsx_rows import Cells, Formula

Translate = Callable[[str], str]
BATCH = 2_000
PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
NAVY, RED, PALE, GREY = "#1F4E3D", "#B3261E", "#FBE4E1", "#7A756C"
HOW_TO_FILL = {
    Column.REGISTRY_NO: N_("10 位数字，同一户的每个人都要填"),
    Column.HEAD_NAME: N_("同一户的每个人都填户主的姓名"),
    Column.VILLAGE: N_("12 位行政区划代码，或“乡镇＋村”的全名"),
    Column.PERSON_NO: N_("12 位数字，每个人不同"),
    Column.NAME: N_("身份证上的姓名"),
    Column.RELATION: N_("户主那一行填“户主”，每户有且只有一个；其余如配偶、之子、之女"),
    Column.ID_NUMBER: N_("18 位，先把这一列设为“文本”再填，否则后三位会丢失"),
    Column.STATUS: N_("建档立卡贫困户、脱贫户、边缘易致贫户，三选一"),
    Column.VALID_FROM: N_("现在这个状态从哪一天起，例如 2015-03-01"),
    Column.PHONE: N_("手机或座机，可以不填"),
}
EXAMPLE = {
    Column.REGISTRY_NO: EXAMPLE_REGISTRY_NO,
    Column.HEAD_NAME: "张示例",
    Column.VILLAGE: "鳌溪镇鳌溪村",
    Column.PERSON_NO: "000000000001",
    Column.NAME: "张示例",
    Column.RELATION: HEAD,
    Column.ID_NUMBER: "36102519700101001X",
    Column.STATUS: HouseholdStatusKind.REGISTERED.label,
    Column.VALID_FROM: "2015-03-01",
    Column.PHONE: "",
}
WIDTHS = {Column.ID_NUMBER: 24, Column.VILLAGE: 28, Column.STATUS: 20, Column.PERSON_NO: 18}


class Marked(Protocol):
    """What is wrong in a row: its number in the sheet, and the label of its column ("" for the whole row)."""

    @property
    def row(self) -> int: ...

    @property
    def column(self) -> str: ...


Found = TypeVar("Found", bound=Marked)
Line = tuple[int, Cells]


def template(translate: Translate) -> bytes:
    """The empty roster: headers, one example row that reading passes over, and a sheet of notes."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, **PLAIN}) as book:
        text, head, example = (
            book.add_format({"num_format": "@"}),
            book.add_format({"bold": True, "font_color": "white", "bg_color": NAVY, "border": 1}),
            book.add_format({"num_format": "@", "italic": True, "font_color": GREY}),
        )
        sheet = book.add_worksheet("名册")
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(Column):
            sheet.set_column(place, place, WIDTHS.get(column, 14), text)
            sheet.write_string(0, place, column.label, head)
            sheet.write_string(1, place, EXAMPLE[column], example)
        statuses = [kind.label for kind in HouseholdStatusKind if kind is not HouseholdStatusKind.INELIGIBLE]
        place = list(Column).index(Column.STATUS)
        sheet.data_validation(1, place, 5000, place, {"validate": "list", "source": statuses})
        _write_notes(book, head, translate)
    return stream.getvalue()


def _write_notes(book: Any, head: Any, translate: Translate) -> None:
    wrapped = book.add_format({"text_wrap": True, "valign": "top", "border": 1, "num_format": "@"})
    notes = book.add_worksheet("填写说明")
    notes.set_column(0, 1, 14)
    notes.set_column(2, 2, 64)
    notes.write_string(
        0, 0, translate(N_("一人一行；灰色的示例行可以留着，读的时候会跳过。表头不要改，列的次序可以调换。"))
    )
    titles = (N_("列"), N_("是否必填"), N_("怎么填"))
    for place, title in enumerate(titles):
        notes.write_string(2, place, translate(title), head)
    for line, column in enumerate(Column, start=3):
        needed = N_("选填") if column in OPTIONAL else N_("必填")
        for place, words in enumerate((column.label, translate(needed), translate(HOW_TO_FILL[column]))):
            notes.write_string(line, place, words, wrapped)


def write_marked(
    target: IO[bytes],
    reader: SheetReader,
    findings: Iterable[Found],
    *,
    heading: str,
    explain: Callable[[Found], str],
    follow: Callable[[Iterable[Line]], Iterator[Line]] = iter,
) -> None:
    """Write the sheet of `reader` (fresh, with a header) to `target`, bad cells red and what to do in a last column.

    `findings` come in the order of the sheet; the lines go through `follow`, which may watch or end the writing.
    """
    header = reader.header
    assert header is not None
    width = max(len(reader.titles), *(place + 1 for place in header.places.values()))
    places = {column.label: place for column, place in header.places.items()}
    with xlsxwriter.Workbook(target, {"constant_memory": True, **PLAIN}) as book:
        formats = {
            "text": book.add_format({"num_format": "@"}),
            "head": book.add_format({"num_format": "@", "bold": True, "bottom": 1}),
            "bad": book.add_format({"num_format": "@", "bg_color": PALE, "font_color": RED}),
            "words": book.add_format({"font_color": RED, "text_wrap": False}),
        }
        sheet = book.add_worksheet("名册")
        sheet.set_column(0, width - 1, 18, formats["text"])
        sheet.set_column(width, width, 80)
        sheet.freeze_panes(header.row, 0)
        titles = tuple(reader.titles)
        found = _by_row(findings)
        row_found = next(found, None)
        for number, cells in follow(_lines_from_header(reader, header.row, titles)):
            while row_found and row_found[0] < number:
                row_found = next(found, None)
            here = row_found[1] if row_found and row_found[0] == number else []
            bad = {places.get(finding.column) for finding in here}
            plain = formats["head" if number == header.row else "text"]
            for place, cell in enumerate(cells[:width]):
                if words := _words(cell):
                    sheet.write_string(number - 1, place, words, formats["bad"] if place in bad else plain)
                elif place in bad:
                    sheet.write_blank(number - 1, place, None, formats["bad"])
            if number == header.row:
                sheet.write_string(number - 1, width, heading, formats["head"])
            elif here:
                sheet.write_string(number - 1, width, "；".join(map(explain, here)), formats["words"])


def _lines_from_header(reader: SheetReader, row: int, titles: Cells) -> Iterator[Line]:
    yield row, titles
    while not reader.at_end:
        yield from reader.lines(BATCH)


def _by_row(findings: Iterable[Found]) -> Iterator[tuple[int, list[Found]]]:
    for row, group in groupby(findings, key=lambda finding: finding.row):
        yield row, list(group)


def _words(cell: object) -> str:
    if cell is None or isinstance(cell, Formula):
        return ""
    return str(cell)
