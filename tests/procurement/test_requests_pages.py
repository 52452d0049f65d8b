"""The pages of requests, offers and supplies: from the form of a canteen to the order, and what each side may read."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.models import Order, PaymentPolicy, PaymentStart
from marketplace.procurement.requests.models import Offer, PurchaseRequest, RequestState, Supply
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.requests import DAYS_OPEN, offered, published, supplied
from tests.factories.trade import CategoryFactory, offer
from tests.journeys.paper import Visitor

TYPED = {
    "title": "食堂用山茶油",
    "specification": "500 克瓶装，冷榨",
    "mass": "20",
    "mass_unit": "jin",
    "ceiling": "110",
    "min_linkage": "10",
    "deliver_from": "2026-06-08",
    "deliver_until": "2026-06-15",
    "deadline": "2026-06-04T10:00",
}


@pytest.mark.databases("sqlite")
def test_a_canteen_asks_two_offer_and_one_wins(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    CategoryFactory()
    unit, visitor = BuyerUnitFactory(), Visitor(client)
    orderer, sellers = (
        user_of(unit, Role.UNIT_ORDERER),
        [offer(session, CooperativeFactory()) for _ in range(2)],
    )
    people = [user_of(one.cooperative) for one in sellers]

    client.sign_in(orderer)
    assert visitor.open("/requests").has("还没有需求")
    form = visitor.open("/requests/new")
    refused = visitor.press(
        form, "保存草稿", **{**TYPED, "mass": "很多", "deadline": "2026-06-20T10:00"}, status=422
    )
    assert refused.has("请填写数字，千克最多三位小数")
    assert refused.button("保存草稿")[0].values["title"] == TYPED["title"]
    refused = visitor.press(refused, "保存草稿", **{**TYPED, "deadline": "2026-06-20T10:00"}, status=422)
    assert refused.has("报价须在交货期最后一天之前截止")
    page = visitor.press(refused, "保存草稿", **TYPED)
    assert page.has("还没有发布", "10千克", "暂时没有接近的供应")
    page = visitor.press(page, "发布需求")
    request = session.scalars(select(PurchaseRequest)).one()
    assert page.has("已有报价", "0")

    for person, yuan in zip(people, ("48.88", "50"), strict=True):
        client.sign_in(person)
        board = visitor.open("/board")
        assert board.has("食堂用山茶油", "机关食堂")
        assert not board.has(unit.name)
        form = visitor.open(visitor.open(board.link("查看需求")).link("我要报价"))
        over = visitor.press(form, "提交报价", units="20", unit_price="55.01", status=422)
        assert over.has("每瓶最多 55.00 元")
        assert visitor.press(over, "提交报价", units="20", unit_price=yuan).has("有效", yuan)
        assert visitor.open("/offers").has("撤回")
        assert not visitor.open("/offers").has("48.88" if yuan == "50" else "50.00")

    client.sign_in(orderer)
    for path in ("", "/offers"):
        page = visitor.open(f"/requests/{request.public_no}{path}")
        assert page.has("2")
        assert not page.has("48.88")
        assert not page.has(sellers[0].cooperative.name)
    visitor.open(f"/requests/{request.public_no}/record", status=404)

    clock.advance(days=DAYS_OPEN)
    assert visitor.open("/desk").has("1 条需求已截止")
    page = visitor.open(f"/requests/{request.public_no}/offers?by=linkage")
    assert page.has("97.76", "100.00", "最低", "少于 5 户，不公开")
    dear = session.scalars(select(Offer).order_by(Offer.id.desc())).first()
    form = visitor.open(f"/requests/{request.public_no}/award/{dear.public_no}")
    refused = visitor.press(form, "定标并提交审批", reason=" ", status=422)
    assert refused.has("请写明理由")
    assert session.scalars(select(Order)).all() == []
    assert visitor.press(refused, "定标并提交审批", reason="离学校近").has("1,000.00")
    record = visitor.open(f"/requests/{request.public_no}/record")
    assert record.has("离学校近", "中选", "未中选", orderer.display_name, "采购人", "审批人")
    client.sign_in(people[0])
    page = visitor.open("/offers")
    assert page.has("未中选")
    assert not page.has("离学校近")
    assert not page.has("50.00")
    assert not visitor.press(page, "知道了").has("知道了")


@pytest.mark.databases("sqlite")
def test_a_request_pays_by_the_policy_in_force_where_the_unit_is(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    CategoryFactory()
    unit, visitor = BuyerUnitFactory(), Visitor(client)
    policy = {"default_days": 20, "cap_days": 40, "late_rate_bp": 6, "basis": "县财政局通知"}
    began = {"region_code": unit.county_code, "from_on": date(2026, 1, 1)}
    session.add(PaymentPolicy(payment_start=PaymentStart.DELIVERY, **began, **policy))
    session.commit()
    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    form = visitor.open("/requests/new")
    assert form.has("0.06%", "县财政局通知", "最多 40 天")
    long = visitor.press(form, "保存草稿", **TYPED, payment_days="41", status=422)
    assert long.has("付款期限须在 1 到 40 天之间")
    assert session.scalars(select(PurchaseRequest)).all() == []
    assert visitor.press(long, "保存草稿", payment_days="20").has("县财政局通知")
    kept = session.scalars(select(PurchaseRequest)).one().current
    assert (kept.payment_days, kept.payment_start) == (20, PaymentStart.DELIVERY)
    assert (kept.late_rate_bp, kept.payment_basis) == (6, "县财政局通知")


@pytest.mark.databases("sqlite")
def test_goods_that_are_expected_are_awarded_ahead_and_again_when_the_approver_refuses(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    unit, visitor = BuyerUnitFactory(), Visitor(client)
    orderer, on_sale = user_of(unit, Role.UNIT_ORDERER), offer(session, CooperativeFactory(), units=8)
    seller = actor_at(on_sale.cooperative)
    supplied(session, seller, product=on_sale.listing.product, mass_g=10_000)
    request = published(session, actor_of(orderer))
    made = offered(session, request, on_sale, deliver_on=request.current.deliver_until)
    clock.advance(days=DAYS_OPEN)
    session.commit()
    client.sign_in(orderer)
    form = visitor.open(f"/requests/{request.public_no}/award/{made.public_no}")
    assert form.has("要等采收", "订金比例")
    assert not form.has("收货地址")
    nothing = visitor.press(form, "定标并提交审批", deposit="0", reason="一向守时", status=422)
    assert nothing.has("订金比例须大于 0")
    assert nothing.button("定标并提交审批")[0].values["reason"].strip() == "一向守时"
    ahead = visitor.press(nothing, "定标并提交审批", deposit="20")
    assert ahead.has("定标单价", "50.00", "200.00", "待审批")
    assert visitor.open(f"/requests/{request.public_no}").has("查看预订", "转为预订")
    client.sign_in(user_of(unit, Role.UNIT_APPROVER))
    visitor.press(visitor.open(ahead.path), "不予批准", reason="订金没有预算")
    client.sign_in(orderer)
    page = visitor.open(f"/requests/{request.public_no}")
    assert page.has("上一次定标没有成：订金没有预算", "重新定标")
    again = visitor.open(visitor.open(page.link("比价定标")).link("选这家"))
    assert visitor.press(again, "定标并提交审批", deposit="10").has("100.00", "待审批")
    assert visitor.open(f"/requests/{request.public_no}/record").has("第 1 次定标，没有成", "订金没有预算")


@pytest.mark.databases("sqlite")
def test_strangers_find_nothing_of_a_request(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    unit, on_sale = BuyerUnitFactory(), offer(session, CooperativeFactory())
    request = published(session, actor_at(unit, Role.UNIT_ORDERER))
    made = offered(session, request, on_sale)
    client.sign_in(user_of(BuyerUnitFactory()))
    home = f"/requests/{request.public_no}"
    for path in ("", "/offers", "/record", "/edit", f"/award/{made.public_no}"):
        assert client.get(home + path).status_code == 404
    for path in ("/publish", "/withdraw"):
        assert client.post(home + path, data={"reason": "不要了"}).status_code == 404
    client.sign_in(user_of(CooperativeFactory()))
    assert client.post(f"/offers/{made.public_no}/withdraw").status_code == 404
    assert client.get(home).status_code == 403
    session.expire_all()
    assert request.state is RequestState.OPEN


@pytest.mark.databases("sqlite")
def test_the_board_is_for_everybody_and_names_no_unit(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    assert "现在没有食堂求购" in client.get("/board").text
    assert "现在没有合作社供应" in client.get("/board?side=supply").text
    unit, cooperative = BuyerUnitFactory(), CooperativeFactory()
    orderer = actor_at(unit, Role.UNIT_ORDERER)
    request = published(session, orderer)
    supplied(session, actor_at(cooperative))
    for path in ("/board", f"/board/{request.public_no}"):
        page = client.get(path).text
        assert "机关食堂" in page
        assert "乐安县" in page
        assert unit.name not in page
        assert unit.contact_name not in page
        assert orderer.name not in page
    assert cooperative.name in client.get("/board?side=supply").text
    assert "没有符合条件的信息" in client.get("/board?q=竹笋").text
    assert "食堂用山茶油" in client.get("/board?q=山茶&county=361025&category=camellia-oil").text
    assert client.get(f"/board/{request.public_no}/offer").status_code == 302  # sign in first


@pytest.mark.databases("sqlite")
def test_a_cooperative_posts_a_supply_and_takes_it_back(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    on_sale, visitor = offer(session, CooperativeFactory()), Visitor(client)
    published(session, actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER))
    client.sign_in(user_of(on_sale.cooperative))
    form = visitor.open(visitor.open("/supplies").link("发布供应"))
    typed = {"commodity": "山茶油", "mass": "50", "ask": "100", "product": on_sale.listing.product.public_no}
    refused = visitor.press(form, "发布供应", **{**typed, "note": "13800138000"}, status=422)
    assert refused.has("疑似身份证号或手机号")
    page = visitor.press(refused, "发布供应", **{**typed, "note": "冷榨"})
    assert page.has("展示中", "50千克", "食堂用山茶油", "同一类别", "价格在最高价以内")
    assert session.scalars(select(Supply)).one().product_id == on_sale.listing.product_id
    assert visitor.press(page, "撤下").has("已撤下", "暂时没有接近的需求")


@pytest.mark.databases("sqlite")
def test_lists_do_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    unit, sellers = BuyerUnitFactory(), [offer(session, CooperativeFactory(), units=1_000) for _ in range(5)]
    orderer, seller = actor_at(unit, Role.UNIT_ORDERER), sellers[0]
    people = {"unit": user_of(unit, Role.UNIT_ORDERER), "seller": user_of(seller.cooperative)}
    first = published(session, orderer)

    def costs() -> list[int]:
        found = []
        for who, path in (
            ("unit", "/requests"),
            ("unit", f"/requests/{first.public_no}/offers"),
            ("seller", "/offers"),
            ("seller", "/supplies"),
            ("seller", "/board"),
            ("seller", "/board?side=supply"),
        ):
            client.sign_in(people[who])
            client.get(path)
            with page_statements() as sent:
                assert client.get(path).status_code == 200
            found.append(len(sent))
        return found

    offered(session, first, seller)
    supplied(session, actor_at(seller.cooperative))
    for one in sellers[1:2]:
        offered(session, first, one)
    few = costs()
    for one in sellers[2:]:
        offered(session, first, one)
    for _ in range(3):
        offered(session, published(session, orderer), seller)
        supplied(session, actor_at(seller.cooperative))
    assert costs() == few
