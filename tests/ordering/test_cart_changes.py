"""What a cart and both checkouts tell and ask, in both languages, about goods that changed since they were put in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import CertificateState
from marketplace.catalog.rules import withdraw_listing
from marketplace.core.clock import today
from marketplace.identity.models import Role
from marketplace.linkage.models import Mechanism
from marketplace.ordering.models import CartLine, Order
from tests.conftest import HeldClock, MarketClient
from tests.factories.certificates import certified
from tests.factories.identity import PASSWORD, UserFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import CategoryFactory, Offer, buy, new_version, offer, staff_buyer
from tests.journeys.paper import Visitor

PLACE = {
    "recipient_name": "周小梅",
    "recipient_phone": "13800000000",
    "address": "鳌溪镇迎宾路 1 号",
}
Change = Callable[[Session, Offer], None]


def _dearer(session: Session, offered: Offer) -> None:
    new_version(session, offered, tiers=((1, 5_500),))


def _smaller_share(session: Session, offered: Offer) -> None:
    new_version(session, offered, terms={Mechanism.CONTRACT_FARMING: 800})


def _renamed(session: Session, offered: Offer) -> None:
    new_version(session, offered, title="山茶籽油")


def _certificate_ended(session: Session, offered: Offer) -> None:
    offered.listing.product.certificates[0].state = CertificateState.SUSPENDED
    session.flush()


TOLD: list[tuple[Change, str, str]] = [
    (_dearer, "单价从 ¥50.00 变为 ¥55.00", "price from ¥50.00 to ¥55.00"),
    (
        _smaller_share,
        "每 100 元归农户的从 ¥10.00 变为 ¥8.00",
        "for households of each 100 yuan from ¥10.00 to ¥8.00",
    ),
    (_renamed, "改了标题", "changed: Title"),
    (_certificate_ended, "“绿色食品”认证已失效", "Green Food"),
]


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    made = offer(session, CooperativeFactory(), units=10)
    certified(made.listing.product, expires_on=date(2027, 1, 1))
    return made


def _sign_in(client: MarketClient, kind: str) -> None:
    client.sign_in(
        UserFactory(granted=(Role.STAFF_BUYER,))
        if kind == "personal"
        else user_of(BuyerUnitFactory(), Role.UNIT_ORDERER)
    )


def _counts(session: Session) -> tuple[int | None, int | None]:
    return (
        session.scalar(select(func.count()).select_from(Order)),
        session.scalar(select(func.count()).select_from(CartLine)),
    )


@pytest.mark.parametrize("kind", ["personal", "canteen"])
@pytest.mark.parametrize(("change", "zh", "en"), TOLD)
def test_each_change_is_told_and_has_to_be_agreed_to(
    client: MarketClient, session: Session, offered: Offer, change: Change, zh: str, en: str, kind: str
) -> None:
    _sign_in(client, kind)
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2", "for": kind})
    visitor, checkout = Visitor(client), "/checkout" if kind == "personal" else "/unit-checkout?for=canteen"
    assert not visitor.open(f"/cart?for={kind}").has("放进购物车以后")
    change(session, offered)
    client.post("/language", data={"locale": "en"})
    assert en in visitor.open(f"/cart?for={kind}").text
    client.post("/language", data={"locale": "zh_CN"})
    assert visitor.open(f"/cart?for={kind}").has("放进购物车以后，有 1 种商品变了", zh)
    page = visitor.open(checkout)
    assert page.has(zh)
    given = PLACE | ({"region": "outside"} if kind == "personal" else {})
    button = "提交订单" if kind == "personal" else "提交审批"
    refused = visitor.press(page, button, status=422, **given)
    assert refused.has("请看过后勾选确认", zh)
    assert refused.button(button)[0].values["address"] == PLACE["address"]
    assert _counts(session) == (0, 1)


def test_changing_the_quantity_on_the_page_that_tells_it_takes_note(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    _sign_in(client, "personal")
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2", "for": "personal"})
    _certificate_ended(session, offered)
    visitor = Visitor(client)
    page = visitor.open("/cart")
    assert page.has("“绿色食品”认证已失效")
    assert not visitor.press(page, "改数量", quantity=3).has("认证已失效")


@pytest.mark.parametrize("kind", ["personal", "canteen"])
def test_what_cannot_be_bought_any_more_is_named_on_cart_and_checkout(
    client: MarketClient, session: Session, offered: Offer, kind: str
) -> None:
    gone, short, lapsed = (offer(session, offered.cooperative, units=10) for _one in range(3))
    CategoryFactory(code="green-tea", needs_certificate=True)
    certified(lapsed.listing.product)
    lapsed.listing.product.category_code = "green-tea"
    session.flush()
    session.expire_all()
    _sign_in(client, kind)
    for one in (gone, short, lapsed):
        client.post(f"/cart/{one.listing.public_no}", data={"quantity": "6", "for": kind})
    withdraw_listing(session, actor_at(offered.cooperative), gone.listing)
    buy(session, staff_buyer(), (short, 7))
    _certificate_ended(session, lapsed)
    told = ("已下架", "现货只有 3 瓶，请减少数量", "认证已失效，暂停销售")
    visitor, checkout = Visitor(client), "/checkout" if kind == "personal" else "/unit-checkout?for=canteen"
    assert visitor.open(f"/cart?for={kind}").has(*told, "请先移除不能购买的商品")
    page = visitor.open(checkout)
    assert page.has(*told, "有 3 种商品现在不能买", "回购物车移除或改数量")
    client.post("/language", data={"locale": "en"})
    assert "Cannot be bought now: 3" in visitor.open(checkout).text
    client.post("/language", data={"locale": "zh_CN"})
    given = PLACE | ({"region": "outside"} if kind == "personal" else {})
    visitor.press(page, "提交订单" if kind == "personal" else "提交审批", status=422, **given)
    assert _counts(session) == (1, 3)


def test_what_is_sold_out_says_so(client: MarketClient, session: Session, offered: Offer) -> None:
    _sign_in(client, "personal")
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "1", "for": "personal"})
    buy(session, staff_buyer(), (offered, 10))
    assert Visitor(client).open("/cart").has("已售完")


def test_a_stranger_is_told_too_and_takes_it_along(
    client: MarketClient, session: Session, offered: Offer, clock: HeldClock
) -> None:
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2"})
    visitor = Visitor(client)
    assert not visitor.open("/cart").has("放进购物车以后")
    new_version(session, offered, tiers=((1, 5_500),))
    clock.advance(days=(date(2027, 1, 2) - today()) // timedelta(days=1))
    told = ("单价从 ¥50.00 变为 ¥55.00", "“绿色食品”认证已失效")
    assert visitor.open("/cart").has(*told)
    user = UserFactory(granted=(Role.STAFF_BUYER,))
    visitor.press(visitor.open("/sign-in"), "登录", login_name=user.login_name, password=PASSWORD)
    assert visitor.open("/checkout").has(*told)
