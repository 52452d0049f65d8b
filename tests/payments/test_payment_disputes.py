"""Payers who asked their bank for the money back: held, answered, won, lost, in whatever order it is told."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.queries import balances
from marketplace.ordering.states import PartState
from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.disputes.queries import disputes_of_order, require_undisputed, tasks_of
from marketplace.payments.disputes.rules import evidence_of, keep_answer, require_answerable
from marketplace.payments.gateways.disputes import DisputeStatus
from marketplace.payments.gateways.protocol import EventKind
from marketplace.payments.models import GatewayNotice, NoticeOutcome
from marketplace.payments.notices import apply_notices, take_notice
from marketplace.payments.refunds.models import Refund
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import actor_with, official_with
from tests.factories.refunds import refunded
from tests.factories.trade import staff_buyer
from tests.journeys.paper import Visitor
from tests.payments.stripe_world import API_KEY, SECRET, StripeWorld
from tests.payments.test_reconciliation import Day, figures


@pytest.fixture
def settings(settings: Settings, stripe_emulator: StripeWorld) -> Settings:
    wish = {
        "stripe_api_base": stripe_emulator.base_url,
        "stripe_api_key": API_KEY,
        "stripe_webhook_secret": SECRET,
    }
    return settings.model_copy(update=wish)


class Case(Day):
    """A paid order of 100.00 yuan whose payer disputes it."""

    def __init__(self, session: Session, stripe: StripeWorld, clock: HeldClock) -> None:
        super().__init__(session, stripe, clock)
        self.payment = self.pays(2)
        session.commit()
        self.told = 0

    def disputed(self, amount: int | None = None) -> str:
        wish = {} if amount is None else {"amount": amount}
        answer = self.stripe.control(f"charges/{self.payment.provider_payment_ref}/dispute", **wish)
        return str(answer["id"])

    def inquired(self) -> str:
        answer = self.stripe.control(f"charges/{self.payment.provider_payment_ref}/dispute", inquires=True)
        return str(answer["id"])

    def hear(self, *, backwards: bool = False, twice: bool = False) -> None:
        self.stripe.deliveries()
        messages = self.stripe.inbox.messages[self.told :]
        self.told += len(messages)
        for body, signature in (messages[::-1] if backwards else messages) * (2 if twice else 1):
            take_notice(self.session, self.stripe.gateway(), payload=body, signature=signature)
        apply_notices(self.session)
        self.session.commit()
        self.session.expire_all()

    @property
    def dispute(self) -> PaymentDispute:
        return self.session.scalars(select(PaymentDispute)).one()

    def money(self) -> tuple[int, ...]:
        """Fen in clearing, held, in escrow, and owed to the cooperative."""
        owner = self.goods.cooperative.id
        keys = (
            AccountKey.clearing("card"),
            AccountKey.clearing("card_disputed"),
            AccountKey.escrow(owner),
            AccountKey.cooperative_payable(owner),
        )
        found = balances(self.session, keys)
        return tuple(found.get(key, 0) for key in keys)


@pytest.fixture
def case(session: Session, stripe_emulator: StripeWorld, clock: HeldClock) -> Case:
    return Case(session, stripe_emulator, clock)


def test_a_dispute_holds_the_money_and_says_until_when_evidence_is_due(case: Case) -> None:
    case.disputed()
    case.hear(twice=True)
    dispute = case.dispute
    assert (dispute.state, dispute.amount_fen) == (DisputeStatus.NEEDS_ANSWER, 10_000)
    assert dispute.due_at is not None
    assert (dispute.due_at - case.clock.now).days == 7
    assert case.money() == (0, 10_000, 10_000, 0)


@pytest.mark.parametrize("backwards", [False, True])
def test_an_inquiry_of_a_bank_holds_no_money_and_is_closed(case: Case, backwards: bool) -> None:
    ref = case.inquired()
    if not backwards:
        case.hear(twice=True)
        assert (case.dispute.state, case.dispute.ended_at) == (DisputeStatus.INQUIRY, None)
    case.stripe.control(f"disputes/{ref}/decide", won=True)
    case.hear(backwards=backwards, twice=True)
    assert case.dispute.state is DisputeStatus.CLOSED
    assert case.money() == (10_000, 0, 10_000, 0)
    assert case.items() == []


@pytest.mark.parametrize("backwards", [False, True])
def test_an_inquiry_that_becomes_a_dispute_holds_the_money_then(case: Case, backwards: bool) -> None:
    ref = case.inquired()
    case.stripe.control(f"disputes/{ref}/escalate")
    case.hear(backwards=backwards, twice=True)
    assert case.dispute.state is DisputeStatus.NEEDS_ANSWER
    assert case.money() == (0, 10_000, 10_000, 0)
    case.stripe.control(f"disputes/{ref}/decide", won=False)
    case.hear()
    assert case.dispute.state is DisputeStatus.LOST


def test_an_inquiry_is_answered_once_and_stands_in_the_way_of_no_refund(case: Case, session: Session) -> None:
    case.inquired()
    case.hear()
    cashier = actor_with(Role.OPERATOR)
    require_answerable(cashier, case.dispute)
    assert [task.count for task in tasks_of(session, cashier)] == [1]
    require_undisputed(session, case.payment.id)
    assert disputes_of_order(session, case.payment.order_id) == []
    told = case.stripe.gateway().answer_dispute(
        case.dispute.provider_ref, "十日已签收", "answer-of-an-inquiry"
    )
    keep_answer(session, cashier, case.dispute, told, evidence="十日已签收")
    assert (case.dispute.state, tasks_of(session, cashier)) == (DisputeStatus.INQUIRY, [])
    with pytest.raises(Conflict) as refused:
        require_answerable(cashier, case.dispute)
    assert refused.value.code == "dispute_answered"


def test_a_dispute_that_is_won_gives_the_money_back(case: Case) -> None:
    ref = case.disputed()
    case.stripe.control(f"disputes/{ref}/decide", won=True)
    case.hear(backwards=True, twice=True)
    assert case.dispute.state is DisputeStatus.WON
    assert case.money() == (10_000, 0, 10_000, 0)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_lost_dispute_of_goods_never_shipped_calls_the_part_off(case: Case, backwards: bool) -> None:
    ref = case.disputed()
    case.stripe.control(f"disputes/{ref}/decide", won=False)
    case.hear(backwards=backwards, twice=True)
    assert case.dispute.state is DisputeStatus.LOST
    assert case.money() == (0, 0, 0, 0)
    assert case.payment.order.parts[0].state is PartState.CANCELLED


def test_a_lost_dispute_after_delivery_is_borne_by_the_cooperative(case: Case, session: Session) -> None:
    case.payment.order.parts[0].state = PartState.SHIPPED
    session.commit()
    ref = case.disputed(4_000)
    case.stripe.control(f"disputes/{ref}/decide", won=False)
    case.hear()
    assert case.money() == (6_000, 0, 10_000, -4_000)
    kinds = session.scalars(select(Entry.kind).order_by(Entry.id)).all()
    assert kinds == [EntryKind.PAYMENT_RECEIVED, EntryKind.DISPUTE_HELD, EntryKind.DISPUTE_LOST]


def test_no_refund_while_a_dispute_is_open_nor_after_it_was_lost(case: Case, session: Session) -> None:
    case.payment.order.parts[0].state = PartState.SHIPPED
    ref = case.disputed()
    case.hear()
    for code in ("disputed", "more_than_paid"):
        with pytest.raises(Conflict) as refused, session.begin_nested():
            refunded(session, case.payment.order, 2, key=f"refund-{code}-of-goods")
        assert refused.value.code == code
        session.commit()
        if code == "disputed":
            case.stripe.control(f"disputes/{ref}/decide", won=False)
            case.hear()
    assert session.scalar(select(func.count()).select_from(Refund)) == 0


def test_a_day_with_a_dispute_balances(case: Case) -> None:
    ref = case.disputed(4_000)
    case.hear()
    case.ends()
    assert figures(case.compared()) == (5_940, 5_940, 0, 0)
    case.stripe.control(f"disputes/{ref}/decide", won=True)
    assert case.items() == []


def test_a_dispute_of_a_payment_we_do_not_know_waits_for_a_person(case: Case, session: Session) -> None:
    case.payment.provider_payment_ref = "pi_of_another"
    session.commit()
    intent = (
        case.stripe.client().v1.checkout.sessions.retrieve(case.payment.provider_ref or "").payment_intent
    )
    case.stripe.control(f"charges/{intent}/dispute")
    case.hear()
    assert session.scalar(select(func.count()).select_from(PaymentDispute)) == 0
    queued = select(GatewayNotice).where(
        GatewayNotice.outcome == NoticeOutcome.QUEUED, GatewayNotice.kind == EventKind.DISPUTED
    )
    assert len(session.scalars(queued).all()) == 2


def test_only_the_cashier_answers_and_only_once(case: Case) -> None:
    case.disputed()
    case.hear()
    for text in ("", "  ", "字" * 2_001):
        with pytest.raises(Refused):
            evidence_of(text)
    with pytest.raises(Forbidden):
        require_answerable(staff_buyer(), case.dispute)
    case.dispute.state = DisputeStatus.UNDER_REVIEW
    with pytest.raises(Conflict):
        require_answerable(actor_with(Role.OPERATOR), case.dispute)


def test_the_cashier_sends_evidence_from_the_page_and_wins(case: Case, client: MarketClient) -> None:
    case.disputed()
    case.hear()
    client.sign_in(official_with(Role.OPERATOR))
    cashier = Visitor(client)
    page = cashier.open("/cashier/disputes")
    assert page.has("付款争议", "持卡人否认这笔交易", "100.00", "待提交证据")
    here = f"/cashier/disputes/{case.dispute.public_no}"
    page = cashier.press(cashier.open(here), "提交给银行", status=422, evidence="")
    assert page.has("请写明发货、签收和沟通的情况")
    page = cashier.press(page, "提交给银行", evidence="winning_evidence")
    assert page.has("winning_evidence", "已胜诉")
    case.hear()
    assert case.money() == (10_000, 0, 10_000, 0)


def test_the_cashier_accepts_a_dispute_from_the_page(case: Case, client: MarketClient) -> None:
    case.disputed()
    case.hear()
    client.sign_in(official_with(Role.OPERATOR))
    answer = client.post(f"/cashier/disputes/{case.dispute.public_no}/accept")
    assert answer.status_code == 303
    assert case.dispute.state is DisputeStatus.LOST
    case.hear()
    assert case.money() == (0, 0, 0, 0)


def test_the_page_of_an_inquiry_says_that_nothing_was_taken(case: Case, client: MarketClient) -> None:
    ref = case.inquired()
    case.hear()
    client.sign_in(official_with(Role.OPERATOR))
    cashier, here = Visitor(client), f"/cashier/disputes/{case.dispute.public_no}"
    page = cashier.open(here)
    assert page.has("银行查询中，未扣款", "还没有扣款")
    assert "接受争议" not in page.text
    assert cashier.press(page, "提交给银行", evidence="十日已签收").has("已经答复，等待银行了结")
    case.stripe.control(f"disputes/{ref}/decide", won=True)
    case.hear()
    assert cashier.open(here).has("银行的查询已经了结，没有扣款")


def test_a_provider_that_does_not_answer_leaves_the_dispute_as_it_is(
    case: Case, client: MarketClient
) -> None:
    case.disputed()
    case.hear()
    case.stripe.control("outages", mode="error", path="/v1/disputes", times=3)
    client.sign_in(official_with(Role.OPERATOR))
    here = f"/cashier/disputes/{case.dispute.public_no}"
    page = Visitor(client).press(Visitor(client).open(here), "提交给银行", status=422, evidence="已签收")
    assert page.has("付款通道暂时没有回应", "已签收")
    assert (case.dispute.state, case.dispute.evidence) == (DisputeStatus.NEEDS_ANSWER, "")
