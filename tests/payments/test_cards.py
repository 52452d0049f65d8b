"""Money by card: asked for once, applied once, whatever the gateway says, however often, in whatever order."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core import clock as core_clock
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry
from marketplace.ledger.queries import balances
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import cancel_order
from marketplace.ordering.states import PartState
from marketplace.payments.expiry import expire_unasked_orders, overdue_card_payments
from marketplace.payments.gateways.protocol import (
    EventKind,
    GatewayEvent,
    PaymentFound,
    PaymentState as ProviderState,
)
from marketplace.payments.models import GatewayNotice, NoticeOutcome, Payment, PaymentState
from marketplace.payments.notices import (
    CALLED_OFF,
    PAID_TWICE,
    REFUNDED,
    UNKNOWN_ORDER,
    WRONG_AMOUNT,
    apply_notices,
    resolve_notice,
    settle_lookup,
    take_notice,
)
from marketplace.payments.rules import apply_payment, ask_card_payment, expire_payment, keep_checkout
from tests.conftest import START, HeldClock
from tests.factories.identity import actor_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, buy, offer, staff_buyer


class Telling:
    """A gateway that has already verified what it is told: the edge of the network, and nothing else."""

    name = "told"

    def __init__(self, event: GatewayEvent) -> None:
        self.event = event

    def read_event(self, payload: bytes, signature: str) -> GatewayEvent:
        return self.event


class Sale:
    """An order over two cooperatives, asked to be paid by card."""

    def __init__(self, session: Session, *, provider_ref: str = "cs_1") -> None:
        self.session = session
        self.offers: list[Offer] = [offer(session, CooperativeFactory()) for _ in range(2)]
        self.buyer = staff_buyer()
        self.order: Order = buy(session, self.buyer, *((one, 2) for one in self.offers))
        self.payment: Payment = ask_card_payment(session, self.buyer, order=self.order)
        self.payment.provider_ref = provider_ref
        session.flush()

    def told(self, event_id: str = "evt_1", **changes) -> GatewayNotice:
        """Store a message about this payment: that it was paid whole, unless something else is said."""
        event = GatewayEvent(
            event_id=event_id,
            kind=EventKind.PAID,
            reference=self.payment.public_no,
            amount_fen=self.payment.amount_fen,
            occurred_at=core_clock.now(),
            raw_type="checkout.session.completed",
            provider_ref="cs_1",
            payment_ref="pi_1",
        )
        return take_notice(self.session, Telling(replace(event, **changes)), payload=b"{}", signature="")

    def found(self, state: ProviderState, **changes) -> PaymentFound:
        fields = {"amount_fen": self.payment.amount_fen, "payment_ref": "pi_1", "paid_at": core_clock.now()}
        return PaymentFound(state, self.payment.public_no, "cs_1", **{**fields, **changes})

    def states(self) -> set[PartState]:
        self.session.flush()
        self.session.expire_all()
        return {part.state for part in self.order.parts}

    def committed_g(self) -> int:
        self.session.expire_all()
        return sum(one.lot.committed_g for one in self.offers)

    def money(self) -> tuple[int, ...]:
        """Fen in clearing and in the two escrows."""
        keys = [AccountKey.clearing("card"), *(AccountKey.escrow(one.cooperative.id) for one in self.offers)]
        found = balances(self.session, keys)
        return tuple(found.get(key, 0) for key in keys)

    def is_untouched(self) -> bool:
        entries = self.session.scalar(select(func.count()).select_from(Entry))
        return entries == 0 and self.states() == {PartState.AWAITING_PAYMENT} and self.payment.paid_at is None


@pytest.fixture
def sale(session: Session, clock: HeldClock) -> Sale:
    return Sale(session)


def test_a_payment_reaches_each_cooperative_s_escrow_and_moves_its_part_on(
    sale: Sale, session: Session
) -> None:
    notice = sale.told(occurred_at=START)
    assert apply_notices(session) == 1

    assert (notice.outcome, notice.reason, notice.payment_id) == (NoticeOutcome.APPLIED, "", sale.payment.id)
    assert sale.states() == {PartState.PLACED}
    assert {part.paid_at for part in sale.order.parts} == {sale.payment.paid_at} == {START.astimezone(UTC)}
    assert sale.money() == (20_000, 10_000, 10_000)
    assert (sale.payment.state, sale.payment.provider_payment_ref) == (PaymentState.PAID, "pi_1")


def test_an_order_is_asked_for_by_one_payment_at_a_time(sale: Sale, session: Session) -> None:
    assert ask_card_payment(session, sale.buyer, order=sale.order) is sale.payment
    second = Payment(order_id=sale.order.id, method=sale.payment.method, amount_fen=20_000)
    with (
        pytest.raises(IntegrityError, match=r"uq_payment_open_card|payment\.order_id"),
        session.begin_nested(),
    ):
        session.add(second)


def test_two_askings_at_the_same_moment_are_one_payment(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    buyer = staff_buyer()
    placed = buy(session, buyer, (offer(session, CooperativeFactory()), 1))
    session.commit()
    gate, asked, maker = threading.Barrier(6), [], session_maker(engine)

    def ask() -> None:
        gate.wait()
        with core_clock.set_to(START), maker() as own:
            asked.append(ask_card_payment(own, buyer, order=own.get_one(Order, placed.id)).public_no)
            own.commit()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 6
    assert len(set(asked)) == 1
    assert session.scalar(select(func.count()).select_from(Payment)) == 1


def test_nobody_pays_for_somebody_else(sale: Sale, session: Session, clock: HeldClock) -> None:
    unit = BuyerUnitFactory()
    orderer = actor_at(unit, Role.UNIT_ORDERER)
    canteen = buy(session, orderer, (sale.offers[0], 1), kind=OrderKind.CANTEEN)
    for actor, order in (
        (staff_buyer(), sale.order),
        (actor_with(Role.AUDITOR), sale.order),
        (orderer, canteen),
    ):
        with pytest.raises(NotFound):
            ask_card_payment(session, actor, order=order)
    assert session.scalar(select(func.count()).select_from(Payment)) == 1


@pytest.mark.parametrize("state", [PartState.PLACED, PartState.CANCELLED, PartState.ACCEPTED])
def test_what_is_not_waiting_for_money_is_not_paid(sale: Sale, session: Session, state: PartState) -> None:
    sale.order.parts[1].state = state
    session.flush()
    with pytest.raises(Conflict) as refused:
        ask_card_payment(session, sale.buyer, order=sale.order)
    assert refused.value.code == "not_payable"


def test_after_the_time_is_over_nothing_is_asked_for(sale: Sale, session: Session, clock: HeldClock) -> None:
    late = buy(session, sale.buyer, (sale.offers[0], 1), key="an-order-nobody-paid")
    clock.advance(minutes=60)
    for order in (sale.order, late):
        with pytest.raises(Conflict) as refused:
            ask_card_payment(session, sale.buyer, order=order)
        assert refused.value.code == "payment_time_over"
    assert session.scalar(select(func.count()).select_from(Payment)) == 1


# --- the gateway's notices ---


def test_the_same_message_again_is_the_first(sale: Sale, session: Session) -> None:
    first, again = sale.told(), sale.told()
    assert again is first
    apply_notices(session)
    assert sale.told() is first
    assert apply_notices(session) == 0
    assert sale.money() == (20_000, 10_000, 10_000)


def test_another_message_of_the_same_payment_changes_nothing(sale: Sale, session: Session) -> None:
    sale.told()
    apply_notices(session)
    again = sale.told("evt_2", raw_type="payment_intent.succeeded")
    apply_notices(session)
    assert again.outcome is NoticeOutcome.REPEATED
    assert sale.money() == (20_000, 10_000, 10_000)


def test_a_payment_told_twice_before_anything_was_applied_counts_once(sale: Sale, session: Session) -> None:
    notices = [sale.told(f"evt_{n}") for n in range(3)]
    assert apply_notices(session) == 3
    assert [notice.outcome for notice in notices] == [
        NoticeOutcome.APPLIED,
        NoticeOutcome.REPEATED,
        NoticeOutcome.REPEATED,
    ]
    assert session.scalar(select(func.count()).select_from(Entry)) == 2  # one for each cooperative


def test_a_second_payment_of_a_paid_order_waits_for_a_person(sale: Sale, session: Session) -> None:
    sale.told()
    apply_notices(session)
    second = sale.told("evt_2", payment_ref="pi_2", provider_ref="cs_2")
    apply_notices(session)
    assert (second.outcome, second.reason) == (NoticeOutcome.QUEUED, PAID_TWICE)
    assert sale.money() == (20_000, 10_000, 10_000)


def test_the_end_of_the_time_calls_the_order_off(sale: Sale, session: Session, clock: HeldClock) -> None:
    clock.advance(minutes=60)
    notice = sale.told(kind=EventKind.EXPIRED, payment_ref=None)
    apply_notices(session)
    assert notice.outcome is NoticeOutcome.APPLIED
    assert sale.states() == {PartState.CANCELLED}
    assert sale.payment.state is PaymentState.EXPIRED
    assert sale.committed_g() == 0


def test_an_expiry_that_comes_after_the_payment_changes_nothing(sale: Sale, session: Session) -> None:
    sale.told()
    late = sale.told("evt_2", kind=EventKind.EXPIRED, payment_ref=None)
    apply_notices(session)
    assert late.outcome is NoticeOutcome.REPEATED
    assert sale.states() == {PartState.PLACED}


def test_a_payment_that_comes_after_the_expiry_waits_for_a_person(
    sale: Sale, session: Session, clock: HeldClock
) -> None:
    clock.advance(minutes=60)
    sale.told(kind=EventKind.EXPIRED, payment_ref=None)
    late = sale.told("evt_2")
    apply_notices(session)
    assert (late.outcome, late.reason) == (NoticeOutcome.QUEUED, CALLED_OFF)
    assert sale.states() == {PartState.CANCELLED}
    assert sale.money() == (0, 0, 0)


def test_a_payment_that_comes_after_the_cancellation_waits_for_a_person(sale: Sale, session: Session) -> None:
    cancel_order(session, sale.buyer, sale.order, reason="不要了")
    notice = sale.told()
    apply_notices(session)
    assert (notice.outcome, notice.reason) == (NoticeOutcome.QUEUED, CALLED_OFF)
    assert sale.states() == {PartState.CANCELLED}
    assert sale.money() == (0, 0, 0)
    assert {part.paid_at for part in sale.order.parts} == {None}


def test_the_end_of_a_page_that_was_never_shown_changes_nothing(sale: Sale, session: Session) -> None:
    notice = sale.told(kind=EventKind.EXPIRED, provider_ref="cs_of_another_language", payment_ref=None)
    apply_notices(session)
    assert notice.outcome is NoticeOutcome.IGNORED
    assert sale.is_untouched()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_fen": 19_999}, WRONG_AMOUNT),
        ({"amount_fen": 20_001}, WRONG_AMOUNT),
        ({"amount_fen": 0}, WRONG_AMOUNT),
        ({"currency": "usd"}, WRONG_AMOUNT),
        ({"reference": "Y-0000000000"}, UNKNOWN_ORDER),
        ({"reference": "", "payment_ref": "pi_of_nobody"}, UNKNOWN_ORDER),
        ({"reference": "", "payment_ref": None}, UNKNOWN_ORDER),
        ({"kind": EventKind.REFUNDED}, REFUNDED),
    ],
)
def test_money_that_fits_nothing_waits_for_a_person(
    sale: Sale, session: Session, changes, reason: str
) -> None:
    notice = sale.told(**changes)
    apply_notices(session)
    assert (notice.outcome, notice.reason) == (NoticeOutcome.QUEUED, reason)
    assert sale.is_untouched()


@pytest.mark.parametrize("kind", [EventKind.FAILED, EventKind.OTHER])
def test_a_declined_card_leaves_the_order_as_it_is(sale: Sale, session: Session, kind: EventKind) -> None:
    notice = sale.told(kind=kind)
    apply_notices(session)
    assert (notice.outcome, notice.reason) == (NoticeOutcome.IGNORED, "")
    assert sale.is_untouched()
    assert sale.payment.state is PaymentState.OPEN


def test_one_message_that_cannot_be_applied_keeps_none_of_the_others_waiting(
    sale: Sale, session: Session
) -> None:
    other = Sale.__new__(Sale)
    other.__dict__ = {**sale.__dict__}
    other.order = buy(session, sale.buyer, (sale.offers[0], 1), key="a-second-order-of-hers")
    other.payment = ask_card_payment(session, sale.buyer, order=other.order)
    sale.told("evt_1", reference="Y-0000000000")
    good = other.told("evt_2", payment_ref="pi_2", provider_ref=None)
    apply_notices(session)
    assert good.outcome is NoticeOutcome.APPLIED
    assert other.payment.state is PaymentState.PAID


def test_a_person_settles_a_queued_message_with_a_reason(sale: Sale, session: Session) -> None:
    notice = sale.told(amount_fen=1)
    apply_notices(session)
    operator = actor_with(Role.OPERATOR)
    with pytest.raises(Refused) as refused:
        resolve_notice(session, operator, notice.event_id, note="  ")
    assert (refused.value.code, notice.outcome) == ("note_missing", NoticeOutcome.QUEUED)
    with pytest.raises(Forbidden):
        resolve_notice(session, sale.buyer, notice.event_id, note="我自己处理")

    resolve_notice(session, operator, notice.event_id, note="已原路退回")
    assert notice.outcome is NoticeOutcome.RESOLVED
    entry = session.scalars(select(TrailEntry).where(TrailEntry.action == "payments.resolve_notice")).one()
    assert (entry.subject_no, entry.detail) == ("evt_1", {"note": "已原路退回"})
    for event_id in ("evt_1", "evt_of_nobody"):
        with pytest.raises(NotFound):
            resolve_notice(session, operator, event_id, note="再来一次")


@pytest.mark.databases("postgresql")
def test_two_workers_apply_each_message_once(session: Session, engine: Engine, clock: HeldClock) -> None:
    sales = []
    for number in range(8):
        one = Sale(session, provider_ref=f"cs_{number}")
        one.told(f"evt_{number}", provider_ref=f"cs_{number}", payment_ref=f"pi_{number}")
        sales.append(one)
        session.commit()
    gate, counts, maker = threading.Barrier(2), [], session_maker(engine)

    def work() -> None:
        gate.wait()
        with core_clock.set_to(START), maker() as own:
            counts.append(apply_notices(own))
            own.commit()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.expire_all()
    assert sum(counts) == 8
    assert {one.payment.state for one in sales} == {PaymentState.PAID}
    assert session.scalar(select(func.count()).select_from(Entry)) == 16  # each for two cooperatives


# --- when nobody told: the return page and the sweep ask ---


def test_a_look_up_is_as_good_as_a_notice(sale: Sale, session: Session) -> None:
    settle_lookup(session, sale.payment, sale.found(ProviderState.PAID))
    assert sale.states() == {PartState.PLACED}
    late = sale.told()
    apply_notices(session)
    assert late.outcome is NoticeOutcome.REPEATED
    assert sale.money() == (20_000, 10_000, 10_000)


@pytest.mark.parametrize("state", [ProviderState.OPEN, ProviderState.PROCESSING])
def test_a_look_up_that_finds_nothing_changes_nothing(
    sale: Sale, session: Session, state: ProviderState
) -> None:
    settle_lookup(session, sale.payment, sale.found(state))
    assert sale.is_untouched()


def test_a_look_up_that_finds_the_end_calls_the_order_off(
    sale: Sale, session: Session, clock: HeldClock
) -> None:
    clock.advance(minutes=60)
    settle_lookup(session, sale.payment, sale.found(ProviderState.EXPIRED, payment_ref=None))
    assert (sale.payment.state, sale.states()) == (PaymentState.EXPIRED, {PartState.CANCELLED})
    assert sale.committed_g() == 0


@pytest.mark.parametrize("told_first", [False, True])
def test_money_found_for_a_cancelled_order_waits_for_a_person_once(
    sale: Sale, session: Session, told_first: bool
) -> None:
    cancel_order(session, sale.buyer, sale.order, reason="不要了")
    if told_first:
        sale.told()
        apply_notices(session)
    settle_lookup(session, sale.payment, sale.found(ProviderState.PAID))
    settle_lookup(session, sale.payment, sale.found(ProviderState.PAID))

    queued = session.scalars(select(GatewayNotice).where(GatewayNotice.outcome == NoticeOutcome.QUEUED)).one()
    assert (queued.reason, queued.amount_fen, queued.payment_ref) == (CALLED_OFF, 20_000, "pi_1")
    assert sale.payment.state is PaymentState.CANCELLED
    assert sale.money() == (0, 0, 0)


def test_a_wrong_sum_found_waits_for_a_person(sale: Sale, session: Session) -> None:
    settle_lookup(session, sale.payment, sale.found(ProviderState.PAID, amount_fen=1))
    queued = session.scalars(select(GatewayNotice)).one()
    assert (queued.outcome, queued.reason) == (NoticeOutcome.QUEUED, WRONG_AMOUNT)
    assert sale.money() == (0, 0, 0)


def test_payments_are_overdue_after_their_time_and_a_grace(
    sale: Sale, session: Session, clock: HeldClock
) -> None:
    clock.advance(minutes=65)
    assert overdue_card_payments(session) == []
    clock.advance(seconds=1)
    assert overdue_card_payments(session) == [sale.payment]


def test_an_order_nobody_began_to_pay_for_is_called_off(
    sale: Sale, session: Session, clock: HeldClock
) -> None:
    abandoned = buy(session, sale.buyer, (sale.offers[0], 5), key="an-order-nobody-paid")
    clock.advance(minutes=65)
    assert expire_unasked_orders(session) == 0
    clock.advance(seconds=1)
    assert expire_unasked_orders(session) == 1
    assert abandoned.parts[0].state is PartState.CANCELLED
    assert sale.states() == {PartState.AWAITING_PAYMENT}  # somebody is about to pay for this one
    assert expire_unasked_orders(session) == 0
    assert sale.committed_g() == 4 * 500


def test_a_paid_payment_does_not_expire(sale: Sale, session: Session) -> None:
    sale.told()
    apply_notices(session)
    expire_payment(session, sale.payment)
    assert (sale.payment.state, sale.states()) == (PaymentState.PAID, {PartState.PLACED})


def test_a_payment_is_applied_once(sale: Sale, session: Session) -> None:
    apply_payment(session, sale.payment, paid_at=core_clock.now(), provider_payment_ref="pi_1")
    with pytest.raises(Conflict) as refused:
        apply_payment(session, sale.payment, paid_at=core_clock.now(), provider_payment_ref="pi_1")
    assert refused.value.code == "payment_not_open"
    assert sale.money() == (20_000, 10_000, 10_000)


def test_a_page_opened_for_a_payment_that_ended_meanwhile_is_not_kept(sale: Sale, session: Session) -> None:
    expire_payment(session, sale.payment)
    opened = type("Opened", (), {"provider_ref": "cs_late", "redirect_url": "https://pay.example"})()
    keep_checkout(session, sale.payment.id, opened)
    session.expire_all()
    assert (sale.payment.provider_ref, sale.payment.redirect_url) == ("cs_1", "")


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE payment SET amount_fen = 0", "amount"),
        ("UPDATE payment SET state = 'paid'", "paid"),
        ("UPDATE payment SET method = 'bank_transfer'", "remittance_code"),
        ("UPDATE payment SET state = 'half-paid'", "state"),
    ],
)
def test_the_database_keeps_a_payment_sound(
    sale: Sale, session: Session, statement: str, constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), session.begin_nested():
        session.execute(text(statement))


def test_the_time_of_the_provider_is_kept(sale: Sale, session: Session) -> None:
    at = datetime(2026, 6, 1, 2, 30, tzinfo=UTC)
    settle_lookup(session, sale.payment, sale.found(ProviderState.PAID, paid_at=at + timedelta(minutes=5)))
    assert sale.payment.paid_at == at + timedelta(minutes=5)
