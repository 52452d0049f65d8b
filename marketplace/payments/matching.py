"""Which claims a sum of money pays: a bill, a bill with the interest of the day, late interest, or several together.

Only a sum that fits to the fen pays anything. What fits nothing gets the reason and what was expected, and a person is
shown what it may have been meant for. Reads and computes; paying is in `statements.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.ordering.models import Order
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.late_interest.queries import FOR_LISTS, accruals
from marketplace.payments.models import BankLine, Payment, PaymentMethod, PaymentState, QueueReason
from marketplace.payments.queries import WHAT_FOR
from marketplace.registry.models import BuyerUnit

MOST = 20  # suggestions of one kind
MOST_OF_UNIT = 40  # open bills of a unit that are tried together
NEAR_FEN = 100  # a mistake of this size still looks like the bill


@dataclass(frozen=True)
class Claims:
    """What one transfer may pay, each whole: bills, the interest that runs on them by the day, and claimed interest."""

    bills: tuple[Payment, ...] = ()
    interests: tuple[LateInterest, ...] = ()
    accrued_fen: int = 0

    @property
    def total_fen(self) -> int:
        """The sum that pays all of it."""
        claimed = sum(interest.amount_fen for interest in self.interests)
        return sum(bill.amount_fen for bill in self.bills) + claimed + self.accrued_fen

    @property
    def key(self) -> str:
        """What names it in a form."""
        numbers = [row.public_no for row in (*self.bills, *self.interests)]
        return "+".join(numbers) + ("+interest" if self.accrued_fen else "")


@dataclass(frozen=True)
class Fit:
    """What a line pays, or else why a person must look and what its codes asked for."""

    claims: Claims
    reason: QueueReason | None = None
    expected_fen: int | None = None


@dataclass(frozen=True)
class CodeBook:
    """The bills and the claims of interest behind remittance codes, held against a second payer."""

    bills: dict[str, Payment]
    interests: dict[str, LateInterest]

    def named_by(self, codes: Iterable[str]) -> Claims:
        """What these codes name, in their order, each once."""
        known = list(dict.fromkeys(codes))
        return Claims(
            tuple(self.bills[code] for code in known if code in self.bills),
            tuple(self.interests[code] for code in known if code in self.interests),
        )


def claims_by_code(session: Session, codes: Iterable[str]) -> CodeBook:
    """Everything that one of these codes stands for, in two statements."""
    wanted = sorted(set(codes))
    bills = session.scalars(
        select(Payment)
        .where(Payment.remittance_code.in_(wanted))
        .order_by(Payment.id)
        .with_for_update(of=Payment)
    )
    interests = session.scalars(
        select(LateInterest)
        .where(LateInterest.remittance_code.in_(wanted))
        .order_by(LateInterest.id)
        .with_for_update(of=LateInterest)
    )
    return CodeBook(
        {bill.remittance_code: bill for bill in bills if bill.remittance_code},
        {interest.remittance_code: interest for interest in interests},
    )


def fit_line(
    session: Session, *, amount_fen: int, booked_on: date, codes: Sequence[str], named: Claims
) -> Fit:
    """What a sum with these codes pays. `named` is what the codes stand for.

    Several codes pay all they name or nothing. Interest of the day is paid with the bills when the sum says so; the
    code of a bill that was paid before still finds the interest it left.
    """
    if not named.bills and not named.interests:
        return Fit(named, QueueReason.UNKNOWN_CODE if codes else QueueReason.NO_CODE)
    left = _interest_left(session, named, amount_fen)
    if left is not None:
        return Fit(left)
    closed = _closed(named)
    if closed is not None:
        return Fit(named, closed)
    if named.total_fen == amount_fen:
        return Fit(named)
    with_interest = _with_interest(session, named, booked_on)
    if with_interest.total_fen == amount_fen:
        return Fit(with_interest)
    several = len(named.bills) + len(named.interests) > 1
    nearest = min((named, with_interest), key=lambda claims: abs(claims.total_fen - amount_fen))
    reason = QueueReason.SEVERAL_CODES if several else QueueReason.WRONG_AMOUNT
    return Fit(named, reason, nearest.total_fen)


def _interest_left(session: Session, named: Claims, amount_fen: int) -> Claims | None:
    """The open interest of the one paid bill that is named, when the sum is exactly that."""
    if named.interests or len(named.bills) != 1 or named.bills[0].state is not PaymentState.PAID:
        return None
    found = session.scalar(
        select(LateInterest)
        .where(
            LateInterest.payment_id == named.bills[0].id,
            LateInterest.state == InterestState.OPEN,
            LateInterest.amount_fen == amount_fen,
        )
        .with_for_update(of=LateInterest)
    )
    return Claims(interests=(found,)) if found is not None else None


def _closed(named: Claims) -> QueueReason | None:
    """Why nothing more is asked for one of the claims; None when all are open."""
    if any(bill.state is PaymentState.PAID for bill in named.bills) or any(
        interest.state is InterestState.PAID for interest in named.interests
    ):
        return QueueReason.ALREADY_PAID
    if any(bill.state is not PaymentState.OPEN for bill in named.bills) or any(
        interest.state is InterestState.WAIVED for interest in named.interests
    ):
        return QueueReason.CANCELLED
    return None


def _with_interest(session: Session, claims: Claims, booked_on: date) -> Claims:
    running = accruals(session, claims.bills, on=booked_on)
    return Claims(claims.bills, claims.interests, sum(one.amount_fen for one in running.values()))


# --- what a person may choose from ---


def suggestions_for(session: Session, line: BankLine) -> list[Claims]:
    """Everything open that a queued line pays exactly: one claim, a bill with its interest, or several of its unit."""
    found: dict[str, Claims] = {}
    for claims in (
        *(Claims(bills=(bill,)) for bill in _open_bills(session, line.amount_fen, line.amount_fen)),
        *_interests_of(session, line.amount_fen),
        *_bills_with_interest(session, line),
        *_several_of_unit(session, line),
    ):
        found.setdefault(claims.key, claims)
    return list(found.values())[:MOST]


def near_misses(session: Session, line: BankLine) -> list[Payment]:
    """Open bills that differ from a line by no more than a slip of the pen: to be shown, never to be paid by it."""
    near = _open_bills(session, line.amount_fen - NEAR_FEN, line.amount_fen + NEAR_FEN)
    return [bill for bill in near if bill.amount_fen != line.amount_fen]


def _open_bills(session: Session, least_fen: int, most_fen: int) -> list[Payment]:
    query = (
        select(Payment)
        .where(
            Payment.state == PaymentState.OPEN,
            Payment.method == PaymentMethod.BANK_TRANSFER,
            Payment.amount_fen.between(least_fen, most_fen),
        )
        .order_by(Payment.due_on, Payment.id)
        .options(*WHAT_FOR)
        .limit(MOST)
    )
    return list(session.scalars(query))


def _interests_of(session: Session, amount_fen: int) -> list[Claims]:
    query = (
        select(LateInterest)
        .where(LateInterest.state == InterestState.OPEN, LateInterest.amount_fen == amount_fen)
        .order_by(LateInterest.id)
        .options(*FOR_LISTS)
        .limit(MOST)
    )
    return [Claims(interests=(interest,)) for interest in session.scalars(query)]


def _bills_with_interest(session: Session, line: BankLine) -> list[Claims]:
    """Late bills that make the sum together with their interest; interest is never more than the bill here."""
    query = (
        select(Payment)
        .where(
            Payment.state == PaymentState.OPEN,
            Payment.method == PaymentMethod.BANK_TRANSFER,
            Payment.due_on < line.booked_on,
            Payment.amount_fen.between(line.amount_fen // 2, line.amount_fen - 1),
        )
        .order_by(Payment.amount_fen.desc(), Payment.id)
        .options(*WHAT_FOR)
        .limit(MOST_OF_UNIT)
    )
    bills = list(session.scalars(query))
    running = accruals(session, bills, on=line.booked_on)
    sums = (Claims(bills=(bill,), accrued_fen=running[bill.id].amount_fen) for bill in bills)
    return [claims for claims in sums if claims.total_fen == line.amount_fen]


def _several_of_unit(session: Session, line: BankLine) -> list[Claims]:
    """Open bills of the unit the money came from that make the sum: a pair, all of one cooperative, or all."""
    query = (
        select(Payment)
        .join(Order, Order.id == Payment.order_id)
        .join(BuyerUnit, BuyerUnit.id == Order.buyer_unit_id)
        .where(
            Payment.state == PaymentState.OPEN,
            Payment.method == PaymentMethod.BANK_TRANSFER,
            BuyerUnit.name == line.payer_name,
        )
        .order_by(Payment.due_on, Payment.id)
        .options(*WHAT_FOR)
        .limit(MOST_OF_UNIT)
    )
    bills = list(session.scalars(query))
    running = accruals(session, bills, on=line.booked_on)
    found: list[Claims] = []
    for group in _groups(bills):
        accrued = sum(running[bill.id].amount_fen for bill in group if bill.id in running)
        sums = (Claims(bills=group), Claims(bills=group, accrued_fen=accrued))
        found.extend(claims for claims in sums if claims.total_fen == line.amount_fen)
    return found


def _groups(bills: Sequence[Payment]) -> Iterator[tuple[Payment, ...]]:
    by_cooperative: dict[int, list[Payment]] = {}
    for bill in bills:
        if bill.part is not None:
            by_cooperative.setdefault(bill.part.cooperative_id, []).append(bill)
    yield from (tuple(group) for group in by_cooperative.values() if len(group) > 1)
    if len(bills) > 1:
        yield tuple(bills)
    yield from combinations(bills, 2)
