"""Signing, amending and ending agreements."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.identity.rules import keep_file
from marketplace.linkage.mechanisms.land_transfer.models import ParcelTransfer
from marketplace.linkage.models import Agreement, AgreementState, AgreementVersion, Mechanism
from marketplace.linkage.queries import agreements_visible_to, is_expired, version_on
from marketplace.linkage.rules import amend_agreement, end_agreement, sign_agreement
from marketplace.linkage.spans import FOREVER
from marketplace.registry.models import EnrolmentState, HouseholdStatusKind
from tests.factories.identity import actor_with, official_with
from tests.factories.linkage import (
    CONTRACT_TERMS,
    ContractFactory,
    LeaseFactory,
    LotFactory,
    PeriodFactory,
    lease_terms,
    parcel_no,
    pay_rent,
    weigh,
)
from tests.factories.registry import (
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    actor_at,
    beneficiary_policy,
    user_of_household,
)

TODAY = date(2026, 6, 1)
pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


def sign(session, enrolment, **fields):
    wanted = {
        "household": enrolment.household,
        "mechanism": Mechanism.CONTRACT_FARMING,
        "valid_from": date(2026, 1, 1),
        "valid_to": None,
        "terms": CONTRACT_TERMS,
        **fields,
    }
    return sign_agreement(session, actor_at(enrolment.cooperative), **wanted)


def counts(session: Session) -> tuple[int, ...]:
    tables = (Agreement, AgreementVersion, ParcelTransfer, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def test_a_cooperative_signs_with_a_household_that_acknowledged_its_enrolment(session, files):
    enrolment = EnrolmentFactory()
    actor = actor_at(enrolment.cooperative)
    scan = keep_file(
        session, actor, files, content=b"%PDF-1.7", name="协议.pdf", media_type="application/pdf", sealed=True
    )
    agreement = sign(session, enrolment, valid_to=date(2027, 1, 1), file=scan)
    version = agreement.versions[0]
    assert (agreement.state, agreement.mechanism) == (AgreementState.ACTIVE, Mechanism.CONTRACT_FARMING)
    assert (version.version, version.valid_from, version.valid_to) == (1, date(2026, 1, 1), date(2027, 1, 1))
    assert version.terms == CONTRACT_TERMS
    assert (version.file_id, version.file_hash) == (scan.id, scan.address)
    trail = session.scalars(select(TrailEntry).where(TrailEntry.action == "linkage.sign_agreement")).one()
    assert (trail.subject_no, trail.household_id) == (agreement.public_no, enrolment.household_id)
    assert trail.cooperative_id == enrolment.cooperative_id


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (EnrolmentState.PROPOSED, "该户还没有确认加入，请等农户本人或村里确认后再签协议"),
        (EnrolmentState.DECLINED, "该户没有认可加入合作社，不能签协议"),
        (EnrolmentState.ENDED, "该户已退出合作社，不能再签协议"),
    ],
)
def test_no_agreement_with_a_household_that_has_not_acknowledged(session, state, message):
    enrolment = EnrolmentFactory(state=state)
    before = counts(session)
    with pytest.raises(Refused) as refusal:
        sign(session, enrolment)
    assert str(refusal.value) == message
    assert counts(session) == before


def test_no_agreement_with_a_household_of_another_cooperative(session):
    enrolment, stranger = EnrolmentFactory(), HouseholdFactory()
    before = counts(session)
    with pytest.raises(Refused) as refusal:
        sign(session, enrolment, household=stranger)
    assert refusal.value.code == "not_enrolled"
    assert counts(session) == before


def test_no_agreement_with_a_household_that_is_no_beneficiary(session):
    enrolment = EnrolmentFactory(household__status__status=HouseholdStatusKind.INELIGIBLE)
    before = counts(session)
    with pytest.raises(Refused) as refusal:
        sign(session, enrolment)
    assert refusal.value.code == "not_beneficiary"
    assert counts(session) == before


def test_only_the_people_of_a_cooperative_sign(session):
    enrolment = EnrolmentFactory()
    for role in (Role.AUDITOR, Role.VILLAGE_REVIEWER, Role.STAFF_BUYER, Role.HOUSEHOLD, Role.OPERATOR):
        with pytest.raises(Forbidden):
            sign_agreement(
                session,
                actor_with(role),
                household=enrolment.household,
                mechanism=Mechanism.CONTRACT_FARMING,
                valid_from=TODAY,
                valid_to=None,
                terms=CONTRACT_TERMS,
            )
    assert session.scalar(select(func.count(Agreement.id))) == 0


def test_a_mechanism_without_rules_cannot_be_agreed_on(session):
    with pytest.raises(NotFound):
        sign(session, EnrolmentFactory(), mechanism="beekeeping")


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "field"),
    [
        (date(2013, 12, 31), None, "valid_from"),
        (date(2028, 1, 1), None, "valid_from"),
        (TODAY, TODAY, "valid_to"),
        (TODAY, date(2025, 6, 1), "valid_to"),
        (TODAY, date(2126, 6, 1), "valid_to"),
    ],
)
def test_a_term_that_cannot_be_is_refused(session, valid_from, valid_to, field):
    with pytest.raises(Refused) as refusal:
        sign(session, EnrolmentFactory(), valid_from=valid_from, valid_to=valid_to)
    assert refusal.value.field == field
    assert session.scalar(select(func.count(Agreement.id))) == 0


def test_the_same_produce_is_not_agreed_on_twice(session):
    enrolment = EnrolmentFactory()
    sign(session, enrolment, valid_to=date(2027, 1, 1))
    with pytest.raises(Conflict) as refusal:
        sign(session, enrolment, valid_from=TODAY)
    assert refusal.value.code == "already_agreed"


def test_other_produce_or_a_later_year_is_agreed_on_beside_it(session):
    enrolment = EnrolmentFactory()
    sign(session, enrolment, valid_to=date(2027, 1, 1))
    sign(session, enrolment, terms={**CONTRACT_TERMS, "commodity": "脐橙"})
    sign(session, enrolment, valid_from=date(2027, 1, 1))
    assert session.scalar(select(func.count(Agreement.id))) == 3


def test_a_parcel_is_under_one_transfer_at_a_time_whoever_signs(session):
    lease = {"mechanism": Mechanism.LAND_TRANSFER, "terms": lease_terms(1, 2)}
    sign(session, EnrolmentFactory(), **lease)
    session.commit()
    before = counts(session)
    with pytest.raises(Conflict) as refusal:
        sign(session, EnrolmentFactory(), mechanism=Mechanism.LAND_TRANSFER, terms=lease_terms(2))
    assert refusal.value.code == "parcel_taken"
    assert refusal.value.params == {"no": parcel_no(2), "day": "2026-01-01"}
    session.rollback()
    assert counts(session) == before


def test_a_parcel_is_free_again_when_its_transfer_has_ended(session):
    lease = {"mechanism": Mechanism.LAND_TRANSFER, "terms": lease_terms(1)}
    first = EnrolmentFactory()
    agreement = sign(session, first, **lease)
    end_agreement(session, actor_at(first.cooperative), agreement, ended_on=TODAY)
    second = sign(session, EnrolmentFactory(), valid_from=TODAY, **lease)
    held = session.scalars(select(ParcelTransfer).order_by(ParcelTransfer.starts_on)).all()
    assert [(span.agreement_id, span.starts_on, span.ends_on) for span in held] == [
        (agreement.id, date(2026, 1, 1), TODAY),
        (second.id, TODAY, FOREVER),
    ]
    session.commit()


def test_an_amendment_holds_from_its_first_day(session):
    agreement = ContractFactory()
    actor = actor_at(agreement.cooperative)
    terms = {**CONTRACT_TERMS, "floor_price_fen_per_kg": 900}
    version = amend_agreement(
        session, actor, agreement, valid_from=TODAY, valid_to=date(2027, 1, 1), terms=terms
    )
    assert version.version == 2
    assert version_on(agreement, date(2025, 12, 31)) is None
    assert version_on(agreement, date(2026, 5, 31)).terms["floor_price_fen_per_kg"] == 800
    assert version_on(agreement, TODAY).terms["floor_price_fen_per_kg"] == 900
    assert version_on(agreement, date(2027, 1, 1)) is None
    assert not is_expired(agreement)


def test_versions_never_overlap(session):
    agreement = ContractFactory()
    with pytest.raises(Refused) as refusal:
        amend_agreement(
            session,
            actor_at(agreement.cooperative),
            agreement,
            valid_from=date(2026, 1, 1),
            valid_to=None,
            terms=CONTRACT_TERMS,
        )
    assert (refusal.value.code, refusal.value.field) == ("version_overlaps", "valid_from")
    assert session.scalar(select(func.count(AgreementVersion.id))) == 1


def test_terms_are_not_changed_for_what_is_recorded_already(session):
    agreement = ContractFactory()
    weigh(session, agreement, LotFactory(cooperative=agreement.cooperative), slip_no="1", net_g=1000)
    actor = actor_at(agreement.cooperative)
    change = {"valid_to": None, "terms": CONTRACT_TERMS}
    for rule, fields in (
        (amend_agreement, {**change, "valid_from": date(2026, 5, 20)}),
        (end_agreement, {"ended_on": date(2026, 5, 20)}),
    ):
        with pytest.raises(Refused) as refusal:
            rule(session, actor, agreement, **fields)
        assert refusal.value.code == "recorded_later"
        assert refusal.value.params == {"day": "2026-05-20"}
    amend_agreement(session, actor, agreement, valid_from=date(2026, 5, 21), **change)


def test_an_amended_lease_lets_parcels_go_and_takes_others(session):
    agreement = LeaseFactory()
    actor = actor_at(agreement.cooperative)
    terms = lease_terms(77, area_cmu=250)
    amend_agreement(session, actor, agreement, valid_from=TODAY, valid_to=date(2027, 1, 1), terms=terms)
    held = session.scalars(select(ParcelTransfer).order_by(ParcelTransfer.starts_on)).all()
    assert [(span.parcel_no, span.starts_on, span.ends_on) for span in held] == [
        (parcel_no(agreement.id), date(2026, 1, 1), TODAY),
        (parcel_no(77), TODAY, date(2027, 1, 1)),
    ]


def test_a_lease_is_not_amended_inside_rent_that_is_recorded(session):
    agreement = LeaseFactory()
    PeriodFactory(cooperative=agreement.cooperative)
    pay_rent(session, agreement, ends_on=date(2026, 7, 1))
    with pytest.raises(Refused) as refusal:
        amend_agreement(
            session,
            actor_at(agreement.cooperative),
            agreement,
            valid_from=TODAY,
            valid_to=None,
            terms=lease_terms(agreement.id),
        )
    assert refusal.value.code == "recorded_later"


def test_an_ended_agreement_stays_as_it_was_and_takes_nothing_more(session):
    agreement = ContractFactory()
    actor = actor_at(agreement.cooperative)
    end_agreement(session, actor, agreement, ended_on=TODAY + timedelta(days=1))
    assert (agreement.state, agreement.ended_on) == (AgreementState.ENDED, date(2026, 6, 2))
    assert version_on(agreement, TODAY) is not None
    assert version_on(agreement, date(2026, 6, 2)) is None
    with pytest.raises(Refused) as refusal:
        end_agreement(session, actor, agreement, ended_on=TODAY)
    assert refusal.value.code == "ended"
    with pytest.raises(Refused):
        amend_agreement(
            session, actor, agreement, valid_from=date(2026, 7, 1), valid_to=None, terms=CONTRACT_TERMS
        )


@pytest.mark.parametrize(
    ("ended_on", "code"), [(date(2026, 6, 3), "future_day"), (date(2025, 12, 31), "before_agreement")]
)
def test_an_agreement_ends_on_a_day_that_can_be(session, ended_on, code):
    agreement = ContractFactory()
    with pytest.raises(Refused) as refusal:
        end_agreement(session, actor_at(agreement.cooperative), agreement, ended_on=ended_on)
    assert (refusal.value.code, agreement.state) == (code, AgreementState.ACTIVE)


def test_another_cooperative_finds_no_such_agreement(session):
    agreement = ContractFactory()
    stranger = actor_at(CooperativeFactory())
    with pytest.raises(NotFound):
        end_agreement(session, stranger, agreement, ended_on=TODAY)
    with pytest.raises(NotFound):
        amend_agreement(session, stranger, agreement, valid_from=TODAY, valid_to=None, terms=CONTRACT_TERMS)
    assert agreement.state is AgreementState.ACTIVE


def test_each_sees_the_agreements_that_concern_it(session):
    mine, other = ContractFactory(), LeaseFactory()
    household = actor_of(user_of_household(mine.household))
    session.flush()

    def seen_by(actor):
        return {one.id for one in session.scalars(agreements_visible_to(actor))}

    assert seen_by(actor_at(mine.cooperative)) == {mine.id}
    assert seen_by(household) == {mine.id}
    assert seen_by(actor_with(Role.AUDITOR)) == {mine.id, other.id}
    assert seen_by(actor_with(Role.COUNTY_REVIEWER)) == {mine.id, other.id}
    assert seen_by(actor_of(official_with(Role.COUNTY_REVIEWER, "360827"))) == set()
    assert seen_by(actor_with(Role.STAFF_BUYER)) == set()
