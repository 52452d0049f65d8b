"""The pages of orders before the harvest and of their deposits, from the listing to the delivery."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.models import Order
from marketplace.payments.deposits.models import Deposit, DepositState
from marketplace.procurement.forward.models import ForwardOrder, ForwardState
from marketplace.procurement.forward.rules import end_ahead
from tests.conftest import HeldClock, MarketClient
from tests.factories.ahead import paid_ahead, transferred
from tests.factories.identity import official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import offer
from tests.journeys.paper import Visitor


@pytest.mark.databases("sqlite")
def test_an_order_before_the_harvest_from_the_listing_to_the_delivery(
    client: MarketClient, session: Session, clock: HeldClock, files: FileStore, work
) -> None:
    unit, on_sale, visitor = (
        BuyerUnitFactory(),
        offer(session, CooperativeFactory(), units=30),
        Visitor(client),
    )
    orderer, approver, payer = (
        user_of(unit, role) for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_PAYER)
    )
    seller, cashier = user_of(on_sale.cooperative), official_with(Role.OPERATOR)

    client.sign_in(orderer)
    assert visitor.open("/ahead").has("还没有预订")
    form = visitor.open(visitor.open(f"/products/{on_sale.listing.public_no}").link("采收前预订"))
    refused = visitor.press(form, "提交预订", units=40, price=100, floor=90, deposit=101, status=422)
    assert refused.has("订金比例须大于 0，不超过全额")
    page = visitor.press(refused, "提交预订", deposit=20)
    assert page.has("待审批", "400.00")
    forward = session.scalars(select(ForwardOrder)).one()
    home = f"/ahead/{forward.public_no}"

    client.sign_in(seller)
    visitor.open(home, status=404)
    client.sign_in(approver)
    assert visitor.press(visitor.open(home), "批准").has("待合作社确认")
    client.sign_in(seller)
    assert visitor.press(visitor.open(home), "接受预订").has("待付订金")
    work("ask deposits")

    client.sign_in(payer)
    assert visitor.open("/desk").has("1 笔订金待转账")
    deposit = session.scalars(select(Deposit)).one()
    assert visitor.open(f"{home}/deposit").has("订金单", deposit.remittance_code, "400.00")
    transferred(session, actor_of(cashier), files, deposit, yuan="400.00")

    client.sign_in(seller)
    page = visitor.press(visitor.open(home), "指定这个批次")
    assert page.has("待交货", "批次里可交", "30 瓶")
    client.sign_in(orderer)
    form = visitor.open(visitor.open(home).link("安排交货"))
    assert visitor.press(form, "提交审批", units=31, status=422).has("现在只剩 30 件可买")
    assert visitor.press(form, "提交审批", units=30).has("待审批")
    assert session.scalars(select(Order)).one().total_fen == 150_000
    assert visitor.open(home).has("10 瓶", "交货单")


@pytest.mark.databases("sqlite")
def test_the_cashier_sends_back_what_is_left(
    client: MarketClient, session: Session, clock: HeldClock, files: FileStore, work
) -> None:
    cashier, on_sale = official_with(Role.OPERATOR), offer(session, CooperativeFactory())
    deposit = paid_ahead(session, on_sale, BuyerUnitFactory(), actor_of(cashier), files)
    end_ahead(session, actor_at(on_sale.cooperative), deposit.forward, reason="遭了冰雹")
    work("set off deposits")
    visitor = Visitor(client)
    client.sign_in(cashier)
    page = visitor.open("/deposits")
    assert page.has("待退回单位", "遭了冰雹", "400.00")
    assert visitor.press(page, "登记已转回", serial_no=" ").has("请填写银行转账的流水号")
    assert not visitor.press(page, "登记已转回", serial_no="TK1").has("待退回单位")
    session.refresh(deposit)
    assert (deposit.state, deposit.returned_fen) == (DepositState.PAID, 40_000)


@pytest.mark.databases("sqlite")
def test_strangers_find_nothing_of_it(
    client: MarketClient, session: Session, clock: HeldClock, files: FileStore
) -> None:
    cashier, on_sale = official_with(Role.OPERATOR), offer(session, CooperativeFactory())
    deposit = paid_ahead(session, on_sale, BuyerUnitFactory(), actor_of(cashier), files)
    home = f"/ahead/{deposit.forward.public_no}"
    for stranger in (user_of(BuyerUnitFactory()), user_of(CooperativeFactory())):
        client.sign_in(stranger)
        for path in (home, f"/deposits/{deposit.public_no}"):
            assert client.get(path).status_code == 404
        assert client.post(f"{home}/end", data={"reason": "不要了"}).status_code == 404
    assert client.post(f"{home}/nothing", data={"reason": "不要了"}).status_code == 404
    session.expire_all()
    assert deposit.forward.state is ForwardState.ACTIVE
