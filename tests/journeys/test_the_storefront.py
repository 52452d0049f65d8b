"""The shop on a phone: a stranger buys from two cooperatives with Alipay, and gets money back for what came broken.

Arranged beforehand: two cooperatives with a listing each, one of which charges freight, and contracts of households.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from io import BytesIO

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import Settings
from marketplace.identity.models import User
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.ordering.models import Order
from marketplace.payments.models import Credit
from marketplace.payments.stripe_emulator.server import EmulatorServer
from tests.factories.refunds import deliverer
from tests.factories.registry import CooperativeFactory, RegionFactory, actor_at, user_of
from tests.factories.trade import new_version, offer
from tests.journeys import shopping
from tests.journeys.conftest import PHONE, OpenPage, paid_on_line
from tests.journeys.people import Person, Theatre, Words, yuan

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.databases("sqlite")]
COUNTY = "361025"
MOST_TAPS = 12  # fewer than so many from the first page to paid, for a returning buyer
GOODS_FEN = 2 * shopping.OIL_FEN + shopping.TEA_FEN
PAID_FEN = GOODS_FEN + shopping.FREIGHT_FEN


@pytest.fixture
def settings(settings: Settings, door: socket.socket, provider: EmulatorServer) -> Settings:
    return paid_on_line(settings, door, provider, card_methods="card,alipay,wechat_pay")


@dataclass
class Shops:
    """Who sells: oil at 50.00 with freight, tea at 36.50 delivered free."""

    oil: User
    tea: User


@pytest.fixture
def shops(session: Session, app: Flask) -> Shops:
    RegionFactory(code=COUNTY)
    sellers = [CooperativeFactory(name=name) for name in ("乐安县山茶油专业合作社", "乐安县云雾茶专业合作社")]
    goods = ((shopping.OIL, shopping.OIL_FEN), (shopping.TEA, shopping.TEA_FEN))
    for seller, (title, price_fen) in zip(sellers, goods, strict=True):
        offered = offer(session, seller, tiers=((1, price_fen),))
        offered.listing.product.name = title
        new_version(session, offered, tiers=((1, price_fen),), title=title)
        deliverer(seller, offered, 3)
        deliverer(seller, offered, 7)
    rates = [Rate("36", shopping.FREIGHT_FEN - 100, 100, 2, 3)]
    write_freight_sheet(session, actor_at(sellers[0]), rates=rates, free_from_fen=None)
    found = Shops(*(user_of(seller) for seller in sellers))
    session.commit()
    assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0
    return found


@pytest.fixture
def theatre(open_page: OpenPage) -> Theatre:
    return Theatre(open_page, Words("zh_CN"), PHONE)


def buy_as_a_stranger(theatre: Theatre) -> Person:
    """Fill the cart without an account, open one, order, pay."""
    cadre = theatre.enter("cadre")
    cadre.opens("/")
    shopping.find(cadre, "shanchayou", shopping.OIL)
    shopping.put_in(cadre, 2)
    shopping.find(cadre, "ywc", shopping.TEA)
    shopping.put_in(cadre, 1)
    assert shopping.total_of_the_cart(cadre) == GOODS_FEN
    shopping.open_an_account(cadre, "zhou.xiaomei")
    assert shopping.total_of_the_cart(cadre) == GOODS_FEN
    shopping.give_an_address(cadre)
    cadre.presses("提交订单")
    shopping.pay_with_alipay(cadre, PAID_FEN)
    return cadre


def buy_once_more(cadre: Person) -> int:
    """What a returning buyer does from the first page to paid; how many taps it took."""
    cadre.opens("/")
    before = cadre.interactions
    cadre.follows_text(shopping.TEA)
    cadre.presses("放进购物车")
    cadre.follows("填写收货信息")
    cadre.presses("提交订单")
    shopping.pay_with_alipay(cadre, shopping.TEA_FEN)
    return cadre.interactions - before


def deliver(theatre: Theatre, seller: User) -> Person:
    """The cooperative confirms what waits, prints a pick list, and sends everything off."""
    manager = theatre.sign_in("seller", seller.login_name)
    manager.goes_to("备货发货")
    manager.follows("待确认", within=manager.page.locator("main"))
    manager.presses("确认选中的订单")
    manager.follows("待发货", within=manager.page.locator("main"))
    manager.fills(manager.page.get_by_label("承运方").first, "邮政")
    manager.fills(manager.page.get_by_label("运单号").first, "EMS100200")
    manager.presses("登记发货")
    manager.sees("已发货 %(count)s 张订单", count=1)
    return manager


def test_a_stranger_buys_from_two_cooperatives_and_gets_money_back(
    theatre: Theatre, shops: Shops, session: Session, app: Flask
) -> None:
    cadre = buy_as_a_stranger(theatre)
    assert buy_once_more(cadre) < MOST_TAPS
    manager = deliver(theatre, shops.oil)
    order = session.scalars(select(Order).order_by(Order.id)).unique().first()
    assert order is not None
    assert (order.total_fen, [part.freight_fen for part in order.parts]) == (
        PAID_FEN,
        [shopping.FREIGHT_FEN, 0],
    )

    here = f"/orders/{order.public_no}"
    session.rollback()

    cadre.opens(here)
    cadre.presses("确认收货")
    cadre.opens(here)
    cadre.confirms("验收合格", "验收合格")
    cadre.opens(here)
    picture = BytesIO()
    Image.new("RGB", (640, 480), "#c8b560").save(picture, "PNG")
    shopping.ask_one_back(cadre, shopping.OIL, picture.getvalue())

    manager.takes_up("%(count)s 笔退款申请待处理", count=1)
    manager.clicks(manager.page.locator("main").get_by_role("table").get_by_role("link").first)
    manager.confirms("同意退款", "同意退款")
    cadre.page.reload()
    cadre.waits_for("已退回")
    cadre.reads(yuan(shopping.OIL_FEN))
    cadre.goes_to("订单")
    books_agree(app, session)


def books_agree(app: Flask, session: Session) -> None:
    """Two payments came, a tenth of what was kept went to households, and the ledger holds together."""
    session.expire_all()
    orders = session.scalars(select(Order)).unique().all()
    assert len(orders) == 2
    assert all(part.paid_at is not None for order in orders for part in order.parts)
    credited = session.scalars(select(Credit.amount_fen)).all()
    session.rollback()
    verified = app.test_cli_runner().invoke(args=["ledger", "verify"])
    assert verified.exit_code == 0, verified.output
    assert sum(credited) in {1_000, 500}  # of the oil: settled before the refund, or after it
