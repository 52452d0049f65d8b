"""The cart of somebody who has not signed in, and buying once more what was bought before."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.rules import withdraw_listing
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.cart.guest import MOST_LINES
from marketplace.ordering.models import CartLine
from tests.conftest import MarketClient
from tests.factories.identity import PASSWORD, UserFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import buy, offer
from tests.journeys.paper import Visitor


def put(client: MarketClient, number: str, quantity: object = 1) -> str:
    answer = client.post(f"/cart/{number}", data={"quantity": quantity}, follow_redirects=True)
    text: str = answer.text
    return text


def lines(session: Session) -> list[tuple[int, int]]:
    session.expire_all()
    rows = session.execute(select(CartLine.listing_id, CartLine.quantity).order_by(CartLine.listing_id))
    return [(listing_id, quantity) for listing_id, quantity in rows]


def test_a_stranger_fills_a_cart_and_takes_it_along_when_signing_in(
    client: MarketClient, session: Session
) -> None:
    first, second = (offer(session, CooperativeFactory()) for _ in range(2))
    user = UserFactory(granted=(Role.STAFF_BUYER,))
    visitor = Visitor(client)
    put(client, first.listing.public_no, 2)
    page = put(client, first.listing.public_no, 1)
    assert "共 3 件" in page
    put(client, second.listing.public_no, 1)
    page = visitor.open("/cart")
    assert page.has("登录后结算", "200.00")
    page = visitor.press(page, "改数量", nth=1, quantity=5)
    assert page.has("400.00")
    assert lines(session) == []
    page = visitor.press(
        visitor.open(page.link("登录后结算")), "登录", login_name=user.login_name, password=PASSWORD
    )
    assert page.has("填写收货信息", "400.00")
    assert lines(session) == [(first.listing.id, 3), (second.listing.id, 5)]
    assert visitor.open("/cart").has("400.00")


def test_what_was_in_the_own_cart_is_added_to(client: MarketClient, session: Session) -> None:
    offered, user = offer(session, CooperativeFactory()), UserFactory(granted=(Role.STAFF_BUYER,))
    session.add(CartLine(user_id=user.id, kind="personal", listing_id=offered.listing.id, quantity=4))
    session.flush()
    put(client, offered.listing.public_no, 2)
    Visitor(client).press(
        Visitor(client).open("/sign-in"), "登录", login_name=user.login_name, password=PASSWORD
    )
    assert lines(session) == [(offered.listing.id, 6)]


def test_what_is_no_longer_for_sale_stays_behind(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    gone, there = offer(session, cooperative), offer(session, cooperative)
    user = UserFactory(granted=(Role.STAFF_BUYER,))
    for one in (gone, there):
        put(client, one.listing.public_no)
    withdraw_listing(session, actor_at(cooperative), gone.listing)
    session.flush()
    assert "已下架" in client.get("/cart").text
    Visitor(client).press(
        Visitor(client).open("/sign-in"), "登录", login_name=user.login_name, password=PASSWORD
    )
    assert lines(session) == [(there.listing.id, 1)]


def test_somebody_who_may_not_buy_personally_keeps_an_empty_own_cart(
    client: MarketClient, session: Session
) -> None:
    offered, auditor = offer(session, CooperativeFactory()), user_of(BuyerUnitFactory(), Role.UNIT_APPROVER)
    put(client, offered.listing.public_no)
    Visitor(client).press(
        Visitor(client).open("/sign-in"), "登录", login_name=auditor.login_name, password=PASSWORD
    )
    assert lines(session) == []


@pytest.mark.parametrize("quantity", ["0", "-1", "100001", "一", ""])
def test_a_stranger_s_quantity_that_cannot_be_is_refused(
    client: MarketClient, session: Session, quantity: str
) -> None:
    put(client, offer(session, CooperativeFactory()).listing.public_no, quantity)
    assert "还没有选购商品" in client.get("/cart").text


def test_a_cookie_holds_thirty_kinds(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    offers = [offer(session, cooperative) for _ in range(MOST_LINES + 1)]
    pages = [put(client, one.listing.public_no) for one in offers]
    assert "未登录时购物车最多放 30 种商品" in pages[-1]
    assert offers[-1].listing.public_no not in client.get("/cart").text


def test_buying_again_says_what_is_gone(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    gone, there = offer(session, cooperative), offer(session, cooperative)
    user = UserFactory(granted=(Role.STAFF_BUYER,))
    order = buy(session, actor_of(user), (gone, 2), (there, 3))
    withdraw_listing(session, actor_at(cooperative), gone.listing)
    session.commit()
    client.sign_in(user)
    page = Visitor(client).press(Visitor(client).open(f"/orders/{order.public_no}"), "再买一次")
    assert page.has("已放进购物车：山茶油", "现在买不到：山茶油", "150.00")
    assert lines(session) == [(there.listing.id, 3)]
