"""Comma-separated text that a spreadsheet opens as it is: UTF-8 with its mark, written row by row as it is read.

Columns and cells are those of `workbooks.py`: yuan as exact decimals from fen, days as dates; text never becomes a
formula. For what may have more rows than a sheet, or is read by other programs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import BinaryIO

from marketplace.core.money import format_yuan
from marketplace.core.workbooks import Cell, Column, Rate, Translate

CSV = "text/csv"
BYTE_ORDER_MARK = "\ufeff"
FORMULA_SIGNS = frozenset("=+-@\t\r")


def write_csv(
    target: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, translate: Translate
) -> int:
    """Write the columns' titles and the rows to `target`, which stays open; returns how many rows."""
    lines, written = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True), 0
    lines.write(BYTE_ORDER_MARK)
    writer = csv.writer(lines)
    writer.writerow([translate(column.title) for column in columns])
    for row in rows:
        writer.writerow([_text_of(column, cell) for column, cell in zip(columns, row, strict=True)])
        written += 1
    lines.flush()
    lines.detach()
    return written


def _text_of(column: Column, cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell[:1] in FORMULA_SIGNS else cell
    if isinstance(cell, Rate):
        return _percent(cell.bp)
    if isinstance(cell, date):
        return cell.isoformat()
    if column.kind == "yuan":
        return format_yuan(cell, grouped=False)
    return _percent(cell) if column.kind == "percent" else str(cell)


def _percent(rate_bp: int) -> str:
    """Basis points as a percentage: 1235 is "12.35%"."""
    whole, rest = divmod(abs(rate_bp), 100)
    return f"{'-' if rate_bp < 0 else ''}{whole}.{rest:02d}%"
