"""Deposits: taken in exactly, set off against bills, given back; the ledger holds every fen of it."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core.clock import now
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.ordering.models import OrderPart
from marketplace.payments.by_hand import lines_of_amount
from marketplace.payments.deposits.models import Deposit, DepositMove, DepositReturn, DepositState
from marketplace.payments.deposits.queries import tasks_of
from marketplace.payments.deposits.rules import (
    ask_deposits,
    mark_deposit_returned,
    match_deposit,
    return_deposits,
    set_off_deposits,
)
from marketplace.payments.models import BankLine, BankLineState, Payment, PaymentState, QueueReason
from marketplace.payments.refunds.rules import agree_refund, ask_refund
from marketplace.payments.rules import apply_payment
from marketplace.payments.settlement import settle_lines
from marketplace.procurement.forward.delivering import finish_forwards
from marketplace.procurement.forward.models import ForwardState
from marketplace.procurement.forward.rules import end_ahead, withdraw_ahead
from tests.conftest import HeldClock
from tests.factories.ahead import DEPOSIT_FEN, accepted, ahead, paid_ahead, taken, transferred
from tests.factories.identity import actor_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, offer


@pytest.fixture
def cashier(session: Session, clock: HeldClock) -> Actor:
    return actor_with(Role.OPERATOR)


@pytest.fixture
def on_sale(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory(), units=100)


@pytest.fixture
def paid(session: Session, on_sale: Offer, cashier: Actor, files: FileStore) -> Deposit:
    """400.00 yuan paid on 40 bottles at 50.00 at most."""
    return paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files)


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


def held(session: Session, deposit: Deposit) -> tuple[int, int, int, int]:
    """Fen in the bank's clearing, held as deposits, owed by the unit, in escrow."""
    keys = [
        AccountKey.clearing("bank_transfer"),
        AccountKey.deposit_held(deposit.cooperative_id, deposit.buyer_unit_id),
        AccountKey.buyer_receivable(deposit.buyer_unit_id),
        AccountKey.escrow(deposit.cooperative_id),
    ]
    found = balances(session, keys)
    return tuple(found.get(key, 0) for key in keys)


def is_clean(session: Session) -> bool:
    session.flush()
    return [finding for result in run_checks(session, CHECKS) for finding in result.findings] == []


def bill_of(session: Session, part: OrderPart) -> Payment:
    return session.scalars(select(Payment).where(Payment.part_id == part.id)).one()


def test_a_deposit_is_asked_for_once(session: Session, on_sale: Offer) -> None:
    unit = BuyerUnitFactory()
    forward = ahead(session, on_sale, unit)
    assert (ask_deposits(session), ask_deposits(session)) == (1, 0)
    deposit = session.scalars(select(Deposit)).one()
    assert (deposit.amount_fen, deposit.state) == (DEPOSIT_FEN, DepositState.OPEN)
    assert [task.count for task in tasks_of(session, actor_at(unit, Role.UNIT_PAYER))] == [1]
    withdraw_ahead(session, actor_at(unit, Role.UNIT_ORDERER), forward, reason="食堂停办")
    ask_deposits(session)
    assert deposit.state is DepositState.CANCELLED


def test_a_fen_too_little_waits_for_a_person(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    forward = ahead(session, on_sale, BuyerUnitFactory())
    ask_deposits(session)
    deposit = session.scalars(select(Deposit)).one()
    transferred(session, cashier, files, deposit, yuan="399.99")
    line = session.scalars(select(BankLine)).one()
    assert (line.state, line.reason) == (BankLineState.QUEUED, QueueReason.WRONG_AMOUNT)
    assert (deposit.state, forward.state) == (DepositState.OPEN, ForwardState.CONFIRMED)
    assert lines_of_amount(session, deposit.amount_fen) == []
    refused = refusal(session, lambda: match_deposit(session, cashier, deposit, line, note="单位来电"))
    assert isinstance(refused, Refused)
    assert refused.code == "amounts_differ"
    assert session.scalar(select(func.count()).select_from(DepositMove)) == 0
    assert is_clean(session)


def test_the_exact_amount_opens_the_deliveries_once(
    session: Session, paid: Deposit, cashier: Actor, files: FileStore
) -> None:
    assert (paid.state, paid.forward.state) == (DepositState.PAID, ForwardState.ACTIVE)
    assert held(session, paid) == (40_000, 40_000, 0, 0)
    transferred(session, cashier, files, paid, yuan="400.00", serial="AGAIN")
    again = session.scalars(select(BankLine).order_by(BankLine.id.desc())).first()
    assert again is not None
    assert again.reason is QueueReason.ALREADY_PAID
    assert held(session, paid) == (40_000, 40_000, 0, 0)
    assert is_clean(session)


def test_money_without_its_code_is_matched_by_a_person(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    ahead(session, on_sale, BuyerUnitFactory())
    ask_deposits(session)
    deposit = session.scalars(select(Deposit)).one()
    transferred(session, cashier, files, deposit, yuan="400.00", code="订金")
    line = lines_of_amount(session, deposit.amount_fen)[0]
    assert (
        refusal(session, lambda: match_deposit(session, cashier, deposit, line, note=" ")).code
        == "note_missing"
    )
    match_deposit(session, cashier, deposit, line, note="付款单位来函")
    assert (deposit.bank_line_id, line.state) == (line.id, BankLineState.RESOLVED)
    assert isinstance(
        refusal(session, lambda: match_deposit(session, cashier, deposit, line, note="再来")), NotFound
    )
    assert is_clean(session)


def test_bills_are_set_off_the_oldest_first_and_the_rest_is_paid_by_transfer(
    session: Session, paid: Deposit, clock: HeldClock
) -> None:
    first = bill_of(session, accepted(session, paid.forward, 6))  # 300.00
    clock.advance(hours=1)
    second = bill_of(session, accepted(session, paid.forward, 4))  # 200.00
    assert (set_off_deposits(session), set_off_deposits(session)) == (2, 0)
    assert (first.state, first.amount_fen) == (PaymentState.PAID, 30_000)
    assert first.part is not None
    assert first.part.paid_at == first.paid_at
    assert (second.state, second.amount_fen) == (PaymentState.OPEN, 10_000)
    assert (paid.used_fen, paid.left_fen) == (40_000, 0)
    assert held(session, paid) == (40_000, 0, 10_000, 50_000)
    assert is_clean(session)
    apply_payment(session, second, paid_at=now())
    settle_lines(session)
    assert held(session, paid) == (50_000, 0, 0, 0)
    assert is_clean(session)


def test_a_refund_of_more_than_is_left_to_pay_restores_the_deposit(session: Session, paid: Deposit) -> None:
    part = accepted(session, paid.forward, 10)  # 500.00, of which 400.00 are set off
    set_off_deposits(session)
    payment, line = bill_of(session, part), part.lines[0]
    refund = ask_refund(
        session,
        actor_at(paid.forward.unit, Role.UNIT_RECEIVER),
        part=part,
        quantities={line.public_no: 3},
        reason="破损",
        idempotency_key="key-of-a-refund-0",
    )
    agree_refund(session, actor_at(part.cooperative), refund)
    assert (payment.state, payment.amount_fen) == (PaymentState.CANCELLED, 15_000)
    assert (paid.used_fen, paid.left_fen) == (35_000, 5_000)
    assert held(session, paid) == (40_000, 5_000, 0, 35_000)
    assert is_clean(session)


def test_what_is_left_goes_back_when_everything_was_accepted(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    paid = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files, units=4, deposit_bp=10_000)
    forward = paid.forward  # the harvest was good: 180.00 of 200.00
    forward.price_fen_per_kg = forward.floor_fen_per_kg = 9_000
    forward.price_check_id = forward.checked_fen = None
    accepted(session, paid.forward, 4)
    assert return_deposits(session) == 0
    set_off_deposits(session)
    assert (finish_forwards(session), return_deposits(session), return_deposits(session)) == (1, 1, 0)
    back = session.scalars(select(DepositReturn)).one()
    assert (paid.forward.state, back.amount_fen, paid.left_fen) == (ForwardState.DONE, 2_000, 0)
    assert held(session, paid) == (18_000, 0, 0, 18_000)
    assert [task.count for task in tasks_of(session, cashier)] == [1]
    assert refusal(session, lambda: mark_deposit_returned(session, cashier, back, serial_no=" ")).code == (
        "serial_missing"
    )
    mark_deposit_returned(session, cashier, back, serial_no="TK1")
    assert (
        refusal(session, lambda: mark_deposit_returned(session, cashier, back, serial_no="TK2")).code
        == "returned"
    )
    assert tasks_of(session, cashier) == []
    assert is_clean(session)


def test_failing_to_deliver_gives_the_whole_deposit_back(session: Session, paid: Deposit) -> None:
    end_ahead(session, actor_at(paid.forward.cooperative), paid.forward, reason="遭了冰雹")
    assert return_deposits(session) == 1
    back = session.scalars(select(DepositReturn)).one()
    assert (back.amount_fen, back.reason) == (DEPOSIT_FEN, "遭了冰雹")
    assert held(session, paid) == (0, 0, 0, 0)
    assert is_clean(session)


def test_nothing_goes_back_while_a_delivery_is_under_way(session: Session, paid: Deposit) -> None:
    taken(session, paid.forward, 5)
    end_ahead(session, actor_at(paid.forward.cooperative), paid.forward, reason="遭了冰雹")
    assert return_deposits(session) == 0
    assert paid.left_fen == DEPOSIT_FEN


def test_the_database_never_lets_more_out_than_came_in(session: Session, paid: Deposit) -> None:
    for change in ("used_fen = amount_fen + 1", "returned_fen = -1", "state = 'open'"):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(text(f"UPDATE deposit SET {change}"))
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text("UPDATE deposit_move SET amount_fen = 1"))


def test_a_changed_row_is_found(session: Session, paid: Deposit) -> None:
    session.execute(text("UPDATE deposit SET used_fen = 1"))
    found = {finding.check for result in run_checks(session, CHECKS) for finding in result.findings}
    assert {"deposit_moves", "deposits_held"} <= found
