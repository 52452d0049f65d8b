"""Whom a deployment sells to, for each combination of its two switches: what is offered, refused, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import Settings
from marketplace.app import create_app
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.ordering.cart.rules import put_in_cart
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.rules import ask_card_payment
from marketplace.payments.vouchers.models import VoucherBatch
from marketplace.procurement.group_purchases.models import GroupPurchase
from marketplace.procurement.requests.models import PurchaseRequest
from marketplace.web.transaction import EXTENSION
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, user_of
from tests.factories.trade import bill, buy, offer
from tests.journeys.paper import Visitor

UNITS_OFF = "本站目前只面向个人销售，货款在线支付，没有开通单位采购"
PERSONS_OFF = "本站目前只面向单位销售，没有开通个人购买"
NAMES_OF_TRANSFERS = ("转账", "汇款码", "应付货款", "银行对账", "应收账款")


@contextmanager
def deployed(settings: Settings, session: Session, *, cards: bool, transfers: bool) -> Iterator[MarketClient]:
    """A client of the app with its switches set."""
    wish = {"card_payments": cards, "bank_transfers": transfers}
    app: Flask = create_app(settings.model_copy(update=wish))
    app.config["WTF_CSRF_ENABLED"] = False
    app.test_client_class = MarketClient
    client = app.test_client()
    client.session = session  # type: ignore[attr-defined]
    yield client  # type: ignore[misc]
    app.extensions[EXTENSION].engine.dispose()


def person() -> User:
    user: User = UserFactory(granted=(Role.STAFF_BUYER,))
    return user


def count(session: Session, model: type) -> int:
    session.expire_all()
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_with_both_switches_off_it_does_not_start(settings: Settings) -> None:
    wish = {**settings.model_dump(), "card_payments": False, "bank_transfers": False}
    with pytest.raises(ValidationError, match="CARD_PAYMENTS and BANK_TRANSFERS are both false"):
        Settings(**wish)


@pytest.mark.parametrize(("cards", "starts"), [(True, False), (False, True)])
def test_production_takes_cards_only_with_a_key(settings: Settings, *, cards: bool, starts: bool) -> None:
    wish = {
        **settings.model_dump(),
        "environment": "production",
        "stripe_api_key": "",
        "card_payments": cards,
    }
    if starts:
        assert Settings(**wish).bank_transfers
        return
    with pytest.raises(ValidationError, match="CARD_PAYMENTS needs STRIPE_API_KEY in production"):
        Settings(**wish)


@pytest.mark.parametrize("transfers", [True, False])
@pytest.mark.parametrize("cards", [True, False])
def test_each_combination_serves_whom_it_says(
    settings: Settings, session: Session, *, cards: bool, transfers: bool
) -> None:
    if not cards and not transfers:
        return  # it does not start
    offered, staff = offer(session, CooperativeFactory()), person()
    orderer = user_of(BuyerUnitFactory(), Role.UNIT_ORDERER)
    for user, kind in ((staff, OrderKind.PERSONAL), (orderer, OrderKind.CANTEEN)):
        put_in_cart(session, actor_of(user), kind=kind, listing=offered.listing, quantity=1)
    session.commit()
    with deployed(settings, session, cards=cards, transfers=transfers) as client:
        for user, kind, served, why, checkout in (
            (staff, "personal", cards, PERSONS_OFF, "/checkout"),
            (orderer, "canteen", transfers, UNITS_OFF, "/unit-checkout?for=canteen"),
        ):
            client.sign_in(user)
            visitor = Visitor(client)
            page = visitor.open(f"/cart?for={kind}")
            assert page.has("填写收货信息") is served
            assert page.has(why) is not served
            assert client.get(checkout).status_code == (200 if served else 403)
            assert (why in client.get(checkout).text) is not served
            listing = visitor.open(f"/products/{offered.listing.public_no}")
            assert listing.has(why) is not served
            added = client.post(f"/cart/{offered.listing.public_no}", data={"quantity": 1, "for": kind})
            assert added.status_code == 303
        with client.session_transaction() as cookie:
            cookie.clear()
        assert Visitor(client).open(f"/products/{offered.listing.public_no}").has("放进购物车") is cards
    assert count(session, Order) == 0
    session.expire_all()
    assert set(session.execute(select(CartLine.kind, CartLine.quantity)).all()) == {
        (OrderKind.PERSONAL, 2 if cards else 1),
        (OrderKind.CANTEEN, 2 if transfers else 1),
    }


def test_without_transfers_units_begin_nothing(settings: Settings, session: Session) -> None:
    offered = offer(session, CooperativeFactory())
    orderer = user_of(BuyerUnitFactory(), Role.UNIT_ORDERER)
    session.commit()
    with deployed(settings, session, cards=True, transfers=False) as client:
        client.sign_in(orderer)
        for path in (
            "/requests/new",
            f"/ahead/new/{offered.listing.public_no}",
            "/standing-orders/new",
            "/vouchers/new",
        ):
            for answer in (client.get(path), client.post(path, data={})):
                if answer.status_code == 405:
                    continue
                assert (path, answer.status_code, UNITS_OFF in answer.text) == (path, 403, True)
        page = Visitor(client).open("/groups/new")
        assert page.has("各付各的")
        data = {
            "paying": "union",
            "name": "中秋",
            "recipient_name": "周",
            "recipient_phone": "1",
            "address": "x",
        }
        assert client.post("/groups/new", data=data).status_code == 422
    assert [count(session, model) for model in (PurchaseRequest, VoucherBatch, GroupPurchase)] == [0, 0, 0]


def test_without_transfers_no_page_names_them_until_one_is_awaited(
    settings: Settings, session: Session, clock: HeldClock
) -> None:
    unit, cooperative = BuyerUnitFactory(), CooperativeFactory()
    readers = [
        user_of(unit, Role.UNIT_PAYER, Role.UNIT_ORDERER),
        user_of(cooperative),
        official_with(Role.OPERATOR),
        person(),
    ]
    session.commit()

    def named(client: MarketClient) -> list[bool]:
        found = []
        for reader in readers:
            client.sign_in(reader)
            pages = [Visitor(client).open(path) for path in ("/desk", "/cart", "/")]
            found.append(any(word in page.text for page in pages for word in NAMES_OF_TRANSFERS))
        return found

    with deployed(settings, session, cards=True, transfers=False) as client:
        assert named(client) == [False, False, False, False]
        payment = bill(session, offer(session, cooperative), 1, unit=unit)
        session.commit()
        assert named(client) == [True, True, True, False]
        client.sign_in(readers[0])
        visitor = Visitor(client)
        assert payment.remittance_code is not None
        assert visitor.open("/payables").has("50.00", payment.remittance_code)
        assert visitor.open(f"/payments/{payment.public_no}").has(payment.remittance_code)


def test_without_cards_an_unpaid_personal_order_says_what_is_left_to_do(
    settings: Settings, session: Session, clock: HeldClock
) -> None:
    staff = person()
    order = buy(session, actor_of(staff), (offer(session, CooperativeFactory()), 1))
    session.commit()
    with deployed(settings, session, cards=False, transfers=True) as client:
        client.sign_in(staff)
        page = Visitor(client).open(f"/orders/{order.public_no}")
        assert page.has("本站没有开通在线付款", "用提货券", "取消订单")
        assert not page.has("去付款")
        again = client.post(f"/orders/{order.public_no}/again")
        assert (again.status_code, PERSONS_OFF in again.text) == (403, True)
        assert Visitor(client).open("/groups", status=200).has("发起拼单") is False
    assert count(session, CartLine) == 0


def test_a_payment_begun_before_cards_were_switched_off_stays_in_sight(
    settings: Settings, session: Session, clock: HeldClock
) -> None:
    staff = person()
    order = buy(session, actor_of(staff), (offer(session, CooperativeFactory()), 1))
    payment: Payment = ask_card_payment(session, actor_of(staff), order=order)
    session.commit()
    with deployed(settings, session, cards=False, transfers=True) as client:
        client.sign_in(staff)
        page = Visitor(client).open(f"/payments/{payment.public_no}")
        assert page.has("50.00")
        assert not page.has("继续付款")
    session.expire_all()
    assert payment.state is PaymentState.OPEN
