"""The figures of a linkage period as a sheet: a workbook, or comma-separated text that a spreadsheet opens as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO

from marketplace.core.csv_sheets import write_csv
from marketplace.core.labels import N_
from marketplace.core.workbooks import Column, Translate, WorkbookWriter
from marketplace.payments.closing.queries import FigureRow

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
    stream = BytesIO()
    cells = ((*_texts(row, translate, shown_name), *_amounts(row)) for row in rows)
    write_csv(stream, COLUMNS, cells, translate=translate)
    return stream.getvalue()
