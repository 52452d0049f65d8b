"""A cooperative brings out a product, on a phone: described and kept as a draft, certified by the county, recognised by
village, township, sector and county after a public notice, then offered and sold for the first time.

The reviews lie nine days back, so that the notice is over when the county decides. Arranged beforehand: places, steps,
a category with its floor and its certificate duty, a lot with what two households delivered, and the accounts.
"""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from config import Settings
from marketplace.catalog.models import LinkageFloor
from marketplace.core import clock
from marketplace.core.clock import today
from marketplace.identity.models import Role, User
from marketplace.payments.stripe_emulator.server import EmulatorServer
from marketplace.web.jobs import EXTENSION
from tests.factories.identity import UserFactory, official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory, LotFactory
from tests.factories.registry import VILLAGE, CooperativeFactory, EnrolmentFactory, RegionFactory, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import CategoryFactory
from tests.journeys import buyers, cooperative, story, village
from tests.journeys.conftest import PHONE, Calendar, OpenPage, paid_on_line
from tests.journeys.people import Person, Theatre, Words, yuan

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600), pytest.mark.databases("sqlite")]
NOTICE_DAYS_BACK = 9
REVIEWERS = {
    "village": Role.VILLAGE_REVIEWER,
    "township": Role.TOWNSHIP_REVIEWER,
    "county": Role.COUNTY_REVIEWER,
    "decider": Role.COUNTY_REVIEWER,  # nobody decides two steps of one case
}


@pytest.fixture
def settings(settings: Settings, door: socket.socket, provider: EmulatorServer) -> Settings:
    return paid_on_line(settings, door, provider)


@pytest.fixture
def people(session: Session, app: Flask) -> dict[str, str]:
    """Login names of everybody who plays."""
    RegionFactory(code=VILLAGE)
    default_steps()
    navel = CategoryFactory(
        code="navel-orange",
        path="navel-orange",
        name_zh="脐橙",
        name_en="Navel oranges",
        needs_certificate=True,
    )
    session.add(
        LinkageFloor(category_code=navel.code, region_code="36", year=today().year, min_bp=story.FLOOR_BP)
    )
    growers = CooperativeFactory(name="乐安县鳌溪脐橙专业合作社")
    lot = LotFactory(
        cooperative=growers,
        lot_no=story.LOT_NO,
        commodity=story.COMMODITY,
        received_g=197_805,
        harvested_on=clock.today() - timedelta(days=NOTICE_DAYS_BACK),
    )
    for slip in story.SLIPS:
        contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=growers))
        EntitlementFactory(agreement=contract, lot=lot, amount_fen=slip.amount_fen)
    found: dict[str, User] = {"manager": user_of(growers), "cadre": UserFactory(granted=(Role.STAFF_BUYER,))}
    found |= {name: official_with(role) for name, role in REVIEWERS.items()}
    session.commit()
    assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0
    return {name: user.login_name for name, user in found.items()}


def keep_a_draft(manager: Person) -> None:
    """The prices are not settled yet, so they wait."""
    manager.goes_to("产品与上架")
    manager.follows("定价上架", within=manager.row(story.PRODUCT))
    manager.types("商品介绍", "树上熟透再摘，皮薄汁多。")
    manager.types("起订数量（%(unit)s）", 1, unit=story.UNIT)
    manager.types("单价（元）", yuan(story.PRICE_FEN)[1:])
    manager.presses("存为草稿")
    manager.sees("草稿")


def ask_for_recognition(manager: Person) -> None:
    """Quality, price, linkage: a price above the average is refused, and nothing typed is lost."""
    manager.goes_to("产品与上架")
    manager.clicks(manager.row(story.PRODUCT).get_by_role("link", name=story.PRODUCT))
    manager.follows("申请认定")
    manager.types("质量情况", "一级果，绿色食品认证")
    manager.types("单价（元）", "53.00")
    manager.types("同规格平均价（元）", "52.00")
    manager.types("平均价的出处", "县农业农村局本月市场价格监测")
    manager.types("怎样带动农户", "订单收购，带动 2 户")
    manager.picks("凭哪张证书", "绿色食品")
    manager.presses("提交认定申请")
    expect(manager.field("怎样带动农户")).to_have_value("订单收购，带动 2 户")
    manager.types("单价（元）", yuan(story.PRICE_FEN)[1:])
    manager.presses("提交认定申请")
    manager.sees("审核中")


def pass_on(reviewer: Person) -> None:
    """One level looks at it and lets it go on."""
    reviewer.takes_up("%(count)s 件申请等您审核", count=1)
    reviewer.follows("办理", within=reviewer.row(story.PRODUCT))
    reviewer.ticks("通过，进入下一步")
    reviewer.types("审核意见", "情况属实")
    reviewer.presses("提交结论")


def offer_what_was_drafted(manager: Person) -> None:
    """The draft goes on from where it was; the share for households is added, and it is on sale."""
    manager.goes_to("产品与上架")
    manager.clicks(manager.row(story.PRODUCT).get_by_role("link", name=story.PRODUCT))
    manager.follows("接着改")
    expect(manager.field("单价（元）")).to_have_value(yuan(story.PRICE_FEN)[1:])
    manager.types("订单生产", yuan(story.FLOOR_BP)[1:])
    manager.presses("上架销售")
    manager.sees("已上架，买家马上就能看到")


def test_a_product_goes_from_a_draft_to_its_first_sale(
    open_page: OpenPage, app: Flask, session: Session, calendar: Calendar, people: dict[str, str]
) -> None:
    theatre = Theatre(open_page, Words("zh_CN"), PHONE)
    calendar.at = clock.now() - timedelta(days=NOTICE_DAYS_BACK)
    manager = theatre.sign_in("manager", people["manager"])
    cooperative.describe_product(manager)
    keep_a_draft(manager)
    county = theatre.sign_in("county", people["county"])
    village.pass_certificate(county)
    ask_for_recognition(manager)
    for name in ("village", "township"):
        reviewer = theatre.sign_in(name, people[name])
        pass_on(reviewer)
        reviewer.leaves()
    pass_on(county)
    stranger = theatre.enter("stranger")
    calendar.at += timedelta(days=2)
    stranger.opens("/notices")
    stranger.reads(story.PRODUCT)
    calendar.at = None
    app.extensions[EXTENSION].run("close_notices")
    pass_on(theatre.sign_in("decider", people["decider"]))

    offer_what_was_drafted(manager)
    cadre = theatre.sign_in("cadre", people["cadre"])
    buyers.search(cadre, story.PRODUCT)
    cadre.follows_text(story.PRODUCT)
    cadre.sees("扶贫产品")
    cadre.sees("绿色食品")
    cadre.types("数量", story.CADRE_UNITS)
    cadre.presses("放进购物车")
    cadre.follows("填写收货信息")
    cadre.types("联系电话", "13800000000")
    cadre.picks("收货地区", "江西省以外")
    cadre.types("收货地址", "迎宾路 1 号")
    cadre.presses("提交订单")
    cadre.presses("去付款 ¥%(amount)s", amount=yuan(story.CADRE_SALE.net_fen)[1:])
    buyers.pay_on_the_hosted_page(cadre, story.CADRE_SALE.net_fen)
    cadre.waits_for("付款成功")
    cooperative.send(manager, "个人订单", story.CADRE_SALE)
    buyers.receive_and_accept(cadre)
    session.rollback()
    assert app.test_cli_runner().invoke(args=["ledger", "verify"]).exit_code == 0
