"""A cooperative opens its receiving account: on its page, at the provider, and by what the provider says later."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core.errors import Forbidden
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, User
from marketplace.payments.collecting.account_rules import (
    ASK_READY_EVERY,
    ask_about_accounts,
    keep_told,
    question_about,
    request_account,
)
from marketplace.payments.collecting.models import ProviderAccount
from marketplace.payments.collecting.queries import wanted_words
from marketplace.payments.gateways.connect import AccountStatus, AccountTold
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import official_with
from tests.factories.refunds import refunded
from tests.factories.registry import actor_at
from tests.payments.collecting_world import Market, collector_of
from tests.payments.stripe_world import API_KEY, SECRET, StripeWorld

HERE = "/cooperative/receiving-account"


@pytest.fixture
def settings(settings: Settings, stripe_emulator: StripeWorld) -> Settings:
    wish = {
        "stripe_api_base": stripe_emulator.base_url,
        "stripe_api_key": API_KEY,
        "stripe_webhook_secret": SECRET,
        "card_collection": "platform",
    }
    return settings.model_copy(update=wish)


@pytest.fixture
def market(session: Session, stripe_emulator: StripeWorld, clock: HeldClock) -> Market:
    return Market(session, stripe_emulator, clock)


def accounts(session: Session) -> list[ProviderAccount]:
    session.expire_all()
    return list(session.scalars(select(ProviderAccount).order_by(ProviderAccount.id)))


def signed_in(client: MarketClient, who: Actor | User) -> MarketClient:
    assert client.session is not None
    client.sign_in(who if isinstance(who, User) else client.session.get_one(User, who.user_id))
    return client


# --- rules ---


@pytest.mark.parametrize("role", [Role.COOPERATIVE_CLERK, Role.STAFF_BUYER])
def test_only_the_manager_of_a_cooperative_asks_for_its_account(market: Market, session: Session, role: Role):
    with pytest.raises(Forbidden):
        request_account(session, actor_at(market.cooperative, role))
    assert accounts(session) == []


def test_asked_for_twice_it_is_one_account_here_and_there(market: Market, session: Session):
    questions = [request_account(session, market.manager) for _ in range(2)]
    session.commit()
    told = [question.put(market.collector) for question in questions]
    assert told[0].ref == told[1].ref
    for question, answer in zip(questions, told, strict=True):
        keep_told(session, question, answer)
    (account,) = accounts(session)
    assert (account.provider_ref, account.status) == (told[0].ref, AccountStatus.DETAILS_WANTED)
    assert len(market.client.v1.accounts.list().data) == 1


def test_an_answer_that_was_lost_leads_to_the_same_account(market: Market, session: Session):
    question = request_account(session, market.manager)
    session.commit()
    market.stripe.control("outages", mode="lost", path="/v1/accounts", times=1)
    market.clock.advance(minutes=31)
    assert ask_about_accounts(session, collector_of(market.stripe, timeout_s=0.3)) == 0
    assert accounts(session)[0].status is AccountStatus.OPENING
    assert ask_about_accounts(session, market.collector) == 1
    session.commit()
    (account,) = accounts(session)
    assert (account.status, account.public_no) == (AccountStatus.DETAILS_WANTED, question.number)
    assert [row.id for row in market.client.v1.accounts.list().data] == [account.provider_ref]


@pytest.mark.parametrize(
    ("stage", "status", "wanted", "reason"),
    [
        ("new", AccountStatus.DETAILS_WANTED, 3, ""),
        ("submitted", AccountStatus.UNDER_REVIEW, 0, ""),
        ("verified", AccountStatus.READY, 0, ""),
        ("refused", AccountStatus.RESTRICTED, 0, "rejected.other"),
        ("past_due", AccountStatus.RESTRICTED, 1, "requirements.past_due"),
    ],
)
def test_what_the_provider_says_becomes_one_word(
    market: Market, stage: str, status: AccountStatus, wanted: int, reason: str
):
    account = market.opened()
    market.stage(account, stage)
    assert (account.status, len(account.wanted), account.reason) == (status, wanted, reason)


def test_messages_in_any_order_end_at_what_the_provider_says_now(market: Market, session: Session):
    account = market.opened()
    for stage in ("submitted", "refused", "verified"):
        market.stripe.control(f"accounts/{account.provider_ref}", stage=stage)
    market.hear(backwards=True, twice=True)
    assert account.noticed_at is not None
    assert account.status is AccountStatus.DETAILS_WANTED
    assert ask_about_accounts(session, market.collector) == 1
    session.commit()
    assert (account.status, account.noticed_at) == (AccountStatus.READY, None)
    assert ask_about_accounts(session, market.collector) == 0
    market.clock.advance(seconds=int(ASK_READY_EVERY.total_seconds()))
    assert ask_about_accounts(session, market.collector) == 1


def test_an_older_answer_does_not_undo_a_later_one(market: Market, session: Session):
    account = market.opened()
    early = question_about(account)
    market.clock.advance(seconds=1)
    market.stage(account, "verified")
    keep_told(session, early, AccountTold(account.provider_ref or "", AccountStatus.UNDER_REVIEW))
    assert account.status is AccountStatus.READY


def test_the_database_keeps_one_account_a_cooperative(market: Market, session: Session):
    market.opened()
    session.add(ProviderAccount(cooperative_id=market.cooperative.id))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    assert session.scalar(select(func.count()).select_from(ProviderAccount)) == 1


def test_what_is_wanted_is_said_once_in_words():
    codes = ["representative.first_name", "person_x.dob", "external_account", "something.new"]
    assert wanted_words(codes) == ["代表人信息", "收款银行账户", "其他资料"]


# --- pages ---


def test_the_manager_opens_the_account_and_comes_back_ready(
    market: Market, client: MarketClient, session: Session
):
    manager = signed_in(client, market.manager)
    page = manager.get(HERE)
    assert "还没有收款账户" in page.text
    opened = manager.post(f"{HERE}/open")
    assert opened.status_code == 303
    there = manager.get(f"{HERE}/details")
    assert there.status_code == 303
    assert there.location.startswith(f"{market.stripe.base_url}/c/onboarding/")
    answer = requests.post(there.location, data={"stage": "verified"}, allow_redirects=False, timeout=5)
    assert answer.headers["Location"].endswith(f"{HERE}/back")
    manager.get(f"{HERE}/back")
    assert "账户可以收款" in manager.get(HERE).text
    assert [one.status for one in accounts(session)] == [AccountStatus.READY]


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("new", "支付通道还需要资料"),
        ("submitted", "正在审核"),
        ("refused", "支付通道限制了这个账户"),
        ("verified", "账户可以收款"),
    ],
)
def test_the_page_says_where_the_account_stands(
    market: Market, client: MarketClient, session: Session, stage: str, words: str
):
    market.stage(market.opened(), stage)
    assert words in signed_in(client, market.manager).get(HERE).text
    clerk = signed_in(client, actor_at(market.cooperative, Role.COOPERATIVE_CLERK))
    page = clerk.get(HERE).text
    assert words in page
    assert "去填写资料" not in page


def test_when_the_provider_is_silent_the_page_says_so_and_nothing_is_lost(
    market: Market, client: MarketClient, session: Session
):
    manager = signed_in(client, market.manager)
    manager.post(f"{HERE}/open")
    market.stripe.control("outages", mode="error", path="/v1/accounts", times=3)
    answer = manager.get(f"{HERE}/details", follow_redirects=True)
    assert "付款通道暂时没有回应" in answer.text
    assert "开户申请已登记" in answer.text
    assert [one.status for one in accounts(session)] == [AccountStatus.OPENING]


def test_where_the_platform_does_not_collect_nothing_is_opened(
    app: Flask, market: Market, client: MarketClient, session: Session
):
    app.extensions["collector"] = None
    manager = signed_in(client, market.manager)
    assert "没有开通平台代收" in manager.get(HERE).text
    assert manager.post(f"{HERE}/open").status_code == 409
    assert accounts(session) == []
    assert f'href="{HERE}"' not in manager.get("/").text


def test_the_cooperative_sees_its_transfers_and_the_cashier_all(
    market: Market, client: MarketClient, session: Session, work: Callable[..., None]
):
    market.ready()
    market.fund()
    order = market.sells(2)
    work("plan transfers", "send transfers")
    refunded(session, order, 1)
    market.refunds_go_back()
    work("plan transfers", "send transfers")
    page = signed_in(client, market.manager).get(HERE).text
    for words in (order.public_no, "90.00", "已减去收回的 ¥45.00", "已划付"):
        assert words in page
    other = signed_in(client, actor_at(market.goods[1].cooperative)).get(HERE).text
    assert order.public_no not in other
    cashier = signed_in(client, official_with(Role.OPERATOR))
    assert order.public_no in cashier.get("/cashier/transfers").text
    assert order.public_no not in cashier.get("/cashier/transfers?state=planned").text
    assert "没有未能收回的款项" in cashier.get("/cashier/transfers?state=withheld").text
    number = market.cooperative.public_no
    assert order.public_no in cashier.get(f"/cashier/transfers/accounts/{number}").text
    assert cashier.get("/cashier/transfers/accounts/C-NOBODY").status_code == 404


def test_the_cashier_finds_accounts_by_status_and_name(
    market: Market, client: MarketClient, session: Session
):
    market.ready(0)
    cashier = signed_in(client, official_with(Role.OPERATOR))
    names = [goods.cooperative.name for goods in market.goods]
    everything = cashier.get("/cashier/transfers/accounts").text
    assert all(name in everything for name in names)
    ready = cashier.get("/cashier/transfers/accounts?status=ready").text
    assert (names[0] in ready, names[1] in ready) == (True, False)
    without = cashier.get("/cashier/transfers/accounts?status=none").text
    assert (names[0] in without, names[1] in without) == (False, True)
    found = cashier.get(f"/cashier/transfers/accounts?q={names[1]}").text
    assert (f">{names[0]}<" in found, names[1] in found) == (False, True)
    assert "没有这样的合作社" in cashier.get("/cashier/transfers/accounts?q=不存在").text


def test_the_pages_do_not_ask_per_row(
    market: Market, client: MarketClient, session: Session, page_statements: Listening
):
    market.ready(0)
    market.ready(1)
    market.fund()
    signed_in(client, official_with(Role.OPERATOR))
    costs = []
    for count in (1, 3):
        for _ in range(count):
            market.sells(1, both=True)
        market.work()
        with page_statements() as sent:
            assert client.get("/cashier/transfers").status_code == 200
            assert client.get("/cashier/transfers/accounts").status_code == 200
        costs.append(len(sent))
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("path", "role", "expected"),
    [
        (HERE, Role.OPERATOR, 403),
        ("/cashier/transfers", Role.COOPERATIVE_MANAGER, 403),
        ("/cashier/transfers", Role.AUDITOR, 200),
        ("/cashier/transfers/accounts", Role.AUDITOR, 200),
        ("/cashier/payouts", Role.COOPERATIVE_MANAGER, 403),
        ("/cashier/payouts", Role.AUDITOR, 200),
    ],
)
def test_who_may_see_these_pages(
    client: MarketClient, session: Session, market: Market, path: str, role: Role, expected: int
):
    actor = actor_at(market.cooperative, role) if role is Role.COOPERATIVE_MANAGER else official_with(role)
    assert signed_in(client, actor).get(path).status_code == expected
