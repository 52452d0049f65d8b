"""Paying on line through the pages and the emulated provider: each means, each way it can fail, never twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from flask import Flask
from flask_babel import force_locale, gettext
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.ids import random_key
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.ordering.models import Order
from marketplace.ordering.states import PartState
from marketplace.payments.gateways.protocol import OnlineMethod
from marketplace.payments.models import GatewayNotice, NoticeOutcome, Payment, PaymentState
from marketplace.payments.online.models import AttemptState, PaymentAttempt
from marketplace.payments.online.rules import choose_method
from marketplace.payments.online.words import FAILURES, failure_words
from marketplace.payments.rules import ask_card_payment
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import buy, offer, staff_buyer
from tests.journeys.paper import Visitor
from tests.payments.stripe_world import API_KEY, SECRET, WAIT_S, StripeWorld

EVERY = tuple(OnlineMethod)


@pytest.fixture
def settings(settings: Settings, stripe_emulator: StripeWorld) -> Settings:
    wish = {
        "stripe_api_base": stripe_emulator.base_url,
        "stripe_api_key": API_KEY,
        "stripe_webhook_secret": SECRET,
        "card_methods": "card,alipay,wechat_pay",
    }
    return settings.model_copy(update=wish)


class Till:
    """One buyer with one unpaid order, her pages, and the provider."""

    def __init__(
        self, client: MarketClient, session: Session, stripe: StripeWorld, work: Callable[..., None]
    ):
        self.client, self.session, self.stripe, self._work = client, session, stripe, work
        self.user: User = UserFactory()
        self.offer = offer(session, CooperativeFactory())
        self.order: Order = buy(session, actor_of(self.user), (self.offer, 2), key=random_key())
        session.commit()
        client.sign_in(self.user)
        client.post(f"/orders/{self.order.public_no}/pay")
        self.payment: Payment = session.scalars(select(Payment)).one()
        self.here = f"/payments/{self.payment.public_no}"
        self._told = 0

    def choose(self, method: str) -> str:
        """Press the button; where the checkout leads to."""
        answer = self.client.post(f"{self.here}/method", data={"method": method})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{self.here}/checkout")
        return self.follow()

    def follow(self) -> str:
        where = f"{self.here}/checkout"
        while where == f"{self.here}/checkout":
            where = self.client.get(where).headers["Location"]
        return where

    def page(self):
        return Visitor(self.client).open(self.here)

    def hear(self) -> None:
        """Take in what the provider sent since, and apply it."""
        self.stripe.deliveries()
        for body, signature in self.stripe.inbox.messages[self._told :]:
            answer = self.client.post("/webhooks/stripe", data=body, headers={"Stripe-Signature": signature})
            assert answer.status_code == 204
            self._told += 1
        self._work("apply notices")

    def work(self, *names: str) -> None:
        self._work(*names)

    def attempts(self) -> list[tuple[OnlineMethod, AttemptState]]:
        rows = self.session.scalars(select(PaymentAttempt).order_by(PaymentAttempt.number))
        return [(row.method, row.state) for row in rows]

    def ref(self) -> str:
        ref = self.session.scalars(
            select(PaymentAttempt.provider_ref).order_by(PaymentAttempt.number.desc())
        ).first()
        assert ref is not None
        return ref

    def money(self) -> tuple[int, int]:
        keys = AccountKey.clearing("card"), AccountKey.escrow(self.offer.cooperative.id)
        found = balances(self.session, keys)
        return found.get(keys[0], 0), found.get(keys[1], 0)

    def is_payable(self) -> bool:
        states = {part.state for part in self.order.parts}
        return (
            self.payment.state is PaymentState.OPEN
            and states == {PartState.AWAITING_PAYMENT}
            and self.money() == (0, 0)
        )


@pytest.fixture
def till(
    client: MarketClient, session: Session, stripe_emulator: StripeWorld, work: Callable[..., None]
) -> Till:
    return Till(client, session, stripe_emulator, work)


def test_the_page_offers_each_means_with_the_amount(till: Till) -> None:
    page = till.page()
    assert page.has("应付金额", "100.00", "银行卡", "支付宝", "微信支付", "继续付款")
    assert till.attempts() == []


def test_a_card_is_paid_on_a_page_that_takes_cards_alone(till: Till) -> None:
    where = till.choose("card")
    assert where.startswith(f"{till.stripe.base_url}/c/pay/cs_")
    session = till.stripe.client().v1.checkout.sessions.retrieve(till.ref())
    assert session.payment_method_types == ["card"]
    assert till.follow() == where  # coming back opens no second one
    till.stripe.pay(till.ref())
    till.hear()
    assert till.page().has("付款成功")
    assert till.money() == (10_000, 10_000)
    assert till.attempts() == [(OnlineMethod.CARD, AttemptState.PAID)]


def test_alipay_leads_to_its_own_page_and_back(till: Till) -> None:
    where = till.choose("alipay")
    assert where == f"{till.stripe.base_url}/c/authorize/{till.ref()}"
    back = requests.post(where, data={"answer": "agree"}, allow_redirects=False, timeout=WAIT_S)
    assert back.headers["Location"].startswith(f"http://localhost{till.here}?payment_intent=pi_")
    till.hear()
    assert till.page().has("付款成功")
    assert till.money() == (10_000, 10_000)
    assert (till.payment.provider_payment_ref, till.payment.provider_ref) == (till.ref(), till.ref())


def test_wechat_shows_a_code_to_scan_that_works_without_scripts(till: Till) -> None:
    assert till.choose("wechat_pay") == till.here
    text = till.client.get(till.here).text
    assert "data:image/svg+xml" in text
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in text
    assert till.page().has("等待扫码", "请用微信扫描下面的二维码付款", "我已付款，查看结果")
    scanned = f"{till.stripe.base_url}/c/authorize/{till.ref()}"
    assert till.page().link("去微信付款") == scanned
    requests.post(scanned, data={"answer": "agree"}, allow_redirects=False, timeout=WAIT_S)
    assert till.page().has("付款成功")  # the page asks the provider; no message came yet
    till.hear()
    assert till.money() == (10_000, 10_000)


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ("pm_card_visa_chargeDeclined", "发卡行没有同意这笔付款"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "卡内余额不足"),
        ("pm_card_chargeDeclinedExpiredCard", "这张卡已过期"),
        ("pm_card_chargeDeclinedIncorrectCvc", "安全码不正确"),
    ],
)
@pytest.mark.databases("sqlite")
def test_a_declined_card_says_what_to_do_and_the_order_stays_payable(
    till: Till, means: str, words: str
) -> None:
    where = till.choose("card")
    till.stripe.pay(till.ref(), means)
    till.hear()
    assert till.page().has("付款没有成功", words, "没有扣款", "继续付款")
    assert till.is_payable()
    assert till.follow() == where


@pytest.mark.parametrize("wish", [{}, {"agree": False}])
def test_a_confirmation_that_is_abandoned_leaves_the_order_payable(till: Till, wish: dict[str, bool]) -> None:
    till.choose("card")
    till.stripe.pay(till.ref(), "pm_card_threeDSecure2Required", **wish)
    till.hear()
    assert till.page().has("验证没有完成，没有扣款" if wish else "等待到账", "继续付款")
    assert till.is_payable()
    till.stripe.pay(till.ref(), "pm_card_visa")
    till.hear()
    assert till.page().has("付款成功")


def test_a_wallet_that_was_refused_may_be_tried_again(till: Till) -> None:
    where = till.choose("alipay")
    requests.post(where, data={"answer": "refuse"}, allow_redirects=False, timeout=WAIT_S)
    till.hear()
    assert till.page().has("付款没有成功", "验证没有完成")
    assert till.is_payable()
    till.choose("card")
    till.stripe.pay(till.ref())
    till.hear()
    assert till.money() == (10_000, 10_000)
    assert till.attempts() == [
        (OnlineMethod.ALIPAY, AttemptState.CLOSED),
        (OnlineMethod.CARD, AttemptState.PAID),
    ]


def test_another_means_closes_the_page_that_was_open(till: Till) -> None:
    till.choose("card")
    first = till.ref()
    till.choose("wechat_pay")
    client = till.stripe.client()
    assert client.v1.checkout.sessions.retrieve(first).status == "expired"
    till.choose("card")
    assert till.ref() != first
    till.hear()  # the ends of the pages that were left change nothing
    assert till.is_payable()
    assert till.attempts() == [
        (OnlineMethod.CARD, AttemptState.CLOSED),
        (OnlineMethod.WECHAT_PAY, AttemptState.CLOSED),
        (OnlineMethod.CARD, AttemptState.OPEN),
    ]


def test_what_was_paid_at_the_page_that_is_left_needs_no_other_page(till: Till) -> None:
    till.choose("card")
    till.stripe.pay(till.ref())  # the message has not come yet
    assert till.choose("alipay") == till.here
    assert till.page().has("付款成功")
    assert till.money() == (10_000, 10_000)
    assert till.session.scalar(select(func.count()).select_from(PaymentAttempt)) == 2
    till.work("close left pages")
    till.hear()
    assert till.money() == (10_000, 10_000)
    assert till.attempts() == [
        (OnlineMethod.CARD, AttemptState.PAID),
        (OnlineMethod.ALIPAY, AttemptState.CLOSED),
    ]


def test_no_second_page_is_opened_while_the_first_cannot_be_closed(till: Till) -> None:
    till.choose("card")
    till.stripe.control("outages", mode="error", path="/v1/checkout/sessions", times=1)
    assert till.choose("alipay") == till.here
    assert till.page().has("上一次打开的付款页面还没有关闭")
    assert till.attempts() == [
        (OnlineMethod.CARD, AttemptState.CLOSING),
        (OnlineMethod.ALIPAY, AttemptState.OPEN),
    ]
    assert till.is_payable()
    assert till.follow().startswith(f"{till.stripe.base_url}/c/authorize/")


def test_a_call_that_got_lost_is_made_again_with_the_same_key(till: Till) -> None:
    till.stripe.control("outages", mode="error", path="/v1/payment_intents", times=3)
    assert till.choose("alipay") == till.here
    assert till.page().has("付款通道暂时没有回应，请稍后再试；同一笔付款不会重复扣款", "继续付款")
    assert till.is_payable()
    where = till.choose("alipay")
    assert where.startswith(f"{till.stripe.base_url}/c/authorize/")
    assert till.attempts() == [(OnlineMethod.ALIPAY, AttemptState.OPEN)]


def test_a_page_that_expired_leaves_the_order_payable_until_its_time_is_over(
    till: Till, clock: HeldClock
) -> None:
    till.choose("card")
    till.stripe.control(f"sessions/{till.ref()}/expire")
    till.hear()
    assert till.page().has("付款页面已过期", "没有扣款。请重新付款", "继续付款")
    assert till.is_payable()
    till.choose("card")
    assert till.payment.expires_at is not None
    clock.set_to(till.payment.expires_at + timedelta(minutes=6))
    till.work("expire card payments", "close left pages")
    assert till.stripe.client().v1.checkout.sessions.retrieve(till.ref()).status == "expired"
    assert (till.payment.state, till.order.parts[0].state) == (PaymentState.EXPIRED, PartState.CANCELLED)
    assert till.attempts()[-1] == (OnlineMethod.CARD, AttemptState.CLOSED)


def test_a_wallet_is_cancelled_when_its_time_is_over(till: Till, clock: HeldClock) -> None:
    till.choose("wechat_pay")
    assert till.payment.expires_at is not None
    clock.set_to(till.payment.expires_at + timedelta(minutes=6))
    till.work("expire card payments", "close left pages")
    assert till.stripe.client().v1.payment_intents.retrieve(till.ref()).status == "canceled"
    assert till.payment.state is PaymentState.EXPIRED
    till.hear()
    assert till.payment.state is PaymentState.EXPIRED


def test_money_that_came_twice_waits_for_a_person_once(till: Till, clock: HeldClock) -> None:
    """Two pages were paid in the moment before the first could be closed."""
    till.choose("card")
    first = till.ref()
    till.session.execute(
        PaymentAttempt.__table__.update().values(
            state="closed", ended_at=clock.now
        )  # as if it had been closed
    )
    till.choose("alipay")
    till.stripe.pay(first)
    requests.post(
        f"{till.stripe.base_url}/c/authorize/{till.ref()}",
        data={"answer": "agree"},
        allow_redirects=False,
        timeout=WAIT_S,
    )
    till.hear()
    till.work("close left pages")
    queued = till.session.scalars(
        select(GatewayNotice).where(GatewayNotice.outcome == NoticeOutcome.QUEUED)
    ).one()
    assert queued.amount_fen == 10_000
    assert till.money() == (10_000, 10_000)


# --- what is refused ---


@pytest.mark.parametrize("method", ["", "cash", "klarna"])
def test_a_means_that_is_not_offered_is_refused_on_the_page(till: Till, method: str) -> None:
    answer = till.client.post(f"{till.here}/method", data={"method": method})
    assert answer.status_code == 422
    assert "请选择一种付款方式" in answer.text
    assert till.attempts() == []
    assert till.is_payable()


def test_a_means_the_deployment_switched_off_is_refused(session: Session, clock: HeldClock) -> None:
    buyer = staff_buyer()
    order = buy(session, buyer, (offer(session, CooperativeFactory()), 1))
    payment = ask_card_payment(session, buyer, order=order)
    with pytest.raises(Refused) as refused:
        choose_method(
            session,
            buyer,
            payment,
            method=OnlineMethod.WECHAT_PAY,
            offered=(OnlineMethod.CARD,),
            locale="zh_CN",
        )
    assert refused.value.code == "method"
    with pytest.raises(NotFound):
        choose_method(
            session, staff_buyer(), payment, method=OnlineMethod.CARD, offered=EVERY, locale="zh_CN"
        )
    clock.advance(minutes=60)
    with pytest.raises(Conflict) as late:
        choose_method(session, buyer, payment, method=OnlineMethod.CARD, offered=EVERY, locale="zh_CN")
    assert late.value.code == "payment_time_over"
    assert session.scalar(select(func.count()).select_from(PaymentAttempt)) == 0


def test_the_database_keeps_one_open_page_a_payment(session: Session, clock: HeldClock) -> None:
    buyer = staff_buyer()
    payment = ask_card_payment(
        session, buyer, order=buy(session, buyer, (offer(session, CooperativeFactory()), 1))
    )
    choose_method(session, buyer, payment, method=OnlineMethod.CARD, offered=EVERY, locale="zh_CN")
    second = PaymentAttempt(
        payment_id=payment.id, number=2, method=OnlineMethod.ALIPAY, locale="en", expires_at=clock.now
    )
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(second)


@pytest.mark.parametrize("methods", ["", "cash", "card,cash"])
def test_an_unknown_means_stops_the_start(settings: Settings, methods: str) -> None:
    with pytest.raises((ValidationError, ValueError), match="CARD_METHODS"):
        Settings(**{**settings.model_dump(), "card_methods": methods})


def test_nothing_of_the_buyer_reaches_the_provider(till: Till, app: Flask) -> None:
    till.choose("card")
    session = till.stripe.client().v1.checkout.sessions.retrieve(till.ref())
    sent = str(session.to_dict())
    for private in (till.order.recipient_name, till.order.recipient_phone, till.order.address):
        assert private not in sent
    assert session.customer_email is None


def test_a_page_that_was_never_opened_is_asked_for_anew_when_the_provider_would_find_it_too_short(
    till: Till, clock: HeldClock
) -> None:
    """No answer at first; half an hour later the provider takes no page that ends when the first one would have."""
    till.stripe.control("outages", mode="error", path="/v1/checkout/sessions", times=3)
    assert till.choose("card") == till.here
    clock.set_to(till.payment.opened_at + timedelta(minutes=35))
    till.stripe.set_clock(clock.now)
    assert till.choose("card").startswith(f"{till.stripe.base_url}/c/pay/")
    assert till.attempts() == [
        (OnlineMethod.CARD, AttemptState.CLOSED),
        (OnlineMethod.CARD, AttemptState.OPEN),
    ]
    till.stripe.pay(till.ref(), "pm_card_visa")
    till.hear()
    assert till.page().has("付款成功")


def test_a_page_the_provider_refuses_ends_and_the_next_choice_begins_another(
    till: Till, clock: HeldClock
) -> None:
    till.stripe.control("outages", mode="error", path="/v1/checkout/sessions", times=3)
    till.choose("card")
    clock.set_to(till.payment.opened_at + timedelta(minutes=35))
    till.stripe.set_clock(clock.now)
    assert till.follow() == till.here  # the same request again: the provider says no
    assert till.page().has("付款通道没有接受这次请求", "继续付款")
    assert till.attempts() == [(OnlineMethod.CARD, AttemptState.CLOSED)]
    assert till.is_payable()
    assert till.choose("card").startswith(f"{till.stripe.base_url}/c/pay/")


def test_a_provider_that_hangs_keeps_nobody_waiting_for_long(till: Till) -> None:
    """The waiting page asks once, gets no answer, and says so by waiting on; nothing is asked again behind it."""
    where = till.choose("card")
    till.stripe.control("outages", mode="error", path="/v1/checkout/sessions", times=1)
    assert till.page().has("等待到账", "继续付款")
    assert (
        till.stripe.client().v1.checkout.sessions.retrieve(till.ref()).status == "open"
    )  # the outage is over
    assert till.is_payable()
    assert till.follow() == where


def test_where_cards_were_switched_off_meanwhile_the_order_ends_with_its_time(
    till: Till, app: Flask, clock: HeldClock
) -> None:
    till.choose("card")
    app.extensions["gateway"] = None
    assert till.payment.expires_at is not None
    clock.set_to(till.payment.expires_at + timedelta(minutes=6))
    till.work("expire card payments")
    till.session.expire_all()
    assert (till.payment.state, till.order.parts[0].state) == (PaymentState.EXPIRED, PartState.CANCELLED)


@pytest.mark.parametrize("code", [*FAILURES, "never_heard_of"])
def test_why_a_try_failed_is_said_in_both_languages_with_what_to_do(app: Flask, code: str) -> None:
    words = failure_words(code)
    with app.test_request_context():
        assert gettext(words) == words
        assert "没有扣款" in words
    with app.test_request_context(), force_locale("en"):
        assert gettext(words) != words
