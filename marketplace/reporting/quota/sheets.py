"""The yearly quota report as a workbook: of one unit with every purchase behind it, or of all units of a place.

Rows are written as they are read and kept in no list. Amounts are numbers in yuan, shares are percentages, titles stand
on every printed page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any

import xlsxwriter

from marketplace.core.clock import business_day
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.reporting.quota.progress import Progress
from marketplace.reporting.quota.ranking import RankedUnit, Summary

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": True}
Translate = Callable[[str], str]


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its title, its width in characters, and how its cells are written."""

    title: str
    width: int
    kind: str = "text"  # text, number, yuan, percent, day


RANKING = (
    Column(N_("单位"), 28),
    Column(N_("所在县"), 20),
    Column(N_("申报情况"), 20),
    Column(N_("食材采购总额（元）"), 18, "yuan"),
    Column(N_("预留比例"), 10, "percent"),
    Column(N_("预留金额（元）"), 16, "yuan"),
    Column(N_("已计入（元）"), 16, "yuan"),
    Column(N_("占食材采购总额"), 14, "percent"),
    Column(N_("完成预留"), 12, "percent"),
    Column(N_("还差（元）"), 16, "yuan"),
    Column(N_("进度"), 12),
)
PURCHASES = (
    Column(N_("计入日期"), 12, "day"),
    Column(N_("订单号"), 16),
    Column(N_("合作社"), 26),
    Column(N_("商品"), 30),
    Column(N_("数量"), 10, "number"),
    Column(N_("金额（元）"), 14, "yuan"),
    Column(N_("退款（元）"), 14, "yuan"),
    Column(N_("计入（元）"), 14, "yuan"),
)
PENDING = (
    Column(N_("下单日期"), 12, "day"),
    Column(N_("订单号"), 16),
    Column(N_("合作社"), 26),
    Column(N_("商品"), 30),
    Column(N_("还缺"), 12),
    Column(N_("金额（元）"), 14, "yuan"),
)
FORMATS = {
    "yuan": {"num_format": "#,##0.00"},
    "percent": {"num_format": "0.00%"},
    "day": {"num_format": "yyyy-mm-dd", "align": "left"},
    "number": {"num_format": "#,##0"},
    "text": {},
}


def last_step_on(part: Any) -> date:
    """The day on which the last of acceptance, payment and evaluation of a part came."""
    return business_day(max(part.accepted_at, part.paid_at, part.evaluated_at))


class _Book:
    """A workbook being written, with its formats."""

    def __init__(self, stream: BytesIO, translate: Translate) -> None:
        self.book = xlsxwriter.Workbook(stream, {"constant_memory": True, **PLAIN})
        self.translate = translate
        self.plain = {kind: self.book.add_format(look) for kind, look in FORMATS.items()}
        self.total = {
            kind: self.book.add_format({**look, "bold": True, "top": 1}) for kind, look in FORMATS.items()
        }
        self.head = self.book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.title = self.book.add_format({"bold": True, "font_size": 14})

    def sheet(self, name: str, title: str, columns: Sequence[Column]) -> Any:
        """A sheet with its title in the first line and the columns' titles in the second."""
        sheet = self.book.add_worksheet(name[:31])
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width)
        sheet.write_string(0, 0, title, self.title)
        for place, column in enumerate(columns):
            sheet.write_string(1, place, self.translate(column.title), self.head)
        sheet.freeze_panes(2, 0)
        sheet.repeat_rows(1)
        return sheet

    def line(
        self,
        sheet: Any,
        number: int,
        columns: Sequence[Column],
        cells: Sequence[Any],
        *,
        is_total: bool = False,
    ) -> None:
        """One line of a sheet; None stays empty. Yuan come as fen, percentages as basis points."""
        looks = self.total if is_total else self.plain
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            look = looks[column.kind]
            if cell is None:
                sheet.write_blank(number, place, None, look)
            elif isinstance(cell, str):
                sheet.write_string(number, place, cell, looks["text"])
            elif column.kind == "yuan":
                sheet.write(number, place, format_yuan(cell, grouped=False), look)
            elif column.kind == "percent":
                sheet.write(number, place, f"{cell // 10_000}.{cell % 10_000:04d}", look)
            elif column.kind == "day":
                sheet.write_datetime(number, place, datetime(cell.year, cell.month, cell.day), look)  # noqa: DTZ001 - a sheet knows no zones
            else:
                sheet.write_number(number, place, cell, look)


def ranking_xlsx(rows: Iterable[RankedUnit], summary: Summary, *, title: str, translate: Translate) -> bytes:
    """Every unit of a place with its quota of a year, and the sums."""
    stream = BytesIO()
    book = _Book(stream, translate)
    sheet, line = book.sheet(translate(N_("预留份额")), title, RANKING), 1
    for line, row in enumerate(rows, start=2):
        book.line(sheet, line, RANKING, _ranking_cells(row, translate))
    pace = summary.pace
    totals = [
        translate(N_("合计")),
        None,
        None,
        summary.base_fen,
        None,
        summary.reserve_fen,
        summary.counted_fen,
        pace.percent_bp if pace else None,
        pace.done_bp if pace else None,
        None,
        None,
    ]
    book.line(sheet, line + 1, RANKING, totals, is_total=True)
    book.book.close()
    return stream.getvalue()


def _ranking_cells(row: RankedUnit, translate: Translate) -> list[Any]:
    pace = row.pace
    is_shared = bool(row.filer)
    return [
        row.name,
        row.county,
        f"{translate(row.standing.label)} {row.filer}".strip(),
        row.base_fen,
        row.reserve_bp,
        row.reserve_fen,
        None if is_shared else row.counted_fen,
        pace.percent_bp if pace else None,
        pace.done_bp if pace else None,
        pace.remaining_fen if pace else None,
        translate(N_("落后") if pace.is_behind else N_("正常")) if pace else None,
    ]


def unit_xlsx(
    progress: Progress, counted: Iterable[Any], pending: Iterable[Any], *, title: str, translate: Translate
) -> bytes:
    """A unit's year: its figures, what counts line by line with its sum, and what does not count yet."""
    stream = BytesIO()
    book = _Book(stream, translate)
    _write_figures(book, progress, title)
    sheet, line, total = book.sheet(translate(N_("已计入")), title, PURCHASES), 1, 0
    for line, (bought, part, order, net_fen) in enumerate(counted, start=2):
        total += net_fen
        cells = [
            last_step_on(part),
            order.public_no,
            part.cooperative.name,
            bought.title,
            bought.quantity,
            bought.net_fen,
            bought.net_fen - net_fen or None,
            net_fen,
        ]
        book.line(sheet, line, PURCHASES, cells)
    totals = [translate(N_("合计")), None, None, None, None, None, None, total]
    book.line(sheet, line + 1, PURCHASES, totals, is_total=True)
    sheet, line, total = book.sheet(translate(N_("尚未计入")), title, PENDING), 1, 0
    for line, (bought, part, order, missing, net_fen) in enumerate(pending, start=2):
        total += net_fen
        placed_on = business_day(order.placed_at)
        cells = [
            placed_on, order.public_no, part.cooperative.name, bought.title, translate(missing.label), net_fen,
        ]  # fmt: skip
        book.line(sheet, line, PENDING, cells)
    totals = [translate(N_("合计")), None, None, None, None, total]
    book.line(sheet, line + 1, PENDING, totals, is_total=True)
    book.book.close()
    return stream.getvalue()


def _write_figures(book: _Book, progress: Progress, title: str) -> None:
    pace, filing = progress.pace, progress.filing
    columns = (Column(N_("项目"), 30), Column(N_("数值"), 22, "yuan"))
    sheet = book.sheet(book.translate(N_("汇总")), title, columns)
    rows: list[tuple[str, str, Any]] = [(N_("单位"), "text", progress.unit.name)]
    if filing is not None and pace is not None:
        rows += [
            (N_("食材采购总额（元）"), "yuan", filing.base_fen),
            (N_("预留比例"), "percent", filing.reserve_bp),
            (N_("预留金额（元）"), "yuan", filing.reserve_fen),
            (N_("占食材采购总额"), "percent", pace.percent_bp),
            (N_("完成预留"), "percent", pace.done_bp),
            (N_("还差（元）"), "yuan", pace.remaining_fen),
        ]
    rows.append((N_("已计入（元）"), "yuan", progress.counted_fen))
    rows += [(step.label, "yuan", one.amount_fen) for step, one in progress.pending.items()]
    rows.append((N_("工会采购，不计入（元）"), "yuan", progress.union_fen))
    rows.append((N_("个人采购，不计入（元）"), "yuan", progress.personal_fen))
    for number, (name, kind, cell) in enumerate(rows, start=2):
        book.line(sheet, number, (columns[0], Column("", 0, kind)), [book.translate(name), cell])
