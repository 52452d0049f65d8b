"""The empty template of a sheet of evidence, with notes on how to fill each column."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import xlsxwriter

from marketplace.core.labels import N_
from marketplace.linkage.sheet_format import SheetShape
from marketplace.registry.roster.workbooks import NAVY, PLAIN

WIDTH = 16


def empty_sheet(sheet_format: SheetShape, translate: Callable[[str], str]) -> bytes:
    """The headers in their order, every cell set to text so that long numbers survive, and a sheet of notes."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, **PLAIN}) as book:
        text = book.add_format({"num_format": "@"})
        head = book.add_format({"bold": True, "font_color": "white", "bg_color": NAVY, "border": 1})
        sheet = book.add_worksheet("登记表")
        notes = book.add_worksheet("填写说明")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(sheet_format.columns) - 1, WIDTH, text)
        notes.set_column(0, 1, WIDTH)
        notes.set_column(2, 2, 4 * WIDTH)
        for place, title in enumerate((N_("列"), N_("是否必填"), N_("怎么填"))):
            notes.write_string(0, place, translate(title), head)
        for place, column in enumerate(sheet_format.columns):
            sheet.write_string(0, place, column.label, head)
            needed = N_("必填") if column.required else N_("选填")
            words = (column.label, translate(needed), translate(column.help) if column.help else "")
            for across, word in enumerate(words):
                notes.write_string(place + 1, across, word, text)
    return stream.getvalue()
