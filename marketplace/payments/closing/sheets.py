"""The figures of a linkage period as a sheet: a workbook, or comma-separated text that a spreadsheet opens as it is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO, StringIO

import xlsxwriter

from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.payments.closing.queries import FigureRow

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"
PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": True}
TITLES = (
    N_("联结方式"),
    N_("农户编号"),
    N_("户主"),
    N_("村"),
    N_("应得（元）"),
    N_("已入账（元）"),
    N_("已有保底（元）"),
    N_("本次补足（元）"),
)
WIDTHS = (12, 16, 12, 20, 14, 14, 14, 14)
Translate = Callable[[str], str]
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
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"constant_memory": True, **PLAIN}) as book:
        head = book.add_format({"bold": True, "bottom": 1})
        yuan = book.add_format({"num_format": "#,##0.00"})
        sheet = book.add_worksheet(title[:31])
        sheet.freeze_panes(1, 0)
        for place, (name, width) in enumerate(zip(TITLES, WIDTHS, strict=True)):
            sheet.set_column(place, place, width)
            sheet.write_string(0, place, translate(name), head)
        for line, row in enumerate(rows, start=1):
            texts = _texts(row, translate, shown_name)
            for place, text in enumerate(texts):
                sheet.write_string(line, place, text)
            for place, fen in enumerate(_amounts(row), start=len(texts)):
                sheet.write(line, place, format_yuan(fen, grouped=False), yuan)
    return stream.getvalue()


def figures_csv(rows: Iterable[FigureRow], *, translate: Translate, shown_name: ShownName) -> bytes:
    """The same as comma-separated text in UTF-8 with its mark, so that Excel reads the characters right."""
    stream = StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([translate(name) for name in TITLES])
    for row in rows:
        amounts = [format_yuan(fen, grouped=False) for fen in _amounts(row)]
        writer.writerow([*map(_plain, _texts(row, translate, shown_name)), *amounts])
    return stream.getvalue().encode("utf-8-sig")


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
