"""Waybills by the sheet: what waits to be shipped goes out with empty columns, and comes back with them filled."""

from __future__ import annotations

from collections.abc import Sequence

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.workbooks import Column, Translate, WorkbookWriter
from marketplace.linkage.sheet_format import SheetColumn, SheetHeader
from marketplace.ordering.models import OrderPart
from marketplace.procurement.packing.queries import MOST_PARTS
from marketplace.procurement.packing.rules import FORMULA, Waybill
from marketplace.registry.roster.checks import text_of
from marketplace.registry.roster.columns import HEADER_LINES, plain_title
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.xlsx_rows import Formula

MOST_BYTES = 1024 * 1024
MOST_CHARACTERS = 120
PART = SheetColumn("part_no", N_("订单编号"), aliases=("订单号", "编号", "order no.", "order"))
CARRIER = SheetColumn("carrier", N_("承运方"), aliases=("快递", "快递公司", "物流公司", "物流", "carrier"))
WAYBILL = SheetColumn(
    "waybill_no", N_("运单号"), aliases=("快递单号", "物流单号", "单号", "waybill no.", "waybill")
)
_COLUMNS = (PART, CARRIER, WAYBILL)
WRITTEN = (
    Column(PART.label, 16),
    Column(N_("收货人"), 12),
    Column(N_("联系电话"), 16),
    Column(N_("收货地址"), 40),
    Column(N_("商品"), 40),
    Column(N_("希望送货日"), 12, "day"),
    Column(CARRIER.label, 14),
    Column(WAYBILL.label, 22),
)


def write_waybills(parts: Sequence[OrderPart], translate: Translate) -> bytes:
    """A workbook of the parts that wait to be shipped; the last two columns are to be filled."""
    book = WorkbookWriter(translate)
    rows = [
        (
            part.public_no,
            part.order.recipient_name,
            part.order.recipient_phone,
            part.order.full_address,
            "；".join(f"{line.title} × {line.quantity} {line.unit_name}" for line in part.lines),
            part.order.deliver_on,
            "",
            "",
        )
        for part in parts
    ]
    title = translate(N_("待发货订单"))
    book.write_sheet(title, title, WRITTEN, rows)
    return book.finish()


def header_in(lines: Sequence[Sequence[object]]) -> SheetHeader | None:
    """The line that names the three columns among the first ones; None when there is none."""
    named = {title: column for column in _COLUMNS for title in column.titles}
    for row, cells in enumerate(lines[:HEADER_LINES], start=1):
        places: dict[SheetColumn, int] = {}
        for place, cell in enumerate(cells):
            column = named.get(plain_title(cell))
            if column:
                places.setdefault(column, place)
        if PART in places and CARRIER in places:
            return SheetHeader(row, places)
    return None


def read_waybills(content: bytes) -> list[Waybill]:
    """The rows of a sheet in which a carrier or a waybill was filled in; rows left empty wait on.

    Raises Refused, at field `file`, for what is no sheet, too large, without the columns, or without a filled row.
    """
    if len(content) > MOST_BYTES:
        raise Refused("sheet_too_large", N_("文件太大，请分成几份上传"), field="file")
    reader = SheetReader(content, header_in)
    header: SheetHeader | None = reader.header  # type: ignore[assignment]  # found by header_in
    if header is None:
        raise Refused(
            "no_header", N_("没有找到“订单编号”和“承运方”两列，请下载待发货表，填好再上传"), field="file"
        )
    rows: list[Waybill] = []
    while not reader.at_end:
        for number, cells in reader.lines(MOST_PARTS):
            part_no, carrier, waybill_no = (_text(cells, header, column) for column in _COLUMNS)
            if carrier or waybill_no:
                rows.append(Waybill(number, part_no.upper(), carrier, waybill_no))
            if len(rows) > MOST_PARTS:
                raise Refused(
                    "too_many_rows", N_("一次最多 %(most)s 行，请分成几次"), field="file", most=MOST_PARTS
                )
    if not rows:
        raise Refused("no_rows", N_("表里没有填承运方，请填好后再上传"), field="file")
    return rows


def _text(cells: Sequence[object], header: SheetHeader, column: SheetColumn) -> str:
    place = header.places.get(column)
    cell = cells[place] if place is not None and place < len(cells) else None
    return FORMULA if isinstance(cell, Formula) else text_of(cell)[:MOST_CHARACTERS]
