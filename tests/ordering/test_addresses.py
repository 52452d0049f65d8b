"""Kept addresses: whose they are, which is the default, and what a checkout makes of them."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, User
from marketplace.ordering.addresses.models import SavedAddress
from marketplace.ordering.addresses.queries import address_by_no, addresses_of
from marketplace.ordering.addresses.rules import (
    MOST,
    Place,
    make_default,
    remove_address,
    save_address,
)
from marketplace.ordering.models import Order
from tests.conftest import MarketClient
from tests.factories.identity import UserFactory
from tests.factories.registry import CooperativeFactory, RegionFactory
from tests.factories.trade import offer, staff_buyer
from tests.journeys.paper import Visitor

COUNTY = "361025"
HOME = Place("周小梅", "13800000000", "鳌溪镇迎宾路 1 号", None)
TYPED = {"recipient_name": "周小梅", "recipient_phone": "13800000000", "address": "迎宾路 1 号"}


def kept(session: Session, actor: Actor, count: int) -> list[SavedAddress]:
    return [save_address(session, actor, HOME) for _ in range(count)]


def test_the_first_is_the_default_and_one_at_a_time_is(session: Session) -> None:
    cadre = staff_buyer()
    first, second = kept(session, cadre, 2)
    assert (first.is_default, second.is_default) == (True, False)
    make_default(session, cadre, second)
    session.refresh(first)
    assert (first.is_default, second.is_default) == (False, True)
    assert addresses_of(session, cadre) == [second, first]
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE saved_address SET is_default = true"))


def test_removing_the_default_leaves_the_newest_as_default(session: Session) -> None:
    cadre = staff_buyer()
    first, second, third = kept(session, cadre, 3)
    remove_address(session, cadre, first)
    assert [(one, one.is_default) for one in addresses_of(session, cadre)] == [(third, True), (second, False)]


def test_another_persons_address_does_not_exist(session: Session) -> None:
    (mine,) = kept(session, staff_buyer(), 1)
    other = staff_buyer()
    for rule in (make_default, remove_address):
        with pytest.raises(NotFound):
            rule(session, other, mine)
    with pytest.raises(NotFound):
        address_by_no(session, other, mine.public_no)
    with pytest.raises(NotFound):
        save_address(session, other, HOME, instead=mine)
    assert session.scalar(select(func.count()).select_from(SavedAddress)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"recipient_name": " "}, "recipient_name"),
        ({"address": "路" * 201}, "address"),
        ({"region_code": "361099"}, "region"),
        ({"region_code": "36"}, "region"),
    ],
)
def test_what_is_no_place_is_not_kept(session: Session, changes: dict[str, str], field: str) -> None:
    RegionFactory(code=COUNTY)
    with pytest.raises(Refused) as refused:
        save_address(session, staff_buyer(), Place(**{**vars(HOME), **changes}))
    assert refused.value.field == field
    assert session.scalar(select(func.count()).select_from(SavedAddress)) == 0


def test_twenty_are_enough(session: Session) -> None:
    cadre = staff_buyer()
    kept(session, cadre, MOST)
    with pytest.raises(Refused) as refused:
        kept(session, cadre, 1)
    assert refused.value.code == "too_many_addresses"
    assert len(addresses_of(session, cadre)) == MOST


@pytest.fixture
def cadre(client: MarketClient, session: Session) -> User:
    user: User = UserFactory(granted=(Role.STAFF_BUYER,))
    RegionFactory(code=COUNTY)
    client.sign_in(user)
    return user


def test_addresses_are_kept_changed_and_removed_on_the_page(
    client: MarketClient, session: Session, cadre: User
) -> None:
    visitor = Visitor(client)
    assert visitor.open("/account/addresses").has("还没有保存地址")
    page = visitor.press(visitor.open("/account/addresses/new"), "保存", status=422, **TYPED)
    assert page.has("请选择收货地区")
    page = visitor.press(page, "保存", region=COUNTY)
    assert page.has("地址已保存", "周小梅", "默认")
    page = visitor.press(visitor.open(page.link("修改")), "保存", recipient_name="周大梅")
    assert page.has("周大梅")
    assert visitor.press(page, "删除").has("地址已删除", "还没有保存地址")


def test_a_new_address_is_kept_at_the_checkout_and_chosen_at_the_next(
    client: MarketClient, session: Session, cadre: User
) -> None:
    visitor, offered = Visitor(client), offer(session, CooperativeFactory())
    for _ in range(2):
        client.post(f"/cart/{offered.listing.public_no}", data={"quantity": 1})
        page = visitor.open("/checkout")
        given = {} if page.has("用新地址") else {**TYPED, "region": COUNTY}
        visitor.press(page, "提交订单", **given)
    orders = session.scalars(select(Order).order_by(Order.id)).unique().all()
    assert [(order.address, order.deliver_region_code) for order in orders] == [("迎宾路 1 号", COUNTY)] * 2
    assert session.scalar(select(func.count()).select_from(SavedAddress)) == 1


def test_an_address_of_somebody_else_cannot_be_chosen(
    client: MarketClient, session: Session, cadre: User
) -> None:
    (other,) = kept(session, staff_buyer(), 1)
    offered = offer(session, CooperativeFactory())
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": 1})
    page = Visitor(client).press(
        Visitor(client).open("/checkout"), "提交订单", status=422, saved=other.public_no, recipient_name=""
    )
    assert not page.has(other.address)
    assert session.scalar(select(func.count()).select_from(Order)) == 0
