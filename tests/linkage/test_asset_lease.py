"""Rents of village assets: what the village keeps, each household's share to the fen, and what is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.linkage.mechanisms.asset_lease import mechanism as asset_lease
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt, AssetRentShare
from marketplace.linkage.mechanisms.asset_lease.queries import retained_by_village
from marketplace.linkage.models import Agreement, Entitlement, Evidence, Mechanism, PeriodState
from marketplace.linkage.queries import recompute_entitlement
from marketplace.linkage.rules import amend_agreement, end_agreement, sign_agreement
from marketplace.registry.models import HouseholdStatusKind
from tests.factories.identity import actor_with
from tests.factories.linkage import (
    ASSET_TERMS,
    AssetLeaseFactory,
    PeriodFactory,
    receive_rent,
)
from tests.factories.registry import (
    NEXT_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdStatusFactory,
    RegionFactory,
    actor_at,
    beneficiary_policy,
)

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(autouse=True)
def policy(request):
    if "session" in request.fixturenames:
        request.getfixturevalue("session")
        beneficiary_policy()


def lease(cooperative, weight=1, **terms):
    return AssetLeaseFactory(
        enrolment=EnrolmentFactory(cooperative=cooperative),
        version__terms={**ASSET_TERMS, "plan_weight": weight, **terms},
    )


@pytest.fixture
def village(session):
    """A cooperative that rents an asset, with a roster of weights 3, 3, 3 and 1 and a linkage period."""
    cooperative = CooperativeFactory()
    return (
        cooperative,
        [lease(cooperative, weight) for weight in (3, 3, 3, 1)],
        PeriodFactory(cooperative=cooperative),
    )


def recorded(session):
    tables = (Evidence, AssetRentReceipt, AssetRentShare, Entitlement, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def shares(session):
    """Fen by household id."""
    rows = session.execute(select(Entitlement.household_id, Entitlement.amount_fen))
    return dict(rows.all())


# --- what it entitles to ---


def rent(rent_fen, weights, position):
    return {
        "asset_no": "ZC-1",
        "receipt_no": "1",
        "rent_fen": rent_fen,
        "received_on": "2026-05-20",
        "period_ends_on": "2027-01-01",
        "weights": list(weights),
        "position": position,
    }


def amounts(rent_fen, retain_bp, weights):
    terms = {**ASSET_TERMS, "retain_bp": retain_bp}
    return [
        asset_lease.entitlement(rent(rent_fen, weights, position), terms).amount_fen
        for position in range(len(weights))
    ]


@pytest.mark.parametrize(
    ("rent_fen", "retain_bp", "weights", "expected"),
    [
        (1_000_000, 3000, (1, 1), [350_000, 350_000]),
        (2, 0, (3, 3, 3, 1), [1, 1, 0, 0]),
        (999, 3333, (1,), [667]),  # 332.96 is kept as 332: what a rounding leaves is the households'
        (100, 0, (1, 1, 1), [34, 33, 33]),
        (1, 9999, (1, 5), [0, 1]),
        (11_550_000, 0, (1,) * 55, [210_000] * 55),
    ],
)
def test_the_rest_of_a_rent_is_split_by_largest_remainder(rent_fen, retain_bp, weights, expected):
    assert amounts(rent_fen, retain_bp, weights) == expected


@given(
    st.integers(1, 10_000_000_000),
    st.integers(0, 9999),
    st.lists(st.integers(1, 1_000_000), min_size=1, max_size=60),
)
def test_what_is_kept_and_shared_is_the_rent_to_the_fen(rent_fen, retain_bp, weights):
    shared = amounts(rent_fen, retain_bp, weights)
    assert min(shared) >= 0
    assert sum(shared) + asset_lease.retained_of(rent_fen, retain_bp) == rent_fen


def test_how_a_share_came_about_is_told_in_words():
    computed = asset_lease.entitlement(rent(1_000_000, (3, 1), 0), ASSET_TERMS)
    assert (computed.amount_fen, computed.due_on) == (525_000, date(2027, 1, 1))
    assert [(line.label, line.text % line.params) for line in asset_lease.explain(computed.inputs)] == [
        ("租金", "10,000.00 元"),
        ("村集体留存", "3,000.00 元（30%）"),
        ("分给农户", "7,000.00 元"),
        ("分配份数", "3 份，名册里 2 户共 4 份"),
    ]


# --- recording ---


def test_a_receipt_entitles_every_household_of_the_roster(session, village):
    cooperative, leases, period = village
    receipt = receive_rent(session, cooperative, rent_fen=1_000_001, receipt_no=" sj-7 ")
    assert (receipt.receipt_no, receipt.retained_fen, receipt.period_id) == ("SJ-7", 300_000, period.id)
    ids = [one.household_id for one in leases]
    assert shares(session) == dict(zip(ids, [210_001, 210_000, 210_000, 70_000], strict=True))
    evidence = session.scalars(select(Evidence).order_by(Evidence.id)).first()
    assert evidence.key == f"asset_rent:ZC-2026-001:SJ-7:{leases[0].household.public_no}"
    entitlement = session.scalars(select(Entitlement)).first()
    assert (entitlement.period_id, entitlement.lot_id, entitlement.due_on) == (
        period.id,
        None,
        date(2027, 1, 1),
    )


def test_what_villages_keep_is_summed_by_period(session, village):
    cooperative, _, period = village
    receive_rent(session, cooperative, rent_fen=1_000, receipt_no="1")
    receive_rent(session, cooperative, rent_fen=999, receipt_no="2")
    other = CooperativeFactory()
    lease(other, asset_no="ZC-2")
    PeriodFactory(cooperative=other)
    receive_rent(session, other, asset_no="ZC-2", rent_fen=5_000)
    assert retained_by_village(session, period.id) == {VILLAGE: 300 + 299}
    assert retained_by_village(session, 999_999) == {}


def test_entitlements_are_computed_again_to_the_same_fen(session, village):
    receive_rent(session, village[0], rent_fen=1_234_567)
    session.commit()
    session.expire_all()
    for entitlement in session.scalars(select(Entitlement)).all():
        again = recompute_entitlement(session, entitlement)
        assert (again.amount_fen, again.due_on) == (entitlement.amount_fen, entitlement.due_on)
        assert again.inputs == entitlement.inputs


def test_only_agreements_in_force_that_day_share(session, village):
    cooperative, leases, _ = village
    end_agreement(session, actor_at(cooperative), leases[0], ended_on=date(2026, 5, 20))
    receive_rent(session, cooperative, rent_fen=1_000)
    assert list(shares(session).values()) == [300, 300, 100]


def test_a_receipt_is_recorded_once_for_its_asset(session, village):
    cooperative, _, _ = village
    receive_rent(session, cooperative, rent_fen=1_000)
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        receive_rent(session, cooperative, rent_fen=2_000, received_on=date(2026, 5, 21))
    assert str(refusal.value) == "资产 ZC-2026-001 的收据 SJ-001 已按 2026-05-20 收到记过，没有重复记录"
    assert recorded(session) == before


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"rent_fen": 0}, "rent_fen", "rent_fen"),
        ({"rent_fen": -100}, "rent_fen", "rent_fen"),
        ({"rent_fen": 10_000_000_001}, "rent_fen", "rent_fen"),
        ({"receipt_no": ""}, "receipt_no", "receipt_no"),
        ({"receipt_no": "收据一"}, "receipt_no", "receipt_no"),
        ({"receipt_no": "9" * 31}, "receipt_no", "receipt_no"),
        ({"asset_no": "ZC-9"}, "no_roster", "received_on"),
        ({"received_on": date(2025, 12, 31)}, "no_roster", "received_on"),
        ({"received_on": date(2026, 6, 2)}, "future_day", "received_on"),
        ({"village_code": NEXT_VILLAGE}, "other_village", None),
    ],
)
def test_a_rent_that_cannot_be_is_refused(session, village, fields, code, field):
    RegionFactory(code=NEXT_VILLAGE)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        receive_rent(session, village[0], **{"rent_fen": 1_000, **fields})
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert recorded(session) == before


def test_a_roster_that_is_not_of_one_mind_is_refused_naming_who_differs(session, village):
    cooperative, leases, _ = village
    differs = lease(cooperative, resolution_no="村议〔2025〕9号", retain_bp=2000)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        receive_rent(session, cooperative, rent_fen=1_000)
    assert refusal.value.code == "roster_differs"
    assert refusal.value.params == {
        "other": differs.public_no,
        "name": differs.household.head_name,
        "first": leases[0].public_no,
    }
    assert recorded(session) == before


def test_a_household_that_counts_no_more_is_named(session, village):
    cooperative, leases, _ = village
    HouseholdStatusFactory(
        household=leases[2].household, status=HouseholdStatusKind.INELIGIBLE, valid_from=date(2026, 5, 1)
    )
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        receive_rent(session, cooperative, rent_fen=1_000)
    assert (refusal.value.code, refusal.value.params["other"]) == ("not_beneficiary", leases[2].public_no)
    assert recorded(session) == before


def test_a_rent_needs_an_open_linkage_period(session):
    cooperative = CooperativeFactory()
    lease(cooperative)
    with pytest.raises(Refused) as refusal:
        receive_rent(session, cooperative, rent_fen=1_000)
    assert refusal.value.code == "no_period"
    PeriodFactory(cooperative=cooperative, state=PeriodState.CLOSED)
    with pytest.raises(Refused) as refusal:
        receive_rent(session, cooperative, rent_fen=1_000)
    assert (refusal.value.code, refusal.value.field) == ("closed_period", "received_on")
    assert recorded(session)[:4] == (0, 0, 0, 0)


def test_only_the_cooperative_that_rents_records_the_rent(session, village):
    with pytest.raises(Refused) as refusal:
        receive_rent(session, CooperativeFactory(), rent_fen=1_000)
    assert refusal.value.code == "no_roster"
    with pytest.raises(Forbidden):
        receive_rent(session, village[0], rent_fen=1_000, actor=actor_with(Role.AUDITOR))
    assert recorded(session)[:4] == (0, 0, 0, 0)


# --- agreements ---


def sign(session, enrolment, **terms):
    return sign_agreement(
        session,
        actor_at(enrolment.cooperative),
        household=enrolment.household,
        mechanism=Mechanism.ASSET_LEASE,
        valid_from=date(2026, 1, 1),
        valid_to=None,
        terms={**ASSET_TERMS, **terms},
    )


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"asset_no": ""}, "term_missing", "asset_no"),
        ({"asset_no": "资产 1"}, "term_form", "asset_no"),
        ({"lease_no": "9" * 41}, "term_form", "lease_no"),
        ({"resolution_no": None}, "term_missing", "resolution_no"),
        ({"plan_weight": 0}, "term_range", "plan_weight"),
        ({"plan_weight": -1}, "term_range", "plan_weight"),
        ({"plan_weight": 1_000_001}, "term_range", "plan_weight"),
        ({"retain_bp": -1}, "term_range", "retain_bp"),
        ({"retain_bp": 10_000}, "term_range", "retain_bp"),
        ({"rate": 1}, "unknown_term", None),
    ],
)
def test_terms_that_cannot_be_are_refused(wrong, code, field):
    with pytest.raises(Refused) as refusal:
        asset_lease.validate_terms({**ASSET_TERMS, **wrong})
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_a_household_has_one_place_in_the_roster_of_an_asset(session):
    enrolment = EnrolmentFactory()
    sign(session, enrolment, asset_no="zc-1")
    with pytest.raises(Conflict) as refusal, session.begin_nested():
        sign(session, enrolment, asset_no="ZC-1")
    assert refusal.value.code == "already_agreed"
    sign(session, enrolment, asset_no="ZC-2")
    assert session.scalar(select(func.count(Agreement.id))) == 2


def test_one_cooperative_rents_an_asset_and_a_resolution_says_one_thing(session):
    first = EnrolmentFactory()
    sign(session, first)
    with pytest.raises(Conflict) as refusal, session.begin_nested():
        sign(session, EnrolmentFactory())
    assert refusal.value.code == "asset_taken"
    with pytest.raises(Conflict) as refusal, session.begin_nested():
        sign(session, EnrolmentFactory(cooperative=first.cooperative), retain_bp=2999)
    assert (refusal.value.code, refusal.value.field) == ("retain_differs", "retain_bp")
    assert session.scalar(select(func.count(Agreement.id))) == 1


def test_a_new_resolution_takes_the_roster_over_one_by_one(session, village):
    cooperative, leases, _ = village
    actor, since = actor_at(cooperative), date(2026, 5, 1)
    new = {**ASSET_TERMS, "resolution_no": "村议〔2026〕9号", "retain_bp": 1000}
    for one in leases:
        amend_agreement(session, actor, one, valid_from=since, valid_to=None, terms=new)
    receipt = receive_rent(session, cooperative, rent_fen=1_000)
    assert (receipt.resolution_no, receipt.retained_fen) == ("村议〔2026〕9号", 100)
    assert list(shares(session).values()) == [225, 225, 225, 225]


# --- what the database refuses by itself ---


def test_the_database_keeps_receipts_right(session, village):
    cooperative, _, period = village
    receipt = receive_rent(session, cooperative, rent_fen=1_001)
    session.commit()
    row = {column.name: getattr(receipt, column.name) for column in AssetRentReceipt.__table__.columns}
    row |= {"id": receipt.id + 1, "public_no": "N-OTHER"}
    fresh = {**row, "receipt_no": "2"}
    for wrong in (
        row,
        {**fresh, "rent_fen": 0, "retained_fen": 0},
        {**fresh, "retain_bp": 10_000, "retained_fen": 1_001},
        {**fresh, "retained_fen": 301},
        {**fresh, "period_id": period.id + 99},
    ):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(AssetRentReceipt).values(wrong))
    for model in (AssetRentReceipt, AssetRentShare):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(update(model).values(id=model.id))
