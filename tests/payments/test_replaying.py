"""Stored notices seen by the operator and applied again: never twice, and never what a person has settled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound
from marketplace.identity.models import Role
from marketplace.ledger.models import Entry
from marketplace.payments.gateways.protocol import EventKind
from marketplace.payments.gateways.stripe_gateway import StripeGateway
from marketplace.payments.models import GatewayNotice, NoticeOutcome, Payment, PaymentState
from marketplace.payments.notices import apply_notices
from marketplace.payments.replaying import replay_notice, replay_unknown
from marketplace.payments.rules import ask_card_payment
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import buy, offer, staff_buyer
from tests.journeys.paper import Visitor

GATEWAY = StripeGateway("sk_test_x", "whsec_x")


@pytest.fixture
def payment(session: Session, clock: HeldClock) -> Payment:
    buyer = staff_buyer()
    return ask_card_payment(
        session, buyer, order=buy(session, buyer, (offer(session, CooperativeFactory()), 2))
    )


def stored(session: Session, payment: Payment, **changes: Any) -> GatewayNotice:
    """A notice that the payment was made, kept when its kind was not understood."""
    row = {
        "id": "cs_1",
        "client_reference_id": payment.public_no,
        "payment_intent": "pi_1",
        "payment_status": "paid",
        "amount_total": payment.amount_fen,
        "currency": "cny",
    }
    event = {
        "id": "evt_1",
        "type": "checkout.session.completed",
        "created": 1_780_000_000,
        "data": {"object": row},
    }
    fields = {
        "event_id": "evt_1",
        "kind": EventKind.OTHER,
        "raw_type": "checkout.session.completed",
        "reference": "",
        "amount_fen": 0,
        "currency": "cny",
        "occurred_at": payment.opened_at,
        "payload": json.dumps(event),
        "outcome": NoticeOutcome.IGNORED,
    }
    notice = GatewayNotice(**{**fields, **changes})
    session.add(notice)
    session.flush()
    return notice


def entries(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Entry)) or 0


def test_a_notice_that_was_not_understood_is_read_anew_and_applied_once(
    session: Session, payment: Payment
) -> None:
    notice = stored(session, payment)
    assert replay_unknown(session, GATEWAY) == 1
    assert (notice.kind, notice.outcome) == (EventKind.PAID, NoticeOutcome.WAITING)
    apply_notices(session)
    assert (notice.outcome, payment.state) == (NoticeOutcome.APPLIED, PaymentState.PAID)
    assert replay_unknown(session, GATEWAY, everything=True) == 0
    assert entries(session) == 1


def test_a_notice_of_an_unknown_kind_stays_kept(session: Session, payment: Payment) -> None:
    event = {
        "id": "evt_9",
        "type": "capability.updated",
        "created": 1_780_000_000,
        "data": {"object": {"id": "c"}},
    }
    notice = stored(session, payment, event_id="evt_9", payload=json.dumps(event))
    assert replay_unknown(session, GATEWAY) == 1
    apply_notices(session)
    assert (notice.outcome, notice.kind) == (NoticeOutcome.IGNORED, EventKind.OTHER)
    assert entries(session) == 0


@pytest.mark.parametrize("outcome", [NoticeOutcome.APPLIED, NoticeOutcome.RESOLVED, NoticeOutcome.WAITING])
def test_what_was_settled_is_not_applied_again(
    session: Session, payment: Payment, outcome: NoticeOutcome
) -> None:
    notice = stored(session, payment, outcome=outcome)
    operator = actor_with(Role.OPERATOR)
    with pytest.raises(Conflict) as refused:
        replay_notice(session, operator, GATEWAY, "evt_1")
    assert (refused.value.code, notice.outcome) == ("not_replayable", outcome)
    with pytest.raises(NotFound):
        replay_notice(session, operator, GATEWAY, "evt_of_nobody")
    with pytest.raises(Forbidden):
        replay_notice(session, staff_buyer(), GATEWAY, "evt_1")
    assert entries(session) == 0


def test_the_operator_applies_a_notice_again_from_its_page(
    client: MarketClient, session: Session, payment: Payment, work: Callable[..., None]
) -> None:
    stored(session, payment)
    client.sign_in(official_with(Role.OPERATOR))
    operator = Visitor(client)
    page = operator.open("/cashier/notices?outcome=ignored")
    assert page.has("付款通道通知", "evt_1", "与订单无关")
    assert operator.press(page, "重新处理").has("已放回待处理")
    work("apply notices")
    assert operator.open("/cashier/notices").has("付款成功", "已处理", "100.00")
    session.expire_all()
    assert payment.state is PaymentState.PAID


def test_the_command_applies_what_was_not_understood(app: Flask, session: Session, payment: Payment) -> None:
    stored(session, payment)
    session.commit()
    answer = app.test_cli_runner().invoke(args=["payments", "replay"])
    assert (answer.exit_code, answer.output) == (0, "1 notices applied again\n")
    session.expire_all()
    assert payment.state is PaymentState.PAID
