"""The pages of standing orders, as the people of a school and of a cooperative use them without scripts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role
from marketplace.ordering.models import Order
from marketplace.procurement.standing.models import StandingOrder, StandingState, UnitSpan, WindowState
from marketplace.procurement.standing.windows import propose_substitute
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.registry import BuyerUnitFactory, user_of
from tests.factories.trade import PRICE_FEN, new_version, offer
from tests.journeys.paper import Visitor
from tests.procurement.standing_world import LATER, NEXT, School
from tests.procurement.test_standing_generation import CUT_OFF


@pytest.fixture
def school(session: Session, clock: HeldClock) -> School:
    return School(session)


def typed(school: School, **changes: Any) -> dict[str, Any]:
    row = f"line-{school.oil.listing.public_no}"
    plan = {
        "name": "每周两次的油",
        "weekdays": ["0", "3"],
        "every_weeks": "1",
        "starts_on": "2026-06-01",
        "ends_on": "2026-06-18",
        "slot_from": "08:00",
        "slot_to": "10:00",
        "cutoff_days": "1",
        "cutoff_time": "16:00",
        "recipient_name": "周小梅",
        "recipient_phone": "13800000000",
        "address": "乐安县鳌溪镇迎宾路 1 号",
        f"{row}-quantity": "5",
        f"{row}-rule": "ceiling",
        f"{row}-price": "50.00",
        "idempotency_key": "the-key-of-this-form",
    }
    return {**plan, **changes}


def test_a_standing_order_from_the_form_to_the_delivered_order(
    client: MarketClient, session: Session, school: School, clock: HeldClock, work: Any
) -> None:
    unit, visitor = school.unit, Visitor(client)
    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    assert visitor.open("/standing-orders/coming").has("今后四周没有定期送货")
    assert visitor.open("/standing-orders").has("还没有长期订单")
    path = f"/standing-orders/new/{school.cooperative.public_no}"
    assert visitor.open("/standing-orders/new").has(school.cooperative.name, "山茶油")
    assert 'href="/standing-orders/coming" aria-current="true"' in client.get("/standing-orders/new").text
    assert visitor.open(path).has("每周送货的日子")
    low = {f"line-{school.oil.listing.public_no}-price": "49.99"}
    check = client.post(path, data=typed(school, **low))
    assert "上限低于今天的价格" in check.text
    assert session.scalar(select(func.count()).select_from(StandingOrder)) == 0
    check = client.post(path, data=typed(school))
    assert check.status_code == 200
    assert "上限低于今天的价格" not in check.text
    assert "1,250.00" in check.text  # five windows of 250.00
    again = client.post(path, data=typed(school, step="edit"))
    assert 'value="每周两次的油"' in again.text
    for _ in range(2):  # pressed twice
        sent = client.post(path, data=typed(school, step="send"))
        assert sent.status_code == 303
    standing = session.scalars(select(StandingOrder)).one()
    own = f"/standing-orders/{standing.public_no}"

    client.sign_in(user_of(unit, Role.UNIT_APPROVER))
    wrong = client.post(f"{own}/approve", data={"up_to": "很多", "up_to_windows": "5"})
    assert (wrong.status_code, "单价须是金额" in wrong.text) == (422, True)
    visitor.press(visitor.open(own), "批准长期订单", up_to="1250.00", up_to_windows="5")
    client.sign_in(user_of(school.cooperative, Role.COOPERATIVE_CLERK))
    assert visitor.open("/standing-supply").has("核对并确认供货")
    number = f"capacity-{school.oil.listing.public_no}"
    visitor.press(visitor.open(own), "确认供货", **{number: "4"})
    session.expire_all()
    assert standing.state is StandingState.AWAITING_CONFIRMATION
    visitor.press(visitor.open(own), "确认供货", **{number: "20"})
    assert visitor.open("/standing-supply").has("备货计划", "2.5")

    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    assert visitor.open("/standing-orders/coming").has("每周两次的油", "山茶油 × 5 瓶")
    later = f"{own}/windows/{LATER.isoformat()}"
    refused = visitor.press(visitor.open(later), "保存这一次", status=422, reason="有活动")
    assert refused.has("没有任何改动")
    number = f"units-{school.oil.listing.public_no}"
    visitor.press(visitor.open(later), "保存这一次", reason="有活动", **{number: "7"})
    assert visitor.open(later).has("已改", "只改这一次")
    third = f"{own}/windows/2026-06-11"
    visitor.press(visitor.open(third), "跳过这一次", reason="秋游")
    assert school.states(standing)[date(2026, 6, 11)] is WindowState.SKIPPED
    clock.set_to(CUT_OFF)
    work("generate deliveries")
    order = session.scalars(select(Order)).one()
    assert visitor.open("/standing-orders/coming").has("已下单", "查看订单")
    late = client.post(f"{own}/windows/{NEXT.isoformat()}/skip", data={"reason": "秋游"})
    assert late.status_code == 409
    assert visitor.open(f"/orders/{order.public_no}").has("08:00-10:00")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weekdays": []}, "请至少选一个星期几"),
        ({"ends_on": "2026-05-01"}, "结束日期早于开始日期"),
        ({"ends_on": "2029-06-01"}, "最多两年"),
        ({"ends_on": "2026-06-03"}, "没有一次送货"),
        ({"cutoff_days": "0"}, "截止时间须早于送货时段"),
        ({"price": "0"}, "单价须大于零"),
        ({"price": "五十"}, "单价须是金额"),
        ({"quantity": ""}, "请至少为一种商品填写数量"),
        ({"quantity": "-5"}, "数量须是整数"),
    ],
)
def test_what_cannot_be_is_said_and_what_was_typed_is_kept(
    client: MarketClient, session: Session, school: School, changes: dict, words: str
) -> None:
    client.sign_in(user_of(school.unit, Role.UNIT_ORDERER))
    row = f"line-{school.oil.listing.public_no}"
    data = typed(school)
    for name, value in changes.items():
        data[f"{row}-{name}" if name in ("price", "quantity") else name] = value
    path = f"/standing-orders/new/{school.cooperative.public_no}"
    answer = client.post(path, data={**data, "step": "send"})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="每周两次的油"' in answer.text
    assert session.scalar(select(func.count()).select_from(StandingOrder)) == 0


def test_a_held_delivery_and_a_substitute_wait_on_the_desk(
    client: MarketClient, session: Session, school: School, clock: HeldClock, work: Any
) -> None:
    standing, rice = school.running(), offer(session, school.cooperative, tiers=((1, 4_000),))
    new_version(session, school.oil, tiers=((1, PRICE_FEN + 1),))
    propose_substitute(
        session, school.clerk, school.window(standing, LATER), listing=school.oil.listing,
        substitute=rice.listing, quantity=5, unit_price_fen=4_000, reason="茶油缺货",
    )  # fmt: skip
    clock.set_to(CUT_OFF)
    work("generate deliveries")
    visitor = Visitor(client)
    client.sign_in(user_of(school.unit, Role.UNIT_ORDERER))
    assert visitor.open("/desk").has("1 次定期送货暂缓，请处理", "1 个替代品待答复")
    assert visitor.open("/standing-orders/attention").has("价格高于上限")
    own = f"/standing-orders/{standing.public_no}/windows"
    page = visitor.open(f"{own}/{NEXT.isoformat()}")
    assert page.has("这一次没有自动下单", "价格高于上限")
    visitor.press(page, "照这样下单", reason="接受", accepts_prices="y")
    work("generate deliveries")
    assert session.scalar(select(Order.total_fen)) == 5 * (PRICE_FEN + 1)
    visitor.press(visitor.open(f"{own}/{LATER.isoformat()}"), "同意替代")
    assert visitor.open(f"{own}/{LATER.isoformat()}").has("40.00", "同意替代")


def test_the_year_of_a_school(client: MarketClient, session: Session, school: School) -> None:
    standing, visitor = school.running(), Visitor(client)
    client.sign_in(user_of(school.unit, Role.UNIT_ORDERER))
    page = visitor.open("/unit/year")
    assert page.has("还没有登记学期或假期", "国庆节", "端午节")
    holiday = {"kind": "holiday", "name": "考试周", "starts_on": "2026-06-08", "ends_on": "2026-06-07"}
    assert visitor.press(page, "登记", status=422, **holiday).has("结束日期早于开始日期")
    assert visitor.press(page, "登记", **{**holiday, "ends_on": "2026-06-11"}).has("跳过 2 次送货", "考试周")
    again = visitor.press(page, "登记", status=422, **{**holiday, "ends_on": "2026-06-12"})
    assert again.has("已经登记过了")
    states = school.states(standing)
    assert [day for day, state in states.items() if state is WindowState.SKIPPED] == [
        LATER,
        date(2026, 6, 11),
    ]
    span = session.scalars(select(UnitSpan)).one()
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_ORDERER))
    assert client.post(f"/unit/year/{span.id}/remove").status_code == 404
    client.sign_in(user_of(school.unit, Role.UNIT_ORDERER))
    visitor.press(visitor.open("/unit/year"), "删去")
    assert session.scalar(select(func.count()).select_from(UnitSpan)) == 0


@pytest.mark.databases("sqlite")
def test_another_s_standing_order_is_not_found(
    client: MarketClient, session: Session, school: School
) -> None:
    standing = school.running()
    own = f"/standing-orders/{standing.public_no}"
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_ORDERER, Role.UNIT_APPROVER))
    for path in (own, f"{own}/windows/{NEXT.isoformat()}", "/standing-orders/CD-0000000000"):
        assert client.get(path).status_code == 404
    for path in ("approve", "pause", "end", f"windows/{NEXT.isoformat()}/skip"):
        data = {"reason": "停", "up_to": "1", "up_to_windows": "1"}
        assert client.post(f"{own}/{path}", data=data).status_code == 404
    client.sign_in(user_of(school.unit, Role.UNIT_RECEIVER))
    assert client.get(own).status_code == 200
    assert client.post(f"{own}/end", data={"reason": "停"}).status_code == 403
    session.expire_all()
    assert standing.state is StandingState.ACTIVE


@pytest.mark.databases("sqlite")
def test_the_lists_do_not_cost_by_the_row(
    client: MarketClient, session: Session, school: School, page_statements: Listening
) -> None:
    standing = school.running()
    seller, buyer = (
        user_of(school.cooperative, Role.COOPERATIVE_CLERK),
        user_of(school.unit, Role.UNIT_ORDERER),
    )
    counts = []
    for size in (1, 12):
        for n in range(size):
            school.running(school.plan([school.wish(quantity=1)]), key=f"one-more-order-{size}-{n}")
        counts.append([])
        for who, path in (
            (buyer, "/standing-orders"),
            (buyer, "/standing-orders/coming"),
            (buyer, f"/standing-orders/{standing.public_no}"),
            (seller, "/standing-supply"),
        ):
            client.sign_in(who)
            client.get(path)
            with page_statements() as sent:
                assert client.get(path).status_code == 200
            counts[-1].append(len(sent))
    assert counts[0] == counts[1]
