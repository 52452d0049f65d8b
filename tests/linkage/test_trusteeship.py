"""Production trusteeship: a season's yield, the guarantee, the bonus, and the fee that the household pays."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.identity.models import TrailEntry
from marketplace.linkage.mechanisms.production_trusteeship import formula, mechanism
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear, YieldRecord
from marketplace.linkage.models import (
    Charge,
    ChargeKind,
    Entitlement,
    Evidence,
    Mechanism,
    PeriodState,
)
from marketplace.linkage.queries import recompute_entitlement, weights_in_scope
from marketplace.linkage.rules import amend_agreement, end_agreement, sign_agreement
from tests.factories.linkage import (
    TRUSTEESHIP_TERMS,
    ContractFactory,
    EvidenceFactory,
    LotFactory,
    PeriodFactory,
    TrusteeshipFactory,
    reap,
)
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at, beneficiary_policy

AREAS = st.integers(1, 100_000)
GRAMS = st.integers(0, 500_000_000)
PER_MU = st.integers(0, 1_000_000)
PRICES = st.integers(1, 1_000_000)
SHARES = st.integers(0, 10_000)


@pytest.fixture(autouse=True)
def policy(request):
    if "session" in request.fixturenames:
        request.getfixturevalue("clock")
        request.getfixturevalue("session")
        beneficiary_policy()


@pytest.fixture
def trusteeship(session):
    return TrusteeshipFactory()


@pytest.fixture
def lot(trusteeship):
    return LotFactory(cooperative=trusteeship.cooperative, commodity="稻谷")


def recorded(session, lot=None):
    tables = (Evidence, YieldRecord, Entitlement, Charge, TrailEntry)
    counts = tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)
    return (*counts, lot.received_g if lot else None)


def terms(**changed):
    return {**TRUSTEESHIP_TERMS, **changed}


# --- the formulas ---


@pytest.mark.parametrize(
    ("actual_g", "changed", "proceeds", "bonus", "fee", "net"),
    [
        (4_000_000, {}, 1_260_000, 0, 100_000, 1_160_000),  # below the 4.5 t guaranteed
        (4_500_000, {}, 1_260_000, 0, 100_000, 1_160_000),  # exactly the guarantee
        (5_000_000, {}, 1_400_000, 28_000, 100_000, 1_328_000),  # 500 kg above it, 20 % of their price on top
        (0, {}, 1_260_000, 0, 100_000, 1_160_000),  # a crop that failed
        (0, {"guaranteed_g_per_mu": 0}, 0, 0, 100_000, -100_000),  # nothing guaranteed: the fee is still owed
        (0, {"subsidy_fen_per_mu": 12_000}, 1_260_000, 0, 0, 1_260_000),  # the subsidy covers the fee
        (4_500_001, {"price_fen_per_kg": 500}, 2_250_001, 0, 100_000, 2_150_001),  # half a fen is rounded up
    ],
)
def test_a_season_pays_the_guarantee_or_more_and_costs_the_fee(actual_g, changed, proceeds, bonus, fee, net):
    season = formula.season_of(actual_g, terms(**changed))
    assert (season.proceeds_fen, season.bonus_fen, season.fee_fen, season.net_fen) == (
        proceeds,
        bonus,
        fee,
        net,
    )


def test_the_bonus_is_floored_and_the_fee_less_subsidy_rounded_each_once():
    season = formula.season_of(
        1_333,
        terms(
            area_cmu=333,
            guaranteed_g_per_mu=100,
            price_fen_per_kg=999,
            bonus_share_bp=3333,
            fee_fen_per_mu=10_001,
            subsidy_fen_per_mu=1_001,
        ),
    )
    assert (season.guaranteed_g, season.over_g) == (333, 1_000)
    assert (season.proceeds_fen, season.bonus_fen) == (1_332, 332)  # 1331.667 and 332.9667
    assert (season.full_fee_fen, season.subsidy_fen, season.fee_fen) == (33_303, 3_333, 29_970)


@given(AREAS, GRAMS, PER_MU, PRICES, SHARES, PER_MU, PER_MU)
def test_what_a_season_comes_to_is_exact_and_never_clipped(
    area, actual_g, guaranteed, price, share, fee, subsidy
):
    agreed = terms(
        area_cmu=area,
        guaranteed_g_per_mu=guaranteed,
        price_fen_per_kg=price,
        bonus_share_bp=share,
        fee_fen_per_mu=fee,
        subsidy_fen_per_mu=min(fee, subsidy),
    )
    season = formula.season_of(actual_g, agreed)
    counted = max(actual_g, season.guaranteed_g)
    assert Fraction(-1, 2) < season.proceeds_fen - Fraction(counted * price, 1000) <= Fraction(1, 2)
    assert 0 <= Fraction(season.over_g * price * share, 10_000_000) - season.bonus_fen < 1
    assert season.gross_fen >= 0
    assert season.fee_fen >= 0
    assert season.net_fen == season.gross_fen - season.fee_fen
    assert all(isinstance(value, int) for value in (season.gross_fen, season.fee_fen, season.net_fen))
    assert formula.season_of(actual_g + 1, agreed).gross_fen >= season.gross_fen


def test_how_an_amount_came_about_is_told_with_fee_and_net():
    details = {"season": "2026-1", "recorded_on": "2026-05-20", "actual_g": 5_000_000}
    computed = mechanism.entitlement(details, terms())
    assert [(line.label, line.text % line.params) for line in mechanism.explain(computed.inputs)] == [
        ("产季", "2026 年上半年"),
        ("实际产量", "5,000 千克"),
        ("保底产量", "4,500 千克（10 亩）"),
        ("按产量计的价款", "5,000 千克，每千克 2.80 元，共 14,000.00 元"),
        ("超产奖励", "超产 500 千克，另加 280.00 元"),
        ("应得合计", "14,280.00 元"),
        ("服务费", "1,200.00 元，补贴 200.00 元"),
        ("农户应付服务费", "1,000.00 元"),
        ("付过服务费后", "13,280.00 元"),
    ]


# --- recording ---


def test_a_yield_entitles_to_the_gross_and_charges_the_fee(session, trusteeship, lot):
    evidence = reap(session, trusteeship, lot, actual_g=5_000_000)
    assert evidence.key == f"yield:{trusteeship.public_no}:2026-1"
    entitlement = session.scalars(select(Entitlement)).one()
    assert (entitlement.amount_fen, entitlement.due_on) == (1_428_000, date(2026, 6, 19))
    assert (entitlement.lot_id, entitlement.period_id) == (lot.id, None)
    charge = session.scalars(select(Charge)).one()
    assert (charge.kind, charge.amount_fen, charge.charged_on) == (
        ChargeKind.SERVICE_FEE,
        100_000,
        date(2026, 5, 20),
    )
    assert (charge.agreement_id, charge.evidence_id) == (trusteeship.id, evidence.id)
    assert lot.received_g == 5_000_000
    scope = (Mechanism.PRODUCTION_TRUSTEESHIP, lot.id, None)
    weights = weights_in_scope(session, [scope], entitlement.id)
    assert weights == {scope: {trusteeship.household_id: 1_428_000}}
    session.commit()
    session.expire_all()
    again = recompute_entitlement(session, session.scalars(select(Entitlement)).one())
    assert (again.amount_fen, again.due_on, again.inputs) == (
        1_428_000,
        entitlement.due_on,
        entitlement.inputs,
    )


def test_the_lot_receives_what_was_reaped_not_what_was_guaranteed(session, trusteeship, lot):
    reap(session, trusteeship, lot, actual_g=1_000_000)
    assert session.scalars(select(Entitlement.amount_fen)).one() == 1_260_000
    assert lot.received_g == 1_000_000


def test_a_failed_crop_leaves_a_negative_net_that_is_kept(session, lot, trusteeship):
    bare = TrusteeshipFactory(
        enrolment=EnrolmentFactory(cooperative=trusteeship.cooperative),
        version__terms=terms(guaranteed_g_per_mu=0),
    )
    reap(session, bare, lot, actual_g=0)
    entitlement = session.scalars(select(Entitlement)).one()
    assert (entitlement.amount_fen, entitlement.inputs["net_fen"]) == (0, -100_000)
    assert session.scalars(select(Charge.amount_fen)).one() == 100_000
    assert lot.received_g == 0


def test_a_subsidy_that_covers_the_fee_leaves_no_charge(session, lot, trusteeship):
    paid = TrusteeshipFactory(
        enrolment=EnrolmentFactory(cooperative=trusteeship.cooperative),
        version__terms=terms(subsidy_fen_per_mu=12_000),
    )
    reap(session, paid, lot, actual_g=4_500_000)
    assert session.scalars(select(Charge)).all() == []


def test_a_season_is_recorded_and_its_fee_charged_once(session, trusteeship, lot):
    reap(session, trusteeship, lot, actual_g=4_000_000)
    before = recorded(session, lot)
    with pytest.raises(Conflict) as refusal:
        reap(session, trusteeship, lot, actual_g=100, recorded_on=date(2026, 5, 25))
    assert (refusal.value.code, refusal.value.field) == ("season_recorded", "year")
    assert str(refusal.value) == "产季 2026-1 的产量已在 2026-05-20 记录，服务费一季只收一次，没有重复记录"
    assert recorded(session, lot) == before


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"actual_g": -1}, "actual_g", "actual_g"),
        ({"actual_g": 500_000_001}, "actual_g", "actual_g"),
        ({"recorded_on": date(2026, 6, 2)}, "future_day", "recorded_on"),
        ({"recorded_on": date(2025, 12, 31), "year": 2025}, "before_agreement", "recorded_on"),
        ({"half": HalfYear.SECOND}, "season", "year"),
        ({"year": 2025}, "season", "year"),
        ({"year": 2027}, "season", "year"),
        ({"year": 0}, "season", "year"),
    ],
)
def test_a_yield_that_cannot_be_is_refused(session, trusteeship, lot, changed, code, field):
    before = recorded(session, lot)
    with pytest.raises(Refused) as refusal:
        reap(session, trusteeship, lot, **{"actual_g": 1_000, **changed})
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert recorded(session, lot) == before


def test_oranges_of_autumn_may_be_recorded_in_winter(session, lot, trusteeship):
    reap(session, trusteeship, lot, actual_g=1, year=2025, half=HalfYear.SECOND, recorded_on=date(2026, 1, 5))
    assert session.scalars(select(YieldRecord.season)).one() == "2025-2"


def test_a_closed_period_and_a_lot_of_another_crop_are_refused(session, trusteeship, lot):
    with pytest.raises(Refused) as refusal:
        reap(session, trusteeship, LotFactory(cooperative=trusteeship.cooperative), actual_g=1_000)
    assert (refusal.value.code, refusal.value.field) == ("wrong_commodity", "lot_no")
    PeriodFactory(cooperative=trusteeship.cooperative, state=PeriodState.CLOSED)
    before = recorded(session, lot)
    with pytest.raises(Refused) as refusal:
        reap(session, trusteeship, lot, actual_g=1_000)
    assert refusal.value.code == "closed_period"
    assert recorded(session, lot) == before


def test_other_agreements_and_other_cooperatives_have_no_yield(session, trusteeship, lot):
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=trusteeship.cooperative))
    with pytest.raises(Refused) as refusal:
        reap(session, contract, lot, actual_g=1_000)
    assert refusal.value.code == "wrong_mechanism"
    other = CooperativeFactory()
    with pytest.raises(NotFound):
        reap(session, trusteeship, LotFactory(cooperative=other, commodity="稻谷"), actual_g=1_000)
    with pytest.raises(NotFound):
        reap(session, trusteeship, lot, actual_g=1_000, actor=actor_at(other))
    assert recorded(session, lot)[:4] == (0, 0, 0, 0)


def test_terms_change_and_an_agreement_ends_only_after_what_was_recorded(session, trusteeship, lot):
    reap(session, trusteeship, lot, actual_g=1_000)
    actor = actor_at(trusteeship.cooperative)
    with pytest.raises(Refused) as refusal:
        amend_agreement(
            session, actor, trusteeship, valid_from=date(2026, 5, 20), valid_to=None, terms=terms()
        )
    assert refusal.value.code == "recorded_later"
    with pytest.raises(Refused):
        end_agreement(session, actor, trusteeship, ended_on=date(2026, 5, 20))
    end_agreement(session, actor, trusteeship, ended_on=date(2026, 5, 21))


# --- terms ---


def sign(session, enrolment, **changed):
    return sign_agreement(
        session,
        actor_at(enrolment.cooperative),
        household=enrolment.household,
        mechanism=Mechanism.PRODUCTION_TRUSTEESHIP,
        valid_from=date(2026, 1, 1),
        valid_to=None,
        terms=terms(**changed),
    )


def test_plots_of_a_crop_are_under_one_trusteeship(session):
    enrolment = EnrolmentFactory()
    sign(session, enrolment)
    sign(session, enrolment, commodity="油菜籽")
    with pytest.raises(Conflict) as refusal:
        sign(session, enrolment)
    assert str(refusal.value) == "该户的稻谷已有一份从 2026-01-01 起生效的托管协议，请变更那一份"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"area_cmu": 0}, "area_cmu"),
        ({"area_cmu": None}, "area_cmu"),
        ({"fee_fen_per_mu": -1}, "fee_fen_per_mu"),
        ({"subsidy_fen_per_mu": 12_001}, "subsidy_fen_per_mu"),
        ({"guaranteed_g_per_mu": 10_000_001}, "guaranteed_g_per_mu"),
        ({"price_fen_per_kg": 0}, "price_fen_per_kg"),
        ({"bonus_share_bp": 10_001}, "bonus_share_bp"),
        ({"due_days": 366}, "due_days"),
        ({"commodity": " "}, "commodity"),
        ({"rate": 1}, None),
    ],
)
def test_terms_that_cannot_be_are_refused(changed, field):
    with pytest.raises(Refused) as refusal:
        mechanism.validate_terms(terms(**changed))
    assert refusal.value.field == field


# --- the database ---


@pytest.mark.parametrize(
    "wrong", [{"actual_g": -1}, {"season": "2026-3"}, {"season": "26-1"}, {"lot_id": 999}]
)
def test_a_yield_record_that_cannot_be_is_not_kept(session, lot, trusteeship, wrong):
    evidence = EvidenceFactory(agreement=trusteeship)
    session.commit()
    row = {"id": evidence.id, "lot_id": lot.id, "season": "2026-1", "actual_g": 0}
    with pytest.raises(IntegrityError):
        session.execute(insert(YieldRecord).values({**row, **wrong}))
    session.rollback()


def test_a_yield_record_is_neither_changed_nor_removed(session, lot, trusteeship):
    reap(session, trusteeship, lot, actual_g=1_000)
    session.commit()
    for statement in (update(YieldRecord).values(actual_g=2_000), delete(YieldRecord)):
        with pytest.raises(IntegrityError):
            session.execute(statement)
        session.rollback()
