"""The yearly quota report as a workbook: of one unit with every purchase behind it, or of all units of a place.

Rows are written as they are read and kept in no list. Amounts are numbers in yuan, shares are percentages, titles stand
on every printed page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from marketplace.core.clock import business_day
from marketplace.core.labels import N_
from marketplace.core.workbooks import Cell, Column, Rate, Translate, WorkbookWriter
from marketplace.reporting.quota.progress import Progress
from marketplace.reporting.quota.ranking import RankedUnit, Summary

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


def last_step_on(part: Any) -> date:
    """The day on which the last of acceptance, payment and evaluation of a part came."""
    return business_day(max(part.accepted_at, part.paid_at, part.evaluated_at))


def ranking_xlsx(rows: Iterable[RankedUnit], summary: Summary, *, title: str, translate: Translate) -> bytes:
    """Every unit of a place with its quota of a year, and the sums."""
    book, pace = WorkbookWriter(translate), summary.pace
    totals: list[Cell] = [
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
    lines = (_ranking_cells(row, translate) for row in rows)
    book.write_sheet(translate(N_("预留份额")), title, RANKING, lines, totals=totals)
    return book.finish()


def _ranking_cells(row: RankedUnit, translate: Translate) -> Sequence[Cell]:
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
        translate(N_("落后") if pace.is_behind else N_("跟上进度")) if pace else None,
    ]


def unit_xlsx(
    progress: Progress, counted: Iterable[Any], pending: Iterable[Any], *, title: str, translate: Translate
) -> bytes:
    """A unit's year: its figures, what counts line by line with its sum, and what does not count yet."""
    book, total = WorkbookWriter(translate), translate(N_("合计"))
    figures = (Column(N_("项目"), 30), Column(N_("数值"), 22, "yuan"))
    book.write_sheet(translate(N_("汇总")), title, figures, _figures(progress, translate))
    lines = (_counted_cells(*row) for row in counted)
    book.write_sheet(translate(N_("已计入")), title, PURCHASES, lines, sums=(7,), total_label=total)
    lines = (_pending_cells(*row, translate) for row in pending)
    book.write_sheet(translate(N_("尚未计入")), title, PENDING, lines, sums=(5,), total_label=total)
    return book.finish()


def _counted_cells(bought: Any, part: Any, order: Any, net_fen: int) -> Sequence[Cell]:
    return [
        last_step_on(part),
        order.public_no,
        part.cooperative.name,
        bought.title,
        bought.quantity,
        bought.net_fen,
        bought.net_fen - int(net_fen) or None,
        int(net_fen),
    ]


def _pending_cells(
    bought: Any, part: Any, order: Any, missing: Any, net_fen: int, translate: Translate
) -> Sequence[Cell]:
    return [
        business_day(order.placed_at),
        order.public_no,
        part.cooperative.name,
        bought.title,
        translate(missing.label),
        int(net_fen),
    ]


def _figures(progress: Progress, translate: Translate) -> list[Sequence[Cell]]:
    pace, filing = progress.pace, progress.filing
    rows: list[tuple[str, Cell]] = [(N_("单位"), progress.unit.name)]
    if filing is not None and pace is not None:
        rows += [
            (N_("食材采购总额（元）"), filing.base_fen),
            (N_("预留比例"), Rate(filing.reserve_bp)),
            (N_("预留金额（元）"), filing.reserve_fen),
            (N_("占食材采购总额"), Rate(pace.percent_bp)),
            (N_("完成预留"), Rate(pace.done_bp)),
            (N_("还差（元）"), pace.remaining_fen),
        ]
    rows.append((N_("已计入（元）"), progress.counted_fen))
    rows += [(step.label, one.amount_fen) for step, one in progress.pending.items()]
    rows.append((N_("工会采购，不计入（元）"), progress.union_fen))
    rows.append((N_("个人采购，不计入（元）"), progress.personal_fen))
    return [[translate(name), cell] for name, cell in rows]
