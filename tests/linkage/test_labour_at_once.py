"""Several cooperatives recording one person's day, and one receipt, at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import session_maker
from marketplace.core.errors import DomainError
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt
from marketplace.linkage.mechanisms.employment.models import LabourDay, LabourSpan
from marketplace.linkage.models import Agreement, Entitlement, Evidence
from marketplace.linkage.rules import record_asset_rent, record_attendance
from marketplace.registry.models import HouseholdMember
from tests.factories.linkage import AssetLeaseFactory, EmploymentFactory, PeriodFactory, Work
from tests.factories.registry import (
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    actor_at,
    beneficiary_policy,
)

DAY = date(2026, 5, 20)


@pytest.fixture
def at_once(engine):
    """Run a rule in so many sessions at once; answers what each came to: "done" or "refused"."""

    def one(work):
        with session_maker(engine)() as own:
            try:
                work(own)
                own.commit()
            except (DomainError, IntegrityError):
                return "refused"
            return "done"

    def run(*works):
        with ThreadPoolExecutor(len(works)) as pool:
            return sorted(pool.map(one, works))

    return run


@pytest.fixture
def employers(session):
    """Four cooperatives that employ the same household, each with somebody to record."""
    beneficiary_policy()
    household = HouseholdFactory()
    agreements = [
        EmploymentFactory(enrolment=EnrolmentFactory(household=household, cooperative=CooperativeFactory()))
        for _ in range(4)
    ]
    for agreement in agreements:
        PeriodFactory(cooperative=agreement.cooperative)
    found = household.members[0].id, [(one.id, actor_at(one.cooperative)) for one in agreements]
    session.commit()
    return found


def attending(person_id, agreement_id, actor, work):
    return lambda own: record_attendance(
        own,
        actor,
        agreement=own.get_one(Agreement, agreement_id),
        person=own.get_one(HouseholdMember, person_id),
        worked_on=DAY,
        work=work,
    )


def test_a_person_works_sixteen_hours_however_many_record_at_once(session, at_once, employers):
    person_id, recorders = employers
    works = [attending(person_id, *one, Work(minutes=480)) for one in recorders]
    assert at_once(*works) == ["done", "done", "refused", "refused"]
    assert session.scalars(select(LabourDay.minutes)).all() == [960]
    assert session.scalar(select(func.sum(Entitlement.amount_fen))) == 24_000


def test_the_same_hours_are_taken_by_one(session, at_once, employers):
    person_id, recorders = employers
    work = Work(minutes=120, starts_minute=480, ends_minute=600)
    assert at_once(*(attending(person_id, *one, work) for one in recorders)) == ["done"] + ["refused"] * 3
    assert session.scalar(select(func.count(LabourSpan.evidence_id))) == 1
    assert session.scalars(select(LabourDay.minutes)).all() == [120]


def test_a_receipt_recorded_twice_at_once_is_shared_once(session, at_once):
    beneficiary_policy()
    lease = AssetLeaseFactory()
    PeriodFactory(cooperative=lease.cooperative)
    actor = actor_at(lease.cooperative)
    session.commit()

    def receiving(own):
        record_asset_rent(
            own,
            actor,
            asset_no="ZC-2026-001",
            receipt_no="1",
            rent_fen=1_000,
            received_on=DAY,
            village_code=VILLAGE,
        )

    assert at_once(receiving, receiving, receiving) == ["done", "refused", "refused"]
    for table in (AssetRentReceipt, Evidence, Entitlement):
        assert session.scalar(select(func.count(table.id))) == 1
