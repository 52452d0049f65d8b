"""What a sheet of evidence looks like: its columns, how a cell is read, and what records a row.

A mechanism that lets people type a whole sheet gives a `SheetFormat` (mechanisms/contract_farming/sheet.py is one) and
a line in mechanisms/sheet_table.py; uploading, checking, taking, the template and the marked-up sheet come with it
(sheets.py, sheet_views.py). What it must say:

- `columns`: a `SheetColumn` each. `key` names the value in the row, `label` is the header in the template, `aliases`
  are further headers people use (written without brackets, spaces and marks), `read` turns the tidy text of a cell
  into the value and raises ValueError, `hint` says how to mend such a cell. An empty cell of a column that is not
  `required` gives None.
- `unique`: the keys that together name a row; the second row with the same values is refused, naming the first.
- `open(session, actor, ground, rows)`: called once with every row that could be read. It looks up in few statements
  what all rows need (`AgreementFinder` finds agreements by household) and returns `record(row) -> Evidence`, which
  calls the mechanism's own recording rule. Whatever that refuses becomes a finding of the row; a refusal's `field`
  names the column, when it is the key of one. The rule refuses before it writes anything, as its docstring promises:
  a savepoint for each of a thousand rows would be slow on PostgreSQL.
- `needs_lot`: the sheet belongs to a lot chosen on the page (`ground.lot`).

A sheet is checked by recording every row and taking all of it back, so that the check says exactly what recording
would say. Nothing of a cell is kept in a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError, Refused
from marketplace.core.labels import N_
from marketplace.core.money import half_up, parse_yuan
from marketplace.core.quantity import parse_kg, parse_mu
from marketplace.identity.actors import Actor
from marketplace.linkage.models import Evidence, Lot
from marketplace.registry.roster.checks import day_written, text_of
from marketplace.registry.roster.columns import HEADER_LINES, plain_title
from marketplace.registry.roster.xlsx_rows import Cells, Formula

MOST_CHARACTERS = 120
EXCEL_DIGITS = 15
RECOGNISED_AT_LEAST = 3
_LONG_DECIMAL = re.compile(r"(\d{1,12})\.(\d{8,20})")


def read_day(text: str) -> date:
    """A day written as 2026-05-20, 2026年5月20日, 2026/5/20 or 20260520. Raises ValueError."""
    day = day_written(text)
    if day is None:
        raise ValueError(text)
    return day


def read_kg(text: str) -> int:
    """Grams of kilograms with up to three decimals. Raises ValueError."""
    return parse_kg(as_typed(text))


def read_yuan(text: str) -> int:
    """Fen of yuan with up to two decimals. Raises ValueError."""
    return parse_yuan(as_typed(text))


def read_mu(text: str) -> int:
    """Hundredths of a mu. Raises ValueError."""
    return parse_mu(as_typed(text))


def read_whole(text: str) -> int:
    """A whole number that is not negative. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(text)
    return int(text)


def as_typed(text: str) -> str:
    """A number as it was typed: a spreadsheet keeps 8.1 as 8.0999999999999996, of which 15 digits are meant."""
    match = _LONG_DECIMAL.fullmatch(text)
    if not match:
        return text
    whole, decimals = match.groups()
    digits = int(whole + decimals)
    surplus = max(0, len(str(digits)) - EXCEL_DIGITS)
    rounded = half_up(digits, 10**surplus) * 10**surplus
    typed = f"{rounded:0{len(decimals) + 1}d}"
    return f"{typed[: -len(decimals)]}.{typed[-len(decimals) :]}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class SheetColumn:
    """A column: see the module."""

    key: str
    label: str
    read: Callable[[str], Any] = str
    hint: str = N_("看不懂这一格，请照模板的说明填写")
    aliases: tuple[str, ...] = ()
    required: bool = True
    help: str = ""

    @property
    def titles(self) -> frozenset[str]:
        """The headers that mean this column."""
        return frozenset({plain_title(self.label), *self.aliases})


@dataclass(frozen=True)
class SheetHeader:
    """Where the columns are: `row` is the line of the headers (1 first)."""

    row: int
    places: dict[SheetColumn, int]


@dataclass(frozen=True)
class SheetRow:
    """A row that could be read: its number in the sheet, and its values by column."""

    number: int
    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values.get(key)


@dataclass(frozen=True)
class Finding:
    """What is wrong in a cell (`column` "": in the row), and how to mend it: a Chinese source text and its params."""

    row: int
    column: str
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """What a sheet is recorded on: the cooperative, and the lot chosen on the page where the format needs one."""

    cooperative_id: int
    lot: Lot | None = None


Record = Callable[[SheetRow], Evidence]
Open = Callable[[Session, Actor, Ground, Sequence[SheetRow]], Record]


@dataclass(frozen=True)
class SheetShape:
    """What a sheet looks like, whatever becomes of its rows: see the module."""

    name: str
    title: str
    lead: str
    columns: tuple[SheetColumn, ...]
    unique: tuple[str, ...]

    def header_in(self, lines: Sequence[Sequence[object]]) -> SheetHeader | None:
        """The line that names most of the columns among the first ones; None when none names three."""
        named = {title: column for column in self.columns for title in column.titles}
        best: SheetHeader | None = None
        for row, cells in enumerate(lines[:HEADER_LINES], start=1):
            places: dict[SheetColumn, int] = {}
            for place, cell in enumerate(cells):
                column = named.get(plain_title(cell))
                if column:
                    places.setdefault(column, place)
            if len(places) >= RECOGNISED_AT_LEAST and len(places) > (len(best.places) if best else 0):
                best = SheetHeader(row, places)
        return best

    def read_row(self, number: int, cells: Cells, header: SheetHeader) -> SheetRow | list[Finding] | None:
        """The values of a row, or what is wrong with its cells; None for an empty row."""
        values: dict[str, Any] = {}
        findings: list[Finding] = []
        if not any(text_of(cell) or isinstance(cell, Formula) for cell in cells):
            return None
        for column, place in header.places.items():
            try:
                values[column.key] = _value(column, cells[place] if place < len(cells) else None)
            except Refused as refusal:
                findings.append(Finding(number, column.label, refusal.message, refusal.params))
        return findings or SheetRow(number, values)

    def finding_of(self, row: SheetRow, error: DomainError) -> Finding:
        """A refusal of the recording rule as a finding, at the column it names."""
        label = next((column.label for column in self.columns if column.key == error.field), "")
        params = {key: value if isinstance(value, int) else str(value) for key, value in error.params.items()}
        return Finding(row.number, label, error.message, params)


@dataclass(frozen=True)
class SheetFormat(SheetShape):
    """A sheet of evidence: see the module."""

    open: Open
    needs_lot: bool = False


def _value(column: SheetColumn, cell: object) -> Any:
    if isinstance(cell, Formula):
        raise Refused("formula_cell", N_("这一格是公式，请复制后“选择性粘贴 → 数值”再上传"))
    text = text_of(cell)
    if not text:
        if column.required:
            raise Refused("empty_cell", N_("这一格没有填，请补上"))
        return None
    if len(text) > MOST_CHARACTERS or not text.isprintable():
        raise Refused("cell_too_long", N_("内容太长或有特殊字符，请核对是否填错了列"))
    try:
        return column.read(text)
    except ValueError:
        raise Refused("unreadable_cell", column.hint) from None
