"""A unit that pays late owes interest: by the day, on what it owed, once, as a claim of its own."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core import clock as core_clock
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.queries import balances
from marketplace.ordering.models import OrderKind, OrderPart, PaymentPolicy, PaymentStart
from marketplace.ordering.terms import STATUTORY_TERMS, PaymentTerms, load_payment_policies, terms_in_force
from marketplace.payments.late_interest.computing import (
    Span,
    days_late,
    interest_fen,
    late_interest,
    spans_owed,
)
from marketplace.payments.late_interest.models import InterestState, InterestWaiver, LateInterest
from marketplace.payments.late_interest.queries import accruals
from marketplace.payments.late_interest.rules import pay_interest, waive_interest
from marketplace.payments.models import Payment, PaymentState, Settlement
from marketplace.payments.refunds.rules import agree_refund
from marketplace.payments.rules import apply_payment, last_day_to_pay
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.refunds import asked
from tests.factories.registry import (
    BuyerUnitFactory,
    CooperativeFactory,
    RegionFactory,
    actor_at,
)
from tests.factories.trade import bill, buy, offer

DUE = date(2026, 7, 1)


@pytest.fixture
def owed(session: Session, clock: HeldClock) -> Payment:
    """10,000.00 yuan owed by a canteen, to be paid by the first of July."""
    return bill(session, offer(session, CooperativeFactory(), tiers=((1, 10_000),), units=200), 100)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=core_clock.SHANGHAI)


def pay(session: Session, bill: Payment, *, days: int) -> LateInterest | None:
    """The bill's money comes so many days after its last day."""
    apply_payment(session, bill, paid_at=noon(bill.due_on + timedelta(days=days)))
    return session.scalar(select(LateInterest).where(LateInterest.payment_id == bill.id))


def standing(session: Session, bill: Payment) -> tuple[int, int]:
    """Fen the unit owes, and fen owed to the cooperative itself."""
    keys = [
        AccountKey.buyer_receivable(bill.order.buyer_unit_id),
        AccountKey.cooperative_payable(bill.part.cooperative_id),
    ]
    found = balances(session, keys)
    return tuple(found.get(key, 0) for key in keys)


def findings(session: Session) -> dict[str, list[object]]:
    return {result.check.name: result.findings for result in run_checks(session, CHECKS) if result.findings}


# --- the arithmetic ---


def test_ten_thousand_yuan_ten_days_late_at_five_per_ten_thousand_cost_fifty_yuan() -> None:
    assert late_interest(1_000_000, 10, 5) == 5_000


@pytest.mark.parametrize(
    ("fen", "days", "rate_bp", "interest"),
    [
        (1_000_000, 0, 5, 0),
        (0, 10, 5, 0),
        (1_000_000, 10, 0, 0),
        (999, 1, 5, 0),
        (1_000, 1, 5, 1),
        (3_000, 1, 5, 2),
    ],
)
def test_interest_is_rounded_once_half_up(fen: int, days: int, rate_bp: int, interest: int) -> None:
    assert late_interest(fen, days, rate_bp) == interest


@pytest.mark.parametrize(("fen", "days", "rate_bp"), [(-1, 1, 5), (1, -1, 5), (1, 1, -5)])
def test_interest_has_no_negative_sums_days_or_rates(fen: int, days: int, rate_bp: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        late_interest(fen, days, rate_bp)


def test_paying_early_or_on_the_last_day_is_not_late() -> None:
    assert [days_late(DUE, DUE + timedelta(days=days)) for days in (-9, 0, 1)] == [0, 0, 1]
    assert spans_owed(100, due_on=DUE, paid_on=DUE) == ()


def test_what_a_refund_took_off_costs_interest_until_the_night_before_it() -> None:
    spans = spans_owed(
        600,
        due_on=DUE,
        paid_on=date(2026, 7, 11),
        reductions=[(date(2026, 7, 5), 300), (date(2026, 6, 30), 50), (date(2026, 7, 8), 100)],
    )
    assert spans == (
        Span(DUE, 4, 1_000),
        Span(date(2026, 7, 5), 3, 700),
        Span(date(2026, 7, 8), 3, 600),
    )
    assert sum(span.days for span in spans) == 10
    assert spans_owed(0, due_on=DUE, paid_on=date(2026, 7, 3), reductions=[(date(2026, 7, 9), 70)]) == (
        Span(DUE, 2, 70),
    )


def test_spans_are_summed_before_the_one_rounding() -> None:
    assert interest_fen(999 + 999, 5) == 1  # by itself each would be less than half a fen
    with pytest.raises(ValueError, match="negative"):
        spans_owed(-1, due_on=DUE, paid_on=DUE)


# --- the terms ---


def test_an_order_freezes_the_policy_nearest_to_its_unit(session: Session, clock: HeldClock) -> None:
    unit = BuyerUnitFactory()
    assert terms_in_force(session, unit, core_clock.today()) == STATUTORY_TERMS
    RegionFactory(code="36")
    assert (load_payment_policies(session), load_payment_policies(session)) == (2, 0)
    shipped = terms_in_force(session, unit, core_clock.today())
    assert (shipped.days, shipped.start, shipped.late_rate_bp) == (30, PaymentStart.INSPECTION, 5)
    assert "802" in shipped.basis
    assert "802" not in terms_in_force(session, unit, date(2025, 5, 31)).basis
    assert terms_in_force(session, unit, date(2020, 8, 31)) == STATUTORY_TERMS
    own = {"default_days": 20, "cap_days": 40, "late_rate_bp": 6, "basis": "县财政局通知"}
    session.add(
        PaymentPolicy(
            region_code=unit.county_code,
            from_on=date(2026, 1, 1),
            payment_start=PaymentStart.DELIVERY,
            **own,
        )
    )
    session.flush()
    wanted = (offer(session, CooperativeFactory()), 1)
    placed = buy(session, actor_at(unit, Role.UNIT_ORDERER), wanted, kind=OrderKind.CANTEEN)
    frozen = (placed.payment_days, placed.payment_start, placed.late_rate_bp, placed.payment_basis)
    assert frozen == (20, PaymentStart.DELIVERY, 6, "县财政局通知")


@pytest.mark.parametrize(
    "wrong",
    [{"default_days": 61}, {"cap_days": 90}, {"default_days": 0}, {"late_rate_bp": 101}, {"basis": ""}],
)
def test_the_database_keeps_policies_within_the_statute(session: Session, wrong: dict[str, object]) -> None:
    RegionFactory(code="36")
    fine = {
        "region_code": "36",
        "from_on": DUE,
        "default_days": 30,
        "cap_days": 60,
        "payment_start": PaymentStart.DELIVERY,
        "late_rate_bp": 5,
        "basis": "条例",
    }
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(PaymentPolicy(**{**fine, **wrong}))


@pytest.mark.parametrize(
    ("start", "last"),
    [(PaymentStart.DELIVERY, date(2026, 6, 16)), (PaymentStart.INSPECTION, date(2026, 6, 19))],
)
def test_the_days_to_pay_run_from_delivery_or_from_acceptance_in_shanghai(
    session: Session, clock: HeldClock, owed: Payment, start: PaymentStart, last: date
) -> None:
    part, order = owed.part, owed.order
    order.payment_days, order.payment_start = 15, start
    part.received_at = datetime(2026, 5, 31, 16, 30, tzinfo=core_clock.UTC)  # the first of June in China
    part.accepted_at = datetime(2026, 6, 4, 15, 59, tzinfo=core_clock.UTC)  # still the fourth
    assert last_day_to_pay(part) == last
    order.payment_days = None
    with pytest.raises(ValueError, match="last day"):
        last_day_to_pay(part)


# --- the claim ---


def test_a_late_bill_is_paid_by_its_own_sum_and_leaves_the_interest_as_a_claim(
    session: Session, owed: Payment
) -> None:
    claim = pay(session, owed, days=10)
    assert (owed.state, owed.part.paid_at) == (PaymentState.PAID, owed.paid_at)
    assert claim is not None
    assert (claim.amount_fen, claim.days_late, claim.late_rate_bp, claim.state) == (
        5_000,
        10,
        5,
        InterestState.OPEN,
    )
    assert [(span.starts_on, span.days, span.owed_fen) for span in claim.spans] == [(DUE, 10, 1_000_000)]
    assert standing(session, owed) == (5_000, 5_000)
    assert findings(session) == {}

    pay_interest(session, claim, paid_at=noon(date(2026, 7, 20)))
    assert (claim.state, standing(session, owed)) == (InterestState.PAID, (0, 5_000))
    with pytest.raises(Conflict):
        pay_interest(session, claim, paid_at=noon(date(2026, 7, 21)))
    assert standing(session, owed) == (0, 5_000)
    assert findings(session) == {}


def test_interest_is_outside_the_line_and_its_pools(
    session: Session, clock: HeldClock, owed: Payment
) -> None:
    pay(session, owed, days=10)
    clock.set_to(noon(DUE + timedelta(days=11)))
    assert settle_lines(session) == 1
    settled = session.scalars(select(Settlement)).one()
    assert (settled.net_fen, settled.pool_fen) == (1_000_000, 100_000)
    assert standing(session, owed) == (5_000, 900_000 + 5_000)
    assert findings(session) == {}


@pytest.mark.parametrize("days", [-5, 0])
def test_a_bill_paid_in_time_leaves_no_claim(session: Session, owed: Payment, days: int) -> None:
    assert pay(session, owed, days=days) is None
    assert standing(session, owed) == (0, 0)


def test_a_refund_during_the_delay_lowers_the_interest_from_then_on(
    session: Session, clock: HeldClock, owed: Payment
) -> None:
    receiver = actor_at(owed.order.buyer_unit, Role.UNIT_RECEIVER)
    refund = asked(session, receiver, owed.part, 40)
    clock.advance(days=34)  # the fifth of July, four nights late
    agree_refund(session, actor_at(owed.part.cooperative), refund)
    today = core_clock.today()
    assert accruals(session, [owed], on=today)[owed.id].amount_fen == 2_000
    claim = pay(session, owed, days=10)
    assert [(span.days, span.owed_fen) for span in claim.spans] == [(4, 1_000_000), (6, 600_000)]
    assert claim.amount_fen == 3_800
    assert findings(session) == {}


# --- the waiver ---


def test_the_cooperative_waives_a_claim_with_a_reason_and_once(session: Session, owed: Payment) -> None:
    claim = pay(session, owed, days=10)
    manager = actor_at(owed.part.cooperative)

    def refusal(actor: object, reason: str = "国庆放假银行不办公") -> DomainError:
        with pytest.raises(DomainError) as refused, session.begin_nested():
            waive_interest(session, actor, owed, reason=reason)
        assert (claim.state, standing(session, owed)) == (InterestState.OPEN, (5_000, 5_000))
        return refused.value

    assert isinstance(refusal(actor_at(owed.order.buyer_unit, Role.UNIT_PAYER)), Forbidden)
    assert isinstance(refusal(actor_at(CooperativeFactory())), NotFound)
    assert isinstance(refusal(manager, reason=" "), Refused)

    waiver = waive_interest(session, manager, owed, reason="国庆放假银行不办公")
    assert (claim.state, waiver.reason) == (InterestState.WAIVED, "国庆放假银行不办公")
    assert standing(session, owed) == (0, 0)
    reversal = session.get_one(Entry, waiver.entry_id)
    assert (reversal.kind, reversal.reverses_entry_id) == (EntryKind.REVERSAL, claim.entry_id)
    with pytest.raises(Conflict):
        waive_interest(session, manager, owed, reason="再免一次")
    with pytest.raises(Conflict):
        pay_interest(session, claim, paid_at=noon(DUE))
    assert findings(session) == {}


def test_interest_waived_beforehand_is_never_claimed(session: Session, owed: Payment) -> None:
    waive_interest(session, actor_at(owed.part.cooperative), owed, reason="系统升级耽误了付款")
    assert accruals(session, [owed], on=date(2026, 7, 11))[owed.id].amount_fen == 0
    assert pay(session, owed, days=10) is None
    assert (owed.state, standing(session, owed)) == (PaymentState.PAID, (0, 0))
    assert findings(session) == {}


def test_interest_that_was_paid_or_never_arose_cannot_be_waived(session: Session, owed: Payment) -> None:
    other = bill(session, offer(session, CooperativeFactory()), 1, key="another-canteen-order")
    claim = pay(session, owed, days=10)
    pay_interest(session, claim, paid_at=noon(date(2026, 7, 12)))
    assert pay(session, other, days=0) is None
    for one, code in ((owed, "interest_not_open"), (other, "no_interest")):
        with pytest.raises(Conflict) as refused, session.begin_nested():
            waive_interest(session, actor_at(one.part.cooperative), one, reason="免收")
        assert refused.value.code == code
    assert session.scalar(select(func.count()).select_from(InterestWaiver)) == 0


# --- no way round ---


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE late_interest SET amount_fen = 4999", "formula"),
        ("UPDATE late_interest SET fen_days = 0, amount_fen = 0", "positive"),
        ("UPDATE late_interest SET paid_on = due_on", "late"),
        ("UPDATE late_interest SET state = 'paid'", "paid"),
        ("UPDATE interest_span SET days = 1", "append-only"),
    ],
)
def test_the_database_holds_the_formula(
    session: Session, owed: Payment, statement: str, constraint: str
) -> None:
    pay(session, owed, days=10)
    with pytest.raises(IntegrityError, match=constraint), session.begin_nested():
        session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE late_interest SET days_late = 9", "interest_of_spans"),
        ("UPDATE late_interest SET fen_days = 12000000, amount_fen = 6000", "interest_of_spans"),
        ("UPDATE late_interest SET state = 'waived'", "interest_is_posted"),
        ("UPDATE late_interest SET state = 'paid', paid_at = claimed_at", "interest_is_posted"),
        ("UPDATE customer_order SET late_rate_bp = 6", "interest_of_spans"),
    ],
)
def test_a_claim_that_was_edited_is_found(
    session: Session, owed: Payment, statement: str, check: str
) -> None:
    pay(session, owed, days=10)
    session.execute(text(statement))
    assert check in findings(session)


def test_terms_are_values() -> None:
    terms = PaymentTerms(45, PaymentStart.DELIVERY, 3, "合同第六条")
    assert terms.columns["payment_days"] == 45
    assert set(terms.columns) <= {column.name for column in OrderPart.order.property.mapper.columns}
