"""The order book and the acceptance report: exact cells, the reader's own rows alone, and files Excel opens."""

from __future__ import annotations

import gc
from datetime import date
from io import BytesIO
from typing import Any

import openpyxl
import pytest
from sqlalchemy import func, select

from marketplace.core.clock import now
from marketplace.core.workbooks import Column, WorkbookWriter
from marketplace.identity.downloads.models import PreparedFile
from marketplace.identity.downloads.rules import PREPARE_FILES
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderLine
from marketplace.payments.rules import apply_payment
from marketplace.reporting.books import books, views as book_views
from marketplace.reporting.books.books import BOOKS
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
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


def test_a_long_book_is_made_by_the_worker_and_a_short_one_at_once(session, client, work, monkeypatch):
    monkeypatch.setattr(book_views, "AT_ONCE_ROWS", 1)
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    bill(session, offered, 10)
    clerk = user_of(cooperative, Role.COOPERATIVE_CLERK)
    session.commit()
    client.sign_in(clerk)
    asked = {"since": "2026-01-01", "until": "2026-06-01"}
    short = client.post("/books", data={"book": "orders", **asked})
    assert (short.status_code, short.location) == (
        303,
        "/books?book=orders&since=2026-01-01&until=2026-06-01",
    )
    assert session.scalar(select(func.count()).select_from(PreparedFile)) == 0
    bill(session, offered, 3, key="another-order-of-a-unit")
    session.commit()
    refused = client.get(f"/books?book=orders&{SPAN}")
    assert refused.status_code == 422
    assert "这本有 2 行，要在后台准备" in refused.text
    long = client.post("/books", data={"book": "orders", **asked})
    assert long.location.startswith("/downloads/DL-")
    work(PREPARE_FILES)
    answer = client.get(f"{long.location}/file")
    assert answer.mimetype.endswith("spreadsheetml.sheet")
    title, _head, first, second, total = cells(answer.data)
    assert title[0] == "订单簿 2026-01-01 — 2026-06-01"
    assert [row[10] for row in (first, second, total)] == [500, 150, 650]


def test_a_book_longer_than_a_sheet_is_refused(session, client, monkeypatch):
    for name in ("AT_ONCE_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(book_views, name, 0)
    cooperative = CooperativeFactory()
    bill(session, offer(session, cooperative), 10)
    clerk = user_of(cooperative, Role.COOPERATIVE_CLERK)
    session.commit()
    client.sign_in(clerk)
    asked = {"book": "orders", "since": "2026-01-01", "until": "2026-06-01"}
    answer = client.post("/books", data=asked)
    assert answer.status_code == 422
    assert "这本有 1 行，一张表格装不下，请分开下载" in answer.text
    assert session.scalar(select(func.count()).select_from(PreparedFile)) == 0


@pytest.mark.parametrize(
    "given",
    [
        {"book": "orders", "since": "2026-06-02", "until": "2026-06-01"},
        {"book": "orders", "since": "2025-01-01", "until": "2026-06-01"},
        {"book": "passwords", "since": "2026-01-01", "until": "2026-06-01"},
        {"book": "orders"},
    ],
)
def test_what_cannot_be_asked_for_is_refused(session, client, given):
    user = user_of(BuyerUnitFactory(), Role.UNIT_ORDERER)
    session.commit()
    client.sign_in(user)
    assert client.post("/books", data=given).status_code == 422
    assert session.scalar(select(func.count()).select_from(PreparedFile)) == 0


def test_a_book_of_any_length_holds_few_rows_in_memory(session, monkeypatch):
    monkeypatch.setattr(books, "ROWS_A_READ", 2)
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    for number in range(9):
        bill(session, offered, 1, key=f"order-number-{number}-of-nine")
    session.commit()
    session.expunge_all()
    gc.collect()
    actor = actor_at(cooperative)
    session.flush()
    rows = BOOKS["orders"].rows_of(session, actor, date(2026, 1, 1), date(2026, 12, 31))
    held = [sum(isinstance(one, OrderLine) for one in session.identity_map.values()) for _row in rows]
    assert len(held) == 9
    assert max(held) <= 4  # the portion being written, and the one before it until it is collected
