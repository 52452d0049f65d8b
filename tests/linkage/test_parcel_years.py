"""Rent of parcels: what it entitles to, and that no day of a parcel is paid for twice."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.identity.models import TrailEntry
from marketplace.linkage.mechanisms.land_transfer.models import ParcelYear, RentedSpan
from marketplace.linkage.models import Entitlement, Evidence, PeriodState
from marketplace.linkage.queries import recompute_entitlement
from marketplace.linkage.rules import amend_agreement, end_agreement, record_parcel_year
from tests.factories.linkage import (
    ContractFactory,
    LeaseFactory,
    PeriodFactory,
    lease_terms,
    parcel_no,
    pay_rent,
)
from tests.factories.registry import CooperativeFactory, actor_at, beneficiary_policy

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def lease(session):
    agreement = LeaseFactory()
    PeriodFactory(cooperative=agreement.cooperative)
    return agreement


def recorded(session):
    tables = (Evidence, ParcelYear, RentedSpan, Entitlement, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def test_a_year_of_ten_mu_entitles_to_the_rent_of_the_agreement(session, lease):
    evidence = pay_rent(session, lease)
    assert evidence.key == f"parcel_year:{parcel_no(lease.id)}:2026-01-01"
    entitlement = session.scalars(select(Entitlement)).one()
    period_id = session.get_one(ParcelYear, evidence.id).period_id
    assert (entitlement.amount_fen, entitlement.due_on) == (150_000, date(2027, 1, 1))
    assert (entitlement.household_id, entitlement.period_id) == (lease.household_id, period_id)
    assert entitlement.inputs == {
        "details": {
            "parcel_no": parcel_no(lease.id),
            "area_cmu": 1000,
            "starts_on": "2026-01-01",
            "ends_on": "2027-01-01",
            "period_ends_on": "2027-01-01",
        },
        "terms": {"rate_fen_per_mu": 15_000, "days_in_year": 365},
        "days": 365,
    }
    session.commit()
    session.expire_all()
    again = recompute_entitlement(session, session.scalars(select(Entitlement)).one())
    assert (again.amount_fen, again.inputs) == (150_000, entitlement.inputs)


def test_days_in_any_order_make_a_whole_year(session, lease):
    for first, last in (
        ((2026, 5, 1), (2026, 6, 1)),
        ((2026, 1, 1), (2026, 2, 1)),
        ((2026, 2, 1), (2026, 5, 1)),
    ):
        pay_rent(session, lease, starts_on=date(*first), ends_on=date(*last))
    session.commit()
    spans = session.scalars(select(RentedSpan).order_by(RentedSpan.starts_on)).all()
    assert [span.previous_ends_on for span in spans] == [None, date(2026, 2, 1), date(2026, 5, 1)]


@pytest.mark.parametrize(
    ("starts_on", "ends_on"),
    [
        (date(2026, 3, 1), date(2026, 6, 1)),
        (date(2026, 1, 1), date(2026, 3, 2)),
        (date(2026, 5, 31), date(2026, 12, 1)),
        (date(2026, 4, 1), date(2026, 5, 1)),
        (date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_no_day_of_a_parcel_is_paid_for_twice(session, lease, starts_on, ends_on):
    pay_rent(session, lease, starts_on=date(2026, 3, 1), ends_on=date(2026, 6, 1))
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        pay_rent(session, lease, starts_on=starts_on, ends_on=ends_on)
    assert str(refusal.value) == (
        f"地块 {parcel_no(lease.id)} 从 2026-03-01 到 2026-05-31 的租金已记录，日期不能重叠"
    )
    assert recorded(session) == before


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "code"),
    [
        (date(2026, 5, 1), date(2026, 5, 1), "rent_days"),
        (date(2026, 5, 1), date(2026, 4, 1), "rent_days"),
        (date(2026, 1, 1), date(2027, 1, 3), "rent_days"),
        (date(2025, 12, 31), date(2026, 2, 1), "before_agreement"),
        (date(2026, 6, 2), date(2026, 7, 1), "future_day"),
        (date(2026, 5, 1), date(2027, 1, 2), "beyond_period"),
    ],
)
def test_days_that_cannot_be_are_refused(session, lease, starts_on, ends_on, code):
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease, starts_on=starts_on, ends_on=ends_on)
    assert refusal.value.code == code
    assert refusal.value.field in ("starts_on", "ends_on")
    assert recorded(session) == before


def test_a_parcel_of_somebody_else_is_refused(session, lease):
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease, parcel=parcel_no(999))
    assert (refusal.value.code, refusal.value.field) == ("unknown_parcel", "parcel_no")
    assert session.scalar(select(func.count(Evidence.id))) == 0


def test_rent_needs_an_open_linkage_period(session):
    lease = LeaseFactory()
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease)
    assert refusal.value.code == "no_period"
    PeriodFactory(cooperative=lease.cooperative, state=PeriodState.CLOSED)
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease)
    assert refusal.value.code == "closed_period"
    assert session.scalar(select(func.count(Evidence.id))) == 0


def test_rent_is_recorded_under_one_version_of_the_terms(session, lease):
    amend_agreement(
        session,
        actor_at(lease.cooperative),
        lease,
        valid_from=date(2026, 7, 1),
        valid_to=None,
        terms=lease_terms(lease.id, rate_fen_per_mu=30_000),
    )
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease)
    assert (refusal.value.code, refusal.value.params) == ("terms_changed", {"day": "2026-07-01"})
    pay_rent(session, lease, ends_on=date(2026, 7, 1))
    assert session.scalars(select(Entitlement.amount_fen)).all() == [74_384]


def test_rent_ends_with_its_agreement(session, lease):
    end_agreement(session, actor_at(lease.cooperative), lease, ended_on=date(2026, 5, 1))
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease)
    assert (refusal.value.code, refusal.value.field) == ("after_agreement", "ends_on")
    pay_rent(session, lease, ends_on=date(2026, 5, 1))


def test_a_contract_has_no_rent_and_another_cooperative_finds_nothing(session, lease):
    contract = ContractFactory()
    days = {"parcel_no": parcel_no(1), "starts_on": date(2026, 1, 1), "ends_on": date(2026, 2, 1)}
    with pytest.raises(Refused) as refusal:
        record_parcel_year(session, actor_at(contract.cooperative), agreement=contract, **days)
    assert refusal.value.code == "wrong_mechanism"
    with pytest.raises(NotFound):
        record_parcel_year(session, actor_at(CooperativeFactory()), agreement=lease, **days)
    assert session.scalar(select(func.count(Evidence.id))) == 0
