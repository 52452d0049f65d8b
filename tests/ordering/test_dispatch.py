"""When a cooperative delivers: set on its desk, told on the product's page, asked and hinted at by both checkouts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.addresses.rules import Place, save_address
from marketplace.ordering.dispatch.days import arrival, first_day, leaves, mask_of, weekdays_of
from marketplace.ordering.dispatch.models import DispatchPlan
from marketplace.ordering.dispatch.queries import current_plans, leaving_day
from marketplace.ordering.dispatch.rules import write_dispatch_plan
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.ordering.models import Order, OrderKind
from marketplace.procurement.checkout.rules import place_unit_order
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, actor_with
from tests.factories.registry import (
    COUNTY,
    BuyerUnitFactory,
    CooperativeFactory,
    RegionFactory,
    actor_at,
    user_of,
)
from tests.factories.trade import DELIVERY, Offer, offer
from tests.journeys.paper import Visitor

MONDAY = date(2026, 6, 1)
TUE_FRI = (1, 4)


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    clock.set_to(clock.now.replace(year=2026, month=6, day=1, hour=2))
    assert today() == MONDAY
    return offer(session, CooperativeFactory(), units=100)


def write(
    session: Session, offered: Offer, weekdays: tuple[int, ...] = TUE_FRI, lead_days: int = 2
) -> DispatchPlan:
    return write_dispatch_plan(session, actor_at(offered.cooperative), weekdays=weekdays, lead_days=lead_days)


# --- arithmetic ---


def test_days_on_which_goods_leave() -> None:
    mask = mask_of(TUE_FRI)
    assert (mask, weekdays_of(mask), weekdays_of(127)) == (0b10010, [1, 4], list(range(7)))
    assert [
        day for day in range(7) if leaves(MONDAY + timedelta(days=day), MONDAY, weekdays=mask, lead_days=2)
    ] == [4]
    assert first_day(MONDAY, [(mask, 2)], not_before=MONDAY) == date(2026, 6, 5)
    assert first_day(MONDAY, [(mask, 0)], not_before=MONDAY) == date(2026, 6, 2)
    assert first_day(MONDAY, [(mask, 5)], not_before=MONDAY) == date(2026, 6, 9)
    assert first_day(MONDAY, [(mask, 0), (1 << 4, 0)], not_before=MONDAY) == date(2026, 6, 5)
    assert first_day(MONDAY, [(1 << 1, 0), (1 << 4, 0)], not_before=MONDAY) is None
    assert first_day(MONDAY, [], not_before=MONDAY) == MONDAY
    assert arrival(date(2026, 6, 5), (2, 4)) == (date(2026, 6, 7), date(2026, 6, 9))


# --- the desk ---


@pytest.mark.parametrize(
    ("weekdays", "lead_days", "field"),
    [
        ((), 1, "weekdays"),
        ((7,), 1, "weekdays"),
        ((-1,), 1, "weekdays"),
        ((1,), -1, "lead_days"),
        ((1,), 31, "lead_days"),
    ],
)
def test_days_that_cannot_be_are_refused(
    session: Session, offered: Offer, weekdays: tuple[int, ...], lead_days: int, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        write(session, offered, weekdays, lead_days)
    assert refused.value.field == field
    for actor in (actor_with(Role.STAFF_BUYER), actor_with(Role.COUNTY_REVIEWER)):
        with pytest.raises(Forbidden):
            write_dispatch_plan(session, actor, weekdays=(1,), lead_days=1)
    assert session.scalar(select(func.count()).select_from(DispatchPlan)) == 0


def test_a_plan_follows_the_one_before_and_none_changes(session: Session, offered: Offer) -> None:
    write(session, offered)
    second = write(session, offered, (0,), 0)
    assert current_plans(session, [offered.cooperative.id])[offered.cooperative.id].id == second.id
    for values in ({"lead_days": 9}, {"weekdays": 1}):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(update(DispatchPlan).values(**values))
    for weekdays, lead_days in ((0, 1), (128, 1), (1, 31), (1, -1)):
        row = DispatchPlan(
            cooperative_id=offered.cooperative.id, version=3, weekdays=weekdays, lead_days=lead_days
        )
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(row)
    assert session.scalar(select(func.count()).select_from(DispatchPlan)) == 2
    assert leaving_day(None, MONDAY) is None


def test_the_page_keeps_what_was_typed(client: MarketClient, session: Session, offered: Offer) -> None:
    client.sign_in(user_of(offered.cooperative))
    visitor = Visitor(client)
    page = visitor.open("/workshop/dispatch")
    assert page.has("还没有说明送货日", "周一", "备货天数")
    refused = client.post("/workshop/dispatch", data={"lead_days": "3"})
    assert refused.status_code == 422
    assert "请至少选一个星期几" in refused.text
    assert 'value="3"' in refused.text
    refused = client.post("/workshop/dispatch", data={"lead_days": "四十", "weekdays": ["1"]})
    assert refused.status_code == 422
    assert session.scalar(select(func.count()).select_from(DispatchPlan)) == 0
    client.post("/workshop/dispatch", data={"lead_days": "2", "weekdays": ["1", "4"]})
    assert visitor.open("/workshop/dispatch").has("送货日已更新", "现在下单，最早 2026年6月5日 发出")


# --- the product's page ---


def test_the_product_s_page_tells_when_where_to_and_for_how_much(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    visitor, path = Visitor(client), f"/products/{offered.listing.public_no}"
    assert visitor.open(path).has("什么时候送到，运费多少", "由合作社在接单时告知", "这家合作社包邮")
    write(session, offered)
    manager = actor_at(offered.cooperative)
    RegionFactory(code=COUNTY)
    write_freight_sheet(session, manager, rates=[Rate(COUNTY, 400, 100, 1, 2)], free_from_fen=9_900)
    page = visitor.open(path)
    assert page.has("周二、周五", "下单后 2 天内备好", "满 ¥99.00 包邮", "4.00")
    assert not page.has("预计送到")
    page = visitor.open(f"{path}?to={COUNTY}")
    assert page.has("2026年6月5日 发出", "2026年6月6日 到 2026年6月7日", "4.00")
    assert visitor.open(f"{path}?to=outside").has("一件送到江西省以外", "不配送")
    for nonsense in ("x", "999999", "3610251", "<b>"):
        assert not visitor.open(f"{path}?to={nonsense}").has("一件送到")


def test_the_reader_s_own_place_comes_first(client: MarketClient, session: Session, offered: Offer) -> None:
    write(session, offered)
    RegionFactory(code=COUNTY)
    path, user = f"/products/{offered.listing.public_no}", UserFactory(granted=(Role.STAFF_BUYER,))
    client.sign_in(user)
    save_address(session, actor_of(user), Place("周小梅", "13800000000", "迎宾路 1 号", COUNTY))
    assert Visitor(client).open(path).has("一件送到", "2026年6月5日 发出")
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_ORDERER))
    assert Visitor(client).open(path).has("按货价送到，不另收运费", "一件送到")


# --- the checkouts ---


def _unit_order(session: Session, offered: list[Offer], deliver_on: date) -> Order:
    RegionFactory(code=COUNTY)
    unit = BuyerUnitFactory()
    user_of(unit, Role.UNIT_APPROVER)
    facts: dict[str, Any] = {
        "kind": OrderKind.CANTEEN, "idempotency_key": f"a-unit-s-order-{deliver_on}", "delivery": DELIVERY,
        "lines": [(one.listing.public_no, 1) for one in offered], "deliver_on": deliver_on,
    }  # fmt: skip
    return place_unit_order(session, actor_at(unit, Role.UNIT_ORDERER), **facts)


def test_a_unit_is_told_the_next_day_that_does(session: Session, offered: Offer) -> None:
    write(session, offered)
    for day, next_day in ((2, "2026-06-05"), (3, "2026-06-05"), (6, "2026-06-09")):
        with pytest.raises(DomainError) as refused, session.begin_nested():
            _unit_order(session, [offered], date(2026, 6, day))
        assert (refused.value.code, refused.value.field) == ("not_delivered_then", "deliver_on")
        assert refused.value.params["day"] == next_day
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    session.refresh(offered.lot)
    assert offered.lot.committed_g == 0
    assert _unit_order(session, [offered], date(2026, 6, 5)).deliver_on == date(2026, 6, 5)


def test_cooperatives_without_a_common_day_are_ordered_from_apart(session: Session, offered: Offer) -> None:
    other = offer(session, CooperativeFactory())
    write(session, offered, (1,), 0)
    write(session, other, (3,), 0)
    with pytest.raises(DomainError) as refused, session.begin_nested():
        _unit_order(session, [offered, other], date(2026, 6, 2))
    assert refused.value.code == "no_common_day"
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_one_that_has_not_said_is_not_asked(session: Session, offered: Offer) -> None:
    assert _unit_order(session, [offered], MONDAY).deliver_on == MONDAY


def test_the_unit_s_checkout_proposes_a_day_that_does_and_keeps_what_was_typed(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    write(session, offered, (6,), 0)
    unit = BuyerUnitFactory()
    user_of(unit, Role.UNIT_APPROVER)
    client.sign_in(user_of(unit, Role.UNIT_ORDERER))
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2", "for": "canteen"})
    visitor = Visitor(client)
    page = visitor.open("/unit-checkout?for=canteen")
    assert page.has("送货日 周日，提前 0 天下单")
    assert page.button("提交审批")[0].values["deliver_on"] == "2026-06-07"
    refused = visitor.press(page, "提交审批", status=422, deliver_on="2026-06-08")
    assert refused.has("最近可以选 2026年6月14日")
    assert refused.button("提交审批")[0].values["deliver_on"] == "2026-06-08"
    visitor.press(refused, "提交审批", deliver_on="2026-06-14")
    assert session.scalar(select(Order.deliver_on)) == date(2026, 6, 14)


def test_the_personal_checkout_tells_when_it_comes(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    write(session, offered)
    RegionFactory(code=COUNTY)
    write_freight_sheet(
        session, actor_at(offered.cooperative), rates=[Rate(COUNTY, 400, 100, 1, 2)], free_from_fen=None
    )
    user = UserFactory(granted=(Role.STAFF_BUYER,))
    save_address(session, actor_of(user), Place("周小梅", "13800000000", "迎宾路 1 号", COUNTY))
    client.sign_in(user)
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2", "for": "personal"})
    assert Visitor(client).open("/checkout").has("预计送到", "2026年6月6日 到 2026年6月7日", "5.00")
