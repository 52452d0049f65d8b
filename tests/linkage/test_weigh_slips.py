"""Weigh slips: what they entitle to, and the many that are refused without leaving a trace."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.linkage.mechanisms.contract_farming.models import WeighSlip
from marketplace.linkage.models import Entitlement, Evidence, PeriodState
from marketplace.linkage.queries import recompute_entitlement
from marketplace.linkage.rules import end_agreement, record_weigh_slip
from marketplace.registry.models import HouseholdStatusKind
from tests.factories.identity import actor_with
from tests.factories.linkage import (
    CONTRACT_TERMS,
    ContractFactory,
    LeaseFactory,
    LotFactory,
    PeriodFactory,
    weigh,
)
from tests.factories.registry import (
    EnrolmentFactory,
    HouseholdStatusFactory,
    actor_at,
    beneficiary_policy,
)

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def agreement(session):
    return ContractFactory()


@pytest.fixture
def lot(session, agreement):
    return LotFactory(cooperative=agreement.cooperative)


def recorded(session):
    tables = (Evidence, WeighSlip, Entitlement, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def test_a_slip_entitles_its_household_and_fills_its_lot(session, agreement, lot):
    evidence = weigh(session, agreement, lot, slip_no=" gb-0017 ", net_g=12_500, market_price_fen_per_kg=960)
    assert evidence.key == f"weigh_slip:{agreement.cooperative.uscc}:GB-0017"
    assert (evidence.occurred_on, len(evidence.content_hash)) == (date(2026, 5, 20), 64)
    slip = session.get_one(WeighSlip, evidence.id)
    assert (slip.slip_no, slip.net_g, slip.grade) == ("GB-0017", 12_500, "统货")
    assert (slip.household_signer, slip.cooperative_signer) == ("陈大山", "罗春生")
    entitlement = session.scalars(select(Entitlement)).one()
    assert (entitlement.household_id, entitlement.lot_id) == (agreement.household_id, lot.id)
    assert (entitlement.amount_fen, entitlement.due_on) == (12_625, date(2026, 6, 19))
    assert entitlement.inputs == {
        "details": {
            "slip_no": "GB-0017",
            "weighed_on": "2026-05-20",
            "grade": "统货",
            "net_g": 12_500,
            "market_price_fen_per_kg": 960,
        },
        "terms": CONTRACT_TERMS,
        "price_fen_per_kg": 1010,
    }
    assert lot.received_g == 12_500


def test_slips_add_up_in_their_lot(session, agreement, lot):
    for serial, net_g in enumerate((1, 999, 50_000_000), start=1):
        weigh(session, agreement, lot, slip_no=str(serial), net_g=net_g)
    assert lot.received_g == 50_001_000


def test_an_entitlement_is_computed_again_to_the_same_fen(session, agreement, lot):
    weigh(session, agreement, lot, slip_no="1", net_g=12_345)
    session.commit()
    session.expire_all()
    entitlement = session.scalars(select(Entitlement)).one()
    again = recompute_entitlement(session, entitlement)
    assert (again.amount_fen, again.due_on) == (entitlement.amount_fen, entitlement.due_on)
    assert again.inputs == entitlement.inputs


def test_a_slip_used_twice_is_refused_saying_when_it_was_first_used(session, agreement, lot):
    weigh(session, agreement, lot, slip_no="17", net_g=1000)
    other = LotFactory(cooperative=agreement.cooperative)
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        weigh(session, agreement, other, slip_no="17", net_g=2000, weighed_on=date(2026, 5, 21))
    assert str(refusal.value) == f"过磅单 17 已在 2026-05-20 记入批次 {lot.lot_no}，没有重复记录"
    assert refusal.value.field == "slip_no"
    assert recorded(session) == before
    assert (lot.received_g, other.received_g) == (1000, 0)


def test_another_cooperative_may_use_the_same_number(session, agreement, lot):
    weigh(session, agreement, lot, slip_no="17", net_g=1000)
    other = ContractFactory()
    weigh(session, other, LotFactory(cooperative=other.cooperative), slip_no="17", net_g=1000)
    assert recorded(session)[0] == 2


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"net_g": 0}, "net_g", "net_g"),
        ({"net_g": -500}, "net_g", "net_g"),
        ({"net_g": 50_000_001}, "net_g", "net_g"),
        ({"slip_no": ""}, "slip_no", "slip_no"),
        ({"slip_no": "第三号"}, "slip_no", "slip_no"),
        ({"slip_no": "9" * 41}, "slip_no", "slip_no"),
        ({"grade": " "}, "grade", "grade"),
        ({"market_price_fen_per_kg": 0}, "market_price", "market_price_fen_per_kg"),
        ({"market_price_fen_per_kg": 1_000_001}, "market_price", "market_price_fen_per_kg"),
        ({"signatures": ("", "罗春生")}, "unsigned", "household_signer"),
        ({"signatures": ("陈大山", " ")}, "unsigned", "cooperative_signer"),
        ({"signatures": ("罗春生", "罗春生 ")}, "same_signer", "cooperative_signer"),
        ({"weighed_on": date(2026, 6, 2)}, "future_day", "weighed_on"),
        ({"weighed_on": date(2025, 12, 31)}, "before_agreement", "weighed_on"),
    ],
)
def test_a_slip_that_cannot_be_is_refused(session, agreement, lot, fields, code, field):
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        weigh(session, agreement, lot, **{"slip_no": "1", "net_g": 1000, **fields})
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert recorded(session) == before
    assert lot.received_g == 0


def test_a_slip_after_the_end_of_its_agreement_is_refused(session, agreement, lot):
    end_agreement(session, actor_at(agreement.cooperative), agreement, ended_on=date(2026, 5, 20))
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        weigh(session, agreement, lot, slip_no="1", net_g=1000)
    assert refusal.value.code == "after_agreement"
    assert recorded(session) == before
    weigh(session, agreement, lot, slip_no="1", net_g=1000, weighed_on=date(2026, 5, 19))


def test_a_slip_after_the_term_of_its_agreement_is_refused(session):
    agreement = ContractFactory(version__valid_to=date(2026, 5, 20))
    lot = LotFactory(cooperative=agreement.cooperative)
    with pytest.raises(Refused) as refusal:
        weigh(session, agreement, lot, slip_no="1", net_g=1000)
    assert refusal.value.code == "after_agreement"
    assert lot.received_g == 0


def test_a_slip_in_a_closed_period_is_refused(session, agreement, lot):
    PeriodFactory(cooperative=agreement.cooperative, state=PeriodState.CLOSED)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        weigh(session, agreement, lot, slip_no="1", net_g=1000)
    assert (refusal.value.code, refusal.value.field) == ("closed_period", "weighed_on")
    assert recorded(session) == before


def test_a_slip_of_a_household_that_counts_no_more_is_refused(session, agreement, lot):
    HouseholdStatusFactory(
        household=agreement.household, status=HouseholdStatusKind.INELIGIBLE, valid_from=date(2026, 5, 1)
    )
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        weigh(session, agreement, lot, slip_no="1", net_g=1000)
    assert refusal.value.code == "not_beneficiary"
    assert recorded(session) == before


def test_other_produce_than_agreed_is_refused(session, agreement):
    lot = LotFactory(cooperative=agreement.cooperative, commodity="脐橙")
    with pytest.raises(Refused) as refusal:
        weigh(session, agreement, lot, slip_no="1", net_g=1000)
    assert refusal.value.params == {"agreed": "油茶籽", "lot": "脐橙"}
    assert lot.received_g == 0


def test_a_land_transfer_has_no_weigh_slips(session):
    lease = LeaseFactory()
    with pytest.raises(Refused) as refusal:
        weigh(session, lease, LotFactory(cooperative=lease.cooperative), slip_no="1", net_g=1000)
    assert refusal.value.code == "wrong_mechanism"


def test_another_cooperatives_agreement_or_lot_is_not_found(session, agreement, lot):
    other = ContractFactory()
    fields = {
        "slip_no": "1",
        "weighed_on": date(2026, 5, 20),
        "grade": "统货",
        "net_g": 1000,
        "signatures": ("陈大山", "罗春生"),
    }
    for wrong in ({"agreement": other, "lot": lot}, {"agreement": agreement, "lot": LotFactory()}):
        with pytest.raises(NotFound):
            record_weigh_slip(session, actor_at(agreement.cooperative), **wrong, **fields)
    with pytest.raises(Forbidden):
        record_weigh_slip(session, actor_with(Role.AUDITOR), agreement=agreement, lot=lot, **fields)
    assert session.scalar(select(func.count(Evidence.id))) == 0


def test_a_slip_is_paid_by_the_terms_of_its_day(session):
    agreement = ContractFactory(enrolment=EnrolmentFactory())
    lot = LotFactory(cooperative=agreement.cooperative)
    from_june = {**CONTRACT_TERMS, "floor_price_fen_per_kg": 1000}
    agreement.versions.append(
        type(agreement.versions[0])(version=2, valid_from=date(2026, 6, 1), terms=from_june)
    )
    session.flush()
    weigh(session, agreement, lot, slip_no="1", net_g=1000, weighed_on=date(2026, 5, 31))
    weigh(session, agreement, lot, slip_no="2", net_g=1000, weighed_on=date(2026, 6, 1))
    amounts = session.scalars(select(Entitlement.amount_fen).order_by(Entitlement.id)).all()
    assert amounts == [850, 1050]
