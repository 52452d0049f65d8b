"""The rows of one sheet of an XLSX package, as they come, straight from its XML.

openpyxl opens the package (strings, styles, sheets) but takes several times as long for the rows and keeps a mark of
each; a roster may have 100,000. Only what a roster needs is read: text, numbers, days, truth, and whether a cell
holds a formula. Pure.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any
from xml.parsers import expat

from openpyxl.utils import column_index_from_string
from openpyxl.utils.datetime import from_excel

CHUNK = 64 * 1024
DIGITS = "0123456789"

Cells = tuple[object, ...]


class Formula:
    """What stands in a cell instead of a value when it holds a formula."""


FORMULA = Formula()


class RowParser:
    """Turns the XML of a sheet, fed in pieces, into `rows`. Raises ValueError for a sheet that is not one."""

    def __init__(
        self,
        strings: Sequence[str],
        day_styles: Collection[int],
        epoch: datetime,
        *,
        most_rows: int,
        most_columns: int,
    ) -> None:
        self.rows: list[Cells] = []
        self._strings, self._epoch = strings, epoch
        self._day_styles = {str(style) for style in day_styles}
        self._most_rows, self._most_columns = most_rows, most_columns
        self._row, self._column = 0, 0
        self._cells: list[object] = []
        self._text: list[str] = []
        self._attributes: dict[str, str] = {}
        self._collects = self._has_formula = False
        self._columns: dict[str, int] = {}
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def feed(self, piece: bytes, *, is_last: bool = False) -> list[Cells]:
        """The rows that `piece` completes."""
        self._parser.Parse(piece, is_last)
        rows, self.rows = self.rows, []
        return rows

    def _refuse_doctype(self, *_arguments: Any) -> None:
        raise ValueError("a sheet has no document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "c":
            self._attributes, self._text, self._has_formula = attributes, [], False
            self._column = self._column_at(attributes.get("r"))
        elif tag in ("v", "t"):
            self._collects = True
        elif tag == "f":
            self._has_formula = True
        elif tag == "row":
            self._begin_row(attributes.get("r"))

    def _end(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        if tag in ("v", "t"):
            self._collects = False
        elif tag == "c" and self._column <= self._most_columns:
            self._cells.extend([None] * (self._column - 1 - len(self._cells)))
            self._cells.append(self._value())
        elif tag == "row":
            self.rows.append(tuple(self._cells))

    def _characters(self, text: str) -> None:
        if self._collects:
            self._text.append(text)

    def _begin_row(self, number: str | None) -> None:
        row = int(number) if number else self._row + 1
        if row > self._most_rows:
            row = self._most_rows + 1  # one more than allowed is enough to be refused
        self.rows.extend([()] * (row - self._row - 1))
        self._row, self._column, self._cells = row, 0, []

    def _column_at(self, reference: str | None) -> int:
        if not reference:
            return self._column + 1
        letters = reference.rstrip(DIGITS)
        if letters not in self._columns:
            self._columns[letters] = column_index_from_string(letters)
        return self._columns[letters]

    def _value(self) -> object:
        text, kind = "".join(self._text), self._attributes.get("t", "n")
        if self._has_formula:
            return FORMULA
        if kind == "s":
            return _text(self._strings[int(text)])
        if kind == "b":
            return text == "1"
        if kind != "n":
            return _text(text)
        if not text:
            return None
        return self._day(text) if self._attributes.get("s") in self._day_styles else _number(text)

    def _day(self, text: str) -> object:
        try:
            return from_excel(int(text.partition(".")[0]), self._epoch)  # a roster has no times of day
        except (OverflowError, ValueError):
            return _number(text)


def _number(text: str) -> object:
    """A whole number as one; any other as it is written, for a roster holds none."""
    whole, _, rest = text.partition(".")
    return int(whole) if whole.removeprefix("-").isdigit() and not rest.strip("0") else text


def _text(text: str) -> object:
    return FORMULA if text.startswith("=") else text or None


def rows_of(content: bytes, path: str, parser: RowParser) -> Iterator[Cells]:
    """The rows of the sheet at `path` of the package, from the first."""
    with zipfile.ZipFile(BytesIO(content)) as package, package.open(path.lstrip("/")) as part:
        while piece := part.read(CHUNK):
            yield from parser.feed(piece)
        yield from parser.feed(b"", is_last=True)
