"""Transfers that are more than one bill: with interest, for several codes, a fen off, late; and what is suggested."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core.errors import NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.checks import run_checks
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.late_interest.queries import interest_of
from marketplace.payments.late_interest.rules import waive_interest
from marketplace.payments.matching import near_misses, suggestions_for
from marketplace.payments.models import (
    BankLine,
    BankLineMatch,
    BankLineState,
    Payment,
    PaymentState,
    QueueReason,
)
from marketplace.payments.queries import MOST_TOGETHER, bills_together, tasks_of
from marketplace.payments.receivables.queries import Age, age_of, ageing, ageing_totals, open_bills
from marketplace.payments.refunds.queries import payers_of
from marketplace.payments.statements import import_statement, resolve_bank_line
from marketplace.registry.models import BuyerUnit
from tests.conftest import HeldClock, Listening
from tests.factories.identity import actor_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, bill, offer

HEADER = "交易流水号,交易日期,收入金额,对方户名,附言"
LATE = "2026-07-11"  # ten days after the last day of a bill of the first of June
M, Q = BankLineState.MATCHED, BankLineState.QUEUED


@pytest.fixture
def cashier(session: Session, clock: HeldClock) -> Actor:
    return actor_with(Role.OPERATOR)


@pytest.fixture
def unit(session: Session) -> BuyerUnit:
    return BuyerUnitFactory(name="乐安县第一小学")


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory(), tiers=((1, 10_000),), units=900)


@pytest.fixture
def owed(session: Session, offered: Offer, unit: BuyerUnit, clock: HeldClock) -> Payment:
    """10,000.00 yuan to be paid by the first of July; 50.00 of interest ten days later."""
    found = bill(session, offered, 100, unit=unit)
    clock.advance(days=60)
    return found


def take(
    session: Session, cashier: Actor, files: FileStore, *rows: tuple[str, str], day: str = LATE
) -> list[BankLine]:
    """The lines of a statement with these (yuan, remark)."""
    seen = session.scalars(select(BankLine.id)).all()
    body = [f"B{len(seen) + n},{day},{yuan},乐安县第一小学,{remark}" for n, (yuan, remark) in enumerate(rows)]
    content = "\n".join((HEADER, *body)).encode()
    import_statement(session, cashier, files, content=content, file_name="七月.csv")
    fresh = select(BankLine).where(BankLine.id.not_in(seen)).order_by(BankLine.id)
    return list(session.scalars(fresh))


def matched(session: Session, line: BankLine) -> list[tuple[int | None, int | None, int]]:
    rows = select(BankLineMatch).where(BankLineMatch.line_id == line.id).order_by(BankLineMatch.id)
    return [(row.payment_id, row.interest_id, row.amount_fen) for row in session.scalars(rows)]


def sound(session: Session) -> bool:
    return not any(result.findings for result in run_checks(session, CHECKS))


def test_the_bill_with_its_interest_in_one_transfer_pays_both(
    session: Session, cashier: Actor, files: FileStore, owed: Payment
) -> None:
    (line,) = take(session, cashier, files, ("10050.00", owed.remittance_code))
    claim = interest_of(session, owed.id)
    assert (line.state, owed.state, claim.state) == (M, PaymentState.PAID, InterestState.PAID)
    assert matched(session, line) == [(owed.id, None, 1_000_000), (None, claim.id, 5_000)]
    assert payers_of(session, [owed.id]) == {owed.id: line}
    assert sound(session)


@pytest.mark.parametrize("by_own_code", [True, False])
def test_the_bill_alone_marks_it_paid_and_its_interest_follows(
    session: Session, cashier: Actor, files: FileStore, owed: Payment, by_own_code: bool
) -> None:
    (first,) = take(session, cashier, files, ("10000.00", owed.remittance_code))
    claim = interest_of(session, owed.id)
    assert (first.state, owed.state, claim.state) == (M, PaymentState.PAID, InterestState.OPEN)
    code = claim.remittance_code if by_own_code else owed.remittance_code
    off, right = take(session, cashier, files, ("49.99", code), ("50.00", code))
    reason = QueueReason.WRONG_AMOUNT if by_own_code else QueueReason.ALREADY_PAID
    assert (off.state, off.reason) == (Q, reason)
    assert (right.state, claim.state) == (M, InterestState.PAID)
    assert matched(session, right) == [(None, claim.id, 5_000)]
    (again,) = take(session, cashier, files, ("50.00", code))
    assert (again.state, again.reason) == (Q, QueueReason.ALREADY_PAID)
    assert sound(session)


@pytest.mark.parametrize(
    ("yuan", "expected_fen"),
    [("9999.99", 1_000_000), ("10000.01", 1_000_000), ("10049.99", 1_005_000), ("10050.01", 1_005_000)],
)
def test_a_fen_too_little_or_too_much_waits_with_what_was_expected(
    session: Session, cashier: Actor, files: FileStore, owed: Payment, yuan: str, expected_fen: int
) -> None:
    (line,) = take(session, cashier, files, (yuan, owed.remittance_code))
    assert (line.state, line.reason, line.expected_fen) == (Q, QueueReason.WRONG_AMOUNT, expected_fen)
    assert (owed.state, line.payment_id, matched(session, line)) == (PaymentState.OPEN, owed.id, [])
    assert suggestions_for(session, line) == []
    assert near_misses(session, line) == ([owed] if expected_fen == 1_000_000 else [])


def test_several_codes_are_paid_together_when_their_sum_fits(
    session: Session, cashier: Actor, files: FileStore, owed: Payment, offered: Offer, unit: BuyerUnit
) -> None:
    second = bill(session, offered, 3, unit=unit, key="the-second-order-of-it")
    codes = f"{owed.remittance_code} {second.remittance_code}"
    off, line = take(session, cashier, files, ("10300.01", codes), ("10300.00", codes))
    assert (off.state, off.reason, off.expected_fen) == (Q, QueueReason.SEVERAL_CODES, 1_030_000)
    assert (line.state, owed.state, second.state) == (M, PaymentState.PAID, PaymentState.PAID)
    assert [fen for _, _, fen in matched(session, line)] == [1_000_000, 30_000]
    claim = interest_of(session, owed.id)
    assert claim.amount_fen == 5_000
    third = bill(session, offered, 2, unit=unit, key="the-third-order-of-it.")
    mixed = f"{claim.remittance_code} {third.remittance_code}"
    (line,) = take(session, cashier, files, ("250.00", mixed))
    assert (line.state, claim.state, third.state) == (M, InterestState.PAID, PaymentState.PAID)
    (line,) = take(session, cashier, files, ("200.00", codes))
    assert (line.state, line.reason) == (Q, QueueReason.ALREADY_PAID)
    assert sound(session)


def test_interest_that_was_waived_is_not_taken(
    session: Session, cashier: Actor, files: FileStore, owed: Payment
) -> None:
    take(session, cashier, files, ("10000.00", owed.remittance_code))
    claim = session.scalars(select(LateInterest)).one()
    waive_interest(session, actor_at(owed.part.cooperative), owed, reason="第一次合作，不计利息")
    (line,) = take(session, cashier, files, ("50.00", claim.remittance_code))
    assert (line.state, line.reason) == (Q, QueueReason.CANCELLED)
    assert sound(session)


def test_a_person_is_shown_what_a_line_may_pay_and_chooses(
    session: Session, cashier: Actor, files: FileStore, owed: Payment, offered: Offer, unit: BuyerUnit
) -> None:
    second = bill(session, offered, 3, unit=unit, key="the-second-order-of-it")
    with_interest, pair, whole = take(
        session, cashier, files, ("10050.00", "货款"), ("10300.00", "货款"), ("10350.00", "货款")
    )
    found = {line.amount_fen: suggestions_for(session, line) for line in (with_interest, pair, whole)}
    assert [claims.key for claims in found[1_005_000]] == [f"{owed.public_no}+interest"]
    together = f"{second.public_no}+{owed.public_no}", f"{owed.public_no}+{second.public_no}"
    assert [claims.key in together for claims in found[1_030_000]] == [True]
    assert [claims.accrued_fen for claims in found[1_035_000]] == [5_000]
    with pytest.raises(Refused), session.begin_nested():
        resolve_bank_line(session, cashier, pair, claims=found[1_005_000][0], note="电话核对")
    resolve_bank_line(session, cashier, whole, claims=found[1_035_000][0], note="电话核对")
    assert (owed.state, second.state, interest_of(session, owed.id).state) == (
        PaymentState.PAID,
        PaymentState.PAID,
        InterestState.PAID,
    )
    assert suggestions_for(session, pair) == []
    assert sound(session)


# --- the unit's side ---


def test_bills_of_one_cooperative_go_on_one_slip(
    session: Session, owed: Payment, offered: Offer, unit: BuyerUnit
) -> None:
    payer = actor_at(unit, Role.UNIT_PAYER)
    second = bill(session, offered, 3, unit=unit, key="the-second-order-of-it")
    other = bill(session, offer(session, CooperativeFactory()), 1, unit=unit, key="elsewhere-an-order")
    stranger = bill(session, offered, 1, key="another-canteen-s-order")
    assert bills_together(session, payer, [second.public_no, owed.public_no]) == [owed, second]
    for numbers, code in (
        ([], "no_bills"),
        ([owed.public_no, other.public_no], "several_cooperatives"),
        ([f"Y-{n}" for n in range(MOST_TOGETHER + 1)], "many_bills"),
    ):
        with pytest.raises(Refused) as refused:
            bills_together(session, payer, numbers)
        assert refused.value.code == code
    with pytest.raises(NotFound):
        bills_together(session, payer, [owed.public_no, stranger.public_no])


def test_a_payer_is_reminded_by_how_near_the_last_day_is(
    session: Session, clock: HeldClock, offered: Offer, unit: BuyerUnit
) -> None:
    payer = actor_at(unit, Role.UNIT_PAYER)
    bill(session, offered, 1, unit=unit)
    words = []
    for days in (0, 23, 6, 1, 1):  # thirty, seven, one, none left; one too late
        clock.advance(days=days)
        words += [task.message for task in tasks_of(session, payer)]
    assert words == [
        "%(count)s 笔货款待转账",
        "%(count)s 笔货款 7 天内到期",
        "%(count)s 笔货款今明两天到期",
        "%(count)s 笔货款今明两天到期",
        "%(count)s 笔货款已逾期，正在计息",
    ]


# --- the cooperative's side ---


def test_receivables_are_sorted_by_how_late_they_are(
    session: Session, clock: HeldClock, offered: Offer, unit: BuyerUnit, statements: Listening
) -> None:
    due = date(2026, 7, 1)
    edges = [(0, Age.NOT_DUE), (1, Age.TO_30), (30, Age.TO_30), (31, Age.TO_60), (60, Age.TO_60)]
    edges += [(61, Age.TO_90), (90, Age.TO_90), (91, Age.OVER_90)]
    assert [age_of(due, date.fromordinal(due.toordinal() + days)) for days, _ in edges] == [
        age for _, age in edges
    ]
    other = BuyerUnitFactory()
    keys = ("first", "second", "third", "fourth", "fifth")
    for units, (days, key) in enumerate(zip((0, 1, 31, 61, 91), keys, strict=True), start=1):
        row = bill(session, offered, units, unit=unit, key=f"of-the-{key}-age")
        row.due_on = date.fromordinal(due.toordinal() - days)
    bill(session, offered, 7, unit=other, key="not-late-at-all-here").due_on = due
    bill(session, offer(session, CooperativeFactory()), 1, unit=unit, key="of-another-seller")
    session.flush()
    seller = actor_at(offered.cooperative)
    with statements() as sent:
        rows = session.execute(ageing(seller, due)).mappings().all()
        totals = ageing_totals(session, seller, due)
    assert len(sent) == 2
    ages = [age.value for age in Age]
    assert [(row["name"], [row[age] for age in ages]) for row in rows] == [
        (unit.name, [10_000, 20_000, 30_000, 40_000, 50_000]),
        (other.name, [70_000, 0, 0, 0, 0]),
    ]
    assert [totals[age] for age in ages] == [80_000, 20_000, 30_000, 40_000, 50_000]
    assert (totals["total"], totals["late"], totals["interest"], totals["bills"]) == (220_000, 140_000, 0, 6)
    assert [row.amount_fen for row in session.scalars(open_bills(seller, other))] == [70_000]


def test_a_cooperative_without_receivables_owes_no_row(session: Session, clock: HeldClock) -> None:
    seller = actor_at(CooperativeFactory())
    assert session.execute(ageing(seller, date(2026, 7, 1))).all() == []
    assert set(ageing_totals(session, seller, date(2026, 7, 1)).values()) == {0}
