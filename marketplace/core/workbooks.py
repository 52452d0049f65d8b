"""Workbooks for spreadsheets: typed columns, rows written as they are read, sheets that print on A4.

Yuan are written as exact decimals from integer fen, shares from basis points, days as dates; text never becomes a
formula. Which sheets there are and what stands in them is the rooms' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any, BinaryIO, Literal

import xlsxwriter

from marketplace.core.money import format_yuan

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Translate = Callable[[str], str]
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": True,
}
_LOOKS: dict[str, dict[str, Any]] = {
    "text": {},
    "number": {"num_format": "#,##0"},
    "yuan": {"num_format": "#,##0.00"},
    "percent": {"num_format": "0.00%"},
    "day": {"num_format": "yyyy-mm-dd", "align": "left"},
}
_A4, _LONGEST_NAME = 9, 31
MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Rate:
    """A share in basis points, in a column of other figures."""

    bp: int


Cell = str | int | date | Rate | None


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its title (a source string), its width in characters, and how its cells are written.

    Cells of "yuan" are fen, of "percent" basis points, of "day" dates.
    """

    title: str
    width: int
    kind: Literal["text", "number", "yuan", "percent", "day"] = "text"


class WorkbookWriter:
    """A workbook being written, to `target` where there is one; `finish` completes it and else gives its bytes.

    A sheet holds MOST_ROWS at most, as spreadsheets do; who may have more rows asks beforehand.
    """

    def __init__(self, translate: Translate, target: BinaryIO | None = None) -> None:
        self._stream = BytesIO()
        self._book = xlsxwriter.Workbook(target or self._stream, _OPTIONS)
        self._translate = translate
        self._plain = {kind: self._book.add_format(look) for kind, look in _LOOKS.items()}
        self._total = {
            kind: self._book.add_format({**look, "bold": True, "top": 1}) for kind, look in _LOOKS.items()
        }
        self._head = self._book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self._title = self._book.add_format({"bold": True, "font_size": 14})

    def write_sheet(
        self,
        name: str,
        title: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Cell]],
        *,
        sums: Sequence[int] = (),
        totals: Sequence[Cell] | None = None,
        total_label: str = "",
    ) -> int:
        """Write a sheet: its title, the columns' titles, the rows, then one line of totals; returns how many rows.

        `sums` are the places of columns that are added up as they are written; `totals` is a line made by the caller.
        """
        sheet = self._begin(name, title, columns)
        added, line = dict.fromkeys(sums, 0), 1
        for line, cells in enumerate(rows, start=2):
            self._write(sheet, line, columns, cells, self._plain)
            for place in added:
                cell = cells[place]
                added[place] += cell if isinstance(cell, int) else 0
        if totals is None and sums:
            totals = [added.get(place) for place in range(len(columns))]
            totals[0] = total_label
        if totals is not None:
            self._write(sheet, line + 1, columns, totals, self._total)
        return line - 1

    def finish(self) -> bytes:
        """Complete the workbook; its bytes, empty where they went to the target."""
        self._book.close()
        return self._stream.getvalue()

    def _begin(self, name: str, title: str, columns: Sequence[Column]) -> Any:
        sheet = self._book.add_worksheet(name[:_LONGEST_NAME])
        sheet.set_landscape()
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width)
        sheet.write_string(0, 0, title, self._title)
        for place, column in enumerate(columns):
            sheet.write_string(1, place, self._translate(column.title), self._head)
        sheet.freeze_panes(2, 0)
        sheet.repeat_rows(1)
        return sheet

    @staticmethod
    def _write(
        sheet: Any, line: int, columns: Sequence[Column], cells: Sequence[Cell], looks: dict[str, Any]
    ) -> None:
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            look = looks[column.kind]
            if cell is None:
                sheet.write_blank(line, place, None, look)
            elif isinstance(cell, str):
                sheet.write_string(line, place, cell, looks["text"])
            elif isinstance(cell, Rate):
                sheet.write(line, place, _decimal(cell.bp), looks["percent"])
            elif isinstance(cell, date):
                sheet.write_datetime(line, place, datetime(cell.year, cell.month, cell.day), look)  # noqa: DTZ001 - a sheet knows no zones
            elif column.kind == "yuan":
                sheet.write(line, place, format_yuan(cell, grouped=False), look)
            elif column.kind == "percent":
                sheet.write(line, place, _decimal(cell), look)
            else:
                sheet.write_number(line, place, cell, look)


def _decimal(rate_bp: int) -> str:
    """Basis points as an exact decimal: 1235 is "0.1235"."""
    whole, rest = divmod(abs(rate_bp), 10_000)
    return f"{'-' if rate_bp < 0 else ''}{whole}.{rest:04d}"
