"""Enrolments: proposed by a cooperative, answered by the household or its village clerk, ended with a reason."""

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.registry.models import (
    CooperativeState,
    Enrolment,
    EnrolmentState,
    HouseholdStatusKind,
)
from marketplace.registry.queries import (
    acknowledged_counts,
    enrolled_households,
    enrolment_by_no,
    enrolment_counts,
    tasks_of,
)
from marketplace.registry.rules import (
    acknowledge_enrolment,
    decline_enrolment,
    end_enrolment,
    enrol_household,
    withdraw_enrolment,
)
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import (
    NEXT_VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    HouseholdStatusFactory,
    actor_at,
    beneficiary_policy,
    user_of_household,
)

PROPOSED, ACKNOWLEDGED, DECLINED, ENDED = EnrolmentState
TODAY = date(2026, 6, 1)


@pytest.fixture
def scene(session, clock):
    """A household with an account, a cooperative's manager, the clerk of the village and the one of the next."""
    beneficiary_policy()
    household = HouseholdFactory()
    cooperative = CooperativeFactory()

    class Scene:
        manager = actor_at(cooperative)
        itself = actor_of(user_of_household(household))
        clerk = actor_with(Role.VILLAGE_REVIEWER)
        next_clerk = actor_of(official_with(Role.VILLAGE_REVIEWER, NEXT_VILLAGE))

    Scene.household, Scene.cooperative = household, cooperative
    session.flush()
    return Scene


def propose(session, scene, on=TODAY):
    return enrol_household(session, scene.manager, household=scene.household, enrolled_on=on)


def test_a_household_takes_part_once_it_has_said_so(session, scene):
    enrolment = propose(session, scene)
    assert enrolment.state is PROPOSED
    assert session.scalars(enrolled_households(scene.cooperative.id)).all() == []
    assert [task.message for task in tasks_of(session, scene.itself)] == [
        "%(count)s 个合作社请您确认是否加入"
    ]
    assert [task.count for task in tasks_of(session, scene.clerk)] == [1]
    assert tasks_of(session, scene.next_clerk) == []
    acknowledge_enrolment(session, scene.itself, enrolment)
    assert (enrolment.state, enrolment.acknowledged_by) == (ACKNOWLEDGED, scene.itself.user_id)
    assert session.scalars(enrolled_households(scene.cooperative.id)).all() == [scene.household]
    assert acknowledged_counts(session, [scene.cooperative.id]) == {scene.cooperative.id: 1}
    assert tasks_of(session, scene.itself) == tasks_of(session, scene.clerk) == []
    actions = session.scalars(
        select(TrailEntry.action).where(TrailEntry.household_id == scene.household.id).order_by(TrailEntry.id)
    ).all()
    assert actions == ["registry.enrol", "registry.acknowledge_enrolment"]


def test_the_village_clerk_vouches_with_a_reason(session, scene):
    enrolment = propose(session, scene)
    with pytest.raises(Refused) as refused:
        acknowledge_enrolment(session, scene.clerk, enrolment)
    assert (refused.value.code, enrolment.state) == ("reason_missing", PROPOSED)
    acknowledge_enrolment(session, scene.clerk, enrolment, reason="户主不识字，入户当面确认")
    assert enrolment.vouching_reason == "户主不识字，入户当面确认"
    acknowledge_enrolment(session, scene.clerk, enrolment, reason="再点一次")
    assert enrolment.vouching_reason == "户主不识字，入户当面确认"  # a second press changes nothing


@pytest.mark.parametrize("who", ["next_clerk", "manager"])
def test_nobody_else_answers_for_a_household(session, scene, who):
    enrolment = propose(session, scene)
    with pytest.raises(NotFound):
        acknowledge_enrolment(session, getattr(scene, who), enrolment, reason="入户当面确认")
    with pytest.raises(NotFound):
        decline_enrolment(session, getattr(scene, who), enrolment, reason="不愿意加入")
    assert enrolment.state is PROPOSED


def test_a_household_that_declined_may_change_its_mind_but_not_be_overruled(session, scene):
    enrolment = propose(session, scene)
    with pytest.raises(Refused):
        decline_enrolment(session, scene.itself, enrolment, reason="")
    decline_enrolment(session, scene.itself, enrolment, reason="没有土地可以种")
    assert (enrolment.state, enrolment.ending_reason) == (DECLINED, "没有土地可以种")
    with pytest.raises(Conflict):
        acknowledge_enrolment(session, scene.clerk, enrolment, reason="入户当面确认")
    with pytest.raises(Conflict):
        decline_enrolment(session, scene.clerk, enrolment, reason="不愿意加入")
    acknowledge_enrolment(session, scene.itself, enrolment)
    assert (enrolment.state, enrolment.ending_reason) == (ACKNOWLEDGED, "")


def test_a_clerk_takes_back_a_no_pressed_by_mistake(session, scene):
    enrolment = propose(session, scene)
    decline_enrolment(session, scene.clerk, enrolment, reason="农户说不加入")
    acknowledge_enrolment(session, scene.clerk, enrolment, reason="点错了，农户同意加入")
    assert enrolment.state is ACKNOWLEDGED


@pytest.mark.parametrize("who", ["itself", "clerk", "manager"])
def test_an_enrolment_ends_with_a_reason_and_may_be_proposed_again(session, scene, who, clock):
    enrolment = propose(session, scene)
    acknowledge_enrolment(session, scene.itself, enrolment)
    clock.advance(days=3)
    with pytest.raises(Refused):
        end_enrolment(session, getattr(scene, who), enrolment, reason="")
    end_enrolment(session, getattr(scene, who), enrolment, reason="外出务工，不再种植")
    assert (enrolment.state, enrolment.ended_on) == (ENDED, date(2026, 6, 4))
    with pytest.raises(Conflict):
        acknowledge_enrolment(session, scene.itself, enrolment)
    with pytest.raises(Conflict):
        end_enrolment(session, scene.itself, enrolment, reason="外出务工，不再种植")
    again = propose(session, scene)
    assert again is enrolment
    assert (again.state, again.ended_on, again.acknowledged_at) == (PROPOSED, None, None)


def test_a_stranger_ends_nothing(session, scene):
    enrolment = propose(session, scene)
    acknowledge_enrolment(session, scene.itself, enrolment)
    for actor in (scene.next_clerk, actor_at(CooperativeFactory())):
        with pytest.raises(NotFound):
            end_enrolment(session, actor, enrolment, reason="外出务工，不再种植")
    assert enrolment.state is ACKNOWLEDGED


def test_the_cooperative_takes_back_a_proposal_until_it_is_answered(session, scene):
    withdraw_enrolment(session, scene.manager, propose(session, scene))
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 0
    enrolment = propose(session, scene)
    with pytest.raises(NotFound):
        withdraw_enrolment(session, actor_at(CooperativeFactory()), enrolment)
    acknowledge_enrolment(session, scene.itself, enrolment)
    with pytest.raises(Conflict):
        withdraw_enrolment(session, scene.manager, enrolment)
    assert enrolment.state is ACKNOWLEDGED


def test_a_household_is_proposed_once(session, scene):
    propose(session, scene)
    with pytest.raises(Conflict):
        propose(session, scene)
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 1


def test_only_a_beneficiary_on_that_day_is_eligible_and_the_message_says_why(session, scene):
    HouseholdStatusFactory(
        household=scene.household, status=HouseholdStatusKind.INELIGIBLE, valid_from=date(2026, 1, 1)
    )
    with pytest.raises(Refused) as refused:
        propose(session, scene)
    assert refused.value.code == "not_beneficiary"
    assert refused.value.params == {"day": TODAY, "status": HouseholdStatusKind.INELIGIBLE}
    assert propose(session, scene, on=date(2025, 12, 31)).state is PROPOSED


def test_a_household_without_status_or_from_tomorrow_is_not_eligible(session, scene):
    stranger = HouseholdFactory(status=None)
    with pytest.raises(Refused) as refused:
        enrol_household(session, scene.manager, household=stranger, enrolled_on=TODAY)
    assert refused.value.code == "no_status"
    with pytest.raises(Refused) as refused:
        propose(session, scene, on=date(2026, 6, 2))
    assert refused.value.code == "enrolled_in_future"
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 0


def test_a_closed_cooperative_takes_nobody_in(session, scene):
    scene.cooperative.state = CooperativeState.SUSPENDED
    with pytest.raises(Refused) as refused:
        propose(session, scene)
    assert refused.value.code == "cooperative_closed"
    with pytest.raises(Forbidden):
        enrol_household(session, scene.clerk, household=scene.household, enrolled_on=TODAY)
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 0


def test_each_sees_the_enrolments_that_concern_them(session, scene):
    enrolment = propose(session, scene)
    EnrolmentFactory(household=HouseholdFactory(place__code=NEXT_VILLAGE))
    for actor in (scene.manager, scene.itself, scene.clerk):
        assert enrolment_counts(session, actor) == {PROPOSED: 1}
        assert enrolment_by_no(session, actor, enrolment.public_no) is enrolment
    with pytest.raises(NotFound):
        enrolment_by_no(session, scene.next_clerk, enrolment.public_no)
