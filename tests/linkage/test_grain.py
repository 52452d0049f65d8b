"""Rent in steps and rent in grain: exact, at the price of the year, refused while that price is missing."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Forbidden, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.linkage.mechanisms.land_transfer.formula import changes_between, grain_rate, stepped_rate
from marketplace.linkage.mechanisms.land_transfer.grain import grain_price_for, record_grain_price
from marketplace.linkage.mechanisms.land_transfer.mechanism import (
    describe_terms,
    explain,
    validate_terms,
)
from marketplace.linkage.mechanisms.land_transfer.models import GrainPrice, ParcelYear, ParcelYearPrice
from marketplace.linkage.models import Agreement, Entitlement, Evidence
from marketplace.linkage.queries import recompute_entitlement
from tests.factories.identity import actor_with, official_with
from tests.factories.linkage import LeaseFactory, PeriodFactory, lease_terms, parcel_no, pay_rent
from tests.factories.registry import (
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    beneficiary_policy,
    user_of,
)

pytestmark = pytest.mark.usefixtures("clock")
COUNTY = VILLAGE[:6]
SOURCE = "县发改委 2026 年早籼稻收购价公告"
STEPS = [
    {"from_on": "2026-05-01", "rate_fen_per_mu": 18_000},
    {"from_on": "2027-01-01", "rate_fen_per_mu": 20_000},
]


def grain_terms(serial: int, jin: int = 400) -> dict[str, object]:
    terms = lease_terms(serial)
    del terms["rate_fen_per_mu"]
    return {**terms, "jin_per_mu": jin}


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def lease(session):
    agreement = LeaseFactory(version__terms=grain_terms(1))
    PeriodFactory(cooperative=agreement.cooperative)
    return agreement


def record(session, fen_per_kg: int = 262, *, region_code: str = COUNTY, year: int = 2026) -> GrainPrice:
    return record_grain_price(
        session,
        actor_with(Role.OPERATOR),
        region_code=region_code,
        year=year,
        fen_per_kg=fen_per_kg,
        source=SOURCE,
    )


def recorded(session):
    tables = (Evidence, ParcelYear, ParcelYearPrice, Entitlement, GrainPrice, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


@pytest.mark.parametrize(
    ("jin", "fen_per_kg", "fen_per_mu"),
    [(400, 262, 52_400), (1, 1, 1), (1, 3, 2), (3, 1, 2), (401, 261, 52_331), (3_000, 10_000, 15_000_000)],
)
def test_grain_makes_a_rate_rounded_half_up(jin, fen_per_kg, fen_per_mu):
    assert grain_rate(jin, fen_per_kg) == fen_per_mu


@given(st.integers(1, 3_000), st.integers(1, 10_000))
def test_a_grain_rate_is_off_by_at_most_half_a_fen(jin, fen_per_kg):
    assert -1 <= 2 * (grain_rate(jin, fen_per_kg)) - jin * fen_per_kg <= 1


@pytest.mark.parametrize(
    ("day", "rate"),
    [
        (date(2026, 1, 1), 15_000),
        (date(2026, 4, 30), 15_000),
        (date(2026, 5, 1), 18_000),
        (date(2026, 12, 31), 18_000),
        (date(2030, 1, 1), 20_000),
    ],
)
def test_the_last_step_begun_is_the_rate(day, rate):
    assert stepped_rate({"rate_fen_per_mu": 15_000, "steps": STEPS}, day) == rate


def test_days_across_a_step_or_a_new_years_day_have_two_rates():
    steps = {"rate_fen_per_mu": 15_000, "steps": STEPS}
    assert changes_between(steps, date(2026, 1, 1), date(2027, 1, 1)) == date(2026, 5, 1)
    assert changes_between(steps, date(2026, 5, 1), date(2027, 1, 1)) is None
    assert changes_between({"jin_per_mu": 400}, date(2026, 5, 1), date(2027, 1, 1)) is None
    assert changes_between({"jin_per_mu": 400}, date(2026, 5, 1), date(2027, 1, 2)) == date(2027, 1, 1)
    assert changes_between({"rate_fen_per_mu": 1}, date(2026, 1, 1), date(2027, 1, 1)) is None


def test_rent_in_grain_is_paid_at_the_price_of_the_year(session, lease):
    record(session)
    pay_rent(session, lease)
    entitlement = session.scalars(select(Entitlement)).one()
    assert (entitlement.amount_fen, entitlement.rule_version) == (524_000, 2)  # 10 mu, 400 jin at 2.62
    told = {line.label: line.text % line.params for line in explain(entitlement.inputs)}
    assert told["每亩年租折稻谷"] == "400 斤"
    assert told["稻谷价格"] == "2026 年每千克 2.62 元"
    assert told["年租金"] == "每亩 524.00 元"


def test_rent_in_grain_is_refused_while_the_price_is_missing(session, lease):
    record(session, year=2025)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease)
    assert (refusal.value.code, refusal.value.field) == ("no_grain_price", "starts_on")
    assert refusal.value.params["year"] == 2026
    assert "请县里先登记价格和来源" in str(refusal.value)
    assert recorded(session) == before


def test_a_correction_of_the_price_leaves_what_was_recorded(session, lease):
    record(session)
    pay_rent(session, lease, ends_on=date(2026, 5, 1))
    record(session, 300)
    pay_rent(session, lease, starts_on=date(2026, 5, 1))
    session.commit()
    session.expire_all()
    first, second = session.scalars(select(Entitlement).order_by(Entitlement.id)).all()
    assert (first.amount_fen, second.amount_fen) == (172_274, 402_740)  # 120 and 245 of 365 days
    for entitlement in (first, second):
        again = recompute_entitlement(session, entitlement)
        assert (again.amount_fen, again.inputs) == (entitlement.amount_fen, entitlement.inputs)


def test_the_price_of_the_county_goes_before_that_of_the_province(session):
    RegionFactory(code=VILLAGE)
    record(session, 250, region_code="36")
    assert grain_price_for(session, parcel_no(1), 2026).fen_per_kg == 250
    record(session, 262)
    assert grain_price_for(session, parcel_no(1), 2026).fen_per_kg == 262


def test_rent_in_steps_is_paid_at_the_rate_of_its_days(session):
    lease = LeaseFactory(version__terms={**lease_terms(1), "steps": STEPS})
    PeriodFactory(cooperative=lease.cooperative)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        pay_rent(session, lease)
    assert refusal.value.params == {"day": "2026-05-01"}
    assert recorded(session) == before
    pay_rent(session, lease, ends_on=date(2026, 5, 1))
    pay_rent(session, lease, starts_on=date(2026, 5, 1))
    session.commit()
    session.expire_all()
    rows = session.scalars(select(Entitlement).order_by(Entitlement.id)).all()
    assert [row.amount_fen for row in rows] == [49_315, 120_822]
    for row in rows:
        assert recompute_entitlement(session, row).inputs == row.inputs


def test_a_plain_rent_is_computed_as_before(session):
    lease = LeaseFactory()
    PeriodFactory(cooperative=lease.cooperative)
    pay_rent(session, lease)
    row = session.scalars(select(Entitlement)).one()
    assert (row.amount_fen, row.rule_version) == (150_000, 1)
    assert set(row.inputs) == {"details", "terms", "days"}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"jin_per_mu": 400}, "jin_per_mu"),
        ({"rate_fen_per_mu": None}, "rate_fen_per_mu"),
        ({"rate_fen_per_mu": None, "jin_per_mu": 0}, "jin_per_mu"),
        ({"rate_fen_per_mu": None, "jin_per_mu": 3_001}, "jin_per_mu"),
        ({"steps": [{"from_on": None, "rate_fen_per_mu": 1}]}, "steps"),
        ({"steps": [{"from_on": "2027-01-01", "rate_fen_per_mu": -1}]}, "steps"),
        ({"steps": [{"from_on": "2027-01-01", "rate_fen_per_mu": None}]}, "steps"),
        ({"steps": [STEPS[1], STEPS[0]]}, "steps"),
        ({"steps": [STEPS[0], STEPS[0]]}, "steps"),
        ({"steps": STEPS * 11}, "steps"),
    ],
)
def test_rents_that_make_no_sense_are_refused(terms, field):
    with pytest.raises(Refused) as refusal:
        validate_terms({**lease_terms(1), **terms})
    assert refusal.value.field == field


def test_the_terms_tell_steps_and_grain():
    stepped = describe_terms(validate_terms({**lease_terms(1), "steps": STEPS}))
    assert "从 2026-05-01 起每亩 180.00 元" in [line.text % line.params for line in stepped]
    grain = describe_terms(validate_terms(grain_terms(1)))
    assert "400 斤，按当年登记的稻谷价格折成钱" in [line.text % line.params for line in grain]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"fen_per_kg": 0}, "fen_per_kg"),
        ({"fen_per_kg": -1}, "fen_per_kg"),
        ({"fen_per_kg": 10_001}, "fen_per_kg"),
        ({"year": 2013}, "year"),
        ({"year": 2027}, "year"),
        ({"source": "  "}, "source"),
        ({"region_code": "99"}, "region_code"),
    ],
)
def test_a_price_that_cannot_be_is_refused(session, lease, fields, field):
    before = recorded(session)
    price = {"region_code": COUNTY, "year": 2026, "fen_per_kg": 262, "source": SOURCE, **fields}
    with pytest.raises(Refused) as refusal:
        record_grain_price(session, actor_with(Role.OPERATOR), **price)
    assert refusal.value.field == field
    assert recorded(session) == before


@pytest.mark.parametrize("role", [Role.COOPERATIVE_MANAGER, Role.AUDITOR, Role.HOUSEHOLD])
def test_who_pays_or_checks_rents_sets_no_price(session, lease, role):
    price = {"region_code": COUNTY, "year": 2026, "fen_per_kg": 262, "source": SOURCE}
    with pytest.raises(Forbidden):
        record_grain_price(session, actor_with(role), **price)
    assert session.scalar(select(func.count(GrainPrice.id))) == 0


def test_a_price_is_never_changed(session, lease):
    record(session)
    session.commit()
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text("UPDATE grain_price SET fen_per_kg = 1"))
    session.rollback()


# --- pages ---


def test_a_county_records_its_price_and_a_cooperative_sees_it(session, client, lease):
    reviewer = official_with(Role.COUNTY_REVIEWER)
    clerk = user_of(lease.cooperative, Role.COOPERATIVE_CLERK)
    session.commit()
    client.sign_in(reviewer)
    typed = {"region_code": COUNTY, "year": "2026", "fen_per_kg": "2.62", "source": SOURCE}
    assert client.post("/linkage/grain-prices", data=typed).status_code == 302
    assert session.scalars(select(GrainPrice.fen_per_kg)).all() == [262]
    client.sign_in(clerk)
    page = client.get("/linkage/grain-prices")
    assert SOURCE in page.text
    assert "登记价格" not in page.text
    assert client.post("/linkage/grain-prices", data=typed).status_code == 403
    assert session.scalar(select(func.count(GrainPrice.id))) == 1


def test_a_lease_in_steps_is_signed_and_changed_on_its_page(session, client):
    enrolment = EnrolmentFactory(cooperative=CooperativeFactory())
    client.sign_in(user_of(enrolment.cooperative, Role.COOPERATIVE_CLERK))
    typed = {
        "right_certificate_no": f"{VILLAGE}010001J",
        "parcels-0-parcel_no": parcel_no(1),
        "parcels-0-area_cmu": "10",
        "rate_fen_per_mu": "150",
        "steps-0-from_on": "2026-05-01",
        "steps-0-rate_fen_per_mu": "180",
        "days_in_year": "365",
        "valid_from": "2026-01-01",
    }
    address = f"/linkage/agreements/new/{enrolment.household.public_no}/land_transfer"
    more = client.post(address, data={**typed, "more_steps": "1"})
    assert 'name="steps-1-from_on"' in more.text
    client.post(address, data=typed)
    signed = session.scalars(select(Agreement)).one()
    assert signed.versions[0].terms["steps"] == STEPS[:1]
    amend = client.get(f"/linkage/agreements/{signed.public_no}/amend")
    assert 'value="2026-05-01"' in amend.text
    refused = client.post(address, data={**typed, "jin_per_mu": "400"})
    assert "只能填一种" in refused.text
