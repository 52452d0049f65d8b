"""A canteen pays what it accepted: the bill, the bank's statement, and the queue for what fits nothing."""

from __future__ import annotations

import threading
from datetime import date, datetime

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core import clock as core_clock
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, StoredFile
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry
from marketplace.ledger.queries import balances
from marketplace.ordering.models import OrderKind
from marketplace.ordering.states import PartState
from marketplace.payments.gateways.remittance_codes import display_code, new_code
from marketplace.payments.matching import Claims, suggestions_for
from marketplace.payments.models import (
    BankLine,
    BankLineState,
    BankStatement,
    Payment,
    PaymentMethod,
    PaymentState,
    QueueReason,
    Settlement,
)
from marketplace.payments.queries import tasks_of
from marketplace.payments.rules import ask_card_payment, bill_accepted_parts
from marketplace.payments.settlement import settle_lines
from marketplace.payments.statements import import_statement, resolve_bank_line
from marketplace.procurement.rules import approve_order
from tests.conftest import START, HeldClock
from tests.factories.identity import actor_with
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, EnrolmentFactory, actor_at
from tests.factories.trade import bill, buy, deliver, offer, staff_buyer

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=core_clock.SHANGHAI)
HEADER = "交易流水号,交易日期,收入金额,对方户名,附言"


@pytest.fixture
def cashier(session: Session, clock: HeldClock) -> Actor:
    return actor_with(Role.OPERATOR)


@pytest.fixture
def owed(session: Session, clock: HeldClock) -> Payment:
    """150.00 yuan owed by a canteen."""
    return bill(session, offer(session, CooperativeFactory()), 3)


def lines_of(*rows: tuple[str, str, str]) -> bytes:
    """A file of (serial number, yuan, remark)."""
    body = (f"{serial},2026-06-01,{yuan},乐安县第一小学,{remark}" for serial, yuan, remark in rows)
    return "\n".join((HEADER, *body)).encode()


def take(session: Session, cashier: Actor, files: FileStore, *rows: tuple[str, str, str]) -> list[BankLine]:
    """The lines of a statement with these rows."""
    taken = import_statement(session, cashier, files, content=lines_of(*rows), file_name="六月.csv")
    return list(
        session.scalars(select(BankLine).where(BankLine.statement_id == taken.id).order_by(BankLine.row))
    )


def money(session: Session, payment: Payment) -> tuple[int, int, int]:
    """Fen in the bank's clearing, in what the unit owes, in escrow."""
    assert payment.part is not None
    keys = [
        AccountKey.clearing("bank_transfer"),
        AccountKey.buyer_receivable(payment.order.buyer_unit_id),
        AccountKey.escrow(payment.part.cooperative_id),
    ]
    found = balances(session, keys)
    return tuple(found.get(key, 0) for key in keys)


# --- the bill ---


def test_an_accepted_part_is_billed_once_with_a_code_and_a_term(owed: Payment, session: Session) -> None:
    assert bill_accepted_parts(session) == 0
    assert session.scalar(select(func.count()).select_from(Payment)) == 1
    assert (owed.amount_fen, owed.method, owed.state) == (
        15_000,
        PaymentMethod.BANK_TRANSFER,
        PaymentState.OPEN,
    )
    assert owed.due_on == date(2026, 7, 1)  # thirty days from the first of June
    assert money(session, owed) == (0, 15_000, 15_000)


@pytest.mark.parametrize("state", [state for state in PartState if state is not PartState.ACCEPTED])
def test_what_is_not_accepted_is_not_billed(session: Session, clock: HeldClock, state: PartState) -> None:
    unit = BuyerUnitFactory()
    placed = buy(session, actor_at(unit), (offer(session, CooperativeFactory()), 1), kind=OrderKind.CANTEEN)
    placed.parts[0].state = state
    session.flush()
    assert bill_accepted_parts(session) == 0
    assert session.scalar(select(func.count()).select_from(Entry)) == 0


def test_a_personal_order_is_not_billed(session: Session, clock: HeldClock) -> None:
    placed = buy(session, staff_buyer(), (offer(session, CooperativeFactory()), 1))
    placed.parts[0].state, placed.parts[0].accepted_at = PartState.ACCEPTED, clock.now
    session.flush()
    assert bill_accepted_parts(session) == 0


def test_two_parts_of_an_order_are_two_bills(session: Session, clock: HeldClock) -> None:
    unit = BuyerUnitFactory()
    first, second = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    orderer, approver = actor_at(unit, Role.UNIT_ORDERER), actor_at(unit, Role.UNIT_APPROVER)
    placed = buy(session, orderer, (first, 1), (second, 2), kind=OrderKind.CANTEEN)
    approve_order(session, approver, placed)
    deliver(session, placed.parts[1], actor_at(unit, Role.UNIT_RECEIVER))
    assert bill_accepted_parts(session) == 1
    deliver(session, placed.parts[0], actor_at(unit, Role.UNIT_RECEIVER))
    assert bill_accepted_parts(session) == 1
    amounts = session.scalars(select(Payment.amount_fen).order_by(Payment.id)).all()
    assert amounts == [10_000, 5_000]


@pytest.mark.databases("postgresql")
def test_two_workers_bill_each_part_once(session: Session, engine: Engine, clock: HeldClock) -> None:
    unit, offered = BuyerUnitFactory(), offer(session, CooperativeFactory())
    for number in range(10):
        placed = buy(
            session,
            actor_at(unit, Role.UNIT_ORDERER),
            (offered, 1),
            kind=OrderKind.CANTEEN,
            key=f"order-{number:010d}",
        )
        placed.parts[0].state, placed.parts[0].accepted_at = PartState.ACCEPTED, clock.now
    session.commit()
    gate, counts, maker = threading.Barrier(3), [], session_maker(engine)

    def work() -> None:
        gate.wait()
        for _ in range(3):
            with core_clock.set_to(START), maker() as own:
                counts.append(bill_accepted_parts(own))
                own.commit()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 10
    assert session.scalar(select(func.count()).select_from(Payment)) == 10


def test_the_database_bills_no_part_twice(owed: Payment, session: Session) -> None:
    copy = Payment(
        order_id=owed.order_id,
        part_id=owed.part_id,
        method=owed.method,
        amount_fen=1,
        remittance_code=new_code(),
    )
    with pytest.raises(IntegrityError, match="part_id"), session.begin_nested():
        session.add(copy)


# --- the statement ---


def test_money_with_the_code_and_the_sum_pays_the_bill_and_the_households(
    session: Session, clock: HeldClock, cashier: Actor, files: FileStore
) -> None:
    offered = offer(session, CooperativeFactory())
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    owed = bill(session, offered, 3)
    clock.advance(days=2)

    (line,) = take(
        session, cashier, files, ("B1", "150.00", f"货款 {display_code(owed.remittance_code)} 谢谢")
    )

    assert (line.state, line.payment_id) == (BankLineState.MATCHED, owed.id)
    assert (owed.state, owed.part.paid_at) == (PaymentState.PAID, owed.paid_at)
    assert owed.paid_at == NOON  # of the day the bank booked it
    assert money(session, owed) == (15_000, 0, 15_000)
    assert settle_lines(session) == 1
    assert money(session, owed) == (15_000, 0, 0)
    household = AccountKey.household_payable(offered.cooperative.id, contract.household_id)
    assert balances(session, [household])[household] == 1_500
    assert tasks_of(session, cashier) == []


@pytest.mark.parametrize(
    ("yuan", "remark", "reason", "is_linked"),
    [
        ("149.99", "{code}", QueueReason.WRONG_AMOUNT, True),
        ("150.01", "{code}", QueueReason.WRONG_AMOUNT, True),
        ("150.00", "货款", QueueReason.NO_CODE, False),
        ("150.00", "", QueueReason.NO_CODE, False),
        ("150.00", "{unknown}", QueueReason.UNKNOWN_CODE, False),
    ],
)
def test_money_that_fits_nothing_waits_for_a_person(
    owed: Payment,
    session: Session,
    cashier: Actor,
    files: FileStore,
    yuan: str,
    remark: str,
    reason: QueueReason,
    is_linked: bool,
) -> None:
    remark = remark.format(code=display_code(owed.remittance_code), unknown=display_code(new_code()))
    (line,) = take(session, cashier, files, ("B1", yuan, remark))
    assert (line.state, line.reason) == (BankLineState.QUEUED, reason)
    assert line.payment_id == (owed.id if is_linked else None)
    assert (owed.state, money(session, owed)) == (PaymentState.OPEN, (0, 15_000, 15_000))
    assert [task.count for task in tasks_of(session, cashier)] == [1]


def test_a_remark_with_two_codes_waits_for_a_person(
    session: Session, clock: HeldClock, cashier: Actor, files: FileStore
) -> None:
    offered = offer(session, CooperativeFactory())
    first, second = (bill(session, offered, 3, key=f"canteen-order-{n}") for n in range(2))
    (line,) = take(
        session, cashier, files, ("B1", "150.00", f"{first.remittance_code} {second.remittance_code}")
    )
    assert (line.state, line.reason, line.payment_id) == (
        BankLineState.QUEUED,
        QueueReason.SEVERAL_CODES,
        None,
    )
    assert {first.state, second.state} == {PaymentState.OPEN}


def test_a_bill_paid_twice_is_paid_once_and_the_rest_waits(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    code = owed.remittance_code
    first, second = take(session, cashier, files, ("B1", "150.00", code), ("B2", "150.00", code))
    (third,) = take(session, cashier, files, ("B3", "150.00", code))
    assert first.state is BankLineState.MATCHED
    assert [(line.state, line.reason) for line in (second, third)] == [
        (BankLineState.QUEUED, QueueReason.ALREADY_PAID)
    ] * 2
    assert money(session, owed) == (15_000, 0, 15_000)


def test_money_for_a_cancelled_bill_waits_for_a_person(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    owed.state = PaymentState.CANCELLED
    session.flush()
    (line,) = take(session, cashier, files, ("B1", "150.00", owed.remittance_code))
    assert (line.state, line.reason) == (BankLineState.QUEUED, QueueReason.CANCELLED)


def test_the_same_serial_number_counts_once_whichever_file_it_comes_in(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    row = ("B1", "150.00", owed.remittance_code)
    assert len(take(session, cashier, files, row)) == 1
    assert [line.serial_no for line in take(session, cashier, files, row, ("B2", "1.00", ""))] == ["B2"]
    assert [
        line.serial_no for line in take(session, cashier, files, ("B3", "2.00", ""), ("B3", "2.00", ""))
    ] == ["B3"]
    assert money(session, owed) == (15_000, 0, 15_000)


@pytest.mark.parametrize("apart", [False, True])
def test_a_serial_number_that_stands_for_two_sums_is_refused(
    owed: Payment, session: Session, cashier: Actor, files: FileStore, apart: bool
) -> None:
    first, second = ("B1", "150.00", owed.remittance_code), ("B1", "151.00", "")
    if apart:
        take(session, cashier, files, first)
    before = session.scalar(select(func.count()).select_from(BankLine))
    with pytest.raises(Conflict) as refused, session.begin_nested():
        take(session, cashier, files, *((("B9", "9.00", ""), second) if apart else (first, second)))
    assert (refused.value.code, refused.value.params) == ("serial_taken", {"row": 3, "serial": "B1"})
    assert session.scalar(select(func.count()).select_from(BankLine)) == before


def test_the_same_file_again_is_the_same_statement(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    content = lines_of(("B1", "150.00", owed.remittance_code), ("B2", "7.00", ""))
    first = import_statement(session, cashier, files, content=content, file_name="六月.csv")
    again = import_statement(session, cashier, files, content=content, file_name="六月（2）.csv")
    assert again is first
    assert (first.lines_total, first.lines_matched) == (2, 1)
    counts = [
        session.scalar(select(func.count()).select_from(table))
        for table in (BankStatement, BankLine, StoredFile)
    ]
    assert counts == [1, 2, 1]


def test_of_a_file_with_a_fault_nothing_is_kept(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    with pytest.raises(Refused) as refused, session.begin_nested():
        take(session, cashier, files, ("B1", "150.00", owed.remittance_code), ("B2", "一元", ""))
    assert (refused.value.code, refused.value.params) == ("statement_amount", {"row": 3})
    session.expire_all()
    counts = [
        session.scalar(select(func.count()).select_from(table))
        for table in (BankStatement, BankLine, StoredFile)
    ]
    assert counts == [0, 0, 0]
    assert owed.state is PaymentState.OPEN


def test_only_the_cashier_takes_statements(owed: Payment, session: Session, files: FileStore) -> None:
    for actor in (staff_buyer(), actor_with(Role.AUDITOR), actor_at(BuyerUnitFactory(), Role.UNIT_PAYER)):
        with pytest.raises(Forbidden):
            take(session, actor, files, ("B1", "150.00", owed.remittance_code))
    assert session.scalar(select(func.count()).select_from(BankLine)) == 0


# --- the queue ---


def test_a_person_finds_the_bill_of_a_line_without_a_code(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    (line,) = take(session, cashier, files, ("B1", "150.00", "货款"))
    assert suggestions_for(session, line) == [Claims(bills=(owed,))]
    resolve_bank_line(session, cashier, line, payment=owed, note=" 已电话核对 ")
    assert (line.state, line.payment_id, line.resolution) == (BankLineState.RESOLVED, owed.id, "已电话核对")
    assert (line.resolved_by, line.resolved_at) == (cashier.user_id, core_clock.now())
    assert (owed.state, money(session, owed)) == (PaymentState.PAID, (15_000, 0, 15_000))


def test_a_person_explains_a_line_that_pays_nothing(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    (line,) = take(session, cashier, files, ("B1", "100.00", owed.remittance_code))
    resolve_bank_line(session, cashier, line, note="金额不符，已原路退回")
    assert (line.state, line.payment_id) == (BankLineState.RESOLVED, None)
    assert (owed.state, money(session, owed)) == (PaymentState.OPEN, (0, 15_000, 15_000))


def test_a_line_is_resolved_with_reason_and_once(
    owed: Payment, session: Session, cashier: Actor, files: FileStore
) -> None:
    other = bill(session, offer(session, CooperativeFactory()), 2, key="another-canteen-s-order")
    card = ask_card_payment(
        session, buyer := staff_buyer(), order=buy(session, buyer, (offer(session, CooperativeFactory()), 3))
    )
    (line,) = take(session, cashier, files, ("B1", "150.00", "货款"))

    def refusal(actor: Actor = cashier, note: str = "核对过", payment: Payment | None = owed) -> DomainError:
        with pytest.raises(DomainError) as refused, session.begin_nested():
            resolve_bank_line(session, actor, line, payment=payment, note=note)
        assert (line.state, owed.state) == (BankLineState.QUEUED, PaymentState.OPEN)
        return refused.value

    assert refusal(note="  ").code == "note_missing"
    assert refusal(payment=other).code == "amounts_differ"
    assert isinstance(refusal(payment=card), NotFound)
    assert isinstance(refusal(actor=staff_buyer()), Forbidden)

    resolve_bank_line(session, cashier, line, payment=owed, note="核对过")
    with pytest.raises(NotFound):
        resolve_bank_line(session, cashier, line, note="再来一次")
    (second,) = take(session, cashier, files, ("B2", "150.00", "货款"))
    assert suggestions_for(session, second) == []
    with pytest.raises(Conflict) as refused, session.begin_nested():
        resolve_bank_line(session, cashier, second, payment=owed, note="核对过")
    assert refused.value.code == "payment_not_open"
    assert second.state is BankLineState.QUEUED
    assert money(session, owed) == (15_000, 0, 15_000)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE bank_line SET amount_fen = 0", "amount"),
        ("UPDATE bank_line SET reason = NULL", "queued"),
        ("UPDATE bank_line SET state = 'matched'", "queued"),
    ],
)
def test_the_database_drops_no_line(
    owed: Payment, session: Session, cashier: Actor, files: FileStore, statement: str, constraint: str
) -> None:
    take(session, cashier, files, ("B1", "100.00", owed.remittance_code))
    with pytest.raises(IntegrityError, match=constraint), session.begin_nested():
        session.execute(text(statement))


def test_a_part_paid_by_transfer_settles_on_the_later_of_its_two_days(
    owed: Payment, session: Session, clock: HeldClock, cashier: Actor, files: FileStore
) -> None:
    clock.advance(days=40)
    take(session, cashier, files, ("B1", "150.00", owed.remittance_code))
    assert settle_lines(session) == 1
    settled = session.scalars(select(Settlement)).one()
    assert settled.entry.occurred_at == owed.paid_at == NOON > owed.part.accepted_at
    assert settled.settled_at == core_clock.now()
