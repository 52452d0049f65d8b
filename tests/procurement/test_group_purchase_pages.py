"""The pages of group purchases: from the open basket to the packing list, and what a stranger sees of it."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role, User
from marketplace.procurement.group_purchases.closing import close_next_group
from marketplace.procurement.group_purchases.models import GroupPurchase
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.groups import basket, colleague, want
from tests.factories.identity import OrganisationFactory, UserFactory
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import offer
from tests.journeys.paper import Visitor

TYPED = {
    "name": "端午茶油",
    "deadline": "2026-06-03T17:00",
    "paying": "each",
    "recipient_name": "周小梅",
    "recipient_phone": "13800000000",
    "address": "乐安县鳌溪镇迎宾路 1 号",
}


@pytest.mark.databases("sqlite")
def test_colleagues_buy_together_and_strangers_do_not_find_the_way(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    first, second = (UserFactory(organisation=body, granted=(Role.STAFF_BUYER,)) for _ in range(2))
    stranger = UserFactory(organisation=OrganisationFactory(), granted=(Role.STAFF_BUYER,))
    loose = UserFactory(granted=(Role.STAFF_BUYER,))
    visitor, number = Visitor(client), offered.listing.public_no

    client.sign_in(first)
    assert visitor.open("/groups").has("还没有拼单")
    assert visitor.open(f"/groups/put/{number}").has("现在没有可以参加的拼单")
    form = visitor.open("/groups/new")
    refused = visitor.press(form, "发起拼单", **{**TYPED, "deadline": "2026-06-01T09:59"}, status=422)
    assert refused.has("截止时间须晚于现在")
    assert refused.button("发起拼单")[0].values["name"] == TYPED["name"]
    page = visitor.press(refused, "发起拼单", **TYPED)
    assert page.has("端午茶油", "您还没有参加", "拼单中")
    group = session.scalars(select(GroupPurchase)).one()
    path = f"/groups/{group.public_no}"

    client.sign_in(second)
    assert visitor.open("/desk").has("本单位有 1 个拼单可以参加")
    form = visitor.open(visitor.open(f"/products/{number}").link("放进拼单"))
    assert visitor.press(form, "放进拼单", quantity="0", name="小吴", status=422).has("数量须是 1 到 100000")
    page = visitor.press(form, "放进拼单", quantity="3", name="小吴")
    assert page.has("大家一共要的", "3 瓶", "150.00")
    page = visitor.press(page, "改数量", quantity="2")
    assert page.has("100.00")
    visitor.open(f"{path}/packing", status=404)

    for other in (stranger, loose):
        client.sign_in(other)
        visitor.open(path, status=404)
        assert client.post(f"{path}/shares/{number}", data={"quantity": "1"}).status_code == 404
        assert client.post(f"{path}/leave").status_code == 404
    assert visitor.open("/groups").has("您的账号还没有归属单位")

    clock.advance(days=3)
    assert close_next_group(session)
    client.sign_in(second)
    assert visitor.open("/desk").has("拼单已截止，1 笔订单请在一小时内付款")
    assert visitor.open(path).has("您的订单", "100.00", "已下单")
    assert client.post(f"{path}/leave").status_code == 409
    client.sign_in(first)
    assert visitor.open(f"{path}/packing").has("还没有要分装的商品", "小吴", "还没有付款，或订单已取消")


@pytest.mark.databases("sqlite")
def test_the_link_to_pass_on_has_the_address_of_the_site_whatever_it_was_asked_by(
    app: Flask, client: MarketClient, session: Session, clock: HeldClock
) -> None:
    app.config["SETTINGS"].public_url = "https://market.test"
    organiser = colleague(OrganisationFactory())
    group = basket(session, organiser)
    client.sign_in(session.get_one(User, organiser.user_id))
    assert f"https://market.test/groups/{group.public_no}" in client.get(f"/groups/{group.public_no}").text


@pytest.mark.databases("sqlite")
def test_the_page_of_a_large_group_asks_no_more_than_that_of_a_small_one(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    body, offered = OrganisationFactory(), offer(session, CooperativeFactory())
    reader = UserFactory(organisation=body, granted=(Role.STAFF_BUYER,))
    group = basket(session, colleague(body))
    sent = []
    client.sign_in(reader)
    for people in (2, 6):
        for _ in range(people):
            want(session, colleague(body), group, offered, 1)
        client.get(f"/groups/{group.public_no}")
        with page_statements() as heard:
            client.get("/groups")
            client.get(f"/groups/{group.public_no}")
        sent.append(len(heard))
    assert sent[0] == sent[1]
