"""Households: registering one, what it was on a day as known on a day, who sees it, and who looked at an ID number."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import VISITOR, actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.registry.models import (
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    HouseholdStatusKind,
)
from marketplace.registry.queries import (
    beneficiaries_of,
    found_households,
    household_by_no,
    household_of,
    household_status,
    households_visible_to,
    is_beneficiary,
    may_read_members,
    member_by_no,
    reveals_of,
    status_history,
    statuses_on,
)
from marketplace.registry.rules import MemberDraft, record_status, register_household, reveal_id_number
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import (
    NEXT_VILLAGE,
    OTHER_COUNTY_VILLAGE,
    OTHER_TOWNSHIP_VILLAGE,
    VILLAGE,
    BeneficiaryPolicyFactory,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    HouseholdStatusFactory,
    RegionFactory,
    actor_at,
    beneficiary_policy,
    resident_id,
    user_of_household,
)

REGISTERED, EXITED, AT_RISK = (
    HouseholdStatusKind.REGISTERED,
    HouseholdStatusKind.EXITED,
    HouseholdStatusKind.AT_RISK,
)


def drafts(head="陈大山", **changes):
    first = {
        "person_no": "360000000001",
        "name": head,
        "relation": "户主",
        "id_number": resident_id(1, born="19330303"),
    }
    second = MemberDraft("360000000002", "陈小山", "之子", resident_id(2, born="19330303"))
    return [MemberDraft(**{**first, **changes}), second]


def register(session, actor, data_key, **changes):
    return register_household(
        session,
        actor,
        data_key,
        **{
            "registry_no": "3600000001",
            "head_name": "陈大山",
            "village_code": VILLAGE,
            "members": drafts(),
            "status": REGISTERED,
            "valid_from": date(2015, 3, 1),
            "reason": "建档立卡登记",
            **changes,
        },
    )


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


# --- registering ---


def test_a_registered_household_keeps_its_id_numbers_sealed(session, data_key, clock):
    RegionFactory()
    county = actor_with(Role.COUNTY_REVIEWER)
    household = register(session, county, data_key)
    assert household_status(session, household.id, valid_on=date(2015, 3, 1)) is REGISTERED
    stored = session.execute(select(HouseholdMember.id_number_sealed, HouseholdMember.id_number_index)).all()
    number = resident_id(1, born="19330303").encode()
    assert len(stored) == 2
    assert not any(number in sealed or number in index for sealed, index in stored)
    trail = session.scalars(
        select(TrailEntry).where(TrailEntry.action == "registry.register_household")
    ).one()
    assert (trail.household_id, trail.county_code, trail.detail) == (household.id, "361025", {"persons": 2})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"registry_no": "36000"}, "household_no_form"),
        ({"village_code": "361025100"}, "unknown_village"),
        ({"village_code": "361025100999"}, "unknown_village"),
        ({"village_code": OTHER_COUNTY_VILLAGE}, "village_elsewhere"),
        ({"members": []}, "head"),
        ({"members": [*drafts(), *drafts()]}, "head"),
        ({"head_name": "陈小山"}, "head"),
        ({"members": drafts(id_number="36102519700101001X")}, "resident_id_check"),
        ({"members": drafts(person_no="36000000000")}, "person_no_form"),
        ({"valid_from": date(2026, 6, 2)}, "status_in_future"),
        ({"reason": " 好 "}, "reason_missing"),
        ({"reason": f"见{resident_id(1)}"}, "reason_personal"),
    ],
)
def test_a_household_with_a_wrong_part_is_refused_whole(session, data_key, clock, changes, code):
    for place in (VILLAGE, OTHER_COUNTY_VILLAGE):
        RegionFactory(code=place)
    with pytest.raises(Refused) as refused, session.begin_nested():
        register(session, actor_with(Role.COUNTY_REVIEWER), data_key, **changes)
    assert refused.value.code == code
    assert count(session, Household) == count(session, HouseholdMember) == 0


def test_a_household_or_person_is_registered_once(session, data_key, clock):
    RegionFactory()
    county = actor_with(Role.COUNTY_REVIEWER)
    register(session, county, data_key)
    with pytest.raises(Conflict) as refused:
        register(session, county, data_key)
    assert refused.value.code == "household_registered"
    with pytest.raises(Conflict) as refused, session.begin_nested():
        register(session, county, data_key, registry_no="3600000009")
    assert refused.value.code == "person_registered"
    assert count(session, Household) == 1


@pytest.mark.parametrize("role", [Role.VILLAGE_REVIEWER, Role.AUDITOR, Role.STAFF_BUYER, Role.HOUSEHOLD])
def test_others_register_nobody(session, data_key, clock, role):
    RegionFactory()
    with pytest.raises(Forbidden):
        register(session, actor_with(role), data_key)
    assert count(session, Household) == 0


# --- status in two times ---


def test_a_status_is_what_was_true_on_a_day_as_known_on_a_day(session, clock):
    household = HouseholdFactory()  # registered since 2014, known since 2014
    county = actor_with(Role.COUNTY_REVIEWER)
    before = clock.now
    clock.advance(days=1)
    record_status(
        session, county, household, status=EXITED, valid_from=date(2019, 1, 1), reason="2019 年脱贫"
    )
    clock.advance(days=1)
    record_status(
        session,
        county,
        household,
        status=AT_RISK,
        valid_from=date(2020, 3, 1),
        valid_to=date(2020, 9, 1),
        reason="因灾返贫风险",
    )

    def status_on(day, known_at=None):
        return household_status(session, household.id, valid_on=day, known_at=known_at)

    assert status_on(date(2013, 12, 31)) is None
    assert status_on(date(2018, 12, 31)) is REGISTERED
    assert status_on(date(2019, 1, 1)) is EXITED
    assert status_on(date(2020, 2, 29)) is EXITED
    assert status_on(date(2020, 3, 1)) is AT_RISK
    assert status_on(date(2020, 8, 31)) is AT_RISK
    assert status_on(date(2020, 9, 1)) is EXITED
    assert status_on(date(2020, 3, 1), known_at=before) is REGISTERED
    assert status_on(date(2020, 3, 1), known_at=before + timedelta(days=1)) is EXITED
    assert [row.status for row in status_history(session, household.id)] == [AT_RISK, EXITED, REGISTERED]
    set_based = dict(session.execute(statuses_on(valid_on=date(2020, 3, 1), known_at=before)).all())
    assert set_based == {household.id: REGISTERED}
    assert dict(session.execute(statuses_on(valid_on=date(2020, 3, 1))).all()) == {household.id: AT_RISK}


def test_a_stated_status_cannot_be_edited_or_removed(session):
    household = HouseholdFactory()
    for statement in ("UPDATE household_status SET status = 'exited'", "DELETE FROM household_status"):
        with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
            session.execute(text(statement))
    assert household_status(session, household.id, valid_on=date(2020, 1, 1)) is REGISTERED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"valid_from": date(2026, 6, 2)}, "status_in_future"),
        ({"valid_to": date(2019, 1, 1)}, "status_range"),
        ({"reason": ""}, "reason_missing"),
        ({"reason": "长" * 301}, "reason_too_long"),
    ],
)
def test_a_status_that_cannot_be_is_refused(session, clock, changes, code):
    household = HouseholdFactory()
    stated = {"status": EXITED, "valid_from": date(2019, 1, 1), "reason": "2019 年脱贫", **changes}
    with pytest.raises(Refused) as refused:
        record_status(session, actor_with(Role.COUNTY_REVIEWER), household, **stated)
    assert refused.value.code == code
    assert count(session, HouseholdStatus) == 1


def test_only_the_countys_reviewer_states_a_status_and_only_once(session, clock):
    household = HouseholdFactory()
    stated = {"status": EXITED, "valid_from": date(2019, 1, 1), "reason": "2019 年脱贫"}
    for role in (Role.VILLAGE_REVIEWER, Role.TOWNSHIP_REVIEWER, Role.AUDITOR, Role.COOPERATIVE_MANAGER):
        with pytest.raises(Forbidden):
            record_status(session, actor_with(role), household, **stated)
    with pytest.raises(NotFound):
        record_status(session, actor_of(official_with(Role.COUNTY_REVIEWER, "360827")), household, **stated)
    record_status(session, actor_with(Role.COUNTY_REVIEWER), household, **stated)
    with pytest.raises(Conflict):
        record_status(session, actor_with(Role.COUNTY_REVIEWER), household, **stated)
    assert count(session, HouseholdStatus) == 2


def test_the_nearest_policy_of_the_latest_year_says_who_counts(session):
    beneficiary_policy()
    household = HouseholdFactory(status__status=AT_RISK)
    elsewhere = HouseholdFactory(
        status__status=AT_RISK, village_code=RegionFactory(code=OTHER_COUNTY_VILLAGE).code
    )
    nobody = HouseholdFactory(status=None)
    ids = [household.id, elsewhere.id, nobody.id]
    assert beneficiaries_of(session, ids, valid_on=date(2019, 12, 31)) == frozenset()
    assert beneficiaries_of(session, ids, valid_on=date(2020, 1, 1)) == {household.id, elsewhere.id}
    assert beneficiaries_of(session, ids, valid_on=date(2026, 1, 1)) == {household.id, elsewhere.id}
    BeneficiaryPolicyFactory(region_code="361025", year=2025, status=AT_RISK, counts=False)
    assert beneficiaries_of(session, ids, valid_on=date(2026, 1, 1)) == {elsewhere.id}
    assert is_beneficiary(session, household.id, valid_on=date(2024, 12, 31))
    assert not is_beneficiary(session, household.id, valid_on=date(2025, 1, 1))


# --- who sees whom ---


@pytest.fixture
def homes(session):
    """A household in each of four villages: the next two in other villages of the county, the last in another one."""
    codes = (VILLAGE, NEXT_VILLAGE, OTHER_TOWNSHIP_VILLAGE, OTHER_COUNTY_VILLAGE)
    return [HouseholdFactory(place__code=code) for code in codes]


@pytest.mark.parametrize(
    ("role", "place", "seen"),
    [
        (Role.VILLAGE_REVIEWER, VILLAGE, [0]),
        (Role.TOWNSHIP_REVIEWER, "361025100", [0, 1]),
        (Role.COUNTY_REVIEWER, "361025", [0, 1, 2]),
        (Role.COUNTY_REVIEWER, "360827", [3]),
        (Role.AUDITOR, "361025", [0, 1, 2]),
        (Role.AUDITOR, "36", [0, 1, 2, 3]),
        (Role.SUPERVISOR, "36", []),
        (Role.OPERATOR, "36", []),
    ],
)
def test_an_official_sees_the_households_of_the_jurisdiction(session, homes, role, place, seen):
    actor = actor_of(official_with(role, place))
    visible = set(session.scalars(households_visible_to(actor)))
    assert visible == {homes[i] for i in seen}
    for i, home in enumerate(homes):
        if i not in seen:
            with pytest.raises(NotFound):
                household_by_no(session, actor, home.public_no)


def test_a_cooperative_sees_whom_it_asked_but_not_who_declined(session, homes):
    cooperative = CooperativeFactory()
    states = (EnrolmentState.ACKNOWLEDGED, EnrolmentState.PROPOSED, EnrolmentState.DECLINED)
    for home, state in zip(homes, states, strict=False):
        EnrolmentFactory(cooperative=cooperative, household=home, state=state)
    EnrolmentFactory(household=homes[3])  # another cooperative's
    actor = actor_at(cooperative)
    assert set(session.scalars(households_visible_to(actor))) == {homes[0], homes[1]}
    assert may_read_members(session, actor, homes[0])
    assert not may_read_members(session, actor, homes[1])  # it has not agreed yet


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.UNIT_ORDERER])
def test_buyers_and_visitors_see_no_household(session, homes, role):
    assert session.scalars(households_visible_to(actor_with(role))).all() == []
    assert session.scalars(households_visible_to(VISITOR)).all() == []


def test_a_household_sees_itself(session, homes):
    actor = actor_of(user_of_household(homes[1]))
    session.flush()
    assert session.scalars(households_visible_to(actor)).all() == [homes[1]]
    assert household_of(session, actor) is homes[1]
    assert household_of(session, VISITOR) is None


def test_households_are_found_by_exact_name_or_number_place_and_status(session, homes):
    auditor = actor_of(official_with(Role.AUDITOR, "36"))
    HouseholdStatusFactory(household=homes[2], status=EXITED, valid_from=date(2019, 1, 1))

    def found(**wanted):
        return session.scalars(found_households(auditor, **wanted)).all()

    assert found(text=homes[1].head_name) == [homes[1]]
    assert found(text=homes[1].head_name[:1]) == []
    assert found(text=homes[3].registry_no) == [homes[3]]
    assert set(found(region_code="361025100")) == {homes[0], homes[1]}
    assert found(status=EXITED) == [homes[2]]
    assert found(status=EXITED, region_code="360827") == []


# --- ID numbers ---


def test_looking_at_an_id_number_needs_a_reason_and_leaves_a_trace(session, data_key):
    household = HouseholdFactory(head__id_number=resident_id(123, born="19330303"))
    clerk = actor_with(Role.VILLAGE_REVIEWER)
    member = household.members[0]
    with pytest.raises(Refused):
        reveal_id_number(session, clerk, data_key, member, reason="")
    assert reveals_of(session, household) == []
    shown = reveal_id_number(session, clerk, data_key, member, reason="核对医保参保信息")
    assert shown == resident_id(123, born="19330303")
    [entry] = reveals_of(session, household)
    assert (entry.actor_user_id, entry.subject_no, entry.detail) == (
        clerk.user_id,
        member.public_no,
        {"reason": "核对医保参保信息"},
    )


def test_a_cooperative_and_the_household_itself_reveal_no_id_number(session, data_key):
    household = HouseholdFactory()
    enrolment = EnrolmentFactory(household=household)
    for actor in (actor_at(enrolment.cooperative), actor_of(user_of_household(household))):
        with pytest.raises(Forbidden):
            reveal_id_number(session, actor, data_key, household.members[0], reason="核对身份")
    assert reveals_of(session, household) == []


def test_a_member_number_of_another_household_is_not_found(session):
    one, other = HouseholdFactory(), HouseholdFactory()
    county = actor_with(Role.COUNTY_REVIEWER)
    assert member_by_no(session, county, one.public_no, one.members[0].public_no) is one.members[0]
    with pytest.raises(NotFound):
        member_by_no(session, county, one.public_no, other.members[0].public_no)
