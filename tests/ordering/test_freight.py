"""Freight: what a sheet asks for a load, who pays it, where the money goes, and what is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.freight.models import FreightRate, FreightSheet
from marketplace.ordering.freight.queries import Load, freight_fen, freight_of, rate_for
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.freight import pass_freight_on
from marketplace.payments.models import Payment, Settlement
from marketplace.payments.settlement import settle_lines
from marketplace.payments.verify import CHECKS
from marketplace.registry.models import Cooperative
from tests.conftest import MarketClient
from tests.factories.identity import UserFactory
from tests.factories.refunds import asked, refunded
from tests.factories.registry import CooperativeFactory, RegionFactory, actor_at, user_of
from tests.factories.trade import buy, deliver, offer, pay_by_card, staff_buyer
from tests.journeys.paper import Visitor

LOCAL, PROVINCE, ELSEWHERE = (
    Rate("361025", 300, 100, 1, 2),
    Rate("36", 800, 200, 2, 4),
    Rate("", 1_200, 500, 3, 7),
)
COUNTY = "361025"
OUTSIDE = ""


def sheet_of(
    session: Session, cooperative: Cooperative, *rates: Rate, free_from_fen: int | None = None
) -> FreightSheet:
    RegionFactory(code=COUNTY)
    return write_freight_sheet(
        session,
        actor_at(cooperative),
        rates=rates or (LOCAL, PROVINCE, ELSEWHERE),
        free_from_fen=free_from_fen,
    )


def found(session: Session, name: str) -> int:
    """How many findings a check has."""
    (result,) = run_checks(session, [check for check in CHECKS if check.name == name])
    return len(result.findings)


@pytest.mark.parametrize(
    ("gross_g", "fen"),
    [(1, 800), (999, 800), (1_000, 800), (1_001, 1_000), (2_000, 1_000), (2_001, 1_200), (10_000, 2_600)],
)
def test_the_first_kilogram_and_each_further_one_begun(gross_g: int, fen: int) -> None:
    assert freight_fen(FreightRate(first_fen=800, further_fen=200), gross_g) == fen


def test_the_smallest_zone_that_holds_the_place_is_charged(session: Session) -> None:
    sheet = sheet_of(session, CooperativeFactory())
    load = Load(gross_g=1_500, goods_fen=5_000)
    asked_for = {place: freight_of(sheet, place, load) for place in (COUNTY, "361021", "360702", OUTSIDE)}
    assert [one.fen for one in asked_for.values() if one] == [400, 1_000, 1_000, 1_700]
    assert asked_for[COUNTY].days == (1, 2)


def test_a_place_without_a_zone_is_not_delivered_to(session: Session) -> None:
    sheet = sheet_of(session, CooperativeFactory(), LOCAL)
    assert rate_for(sheet, OUTSIDE) is None
    assert freight_of(sheet, "360702", Load(1, 1)) is None


def test_without_a_sheet_and_from_a_sum_on_carrying_is_free(session: Session) -> None:
    sheet = sheet_of(session, CooperativeFactory(), free_from_fen=9_900)
    assert freight_of(None, OUTSIDE, Load(9_000, 1)).fen == 0
    assert freight_of(sheet, OUTSIDE, Load(1_000, 9_899)).fen == 1_200
    assert freight_of(sheet, OUTSIDE, Load(1_000, 9_900)).fen == 0


def test_each_cooperative_charges_its_own_and_the_price_of_goods_stays(session: Session) -> None:
    first, second = CooperativeFactory(), CooperativeFactory()
    sheet = sheet_of(session, first)
    offers = [offer(session, first), offer(session, second)]
    order = buy(
        session, staff_buyer(), (offers[0], 3), (offers[1], 1), carriage=Carriage(OUTSIDE, {first.id: 1_700})
    )
    assert [(part.total_fen, part.freight_fen) for part in order.parts] == [(15_000, 1_700), (5_000, 0)]
    assert order.parts[0].freight_sheet_id == sheet.id
    assert order.total_fen == 21_700
    assert [line.net_fen for part in order.parts for line in part.lines] == [15_000, 5_000]


def test_nobody_pays_a_freight_nobody_saw(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    offered, cadre = offer(session, cooperative), staff_buyer()
    for seen in ({}, {cooperative.id: 1_199}, {cooperative.id + 1: 1_200}):
        with pytest.raises(Conflict) as refused:
            buy(session, cadre, (offered, 1), carriage=Carriage(OUTSIDE, seen))
        assert refused.value.code == "freight_changed"
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    session.refresh(offered.lot)
    assert offered.lot.committed_g == 0


def test_a_place_that_is_not_delivered_to_is_no_order(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative, LOCAL)
    with pytest.raises(Refused) as refused:
        buy(session, staff_buyer(), (offer(session, cooperative), 1), carriage=Carriage(OUTSIDE, {}))
    assert (refused.value.code, refused.value.field) == ("not_delivered_there", "region")
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_a_later_sheet_changes_nothing_that_was_ordered(session: Session) -> None:
    cooperative = CooperativeFactory()
    first = sheet_of(session, cooperative)
    offered, cadre = offer(session, cooperative), staff_buyer()
    before = buy(session, cadre, (offered, 1), carriage=Carriage(COUNTY))
    second = sheet_of(session, cooperative, Rate("", 5_000, 0, 1, 1))
    after = buy(session, cadre, (offered, 1), key="the-second-order", carriage=Carriage(COUNTY))
    assert [(order.parts[0].freight_fen, order.parts[0].freight_sheet_id) for order in (before, after)] == [
        (300, first.id),
        (5_000, second.id),
    ]
    assert (first.version, second.version) == (1, 2)


BAD_SHEETS = {
    "no_rates": [],
    "zone_twice": [LOCAL, LOCAL],
    "zone_unknown": [Rate("361099", 1, 1, 1, 1)],
    "freight_fen": [Rate("", -1, 1, 1, 1)],
    "freight_days": [Rate("", 1, 1, 3, 2)],
}


@pytest.mark.parametrize("code", [*BAD_SHEETS, "free_from"])
def test_a_sheet_that_cannot_be_is_refused_and_the_old_one_stays(session: Session, code: str) -> None:
    cooperative = CooperativeFactory()
    kept = sheet_of(session, cooperative)
    with pytest.raises(DomainError) as refused:
        write_freight_sheet(
            session,
            actor_at(cooperative),
            rates=BAD_SHEETS.get(code, [ELSEWHERE]),
            free_from_fen=0 if code == "free_from" else None,
        )
    assert refused.value.code == code
    assert session.scalars(select(FreightSheet.id)).all() == [kept.id]


def test_the_database_refuses_another_cooperatives_sheet_and_a_freight_without_one(session: Session) -> None:
    mine, other = CooperativeFactory(), CooperativeFactory()
    sheet = sheet_of(session, other)
    order = buy(session, staff_buyer(), (offer(session, mine), 1))
    for change in ({"freight_sheet_id": sheet.id}, {"freight_fen": 5}, {"freight_fen": -1}):
        assignments = ", ".join(f"{name} = {value}" for name, value in change.items())
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(text(f"UPDATE order_part SET {assignments}"))
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(FreightRate).values(sheet_id=sheet.id, zone_code="36", first_fen=-1,
                                                   further_fen=0, days_from=1, days_to=1))  # fmt: skip
    session.refresh(order.parts[0])
    assert order.parts[0].freight_fen == 0


def test_freight_goes_whole_to_the_cooperative_once_and_to_no_household(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    cadre = staff_buyer()
    order = buy(session, cadre, (offer(session, cooperative), 2), carriage=Carriage(OUTSIDE))
    payment = pay_by_card(session, cadre, order)
    assert payment.amount_fen == 11_700
    escrow, payable = AccountKey.escrow(cooperative.id), AccountKey.cooperative_payable(cooperative.id)
    assert pass_freight_on(session) == 0
    deliver(session, order.parts[0], cadre)
    assert [pass_freight_on(session), pass_freight_on(session)] == [1, 0]
    settle_lines(session)
    assert session.scalars(select(Settlement.net_fen)).all() == [10_000]
    held = balances(session, [escrow, payable, AccountKey.unallocated(cooperative.id)])
    assert list(held.values()) == [0, 10_700, 1_000]
    assert order.parts[0].freight_passed_at is not None
    assert [result.check.name for result in run_checks(session, CHECKS) if result.findings] == []


def test_calling_off_before_shipping_gives_the_freight_back(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    cadre = staff_buyer()
    order = buy(session, cadre, (offer(session, cooperative), 2), carriage=Carriage(OUTSIDE))
    pay_by_card(session, cadre, order)
    refund = refunded(session, order, 2)
    assert (refund.amount_fen, refund.freight_fen, refund.total_fen) == (10_000, 1_700, 11_700)
    held = balances(session, [AccountKey.escrow(cooperative.id), AccountKey.clearing("card")])
    assert list(held.values()) == [0, 0]
    assert pass_freight_on(session) == 0
    assert found(session, "orders_add_up") == 0


def test_goods_that_were_carried_cost_their_freight(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    cadre = staff_buyer()
    order = buy(session, cadre, (offer(session, cooperative), 2), carriage=Carriage(OUTSIDE))
    pay_by_card(session, cadre, order)
    deliver(session, order.parts[0], cadre)
    refund = asked(session, cadre, order.parts[0], 2)
    assert (refund.amount_fen, refund.freight_fen) == (10_000, 0)


def test_verify_finds_a_changed_freight(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    cadre = staff_buyer()
    order = buy(session, cadre, (offer(session, cooperative), 1), carriage=Carriage(OUTSIDE))
    pay_by_card(session, cadre, order)
    deliver(session, order.parts[0], cadre)
    pass_freight_on(session)
    assert found(session, "freight_is_posted") == 0
    session.execute(text("UPDATE order_part SET freight_fen = freight_fen + 1"))
    assert found(session, "freight_is_posted") == 1
    assert found(session, "orders_add_up") == 1


def test_the_checkout_shows_the_freight_before_it_is_paid(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    visitor = Visitor(client)
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    offered = offer(session, cooperative)
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": 2})
    typed = {"recipient_name": "周小梅", "recipient_phone": "13800000000", "address": "鳌溪镇迎宾路 1 号"}
    page = visitor.open("/checkout")
    assert page.has("选好地区后计算", "100.00")
    page = visitor.press(page, "提交订单", status=422, region=COUNTY, **typed)
    assert page.has("运费已按收货地区重新计算，请核对后再提交", "4.00", "104.00")
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    page = visitor.press(page, "提交订单")
    assert page.has("其中运费", "4.00", "104.00")
    part = session.scalars(select(OrderPart)).unique().one()
    assert (part.freight_fen, part.order.deliver_region_code) == (400, COUNTY)


def test_the_sum_follows_the_address_that_is_chosen(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative, LOCAL)
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    client.post(f"/cart/{offer(session, cooperative).listing.public_no}", data={"quantity": 2})
    here = client.get(f"/checkout/brief?saved=new&region={COUNTY}").text
    assert "104.00" in here
    assert f'value="{cooperative.id}:400"' in here
    assert "不配送" in client.get("/checkout/brief?saved=new&region=outside").text


def test_a_cooperative_writes_its_sheet_and_a_mistake_keeps_what_was_typed(
    client: MarketClient, session: Session
) -> None:
    cooperative = CooperativeFactory()
    RegionFactory(code=COUNTY)
    session.commit()
    client.sign_in(user_of(cooperative))
    visitor = Visitor(client)
    page = visitor.open("/workshop/freight")
    assert page.has("现在对个人订单一律包邮")
    page = visitor.press(page, "保存运费", status=422, **{"rates-0-first": "八元", "free_from": "99"})
    assert page.button("保存运费")[0].values["rates-0-first"] == "八元"
    assert session.scalar(select(func.count()).select_from(FreightSheet)) == 0
    page = visitor.press(page, "保存运费", **{"rates-0-first": "8.00", "rates-2-zone": COUNTY,
        "rates-2-first": "3", "rates-2-further": "1", "rates-2-days_from": "1", "rates-2-days_to": "2"})  # fmt: skip
    assert page.has("运费已更新")
    sheet = session.scalars(select(FreightSheet)).one()
    assert {(rate.zone_code, rate.first_fen) for rate in sheet.rates} == {
        ("36", 800),
        ("", 1_200),
        (COUNTY, 300),
    }
    assert sheet.free_from_fen == 9_900


def test_a_payment_is_asked_with_the_freight(session: Session) -> None:
    cooperative = CooperativeFactory()
    sheet_of(session, cooperative)
    cadre = staff_buyer()
    order = buy(session, cadre, (offer(session, cooperative), 1), carriage=Carriage(COUNTY))
    pay_by_card(session, cadre, order)
    assert session.scalars(select(Payment.amount_fen)).all() == [5_300]
