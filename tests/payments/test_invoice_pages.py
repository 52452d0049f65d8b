"""The pages of invoices, payables, late interest and receivables: who sees them, what they say, what a list costs."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from marketplace.core.clock import today
from marketplace.core.ids import random_key
from marketplace.identity.models import Role, User
from marketplace.payments.invoices.models import Invoice, InvoiceState
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.models import Payment
from marketplace.payments.rules import apply_payment
from marketplace.registry.models import BuyerUnit
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, user_of
from tests.factories.trade import Offer, bill, offer
from tests.journeys.paper import Visitor

NUMBER = "26360000000012345678"


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory(), tiers=((1, 10_000),), units=900)


@pytest.fixture
def unit(session: Session) -> BuyerUnit:
    return BuyerUnitFactory()


@pytest.fixture
def seller(offered: Offer) -> User:
    return user_of(offered.cooperative)


@pytest.fixture
def payer(unit: BuyerUnit) -> User:
    return user_of(unit, Role.UNIT_PAYER)


def hand_in(client: MarketClient, payment: Payment, **said: Any) -> TestResponse:
    assert payment.part is not None
    right = {
        "number": NUMBER,
        "code": "",
        "issued_on": today().isoformat(),
        "amount": "10000.00",
        "idempotency_key": random_key(),
        "file": (io.BytesIO(b"%PDF-1.7 invoice"), "发票.pdf"),
    }
    return client.post(
        f"/invoices/new?part={payment.part.public_no}",
        data={**right, **said},
        content_type="multipart/form-data",
    )


def test_an_invoice_goes_from_the_cooperative_to_the_payer_and_back(
    client: MarketClient, session: Session, offered: Offer, unit: BuyerUnit, seller: User, payer: User
) -> None:
    owed = bill(session, offered, 100, unit=unit)
    client.sign_in(seller)
    page = Visitor(client).open("/invoices/to-invoice")
    assert page.has(owed.order.public_no, unit.name, "10,000.00")
    refused = hand_in(client, owed, amount="9999.99")
    assert refused.status_code == 422
    assert "现在少了 0.01 元" in refused.text
    assert NUMBER in refused.text  # what was typed is kept
    for said in ({"file": (io.BytesIO(b"MZ"), "发票.pdf")}, {"number": "123"}, {"issued_on": ""}):
        assert hand_in(client, owed, **said).status_code == 422
    assert session.scalars(select(Invoice)).all() == []

    answer = hand_in(client, owed)
    assert answer.status_code == 303
    invoice = session.scalars(select(Invoice)).one()
    path = f"/invoices/{invoice.public_no}"
    assert client.post(f"{path}/confirm").status_code == 403  # the cooperative does not check itself

    client.sign_in(payer)
    assert Visitor(client).open(path).has("这张发票对吗？", NUMBER)
    downloaded = client.get(f"{path}/file")
    assert (downloaded.data, downloaded.mimetype) == (b"%PDF-1.7 invoice", "application/pdf")
    assert client.post(f"{path}/return", data={"reason": " "}).status_code == 422
    assert client.post(f"{path}/return", data={"reason": "抬头不对"}).status_code == 303
    session.expire_all()
    assert (invoice.state, owed.part.invoiced_at) == (InvoiceState.RETURNED, None)

    client.sign_in(seller)
    assert Visitor(client).open(path).has("付款单位退回了这张发票", "抬头不对", "重新上传")
    assert hand_in(client, owed).status_code == 303
    second = session.scalars(select(Invoice).where(Invoice.id != invoice.id)).one()
    client.sign_in(payer)
    for _ in "12":
        assert client.post(f"/invoices/{second.public_no}/confirm").status_code == 303
    session.expire_all()
    assert second.state is InvoiceState.CONFIRMED


def test_another_s_invoice_and_part_are_not_found(
    client: MarketClient, session: Session, offered: Offer, unit: BuyerUnit, seller: User
) -> None:
    owed = bill(session, offered, 100, unit=unit)
    client.sign_in(seller)
    hand_in(client, owed)
    path = f"/invoices/{session.scalars(select(Invoice)).one().public_no}"
    for stranger in (user_of(CooperativeFactory()), user_of(BuyerUnitFactory(), Role.UNIT_PAYER)):
        client.sign_in(stranger)
        for one in (path, f"{path}/file"):
            assert client.get(one).status_code == 404
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_PAYER))
    assert client.post(f"{path}/confirm").status_code == 404
    client.sign_in(user_of(CooperativeFactory()))
    assert hand_in(client, owed).status_code == 404
    for nobody in (UserFactory(), user_of(unit, Role.UNIT_ORDERER)):
        client.sign_in(nobody)
        assert [client.get(one).status_code for one in ("/invoices", "/receivables", "/interest")] == [
            403
        ] * 3


def test_a_late_bill_shows_its_interest_and_the_cooperative_waives_it(
    client: MarketClient,
    session: Session,
    clock: HeldClock,
    offered: Offer,
    unit: BuyerUnit,
    seller: User,
    payer: User,
) -> None:
    owed = bill(session, offered, 100, unit=unit)
    second = bill(session, offered, 3, unit=unit, key="the-second-order-of-it")
    clock.advance(days=40)  # ten days late
    client.sign_in(payer)
    page = Visitor(client).open("/payables")
    assert page.has("逾期 10 天", "50.00", "合并付")
    slip = Visitor(client).open(f"/payables/slip?bill={owed.public_no}&bill={second.public_no}")
    assert slip.has("10,300.00", owed.remittance_code, second.remittance_code, "10,351.50")
    assert client.get("/payables/slip").status_code == 302
    transfer = Visitor(client).open(f"/payments/{owed.public_no}")
    assert transfer.has("10,050.00", "国务院令第 728 号", "30 日内")
    waiver = f"/bills/{owed.public_no}/waive-interest"
    assert client.post(waiver, data={"reason": "免了"}).status_code == 403  # a buyer waives nothing

    apply_payment(session, owed, paid_at=clock.now)
    claim = session.scalars(select(LateInterest)).one()
    assert Visitor(client).open("/interest").has(owed.order.public_no, "50.00")
    paper = Visitor(client).open(f"/interest/{claim.public_no}")
    assert paper.has("50.00", claim.remittance_code, "0.05%", "10,000.00")
    assert not paper.has("免收")
    assert (
        'href="/payables" aria-current="true"' in client.get("/interest").text
    )  # it lies under what is to be paid
    client.sign_in(user_of(CooperativeFactory()))
    assert [client.get(one).status_code for one in (waiver, f"/interest/{claim.public_no}")] == [404, 404]
    client.sign_in(seller)
    assert Visitor(client).open(waiver).has("50.00")
    assert client.post(waiver, data={"reason": ""}).status_code == 422
    assert client.post(waiver, data={"reason": "第一次合作"}).status_code == 303
    again = client.post(waiver, data={"reason": "第一次合作"})
    assert (again.status_code, "已经免收" in again.text) == (422, True)
    session.expire_all()
    assert claim.state is InterestState.WAIVED
    client.sign_in(payer)
    assert Visitor(client).open(f"/payments/{owed.public_no}").has("合作社已免收逾期利息", "第一次合作")


def test_receivables_open_in_a_spreadsheet_with_the_same_numbers(
    client: MarketClient, session: Session, clock: HeldClock, offered: Offer, unit: BuyerUnit, seller: User
) -> None:
    client.sign_in(seller)
    assert Visitor(client).open("/receivables").has("没有应收的货款")
    owed = bill(session, offered, 100, unit=unit)
    late = bill(session, offered, 3, unit=unit, key="the-second-order-of-it")
    late.due_on = today() - timedelta(days=61)
    page = Visitor(client).open("/receivables")
    assert page.has(unit.name, "10,300.00", "300.00", "逾期 61–90 天")
    assert Visitor(client).open(f"/receivables/{unit.public_no}").has("逾期 61 天", late.order.public_no)
    assert client.get(f"/receivables/{BuyerUnitFactory().public_no}").status_code == 404
    book = load_workbook(io.BytesIO(client.get("/receivables.xlsx").data))
    units, bills = book.worksheets
    assert [cell.value for cell in units[3]] == [unit.name, 10_000, 0, 0, 300, 0, 10_300, 0]
    assert [cell.value for cell in units[4]][1:] == [10_000, 0, 0, 300, 0, 10_300, 0]
    rows = [[cell.value for cell in row] for row in bills.iter_rows(min_row=3)]
    assert [(row[1], row[2].date(), row[3], row[4]) for row in rows] == [
        (late.order.public_no, late.due_on, 300, 61),
        (owed.order.public_no, date(2026, 7, 1), 10_000, 0),
    ]


def test_the_lists_do_not_cost_by_the_row(
    client: MarketClient,
    session: Session,
    clock: HeldClock,
    offered: Offer,
    unit: BuyerUnit,
    seller: User,
    payer: User,
    page_statements: Listening,
) -> None:
    numbers = iter(range(10**19, 10**19 + 100))
    sellers = ["/invoices", "/invoices/to-invoice", "/invoices?state=to_correct", "/receivables", "/interest"]
    sellers += [f"/receivables/{unit.public_no}", "/receivables.xlsx"]

    def add(count: int) -> None:
        client.sign_in(seller)
        for _ in range(count):
            first, second, paid = (bill(session, offered, 1, unit=unit, key=random_key()) for _ in range(3))
            assert hand_in(client, first, number=str(next(numbers)), amount="100.00").status_code == 303
            second.due_on = today() - timedelta(days=20)
            paid.due_on = today() - timedelta(days=20)
            apply_payment(session, paid, paid_at=clock.now)
        session.commit()

    def costs() -> list[int]:
        found = []
        for user, paths in ((seller, sellers), (payer, ["/payables", "/invoices", "/interest", "/"])):
            client.sign_in(user)
            for path in paths:
                client.get(path)
                with page_statements() as sent:
                    assert client.get(path).status_code == 200, path
                found.append(len(sent))
        return found

    add(1)
    few = costs()
    add(3)
    assert costs() == few


def test_an_auditor_reads_invoices_and_interest(client: MarketClient, session: Session) -> None:
    client.sign_in(official_with(Role.AUDITOR))
    assert [client.get(one).status_code for one in ("/invoices", "/interest")] == [200, 200]
