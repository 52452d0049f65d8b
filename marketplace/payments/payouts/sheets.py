"""Reading the sheets of this room, CSV or XLSX, into named cells with findings by row and column.

The file is opened by the roster's reader; what a cell means is for `results` and `account_sheets`. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.registry.roster.checks import text_of
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.xlsx_rows import Cells, Formula

MAX_ROWS = 20_000
HEADER_LINES = 10
KEPT_FINDINGS = 500
LONGEST_CELL = 200
DIGITS_KEPT = 15  # a spreadsheet keeps so many digits of a number
_NOTES = re.compile(r"[(\[【〔].*?[)\]】〕]|[\s*:：·]")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+?\d{1,2}")


@dataclass(frozen=True)
class SheetFinding:
    """What is wrong in a cell (`column` empty: in the row) and how to mend it. Never repeats what the cell says."""

    row: int
    column: str
    code: str
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as it is kept once the sheet is taken."""
        return {
            "row": self.row,
            "column": self.column,
            "code": self.code,
            "message": self.message,
            "params": dict(self.params),
        }

    @classmethod
    def from_refusal(cls, row: int, column: str, refusal: Refused) -> SheetFinding:
        """The finding that a check's refusal is."""
        return cls(row, column, refusal.code, refusal.message, refusal.params)


@dataclass(frozen=True)
class SheetRow:
    """One line of a sheet: `cells` by the name of their column; `row` is its line, the first being 1."""

    row: int
    cells: Mapping[str, object]

    def text(self, name: str) -> str:
        """The cell as text. Raises Refused for a formula or a cell that is too long."""
        cell = self.cells.get(name)
        if isinstance(cell, Formula):
            raise Refused("formula_cell", N_("这一格是公式，请复制后“选择性粘贴 → 数值”再上传"))
        words = text_of(cell)
        if len(words) > LONGEST_CELL:
            raise Refused(
                "cell_too_long",
                N_("内容太长，最多 %(most)s 个字，请核对是否填错了列"),
                most=LONGEST_CELL,
            )
        return words

    def digits(self, name: str) -> str:
        """The cell as a long number. Raises Refused when a spreadsheet has lost its last digits."""
        cell, words = self.cells.get(name), self.text(name)
        if _SCIENTIFIC.fullmatch(words) or (isinstance(cell, int) and len(words) > DIGITS_KEPT):
            raise Refused(
                "digits_lost",
                N_("长数字被 Excel 改成了数值，后几位已丢失，请把这一列设为“文本”后重新填写"),
            )
        return words


def read_sheet(
    content: bytes, columns: Mapping[str, Sequence[str]], *, optional: frozenset[str] = frozenset()
) -> list[SheetRow]:
    """The filled lines of a sheet below its header. `columns` are the names of each column's header, the first shown.

    Raises Refused for a file that is no sheet, has no such header, no lines, or too many.
    """
    reader = SheetReader(content)
    lines: list[tuple[int, Cells]] = [(reader.header.row, reader.titles)] if reader.header else []
    lines += reader.lines(MAX_ROWS + HEADER_LINES + 1)
    if len(lines) > MAX_ROWS + HEADER_LINES:
        raise Refused("sheet_long", N_("一份表最多 %(most)s 行，请分成几份上传"), field="file", most=MAX_ROWS)
    number, places = _header(lines, columns, optional)
    rows = [
        SheetRow(row, {name: cells[place] if place < len(cells) else None for name, place in places.items()})
        for row, cells in lines
        if row > number and any(text_of(cell) or isinstance(cell, Formula) for cell in cells)
    ]
    if not rows:
        raise Refused("sheet_empty", N_("表里没有一行内容，请核对后再上传"), field="file")
    return rows


def _header(
    lines: Sequence[tuple[int, Cells]], columns: Mapping[str, Sequence[str]], optional: frozenset[str]
) -> tuple[int, dict[str, int]]:
    best: tuple[int, dict[str, int]] = (0, {})
    for row, cells in lines[:HEADER_LINES]:
        titles = [_title(cell) for cell in cells]
        places = {
            name: next(titles.index(alias) for alias in aliases if alias in titles)
            for name, aliases in columns.items()
            if any(alias in titles for alias in aliases)
        }
        if len(places) > len(best[1]):
            best = (row, places)
    missing = [aliases[0] for name, aliases in columns.items() if name not in {*best[1], *optional}]
    if missing:
        raise Refused("sheet_header", N_("表头缺少“%(column)s”一列"), field="file", column=missing[0])
    return best


def _title(cell: object) -> str:
    return _NOTES.sub("", unicodedata.normalize("NFKC", cell)[:80]) if isinstance(cell, str) else ""
