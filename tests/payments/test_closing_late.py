"""Late corrections: what a closed period missed is due in the open one, and names what it corrects."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, NotFound, Refused
from marketplace.identity.models import Role, StoredFile
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.late_corrections.rules import record_late_correction
from marketplace.linkage.models import Agreement, Entitlement, Evidence, LinkagePeriod
from marketplace.linkage.queries import recompute_entitlement
from marketplace.payments.closing.rules import confirm_closing, prepare_closing
from tests.conftest import HeldClock
from tests.factories.linkage import ContractFactory, LeaseFactory, PeriodFactory, pay_rent
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at, beneficiary_policy

HALF_YEAR = date(2026, 7, 1)


@pytest.fixture
def lease(session: Session, clock: HeldClock) -> Agreement:
    """A household that let its land."""
    beneficiary_policy()
    found: Agreement = LeaseFactory(enrolment=EnrolmentFactory(cooperative=CooperativeFactory()))
    return found


@pytest.fixture
def period(session: Session, lease: Agreement, clock: HeldClock) -> LinkagePeriod:
    """The first half of 2026, closed in July, and the second half open."""
    found: LinkagePeriod = PeriodFactory(cooperative=lease.cooperative, ends_on=HALF_YEAR)
    pay_rent(session, lease, ends_on=HALF_YEAR)
    clock.advance(days=31)
    close(session, lease, found)
    PeriodFactory(
        cooperative=lease.cooperative,
        starts_on=HALF_YEAR,
        ends_on=date(2027, 1, 1),
        previous_ends_on=HALF_YEAR,
    )
    return found


def close(session: Session, lease: Agreement, period: LinkagePeriod) -> None:
    """Two people close the period."""
    clerk, manager = (
        actor_at(lease.cooperative, r) for r in (Role.COOPERATIVE_CLERK, Role.COOPERATIVE_MANAGER)
    )
    confirm_closing(session, manager, prepare_closing(session, clerk, period))


def paper(session: Session) -> StoredFile:
    """A scan of a receipt."""
    found = StoredFile(address="0" * 64, name="receipt.png", media_type="image/png", size_bytes=1)
    session.add(found)
    session.flush()
    return found


def correct(session: Session, agreement: Agreement, period: LinkagePeriod, **fields: Any) -> LateCorrection:
    """A correction of 12.50, recorded by the cooperative's manager."""
    given: dict[str, Any] = {"amount_fen": 1_250, "reason": "面积少算了", "file": paper(session), **fields}
    return record_late_correction(
        session, actor_at(agreement.cooperative), agreement=agreement, period=period, **given
    )


def test_what_was_short_is_due_in_the_open_period(
    session: Session, lease: Agreement, period: LinkagePeriod, clock: HeldClock
) -> None:
    rent = session.scalars(select(Evidence)).one()
    correction = correct(session, lease, period, corrected=rent)
    found = correction.entitlement or session.get_one(Entitlement, correction.entitlement_id)
    assert found.period_id != period.id
    assert (found.amount_fen, found.due_on, found.mechanism) == (1_250, date(2027, 1, 1), lease.mechanism)
    assert found.inputs["late_correction"]["corrects"] == rent.public_no
    assert found.evidence.key == f"late_correction:{rent.public_no}:1"
    again = recompute_entitlement(session, found)
    assert (again.amount_fen, again.due_on, again.inputs) == (found.amount_fen, found.due_on, found.inputs)

    clock.set_to(clock.now.replace(year=2027, month=1, day=2))
    close(session, lease, session.get_one(LinkagePeriod, found.period_id))
    payable = AccountKey.household_payable(lease.cooperative_id, lease.household_id)
    assert balances(session, [payable])[payable] == 74_384 + 1_250


def test_a_contract_of_a_lot_is_corrected_over_the_open_period(
    session: Session, lease: Agreement, period: LinkagePeriod
) -> None:
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=lease.cooperative))
    correction = correct(session, contract, period)
    assert correction.key == f"late_correction:{period.public_no}:{contract.public_no}:1"
    assert correct(session, contract, period).key.endswith(":2")


def test_what_was_too_much_is_noted_and_takes_nothing_back(
    session: Session, lease: Agreement, period: LinkagePeriod
) -> None:
    payable = AccountKey.household_payable(lease.cooperative_id, lease.household_id)
    before = balances(session, [payable])
    correction = correct(session, lease, period, amount_fen=-500, file=None)
    assert (correction.entitlement_id, correction.evidence_id) == (None, None)
    assert balances(session, [payable]) == before
    assert session.scalar(select(func.count(Entitlement.id))) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount_fen": 0}, "correction_amount"),
        ({"amount_fen": 100_000_001}, "correction_amount"),
        ({"amount_fen": -100_000_001}, "correction_amount"),
        ({"reason": "  "}, "correction_reason"),
        ({"reason": "长" * 301}, "correction_reason"),
        ({"file": None}, "correction_file"),
        ({"number": 2}, "already_corrected"),
    ],
)
def test_a_correction_that_cannot_stand_is_refused(
    session: Session, lease: Agreement, period: LinkagePeriod, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises((Refused, Conflict)) as refusal:
        correct(session, lease, period, **fields)
    assert refusal.value.code == code
    assert session.scalars(select(LateCorrection)).all() == []
    assert session.scalar(select(func.count(Evidence.id))) == 1


def test_only_closed_periods_of_the_own_cooperative_are_corrected(
    session: Session, lease: Agreement, period: LinkagePeriod
) -> None:
    running = session.scalars(select(LinkagePeriod).where(LinkagePeriod.id != period.id)).one()
    stranger = ContractFactory(enrolment=EnrolmentFactory(cooperative=CooperativeFactory()))
    other = ContractFactory(enrolment=EnrolmentFactory(cooperative=lease.cooperative))
    rent = session.scalars(select(Evidence)).one()
    refused: list[tuple[dict[str, Any], str]] = [
        ({"agreement": lease, "period": running}, "period_open"),
        ({"agreement": stranger, "period": period}, NotFound().code),
        ({"agreement": other, "period": period, "corrected": rent}, "other_evidence"),
    ]
    for fields, code in refused:
        with pytest.raises(DomainError) as refusal:
            correct(session, **fields)
        assert refusal.value.code == code
    assert session.scalars(select(LateCorrection)).all() == []


def test_without_an_open_period_there_is_nowhere_to_record_it(
    session: Session, lease: Agreement, period: LinkagePeriod, clock: HeldClock
) -> None:
    clock.advance(days=400)
    with pytest.raises(Refused) as refusal:
        correct(session, lease, period)
    assert refusal.value.code == "no_open_period"
    assert session.scalars(select(LateCorrection)).all() == []


def test_a_correction_cannot_be_rewritten(session: Session, lease: Agreement, period: LinkagePeriod) -> None:
    correction = correct(session, lease, period)
    statement = update(LateCorrection).where(LateCorrection.id == correction.id).values(amount_fen=1)
    with pytest.raises(DatabaseError, match="late_correction"), session.begin_nested():
        session.execute(statement, execution_options={"synchronize_session": False})
