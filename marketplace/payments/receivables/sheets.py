"""A cooperative's receivables as a workbook: a sheet of units by age, and a sheet of open bills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from marketplace.core.labels import N_
from marketplace.core.workbooks import Column, Translate, WorkbookWriter
from marketplace.payments.receivables.queries import Age, OpenBill

AGEING, BILLS, TOTAL = N_("账龄"), N_("未付货款"), N_("合计")
UNIT = Column(N_("采购单位"), 28)
UNIT_COLUMNS = (
    UNIT,
    *(Column(age.label, 16, "yuan") for age in Age),
    Column(TOTAL, 16, "yuan"),
    Column(N_("未付逾期利息"), 16, "yuan"),
)
UNIT_KEYS = (*(age.value for age in Age), "total", "interest")
BILL_COLUMNS = (
    UNIT,
    Column(N_("订单"), 18),
    Column(N_("最迟付款日"), 18, "day"),
    Column(N_("金额（元）"), 18, "yuan"),
    Column(N_("逾期天数"), 18, "number"),
    Column(AGEING, 18),
)


def receivables_xlsx(
    units: Iterable[Mapping[str, Any]],
    totals: Mapping[str, int],
    bills: Iterable[OpenBill],
    *,
    on: date,
    translate: Translate,
) -> bytes:
    """The workbook as of `on`. `units` and `totals` are rows of `queries.ageing`; amounts are yuan, days are dates."""
    book = WorkbookWriter(translate)
    ageing, open_bills = translate(AGEING), translate(BILLS)
    book.write_sheet(
        ageing,
        f"{ageing} {on.isoformat()}",
        UNIT_COLUMNS,
        ((unit["name"], *(int(unit[key]) for key in UNIT_KEYS)) for unit in units),
        totals=(translate(TOTAL), *(int(totals[key]) for key in UNIT_KEYS)),
    )
    book.write_sheet(
        open_bills,
        f"{open_bills} {on.isoformat()}",
        BILL_COLUMNS,
        (
            (
                bill.unit_name,
                bill.order_no,
                bill.due_on,
                bill.amount_fen,
                bill.days_late,
                translate(bill.age.label),
            )
            for bill in bills
        ),
    )
    return book.finish()
