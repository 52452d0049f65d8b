"""The checks of working days and village rents find what somebody changed behind the rules."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import delete, select, update

from marketplace.ledger.checks import run_checks
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentShare
from marketplace.linkage.mechanisms.employment.models import LabourDay, LabourSpan
from marketplace.linkage.verify import CHECKS
from tests.factories.linkage import (
    ASSET_TERMS,
    AssetLeaseFactory,
    EmploymentFactory,
    EntitlementFactory,
    PeriodFactory,
    attend,
    receive_rent,
)
from tests.factories.registry import EnrolmentFactory, beneficiary_policy

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def agreement(session):
    """Attendance by hours, by pieces with and without times, and a rent shared by three households."""
    beneficiary_policy()
    made = EmploymentFactory()
    PeriodFactory(cooperative=made.cooperative)
    attend(session, made, starts_minute=480, ends_minute=1020)
    pieces = {"minutes": None, "piece_kind": "采摘（斤）", "pieces": 20}
    attend(session, made, starts_minute=1020, ends_minute=1080, **pieces)
    attend(session, made, worked_on=date(2026, 5, 21), **pieces)
    for weight in (1, 2, 4):
        AssetLeaseFactory(
            enrolment=EnrolmentFactory(cooperative=made.cooperative),
            version__terms={**ASSET_TERMS, "plan_weight": weight},
        )
    receive_rent(session, made.cooperative, rent_fen=12_345)
    return made


def found(session):
    session.flush()
    return {
        result.check.name: [str(one) for one in result.findings] for result in run_checks(session, CHECKS)
    }


def test_what_was_recorded_by_the_rules_adds_up(session, agreement):
    assert found(session) == {"labour_days": [], "labour_spans": [], "asset_rents": []}
    assert [result.examined for result in run_checks(session, CHECKS)] == [2, 2, 1]


def test_a_changed_day_is_named(session, agreement):
    session.execute(update(LabourDay).where(LabourDay.minutes == 540).values(minutes=60))
    person = agreement.household.members[0].public_no
    assert found(session)["labour_days"] == [f"人员 {person} 在 2026-05-20 记了 60 分钟，考勤合计是 540 分钟"]


def test_a_span_taken_away_is_named(session, agreement):
    session.execute(delete(LabourSpan).where(LabourSpan.starts_minute == 1020))
    assert len(found(session)["labour_spans"]) == 1


def test_a_share_too_much_is_named(session, agreement):
    receipt = receive_rent(session, agreement.cooperative, rent_fen=1_000, receipt_no="2")
    period = receipt.period
    share = session.scalars(select(AssetRentShare).where(AssetRentShare.receipt_id == receipt.id)).first()
    lease = AssetLeaseFactory(enrolment=EnrolmentFactory(cooperative=agreement.cooperative))
    EntitlementFactory(agreement=lease, period=period, amount_fen=7)  # of something else
    assert found(session)["asset_rents"] == []
    EntitlementFactory(agreement=lease, period=period, amount_fen=7, evidence=share.evidence)
    assert found(session)["asset_rents"] == [
        f"资产租金 {receipt.public_no} 收到 1000 分，留存加分给农户是 1007 分"
    ]
