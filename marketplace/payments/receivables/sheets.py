"""A cooperative's receivables as a workbook: a sheet of units by age, and a sheet of open bills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from io import BytesIO
from typing import Any

import xlsxwriter

from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.payments.receivables.queries import Age, OpenBill

PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": True}
UNIT_WIDTH, MONEY_WIDTH, WORD_WIDTH = 28, 16, 18
BILL_TITLES = (
    N_("采购单位"),
    N_("订单"),
    N_("最迟付款日"),
    N_("金额（元）"),
    N_("逾期天数"),
    N_("账龄"),
)
Translate = Callable[[str], str]


def receivables_xlsx(
    units: Iterable[Mapping[str, Any]],
    totals: Mapping[str, int],
    bills: Iterable[OpenBill],
    *,
    on: date,
    translate: Translate,
) -> bytes:
    """The workbook as of `on`. `units` and `totals` are rows of `queries.ageing`; amounts are yuan, days are dates."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, {"constant_memory": True, **PLAIN}) as book:
        head = book.add_format({"bold": True, "bottom": 1})
        yuan = book.add_format({"num_format": "#,##0.00"})
        bold = book.add_format({"num_format": "#,##0.00", "bold": True, "top": 1})
        day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        sheet = book.add_worksheet(translate(N_("账龄")))
        titles = [N_("采购单位"), *(age.label for age in Age), N_("合计"), N_("未付逾期利息")]
        keys = [*(age.value for age in Age), "total", "interest"]
        _begin(sheet, [f"{translate(title)}" for title in titles], head, money_from=1)
        line = 0
        for line, unit in enumerate(units, start=1):
            sheet.write_string(line, 0, unit["name"])
            for place, key in enumerate(keys, start=1):
                sheet.write(line, place, format_yuan(int(unit[key]), grouped=False), yuan)
        sheet.write_string(line + 1, 0, f"{translate(N_('合计'))} {on.isoformat()}", bold)
        for place, key in enumerate(keys, start=1):
            sheet.write(line + 1, place, format_yuan(totals[key], grouped=False), bold)
        detail = book.add_worksheet(translate(N_("未付货款")))
        _begin(detail, [translate(title) for title in BILL_TITLES], head)
        for line, bill in enumerate(bills, start=1):
            detail.write_string(line, 0, bill.unit_name)
            detail.write_string(line, 1, bill.order_no)
            detail.write_datetime(line, 2, bill.due_on, day)
            detail.write(line, 3, format_yuan(bill.amount_fen, grouped=False), yuan)
            detail.write_number(line, 4, bill.days_late)
            detail.write_string(line, 5, translate(bill.age.label))
    return stream.getvalue()


def _begin(sheet: Any, titles: list[str], head: Any, *, money_from: int | None = None) -> None:
    sheet.freeze_panes(1, 0)
    for place, title in enumerate(titles):
        is_money = money_from is not None and place >= money_from
        sheet.set_column(place, place, UNIT_WIDTH if place == 0 else MONEY_WIDTH if is_money else WORD_WIDTH)
        sheet.write_string(0, place, title, head)
