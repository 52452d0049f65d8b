"""Stakes: a certificate has one holder a day, and a stake passes to another household on a day."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.linkage.mechanisms.share_cooperation import mechanism
from marketplace.linkage.mechanisms.share_cooperation.models import (
    ShareDividend,
    ShareResolution,
    StakeReassignment,
    StakeSpan,
)
from marketplace.linkage.mechanisms.share_cooperation.rules import reassign_stake
from marketplace.linkage.models import AgreementState, Mechanism
from marketplace.linkage.rules import amend_agreement, end_agreement, sign_agreement
from marketplace.linkage.spans import FOREVER
from tests.factories.linkage import PeriodFactory
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.shares import hold, recorded, share_surplus, stake_terms

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


# --- certificates ---


def sign(session, enrolment, number="G-1", *, valid_from=date(2026, 1, 1), valid_to=None):
    return sign_agreement(
        session,
        actor_at(enrolment.cooperative),
        household=enrolment.household,
        mechanism=Mechanism.SHARE_COOPERATION,
        valid_from=valid_from,
        valid_to=valid_to,
        terms=stake_terms(number),
    )


def test_a_certificate_is_held_by_one_household_at_a_time(session, cooperative):
    one, other = EnrolmentFactory(cooperative=cooperative), EnrolmentFactory(cooperative=cooperative)
    sign(session, one, valid_to=date(2026, 5, 1))
    with pytest.raises(Conflict) as refusal, session.begin_nested():
        sign(session, other, valid_from=date(2026, 4, 30))
    assert refusal.value.code == "certificate_taken"
    assert str(refusal.value) == (
        "股权证 G-1 从 2026-01-01 起已在另一份有效的协议中，同一张证同一天只能有一户持有"
    )
    sign(session, other, valid_from=date(2026, 5, 1))
    sign(session, EnrolmentFactory())  # another cooperative numbers its own certificates
    spans = session.scalars(select(StakeSpan).order_by(StakeSpan.id)).unique().all()
    assert [(span.previous_ends_on, span.ends_on) for span in spans] == [
        (None, date(2026, 5, 1)),
        (date(2026, 5, 1), FOREVER),
        (None, FOREVER),
    ]


def test_an_ended_stake_frees_its_certificate(session, cooperative):
    one, other = EnrolmentFactory(cooperative=cooperative), EnrolmentFactory(cooperative=cooperative)
    end_agreement(session, actor_at(cooperative), sign(session, one), ended_on=date(2026, 3, 1))
    sign(session, other, valid_from=date(2026, 3, 1))


def test_days_shared_out_are_closed_to_stakes(session, cooperative, period, stake):
    share_surplus(session, period)
    before = recorded(session)
    enrolment = EnrolmentFactory(cooperative=cooperative)
    with pytest.raises(Conflict) as refusal, session.begin_nested():
        sign(session, enrolment, valid_from=date(2025, 12, 31))
    assert str(refusal.value) == "2026-01-01 以前的盈余已按决议分完，股份请从 2026-01-01 起生效"
    for rule in (
        lambda actor: end_agreement(session, actor, stake, ended_on=date(2025, 12, 31)),
        lambda actor: amend_agreement(
            session, actor, stake, valid_from=date(2025, 12, 31), valid_to=None, terms=stake_terms("GZ-9")
        ),
    ):
        with pytest.raises(Refused) as refusal:
            rule(actor_at(cooperative))
        assert refusal.value.code == "recorded_later"
    assert recorded(session) == before
    sign(session, enrolment)
    end_agreement(session, actor_at(cooperative), stake, ended_on=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"stake_fen": 0}, "stake_fen"),
        ({"stake_fen": True}, "stake_fen"),
        ({"source": "gift"}, "source"),
        ({"source": None}, "source"),
        ({"certificate_no": ""}, "certificate_no"),
        ({"certificate_no": "a:b"}, "certificate_no"),
        ({"shares": 0}, "shares"),
        ({"rate": 1}, None),
    ],
)
def test_terms_that_cannot_be_are_refused(changed, field):
    with pytest.raises(Refused) as refusal:
        mechanism.validate_terms({**stake_terms("GZ-1"), **changed})
    assert refusal.value.field == field


# --- a stake passes on ---


def test_a_stake_passes_to_another_household_on_a_day(session, cooperative, period, stake):
    heir = EnrolmentFactory(cooperative=cooperative)
    signed = reassign(session, stake, heir.household, from_day=date(2025, 7, 2))
    assert (stake.state, stake.ended_on) == (AgreementState.ENDED, date(2025, 7, 2))
    assert (signed.household_id, signed.versions[0].terms) == (heir.household_id, stake.versions[0].terms)
    passed = session.scalars(select(StakeReassignment)).one()
    assert (passed.from_agreement_id, passed.to_agreement_id) == (stake.id, signed.id)
    assert (passed.from_day, passed.reason) == (date(2025, 7, 2), "分户")
    share_surplus(session, period)
    days = dict(session.execute(select(ShareDividend.agreement_id, ShareDividend.stake_days_fen)).all())
    assert days == {stake.id: 210_000 * 182, signed.id: 210_000 * 183}
    assert session.scalars(select(ShareResolution.most_staked_fen)).one() == 210_000


def reassign(session, stake, household, *, from_day, reason="分户"):
    actor = actor_at(stake.cooperative)
    return reassign_stake(session, actor, stake, to_household=household, from_day=from_day, reason=reason)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "长" * 201}, "reason"),
        ({"from_day": date(2024, 12, 31)}, "not_held"),
        ({"from_day": date(2026, 6, 3)}, "future_day"),
        ({"to": "itself"}, "same_household"),
        ({"to": "stranger"}, "not_enrolled"),
        ({"to": "no beneficiary"}, "not_beneficiary"),
    ],
)
def test_a_stake_that_cannot_pass_on_stays_where_it_is(session, cooperative, stake, wrong, code):
    households = {
        "itself": stake.household,
        "stranger": HouseholdFactory(),
        "no beneficiary": EnrolmentFactory(
            cooperative=cooperative, household=HouseholdFactory(status=None)
        ).household,
        "heir": EnrolmentFactory(cooperative=cooperative).household,
    }
    wrong = {"from_day": date(2026, 3, 1), **wrong}
    household = households[wrong.pop("to", "heir")]
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        reassign(session, stake, household, **wrong)
    assert refusal.value.code == code
    assert recorded(session) == before
    session.refresh(stake)
    assert (stake.state, stake.ended_on) == (AgreementState.ACTIVE, None)


def test_a_stake_passes_only_by_its_own_cooperative_and_not_within_days_shared_out(
    session, cooperative, period, stake
):
    heir = EnrolmentFactory(cooperative=cooperative).household
    with pytest.raises(NotFound):
        reassign_stake(
            session,
            actor_at(CooperativeFactory()),
            stake,
            to_household=heir,
            from_day=date(2026, 1, 1),
            reason="分户",
        )
    share_surplus(session, period)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        reassign(session, stake, heir, from_day=date(2025, 12, 31))
    assert refusal.value.code == "recorded_later"
    assert recorded(session) == before
    reassign(session, stake, heir, from_day=date(2026, 1, 1))


# --- the database ---


def test_a_certificate_cannot_be_held_twice_on_a_day(session, stake):
    other = hold(stake.cooperative)
    session.commit()
    held = session.scalars(select(StakeSpan).where(StakeSpan.agreement_id == stake.id)).unique().one()
    row = {
        "certificate": held.certificate,
        "cooperative_id": stake.cooperative_id,
        "agreement_id": other.id,
        "stake_fen": 1,
        "starts_on": date(2025, 6, 1),
        "ends_on": date(2025, 7, 1),
        "previous_ends_on": None,
    }
    for wrong in (
        {},
        {"ends_on": FOREVER},
        {"previous_ends_on": FOREVER},
        {"stake_fen": 0, "certificate": "x"},
    ):
        with pytest.raises(IntegrityError):
            session.execute(insert(StakeSpan).values({**row, **wrong}))
        session.rollback()


@pytest.mark.parametrize("model", [ShareResolution, ShareDividend, StakeReassignment])
def test_history_is_neither_changed_nor_removed(session, cooperative, period, stake, model):
    heir = EnrolmentFactory(cooperative=cooperative).household
    share_surplus(session, period)
    reassign(session, stake, heir, from_day=date(2026, 3, 1))
    session.commit()
    for statement in (update(model).values(id=model.id), delete(model)):
        with pytest.raises(IntegrityError):
            session.execute(statement)
        session.rollback()
