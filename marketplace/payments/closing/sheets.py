"""The figures of a linkage period as a sheet: a workbook, or comma-separated text that a spreadsheet opens as it is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from io import StringIO

from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.core.workbooks import Column, Translate, WorkbookWriter
from marketplace.payments.closing.queries import FigureRow

CSV = "text/csv"
COLUMNS = (
    Column(N_("联结方式"), 12),
    Column(N_("农户编号"), 16),
    Column(N_("户主"), 12),
    Column(N_("村"), 20),
    Column(N_("应得（元）"), 14, "yuan"),
    Column(N_("已入账（元）"), 14, "yuan"),
    Column(N_("已有保底（元）"), 14, "yuan"),
    Column(N_("本次补足（元）"), 14, "yuan"),
)
ShownName = Callable[[str], str]


def _texts(row: FigureRow, translate: Translate, shown_name: ShownName) -> list[str]:
    return [
        translate(row.mechanism.label),
        row.household_no,
        shown_name(row.head_name),
        row.village_name,
    ]


def _amounts(row: FigureRow) -> Sequence[int]:
    return (row.due_fen, row.credited_fen, row.standing_fen, row.top_up_fen)


def figures_xlsx(
    rows: Iterable[FigureRow], *, title: str, translate: Translate, shown_name: ShownName
) -> bytes:
    """A workbook with one row a household and mechanism, amounts in yuan."""
    book = WorkbookWriter(translate)
    cells = ((*_texts(row, translate, shown_name), *_amounts(row)) for row in rows)
    book.write_sheet(title, title, COLUMNS, cells)
    return book.finish()


def figures_csv(rows: Iterable[FigureRow], *, translate: Translate, shown_name: ShownName) -> bytes:
    """The same as comma-separated text in UTF-8 with its mark, so that Excel reads the characters right."""
    stream = StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([translate(column.title) for column in COLUMNS])
    for row in rows:
        amounts = [format_yuan(fen, grouped=False) for fen in _amounts(row)]
        writer.writerow([*map(_plain, _texts(row, translate, shown_name)), *amounts])
    return stream.getvalue().encode("utf-8-sig")


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
