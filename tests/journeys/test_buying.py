"""Two buyers' days through HTTP, nothing replaced: pages, forms with their tokens, jobs, the emulated card provider as
a process of its own behind the real SDK, its signed messages, the bank's file, the ledger at the end."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core import clock as core_clock
from marketplace.identity.models import Role, User
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.ordering.models import Order
from marketplace.ordering.states import PartState
from marketplace.payments.models import Credit, GatewayNotice, NoticeOutcome, Payment, PaymentState
from marketplace.web.jobs import EXTENSION
from tests.conftest import MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, EnrolmentFactory, user_of
from tests.factories.trade import Offer, offer
from tests.journeys.paper import Paper, Visitor
from tests.payments.stripe_world import API_KEY, SECRET, Inbox, StripeWorld

TOP = Path(__file__).resolve().parents[2]
EMULATOR = [sys.executable, "-m", "marketplace.payments.stripe_emulator", "--port", "0"]


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    opened = Inbox()
    yield opened
    opened.close()


@contextmanager
def emulator_process(inbox: Inbox) -> Iterator[StripeWorld]:
    wish = ["--webhook-url", inbox.url, "--webhook-secret", SECRET, "--api-key", API_KEY]
    environment = {**os.environ, "ENVIRONMENT": "test"}
    with subprocess.Popen(
        [*EMULATOR, *wish], cwd=TOP, env=environment, text=True, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        address = re.search(r"http://\S+", child.stdout.readline())
        try:
            assert address is not None
            yield StripeWorld(address[0], inbox)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


@pytest.fixture(scope="module")
def provider(inbox: Inbox) -> Iterator[StripeWorld]:
    """The card provider, as a process of its own."""
    with emulator_process(inbox) as world:
        yield world


@pytest.fixture
def settings(settings: Settings, provider: StripeWorld) -> Settings:
    wish = {"stripe_api_base": provider.base_url, "stripe_api_key": API_KEY, "stripe_webhook_secret": SECRET}
    return settings.model_copy(update=wish)


@dataclass
class Market:
    """The running shop: people at their browsers, the worker, and what the provider sends."""

    app: Flask
    session: Session
    provider: StripeWorld
    told: int = 0

    def visitor(self, user: User | None) -> Visitor:
        client = self.app.test_client()
        assert isinstance(client, MarketClient)
        client.session = self.session
        if user is not None:
            client.sign_in(user)
        return Visitor(client)

    def work(self) -> None:
        """What the worker does: run what was nudged."""
        self.session.commit()
        queue = self.app.extensions[EXTENSION].queue
        while (task := queue.dequeue()) is not None:
            queue.execute(task)
        self.session.expire_all()

    def deliver_messages(self) -> list[int]:
        """Bring everything the provider sent since the last time, byte for byte; the statuses answered."""
        self.provider.deliveries()
        fresh = self.provider.inbox.messages[self.told :]
        self.told += len(fresh)
        client = self.visitor(None).client
        return [
            client.post("/webhooks/stripe", data=body, headers={"Stripe-Signature": signature}).status_code
            for body, signature in fresh
        ]


@pytest.fixture
def market(app: Flask, session: Session, provider: StripeWorld) -> Market:
    app.config["WTF_CSRF_ENABLED"] = True
    provider.deliveries()
    return Market(app, session, provider, told=len(provider.inbox.messages))


def two_cooperatives(session: Session, market: Market) -> tuple[list[Offer], list[int]]:
    """Two offers that the search knows, a household behind each; the households' ids."""
    offers = [
        offer(session, CooperativeFactory(), tiers=((1, 5_000), (10, 4_500))),
        offer(session, CooperativeFactory(), tiers=((1, 1_234),)),
    ]
    households = []
    for one in offers:
        contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=one.cooperative))
        EntitlementFactory(agreement=contract, lot=one.lot)
        households.append(contract.household_id)
    session.commit()
    built = market.app.test_cli_runner().invoke(args=["search", "build"])
    assert built.exit_code == 0, built.output
    return offers, households


def fulfil(market: Market, part_no: str, seller: User) -> None:
    """A clerk confirms and ships what waits on the desk."""
    clerk = market.visitor(seller)
    page = clerk.open(clerk.open("/fulfilment").link(part_no))
    page = clerk.press(page, "确认接单")
    page = clerk.press(page, "登记发货", carrier="顺丰", waybill_no="SF100200300")
    assert page.has("运输中", "SF100200300")


def fen(session: Session, *keys: AccountKey) -> list[int]:
    found = balances(session, list(keys))
    return [found.get(key, 0) for key in keys]


def test_a_cadre_buys_from_two_cooperatives_and_pays_by_card(
    market: Market, session: Session, provider: StripeWorld
) -> None:
    offers, households = two_cooperatives(session, market)
    buyer = market.visitor(UserFactory(granted=(Role.STAFF_BUYER,)))
    order, page = fill_and_check_out(buyer, session, offers)
    pay_at_the_third_try(market, session, provider, buyer, page)
    assert {part.state for part in order.parts} == {PartState.PLACED}
    clearing = AccountKey.clearing("card")
    escrows = [AccountKey.escrow(one.cooperative.id) for one in offers]
    assert fen(session, clearing, *escrows) == [13_702, 10_000, 3_702]

    # both cooperatives deliver, the cadre receives and accepts, the households are credited
    for part, one in zip(order.parts, offers, strict=True):
        fulfil(market, part.public_no, user_of(one.cooperative, Role.COOPERATIVE_CLERK))
    for words in ("确认收货", "确认收货", "验收合格", "验收合格"):
        page = buyer.press(buyer.open("/deliveries"), words)
    assert page.has("已验收", "已付款")
    market.work()
    payable = [
        AccountKey.household_payable(one.cooperative.id, household)
        for one, household in zip(offers, households, strict=True)
    ]
    assert fen(session, clearing, *escrows, *payable) == [13_702, 0, 0, 1_000, 370]
    assert sorted(session.scalars(select(Credit.amount_fen))) == [370, 1_000]
    assert buyer.open("/deliveries").has("没有等待收货或验收的货物")


def fill_and_check_out(buyer: Visitor, session: Session, offers: list[Offer]) -> tuple[Order, Paper]:
    """Browse, search, fill a cart over both offers, stumble at the checkout, order once."""
    assert buyer.open("/").has("山茶油", "帮扶优先")
    for words in ("山茶油", "shancha"):
        assert buyer.open(f"/products?q={words}").has("共 2 件商品")
    for one, units in ((offers[0], 2), (offers[1], 1)):
        page = buyer.open(f"/products/{one.listing.public_no}")
        assert page.has("每 100 元里归农户的", "10.00")
        page = buyer.press(page, "放进购物车", quantity=units)
    page = buyer.press(page, "改数量", nth=1, quantity=3)
    assert page.has("100.00", "37.02", "137.02")

    page = buyer.open(page.link("填写收货信息"))
    page = buyer.press(
        page, "提交订单", status=422, recipient_phone="电话", address="迎宾路 1 号", region="outside"
    )
    assert page.has("请填写 7 到 20 位的电话号码")
    form, _ = page.button("提交订单")
    assert form.values["address"] == "迎宾路 1 号"
    page = buyer.press(
        page, "提交订单", recipient_phone="13800000000", address="鳌溪镇迎宾路 1 号", region="outside"
    )
    order = session.scalars(select(Order)).unique().one()
    assert page.has(order.public_no, "请完成付款", "137.02")
    again = buyer.client.post("/checkout", data={**form.values, "recipient_phone": "13800000000"})
    assert again.headers["Location"].startswith(f"/orders/{order.public_no}")
    assert len(session.scalars(select(Order)).unique().all()) == 1
    return order, page


def pay_at_the_third_try(
    market: Market, session: Session, provider: StripeWorld, buyer: Visitor, page: Paper
) -> None:
    """A card that is declined, one that has expired, one that pays; and a message somebody has altered."""
    page = buyer.press(page, "去付款 ¥137.02")
    assert page.path.startswith(provider.base_url)
    payment = session.scalars(select(Payment)).one()
    here = f"/payments/{payment.public_no}"
    assert buyer.open(f"{here}/checkout").path == page.path  # opened once
    for means in ("pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard"):
        provider.pay(payment.provider_ref, means)
    market.deliver_messages()
    market.work()
    assert buyer.open(here).has("付款没有成功", "这张卡已过期，没有扣款", "继续付款")
    session.expire_all()
    assert payment.state is PaymentState.OPEN

    provider.pay(payment.provider_ref)
    assert set(market.deliver_messages()) == {204}
    body, signature = provider.inbox.messages[-1]
    altered = market.visitor(None).client.post(
        "/webhooks/stripe", data=body.replace(b"13702", b"1"), headers={"Stripe-Signature": signature}
    )
    assert (altered.status_code, altered.json) == (400, {"error": "bad_signature"})
    market.work()
    assert buyer.open(here).has("付款成功", "¥137.02")
    assert NoticeOutcome.APPLIED in session.scalars(select(GatewayNotice.outcome)).all()
    session.expire_all()


def test_a_canteen_orders_at_the_tier_price_and_pays_what_it_accepted(
    market: Market, session: Session
) -> None:
    offers, households = two_cooperatives(session, market)
    unit = BuyerUnitFactory()
    people = {
        role: user_of(unit, role)
        for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER)
    }
    orderer, approver, receiver, payer = (market.visitor(user) for user in people.values())

    page = orderer.open(f"/products/{offers[0].listing.public_no}")
    page = orderer.press(page, "加入食堂采购单", quantity=12)
    assert page.has("食堂采购单", "45.00", "540.00")
    page = orderer.press(orderer.open(page.link("填写收货信息")), "提交审批")
    order = session.scalars(select(Order)).unique().one()
    assert page.has("提交成功", "等待本单位另一位同事审批")

    # nobody may do another's duty
    part = order.parts[0]
    refused = orderer.client.post(f"/orders/{order.public_no}/approve", data=page.forms[-1].values)
    assert refused.status_code == 403
    stranger = market.visitor(user_of(BuyerUnitFactory()))
    stranger.open(f"/orders/{order.public_no}", status=404)
    session.expire_all()
    assert part.state is PartState.AWAITING_APPROVAL

    assert approver.open("/approvals").has("山茶油 × 12")
    page = approver.press(approver.open(f"/orders/{order.public_no}"), "批准采购")
    assert page.has("已批准")
    fulfil(market, part.public_no, user_of(offers[0].cooperative))
    assert receiver.press(receiver.open("/deliveries"), "确认收货").has("待验收")
    assert receiver.press(receiver.open("/deliveries"), "验收合格").has("已验收", "未付款")
    market.work()

    # the bill, the bank's file, and a file that is none
    page = payer.open("/payables")
    payment = session.scalars(select(Payment)).one()
    assert page.has("540.00", order.public_no)
    assert payer.open(page.link("查看付款单")).has("应付金额", payment.remittance_code[:4], "收款方账号")
    cashier = market.visitor(official_with(Role.OPERATOR))
    page = cashier.open("/cashier/statements")
    page = cashier.press(page, "导入并认款", status=422, file=(io.BytesIO(b"PK\x03\x04\x00"), "六月.xlsx"))
    assert page.has("文件不是文本，请从网银导出 CSV 格式的明细")
    lines = (
        "交易流水号,交易日期,收入金额,对方户名,附言",
        f"B1,2026-06-01,540.00,机关食堂,货款 {payment.remittance_code}",
        "B2,2026-06-01,12.00,何秋云,不知道",
    )
    content = "\r\n".join(lines).encode("gbk")
    page = cashier.press(page, "导入并认款", file=(io.BytesIO(content), "六月.csv"))
    assert page.has("六月.csv", "已匹配", "待人工处理", "附言中没有汇款码")
    market.work()
    assert payer.open("/payables").has("没有待付的货款")
    assert payer.open("/payables?state=paid").has("540.00")
    page = cashier.press(
        cashier.open(cashier.open("/cashier/queue").link("核对这笔")), "登记处理结果", note="私人汇款，已退回"
    )
    assert page.has("没有待核对的银行到账")

    household = AccountKey.household_payable(offers[0].cooperative.id, households[0])
    keys = AccountKey.clearing("bank_transfer"), AccountKey.buyer_receivable(unit.id), household
    assert fen(session, *keys) == [54_000, 0, 5_400]
    assert orderer.open(f"/orders/{order.public_no}").has("已付款")


def test_an_abandoned_checkout_frees_the_goods(
    market: Market, session: Session, provider: StripeWorld
) -> None:
    offers, _households = two_cooperatives(session, market)
    buyer = market.visitor(UserFactory(granted=(Role.STAFF_BUYER,)))
    page = buyer.press(buyer.open(f"/products/{offers[0].listing.public_no}"), "放进购物车", quantity=100)
    page = buyer.press(
        buyer.open(page.link("填写收货信息")),
        "提交订单",
        recipient_phone="13800000000",
        address="迎宾路 1 号",
        region="outside",
    )
    buyer.press(page, "去付款 ¥4,500.00")
    session.expire_all()
    assert market.visitor(None).open(f"/products/{offers[0].listing.public_no}").has("暂时缺货")
    payment = session.scalars(select(Payment)).one()
    ours = payment.provider_ref
    provider.control(f"sessions/{ours}/expire")
    market.deliver_messages()
    market.work()
    assert buyer.open(f"/payments/{payment.public_no}").has("付款页面已过期", "没有扣款", "继续付款")
    late = payment.expires_at + timedelta(minutes=6)
    session.commit()
    with core_clock.set_to(late):
        market.app.extensions[EXTENSION].run("expire card payments")

    assert buyer.open(f"/payments/{payment.public_no}").has("已超时")
    session.expire_all()
    assert payment.state is PaymentState.EXPIRED
    assert market.visitor(None).open(f"/products/{offers[0].listing.public_no}").has("现货 100 瓶")
    page: Paper = buyer.open(f"/orders/{payment.order.public_no}")
    assert page.has("已取消")
