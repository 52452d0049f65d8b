"""The books as workbooks: one line of the book a line of the sheet, with the sums below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from marketplace.core.clock import business_day
from marketplace.core.labels import N_
from marketplace.core.quantity import format_kg
from marketplace.core.workbooks import Cell, Column, Translate, WorkbookWriter
from marketplace.ordering.models import OrderLine
from marketplace.procurement.receiving.models import InspectionLine

ORDERED = (
    Column(N_("下单日期"), 12, "day"),
    Column(N_("订单号"), 16),
    Column(N_("类型"), 12),
    Column(N_("采购单位"), 28),
    Column(N_("合作社"), 28),
    Column(N_("商品"), 28),
    Column(N_("数量"), 10, "number"),
    Column(N_("单位"), 8),
    Column(N_("每件净重（千克）"), 12),
    Column(N_("单价（元）"), 12, "yuan"),
    Column(N_("金额（元）"), 14, "yuan"),
    Column(N_("退款（元）"), 14, "yuan"),
    Column(N_("净额（元）"), 14, "yuan"),
    Column(N_("状态"), 16),
    Column(N_("收货日期"), 12, "day"),
    Column(N_("验收日期"), 12, "day"),
    Column(N_("付款日期"), 12, "day"),
    Column(N_("评价日期"), 12, "day"),
)
ORDERED_SUMS = (10, 11, 12)
INSPECTED = (
    Column(N_("验收单号"), 16),
    Column(N_("验收日期"), 12, "day"),
    Column(N_("验收人"), 14),
    Column(N_("订单号"), 16),
    Column(N_("合作社"), 28),
    Column(N_("商品"), 28),
    Column(N_("送到数量"), 10, "number"),
    Column(N_("验收合格"), 10, "number"),
    Column(N_("拒收"), 10, "number"),
    Column(N_("拒收金额（元）"), 14, "yuan"),
    Column(N_("拒收原因"), 16),
    Column(N_("说明"), 36),
)
INSPECTED_SUMS = (9,)


def order_book(
    rows: Iterable[Any], *, title: str, translate: Translate, target: BinaryIO | None = None
) -> bytes:
    """The order book: rows of `queries.ordered_lines`; goes to `target` where there is one."""
    book = WorkbookWriter(translate, target)
    lines = (_ordered(line, int(refunded_fen), translate) for line, refunded_fen in rows)
    total = translate(N_("合计"))
    book.write_sheet(translate(N_("订单簿")), title, ORDERED, lines, sums=ORDERED_SUMS, total_label=total)
    return book.finish()


def _ordered(line: OrderLine, refunded_fen: int, translate: Translate) -> Sequence[Cell]:
    part, order = line.part, line.part.order
    steps = (part.received_at, part.accepted_at, part.paid_at, part.evaluated_at)
    return [
        business_day(order.placed_at),
        order.public_no,
        translate(order.kind.label),
        order.buyer_unit.name if order.buyer_unit else None,
        part.cooperative.name,
        line.title,
        line.quantity,
        line.unit_name,
        format_kg(line.net_mass_g),
        line.unit_price_fen,
        line.net_fen,
        refunded_fen or None,
        line.net_fen - refunded_fen,
        translate(part.state.label),
        *(business_day(at) if at else None for at in steps),
    ]


def acceptance_report(
    rows: Iterable[InspectionLine], *, title: str, translate: Translate, target: BinaryIO | None = None
) -> bytes:
    """The acceptance report: rows of `queries.inspected_lines`; goes to `target` where there is one."""
    book = WorkbookWriter(translate, target)
    lines = (_inspected(found, translate) for found in rows)
    total = translate(N_("合计"))
    book.write_sheet(
        translate(N_("验收报告")), title, INSPECTED, lines, sums=INSPECTED_SUMS, total_label=total
    )
    return book.finish()


def _inspected(found: InspectionLine, translate: Translate) -> Sequence[Cell]:
    inspection = found.inspection
    by = inspection.inspector.display_name if inspection.inspector else translate(N_("逾期未验视为验收"))
    return [
        inspection.public_no,
        business_day(inspection.inspected_at),
        by,
        inspection.part.order.public_no,
        inspection.part.cooperative.name,
        found.line.title,
        found.units,
        found.accepted_units,
        found.rejected_units or None,
        found.rejected_fen or None,
        translate(found.reason.label) if found.reason else None,
        found.words or None,
    ]
