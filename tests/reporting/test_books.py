"""The order book and the acceptance report: exact cells, the reader's own rows alone, and files Excel opens."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from typing import Any

import openpyxl
import pytest

from marketplace.core.clock import now
from marketplace.core.workbooks import Column, WorkbookWriter
from marketplace.identity.models import Role
from marketplace.payments.rules import apply_payment
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, user_of
from tests.factories.trade import bill, offer

pytestmark = pytest.mark.usefixtures("clock")
SPAN = "since=2026-01-01&until=2026-06-01"


def cells(content: bytes) -> list[tuple[Any, ...]]:
    return list(openpyxl.load_workbook(BytesIO(content)).active.iter_rows(values_only=True))


@pytest.mark.parametrize(
    "address",
    [
        "/books?book=orders&since=2026-06-02&until=2026-06-01",
        "/books?book=orders&since=2025-01-01&until=2026-06-01",
        "/books?book=acceptances&since=&until=2026-06-01",
        "/books?book=orders&since=heute&until=2026-06-01",
    ],
)
def test_days_that_cannot_be_are_refused(session, client, address):
    user = user_of(BuyerUnitFactory(), Role.UNIT_ORDERER)
    session.commit()
    client.sign_in(user)
    assert client.get(address).status_code == 422


def test_the_order_book_has_a_line_a_product_and_the_sums(session, client):
    unit, elsewhere = BuyerUnitFactory(), BuyerUnitFactory()
    cooperative = CooperativeFactory()
    paid = bill(session, offer(session, cooperative), 10, unit=unit)
    apply_payment(session, paid, paid_at=now())
    bill(session, offer(session, CooperativeFactory()), 3, unit=unit, key="another-order-of-the-unit")
    bill(session, offer(session, CooperativeFactory()), 5, unit=elsewhere)
    people = [user_of(unit, Role.UNIT_PAYER), user_of(cooperative, Role.COOPERATIVE_CLERK)]
    session.commit()
    client.sign_in(people[0])
    answer = client.get(f"/books?book=orders&{SPAN}")
    assert answer.mimetype.endswith("spreadsheetml.sheet")
    title, head, first, second, total = cells(answer.data)
    assert title[0] == "订单簿 2026-01-01 — 2026-06-01"
    assert head[:2] == ("下单日期", "订单号")
    assert (str(first[0])[:10], first[3], first[4]) == ("2026-06-01", unit.name, cooperative.name)
    assert first[6:14] == (10, "瓶", "0.5", 50, 500, None, 500, "已验收")
    assert (second[10], second[16]) == (150, None)
    assert (total[0], total[10], total[12]) == ("合计", 650, 650)
    client.sign_in(people[1])
    assert len(cells(client.get(f"/books?book=orders&{SPAN}").data)) == 4  # its own line alone


def test_an_empty_book_says_so_with_its_columns(session, client):
    user = user_of(BuyerUnitFactory(), Role.UNIT_RECEIVER)
    session.commit()
    client.sign_in(user)
    assert "下载订单簿" in client.get("/books").text
    rows = cells(client.get(f"/books?book=acceptances&{SPAN}").data)
    assert (rows[1][0], rows[2][9]) == ("验收单号", 0)


def test_no_cell_becomes_a_formula_and_amounts_are_exact():
    columns = (
        Column("词", 10),
        Column("元", 10, "yuan"),
        Column("率", 10, "percent"),
        Column("日", 10, "day"),
    )
    book = WorkbookWriter(lambda text: text)
    rows = [["=1+1", 10, 1235, date(2026, 1, 2)], ["http://a", -5, -1, None]]
    assert book.write_sheet("一", "标题", columns, rows, sums=(1,), total_label="合计") == 2
    _title, _head, first, second, total = cells(book.finish())
    assert (*first[:3], str(first[3])[:10]) == ("=1+1", 0.1, 0.1235, "2026-01-02")
    assert second == ("http://a", -0.05, -0.0001, None)
    assert total == ("合计", 0.05, None, None)
