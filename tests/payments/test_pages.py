"""The pages of money: whose payments they know, the webhook at the door, the cashier's files and queue, their cost."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from config import Settings
from marketplace.app import create_app
from marketplace.core.ids import random_key
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import cancel_order
from marketplace.ordering.states import PartState
from marketplace.payments.models import (
    BankLine,
    BankLineState,
    BankStatement,
    GatewayNotice,
    Payment,
    PaymentState,
)
from marketplace.payments.online.models import AttemptState, PaymentAttempt
from marketplace.payments.queries import Payables, payables_total
from marketplace.payments.rules import ask_card_payment
from marketplace.web.jobs import EXTENSION
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, user_of
from tests.factories.trade import bill, buy, offer
from tests.journeys.paper import Visitor

HEADER = "交易流水号,交易日期,收入金额,对方户名,附言"


def unpaid(session: Session, user: User) -> tuple[Order, Payment]:
    """An order of `user` that is asked to be paid by card."""
    placed = buy(session, actor_of(user), (offer(session, CooperativeFactory()), 2), key=random_key())
    return placed, ask_card_payment(session, actor_of(user), order=placed)


def upload(client: MarketClient, *rows: str, name: str = "六月.csv", encoding: str = "utf-8"):
    content = "\n".join((HEADER, *rows)).encode(encoding)
    data = {"file": (io.BytesIO(content), name)}
    return client.post("/cashier/statements", data=data, content_type="multipart/form-data")


# --- the buyer ---


def test_a_provider_that_does_not_answer_is_said_and_nothing_is_lost(
    client: MarketClient, session: Session
) -> None:
    user: User = UserFactory()
    placed, payment = unpaid(session, user)
    client.sign_in(user)
    page = Visitor(client).press(Visitor(client).open(f"/orders/{placed.public_no}"), "去付款 ¥100.00")
    assert page.path.endswith(f"/payments/{payment.public_no}")
    assert page.has("付款通道暂时没有回应", "继续付款")
    session.expire_all()
    assert (payment.state, payment.provider_ref) == (PaymentState.OPEN, None)
    attempt = session.scalars(select(PaymentAttempt)).one()
    assert (attempt.number, attempt.state, attempt.provider_ref) == (1, AttemptState.OPEN, None)


def test_a_page_of_a_payment_says_what_to_do_next(client: MarketClient, session: Session) -> None:
    user: User = UserFactory()
    placed, payment = unpaid(session, user)
    client.sign_in(user)
    buyer = Visitor(client)
    address = f"/payments/{payment.public_no}"
    assert buyer.open(address).has("还没有付款", "继续付款")
    payment.provider_ref = "cs_test_1"  # the provider does not answer, so that we know nothing new
    page = buyer.open(address)
    assert page.has("等待到账", "继续付款")
    assert page.link("我已付款，查看结果") == address
    assert 'hx-trigger="every 3s"' in client.get(address).text

    cancel_order(session, actor_of(user), placed, reason="不要了")
    page = buyer.open(address)
    assert page.has("订单已取消，请不要再付款")
    assert not page.has("继续付款")
    assert buyer.open(f"{address}/checkout").has("订单已取消，请不要再付款")
    payment.state = PaymentState.EXPIRED
    assert buyer.open(address).has("已超时", "这笔付款已关闭")


def test_paying_after_the_time_is_refused_in_words(client: MarketClient, session: Session) -> None:
    user: User = UserFactory()
    placed, payment = unpaid(session, user)
    payment.expires_at = payment.opened_at - timedelta(minutes=1)
    client.sign_in(user)
    answer = client.post(f"/orders/{placed.public_no}/pay")
    assert answer.status_code == 409
    assert "付款时间已过，订单即将自动取消，请重新下单" in answer.text
    assert session.scalar(select(func.count()).select_from(Payment)) == 1


def test_without_card_payments_the_page_says_so(settings: Settings, session: Session) -> None:
    app: Flask = create_app(settings.model_copy(update={"card_payments": False}))
    app.config["WTF_CSRF_ENABLED"] = False
    app.test_client_class = MarketClient
    client = app.test_client()
    client.session = session
    user: User = UserFactory()
    placed = buy(session, actor_of(user), (offer(session, CooperativeFactory()), 1))
    client.sign_in(user)
    answer = client.post(f"/orders/{placed.public_no}/pay")
    assert (answer.status_code, "本站未开通在线付款" in answer.text) == (409, True)
    app.extensions[EXTENSION].run("expire card payments")
    app.extensions["marketplace_database"].engine.dispose()


@pytest.mark.parametrize("path", ["/payments/{}", "/payments/{}/checkout"])
def test_somebody_else_s_payment_is_not_found_and_logged(
    client: MarketClient, session: Session, path: str
) -> None:
    _placed, payment = unpaid(session, UserFactory())
    transfer = bill(session, offer(session, CooperativeFactory()), 1)
    for user in (UserFactory(), user_of(BuyerUnitFactory())):
        client.sign_in(user)
        for number in (payment.public_no, transfer.public_no, "Y-0000000000"):
            with capture_logs() as logs:
                answer = client.get(path.format(number))
            if answer.status_code == 403:  # an approver has no business with cards at all
                continue
            assert answer.status_code == 404
            assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["not_found"]


def test_a_transfer_has_no_checkout(client: MarketClient, session: Session) -> None:
    unit = BuyerUnitFactory()
    payment = bill(session, offer(session, CooperativeFactory()), 1, unit=unit)
    client.sign_in(user_of(unit, Role.UNIT_PAYER, Role.STAFF_BUYER))
    page = Visitor(client).open(f"/payments/{payment.public_no}/checkout")
    assert page.path.endswith(f"/payments/{payment.public_no}")
    assert page.has("转账付款单", payment.remittance_code[:4])


# --- the webhook at the door ---


@pytest.mark.parametrize("signature", ["", "t=1,v1=00", "nonsense", "t=1764000000,v1=" + "0" * 64])
def test_a_message_with_a_bad_signature_is_refused_and_not_kept(
    client: MarketClient, app: Flask, session: Session, signature: str
) -> None:
    app.config["WTF_CSRF_ENABLED"] = True  # the provider has no token of ours, and needs none
    body = b'{"id": "evt_1", "object": "event", "type": "checkout.session.completed"}'
    answer = client.post("/webhooks/stripe", data=body, headers={"Stripe-Signature": signature})
    assert (answer.status_code, answer.json) == (400, {"error": "bad_signature"})
    assert session.scalar(select(func.count()).select_from(GatewayNotice)) == 0


# --- the unit's payer and the cashier ---


def test_a_payer_sees_the_bills_of_the_own_unit_only(client: MarketClient, session: Session) -> None:
    unit, offered = BuyerUnitFactory(), offer(session, CooperativeFactory())
    own = bill(session, offered, 1, unit=unit)
    other = bill(session, offered, 1, key="of-another-canteen")
    payer = user_of(unit, Role.UNIT_PAYER)
    client.sign_in(payer)
    text = client.get("/payables").text
    assert own.public_no in text
    assert other.public_no not in text
    late = payables_total(session, actor_of(payer), on=own.due_on + timedelta(days=1))
    assert late == Payables(1, own.amount_fen, 1, own.amount_fen)
    assert payables_total(session, actor_of(payer), on=own.due_on) == Payables(1, own.amount_fen, 0, 0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("B1,2026-06-01,一元,甲,", "第 2 行“收入金额”不是金额"),
        ("B1,六月,1.00,甲,", "第 2 行“交易日期”不是日期"),
        ("B1,2026-06-01,1.00", "第 2 行缺少“对方户名”"),
    ],
)
def test_a_file_with_a_fault_is_explained_at_the_field(
    client: MarketClient, session: Session, row: str, message: str
) -> None:
    client.sign_in(official_with(Role.OPERATOR))
    answer = upload(client, row)
    assert answer.status_code == 422
    assert message in answer.text
    assert session.scalar(select(func.count()).select_from(BankStatement)) == 0


def test_no_file_at_all_is_explained(client: MarketClient, session: Session) -> None:
    client.sign_in(official_with(Role.OPERATOR))
    answer = client.post("/cashier/statements", data={}, content_type="multipart/form-data")
    assert (answer.status_code, "请选择从网银导出的 CSV 文件" in answer.text) == (422, True)


def test_the_same_file_again_leads_to_the_same_statement(client: MarketClient, session: Session) -> None:
    client.sign_in(official_with(Role.OPERATOR))
    places = [
        upload(client, "B1,2026-06-01,1.00,甲,", encoding=code).headers["Location"] for code in ("gbk", "gbk")
    ]
    assert places[0] == places[1]
    assert session.scalar(select(func.count()).select_from(BankLine)) == 1


def test_a_forged_choice_settles_no_line(client: MarketClient, session: Session) -> None:
    owed = bill(session, offer(session, CooperativeFactory()), 3)
    client.sign_in(official_with(Role.OPERATOR))
    upload(client, "B1,2026-06-01,100.00,甲,货款")
    line = session.scalars(select(BankLine)).one()
    with capture_logs() as logs:
        answer = client.post(
            f"/cashier/queue/{line.public_no}", data={"payment": owed.public_no, "note": "核对过"}
        )
    assert answer.status_code == 404
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["not_found"]
    session.expire_all()
    assert (line.state, owed.state) == (BankLineState.QUEUED, PaymentState.OPEN)
    answer = client.post(f"/cashier/queue/{line.public_no}", data={"payment": "", "note": ""})
    assert (answer.status_code, "请写明处理依据" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/cashier/statements/K-0000000000"),
        ("GET", "/cashier/queue/W-0000000000"),
        ("POST", "/cashier/queue/W-0000000000"),
        ("POST", "/cashier/notices/evt_forged"),
    ],
)
def test_a_forged_number_is_not_found_and_logged(
    client: MarketClient, session: Session, method: str, path: str
) -> None:
    client.sign_in(official_with(Role.OPERATOR))
    with capture_logs() as logs:
        assert client.open(path, method=method, data={"note": "x"}).status_code == 404
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["not_found"]


def test_the_cashier_s_pages_are_nobody_else_s(client: MarketClient, session: Session) -> None:
    unit = BuyerUnitFactory()
    for user in (user_of(unit), UserFactory(), official_with(Role.AUDITOR), user_of(CooperativeFactory())):
        client.sign_in(user)
        for path in ("/cashier/statements", "/cashier/queue"):
            assert client.get(path).status_code == 403
        assert upload(client, "B1,2026-06-01,1.00,甲,").status_code == 403
    assert session.scalar(select(func.count()).select_from(BankLine)) == 0


# --- what a list costs ---


def costs(client: MarketClient, page_statements: Listening, *paths: str) -> list[int]:
    """How many statements each page sends."""
    found = []
    for path in paths:
        client.get(path)
        with page_statements() as sent:
            assert client.get(path).status_code == 200, path
        found.append(len(sent))
    return found


def test_the_unit_s_bills_do_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    unit = BuyerUnitFactory()
    client.sign_in(user_of(unit, Role.UNIT_PAYER))

    def add(count: int) -> None:
        for _ in range(count):
            bill(session, offer(session, CooperativeFactory()), 1, unit=unit, key=random_key())

    add(1)
    few = costs(client, page_statements, "/payables")
    add(6)
    assert costs(client, page_statements, "/payables") == few


def test_the_cashier_s_lists_do_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    client.sign_in(official_with(Role.OPERATOR))
    offered = offer(session, CooperativeFactory())
    paths = ["/cashier/statements", "/cashier/queue", "/cashier/queue/{}"]

    def add(count: int) -> None:
        for _ in range(count):
            bill(session, offered, 1, key=random_key())
            upload(client, f"{random_key()},2026-06-01,50.00,甲,货款")

    def cost() -> list[int]:
        line = session.scalars(select(BankLine.public_no).limit(1)).one()
        statement = session.scalars(select(BankStatement.public_no).limit(1)).one()
        return costs(
            client,
            page_statements,
            *(path.format(line) for path in paths),
            f"/cashier/statements/{statement}",
        )

    add(1)
    few = cost()
    add(6)
    assert cost() == few


def test_a_statement_costs_by_its_bills_not_by_its_lines(
    session: Session, clock: HeldClock, client: MarketClient, page_statements: Listening
) -> None:
    client.sign_in(official_with(Role.OPERATOR))

    def cost(lines: int) -> int:
        rows = [f"{random_key()},2026-06-01,1.00,甲,没有码" for _ in range(lines)]
        with page_statements() as sent:
            assert upload(client, *rows).status_code == 303
        return sum(not statement.startswith("INSERT INTO bank_line") for statement in sent)

    assert cost(60) == cost(3)


def test_a_canteen_part_is_billed_by_the_job_that_the_acceptance_nudged(
    client: MarketClient, app: Flask, session: Session, clock: HeldClock
) -> None:
    unit = BuyerUnitFactory()
    receiver = user_of(unit, Role.UNIT_RECEIVER)
    orderer = user_of(unit, Role.UNIT_ORDERER)
    placed = buy(
        session, actor_of(orderer), (offer(session, CooperativeFactory()), 1), kind=OrderKind.CANTEEN
    )
    part = placed.parts[0]
    part.state = PartState.RECEIVED
    client.sign_in(receiver)
    assert client.post(f"/deliveries/{part.public_no}/accept").status_code == 303
    assert session.scalar(select(func.count()).select_from(Payment)) == 0
    session.commit()
    queue = app.extensions[EXTENSION].queue
    while (task := queue.dequeue()) is not None:
        queue.execute(task)
    assert session.scalars(select(Payment.part_id)).all() == [part.id]
