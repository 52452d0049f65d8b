"""Stakes and resolutions: who held what on which day, what the law allows, and that a surplus is shared out once."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.linkage.mechanisms.share_cooperation import mechanism
from marketplace.linkage.mechanisms.share_cooperation.models import (
    ShareDividend,
    ShareResolution,
)
from marketplace.linkage.mechanisms.share_cooperation.rules import (
    adopt_resolution,
    preview_resolution,
)
from marketplace.linkage.models import (
    Entitlement,
    Mechanism,
    PeriodState,
)
from marketplace.linkage.queries import recompute_entitlement, weights_in_scope
from marketplace.linkage.rules import amend_agreement
from marketplace.registry.models import Cooperative
from tests.factories.linkage import (
    ContractFactory,
    EntitlementFactory,
    EvidenceFactory,
    LotFactory,
    PeriodFactory,
    TrusteeshipFactory,
)
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.shares import StakeFactory, decision, hold, recorded, share_surplus, stake_terms

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def cooperative(session):
    return CooperativeFactory()


@pytest.fixture
def period(cooperative):
    """The year 2025, over by now."""
    return PeriodFactory(cooperative=cooperative, starts_on=date(2025, 1, 1), ends_on=date(2026, 1, 1))


@pytest.fixture
def stake(cooperative):
    return hold(cooperative)


def deal(stake, amount_fen, *, on=date(2025, 9, 1), factory=ContractFactory):
    """The household's dealings with its cooperative: a contract and what a slip of that day entitled it to."""
    contract = factory(enrolment=StakeEnrolment(stake))
    evidence = EvidenceFactory(agreement=contract, occurred_on=on)
    lot = LotFactory(cooperative=stake.cooperative)
    return EntitlementFactory(agreement=contract, lot=lot, evidence=evidence, amount_fen=amount_fen)


class StakeEnrolment:
    """The enrolment behind a stake, for a further agreement of the same household."""

    def __init__(self, stake):
        self.household_id, self.cooperative_id = stake.household_id, stake.cooperative_id


def dividends(session):
    rows = session.scalars(
        select(Entitlement)
        .where(Entitlement.mechanism == Mechanism.SHARE_COOPERATION)
        .order_by(Entitlement.id)
    )
    return {row.household_id: row for row in rows}


def parts(entitlement):
    names = ("base_share_fen", "patronage_share_fen", "capital_share_fen")
    return tuple(entitlement.inputs[name] for name in names)


# --- the golden cases ---


def test_the_sichuan_share_fund(session, cooperative, period):
    for _ in range(138):
        deal(hold(cooperative, stake_fen=10_000), 500)
    share_surplus(
        session,
        period,
        surplus_fen=7_900_000,
        patronage_bp=10_000,
        capital_fen=1_380_000,
        dealings_fen=69_000,
        members_total=138,
        members_present=100,
        votes_for=70,
    )
    amounts = [row.amount_fen for row in dividends(session).values()]
    assert Counter(amounts) == {57_246: 86, 57_247: 52}
    assert amounts == sorted(amounts, reverse=True)  # remaining fen go to the smaller household ids
    assert sum(amounts) == 7_900_000


def test_the_liangjian_village(session, cooperative, period):
    for _ in range(55):
        deal(hold(cooperative, stake_fen=50_000), 1_000)
    share_surplus(
        session,
        period,
        surplus_fen=23_100_000,
        capital_fen=5_500_000,
        dealings_fen=110_000,
        members_total=110,
        members_present=80,
        votes_for=60,
    )
    amounts = [row.amount_fen for row in dividends(session).values()]
    assert set(amounts) == {210_000}
    assert sum(amounts) == 11_550_000


# --- a resolution ---


def test_a_resolution_gives_base_patronage_and_capital_share(session, cooperative, period):
    first, second = hold(cooperative, stake_fen=200_000), hold(cooperative, stake_fen=200_000)
    deal(first, 10_000)
    resolution = share_surplus(session, period, base_bp=500)
    found = dividends(session)
    assert parts(found[first.household_id]) == (10_000, 60_000, 76_000)
    assert parts(found[second.household_id]) == (10_000, 0, 76_000)
    entitlement = found[first.household_id]
    assert (entitlement.amount_fen, entitlement.due_on) == (146_000, date(2026, 3, 1))
    assert (entitlement.period_id, entitlement.lot_id) == (period.id, None)
    evidence = entitlement.evidence
    assert evidence.key == f"share_dividend:{cooperative.uscc}:2026-01:{first.public_no}"
    assert evidence.occurred_on == date(2025, 12, 31)
    assert (resolution.most_staked_fen, resolution.known_dealings_fen) == (400_000, 10_000)
    scope = (Mechanism.SHARE_COOPERATION, None, period.id)
    assert weights_in_scope(session, [scope], 10_000)[scope] == {
        first.household_id: 146_000,
        second.household_id: 86_000,
    }


def test_every_dividend_can_be_computed_again(session, cooperative, period):
    stakes = [hold(cooperative, stake_fen=10_000 + n) for n in range(7)]
    for n, stake in enumerate(stakes):
        deal(stake, 1_000 + 7 * n)
    share_surplus(session, period, base_bp=100, surplus_fen=999_983)
    session.commit()
    session.expire_all()
    for entitlement in dividends(session).values():
        again = recompute_entitlement(session, entitlement)
        assert (again.amount_fen, again.due_on) == (entitlement.amount_fen, entitlement.due_on)
        assert again.inputs == entitlement.inputs
    ids = [entitlement.evidence_id for entitlement in dividends(session).values()]
    assert mechanism.details_of(session, ids).keys() == set(ids)


def test_patronage_counts_contracts_and_trusteeships_of_the_period_alone(session, cooperative, period, stake):
    deal(stake, 1_000)
    deal(stake, 200, factory=TrusteeshipFactory, on=date(2025, 1, 1))
    deal(stake, 50_000, on=date(2024, 12, 31))
    deal(stake, 50_000, on=date(2026, 1, 1))
    share_surplus(session, period)
    assert session.scalars(select(ShareDividend.dealings_fen)).all() == [1_200]


def test_dealings_of_a_household_with_two_stakes_count_once(session, cooperative, period, stake):
    again = StakeFactory(enrolment=StakeEnrolment(stake))
    deal(stake, 1_000)
    share_surplus(session, period)
    dealings = dict(session.execute(select(ShareDividend.agreement_id, ShareDividend.dealings_fen)).all())
    assert dealings == {stake.id: 1_000, again.id: 0}


def test_stakes_count_by_the_days_they_were_held(session, cooperative, period):
    whole = hold(cooperative, stake_fen=100_000)
    late = hold(cooperative, stake_fen=100_000, valid_from=date(2025, 7, 2))
    early = hold(cooperative, stake_fen=100_000, valid_to=date(2025, 7, 2))
    share_surplus(session, period)
    days = dict(session.execute(select(ShareDividend.agreement_id, ShareDividend.stake_days_fen)).all())
    assert days == {whole.id: 36_500_000, late.id: 18_300_000, early.id: 18_200_000}
    found = dividends(session)
    assert [found[one.household_id].amount_fen for one in (whole, late, early)] == [40_000, 20_055, 19_945]
    assert session.scalars(select(ShareResolution.most_staked_fen)).one() == 200_000


def test_a_stake_that_changed_counts_by_its_versions(session, cooperative, period, stake):
    actor = actor_at(cooperative)
    terms = stake_terms(f"GZ-{stake.id}", stake_fen=420_000)
    amend_agreement(session, actor, stake, valid_from=date(2025, 7, 2), valid_to=None, terms=terms)
    share_surplus(session, period)
    assert session.scalars(select(ShareDividend.stake_days_fen)).all() == [210_000 * 182 + 420_000 * 183]
    assert session.scalars(select(Entitlement.inputs)).one()["terms"]["stake_fen"] == 420_000


def test_a_household_that_is_no_beneficiary_counts_among_the_others(session, cooperative, period, stake):
    left = HouseholdFactory(status=None)
    StakeFactory(enrolment=EnrolmentFactory(cooperative=cooperative, household=left))
    drawn = preview_resolution(session, actor_at(cooperative), period=period, decision=decision())
    assert [agreement.household_id for agreement in drawn.left_out] == [left.id]
    share_surplus(session, period)
    assert dividends(session).keys() == {stake.household_id}
    assert drawn.households_fen + drawn.others_fen == 1_000_000


def test_a_preview_changes_nothing_and_an_old_one_is_not_adopted(session, cooperative, period, stake):
    before = recorded(session)
    drawn = preview_resolution(session, actor_at(cooperative), period=period, decision=decision())
    assert recorded(session) == before
    deal(stake, 1_000)
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        share_surplus_looked_at(session, period, drawn.digest)
    assert refusal.value.code == "preview_changed"
    assert recorded(session) == before
    drawn = preview_resolution(session, actor_at(cooperative), period=period, decision=decision())
    share_surplus_looked_at(session, period, drawn.digest)


def share_surplus_looked_at(session, period, digest):
    actor = actor_at(session.get_one(Cooperative, period.cooperative_id))
    return adopt_resolution(session, actor, period=period, decision=decision(), digest=digest)


# --- what is refused ---


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"patronage_bp": 5_999}, "below_patronage", "patronage_bp"),
        ({"patronage_bp": 10_001}, "patronage", "patronage_bp"),
        ({"base_bp": -1}, "base", "base_bp"),
        ({"base_bp": 10_000, "surplus_fen": 1_000}, "base_too_large", "base_bp"),
        ({"surplus_fen": 0}, "amount", "surplus_fen"),
        ({"capital_fen": 209_999}, "stakes_above_capital", "capital_fen"),
        ({"dealings_fen": 999}, "dealings_above_total", "dealings_fen"),
        ({"dealings_fen": 0}, "amount", "dealings_fen"),
        ({"members_total": 0}, "members", "members_total"),
        ({"members_present": 11}, "present", "members_present"),
        ({"members_present": 6, "votes_for": 6}, "quorum", "members_present"),
        ({"votes_for": 9}, "votes", "votes_for"),
        ({"votes_for": 5}, "majority", "votes_for"),
        ({"meeting_on": date(2025, 12, 31)}, "before_end", "meeting_on"),
        ({"meeting_on": date(2026, 6, 2)}, "future_day", "meeting_on"),
        ({"resolution_no": "  "}, "resolution_no", "resolution_no"),
        ({"resolution_no": "a:b"}, "resolution_no", "resolution_no"),
    ],
)
def test_a_resolution_that_cannot_be_is_refused(session, period, stake, changed, code, field):
    deal(stake, 1_000)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        share_surplus(session, period, **changed)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert recorded(session) == before


def test_a_resolution_below_the_law_is_told_why(session, period, stake):
    with pytest.raises(Refused) as refusal:
        share_surplus(session, period, patronage_bp=5_000)
    assert str(refusal.value) == (
        "按交易量返还的比例不得低于可分配盈余的 60%，这是农民专业合作社法第四十四条的规定"
    )


def test_a_surplus_is_shared_out_once_and_a_number_used_once(session, cooperative, period, stake):
    share_surplus(session, period)
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        share_surplus(session, period, resolution_no="2026-02")
    assert refusal.value.code == "already_shared"
    assert recorded(session) == before
    following = PeriodFactory(
        cooperative=cooperative,
        starts_on=date(2026, 1, 1),
        ends_on=date(2026, 5, 1),
        previous_ends_on=period.ends_on,
    )
    with pytest.raises(Conflict) as refusal:
        share_surplus(session, following, meeting_on=date(2026, 5, 2))
    assert (refusal.value.code, refusal.value.field) == ("resolution_used", "resolution_no")
    share_surplus(session, following, meeting_on=date(2026, 5, 2), resolution_no="2026-02")


def test_a_closed_period_one_without_stakes_and_one_of_others_are_refused(session, cooperative, period):
    with pytest.raises(Refused) as refusal:
        share_surplus(session, period)
    assert refusal.value.code == "no_stakes"
    hold(cooperative)
    with pytest.raises(NotFound):
        adopt_resolution(session, actor_at(CooperativeFactory()), period=period, decision=decision())
    period.state = PeriodState.CLOSED
    session.flush()
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        share_surplus(session, period)
    assert refusal.value.code == "closed_period"
    assert recorded(session) == before


# --- the database ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"patronage_bp": 5_999},
        {"patronage_bp": 10_001},
        {"base_bp": -1},
        {"surplus_fen": 0},
        {"most_staked_fen": 1_000_001},
        {"known_dealings_fen": 100_001},
        {"members_present": 6, "votes_for": 6},
        {"votes_for": 5},
        {"votes_for": 9},
        {"members_present": 11},
    ],
)
def test_a_resolution_that_cannot_be_is_not_kept(session, cooperative, period, wrong):
    session.commit()
    row = {
        **asdict(decision()),
        "public_no": "G-1",
        "cooperative_id": cooperative.id,
        "period_id": period.id,
        "most_staked_fen": 210_000,
        "known_dealings_fen": 0,
    }
    with pytest.raises(IntegrityError):
        session.execute(insert(ShareResolution).values({**row, **wrong}))
    session.rollback()
    session.execute(insert(ShareResolution).values(row))
