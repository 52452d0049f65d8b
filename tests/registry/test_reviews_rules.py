"""Who decides what in which order; a public notice takes objections until its last day has ended."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from marketplace.core.clock import SHANGHAI
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.registry.reviews.models import (
    CaseState,
    Decision,
    Objection,
    ObjectionState,
    ReviewCase,
    ReviewDecision,
    ReviewKind,
    StepKind,
)
from marketplace.registry.reviews.queries import (
    case_by_no,
    cases_visible_to,
    cases_waiting_for,
    notice_by_no,
    notices,
    steps_for,
    tasks_of,
)
from marketplace.registry.reviews.rules import (
    answer_objection,
    close_notices,
    decide_step,
    file_objection,
    open_review,
)
from tests.factories.identity import UserFactory, actor_with, official_with
from tests.factories.registry import (
    OTHER_COUNTY_VILLAGE,
    TOWNSHIP,
    VILLAGE,
    CooperativeFactory,
    RegionFactory,
    actor_at,
)
from tests.factories.reviews import (
    ReviewStepFactory,
    case_of,
    case_on_notice,
    default_steps,
    noting,
    reviewers,
)

PASS, RETURN, REJECT = Decision.PASS, Decision.RETURN, Decision.REJECT


@pytest.fixture
def ends():
    return []


@pytest.fixture
def outcomes(ends):
    return noting(ends)


@pytest.fixture
def people(session, clock):
    default_steps()
    return reviewers()


def answers(session, case):
    rows = session.scalars(
        select(ReviewDecision).where(ReviewDecision.case_id == case.id).order_by(ReviewDecision.id)
    )
    return [(row.position, row.decision, row.decided_by) for row in rows]


# --- steps ---


def test_the_most_specific_jurisdiction_decides_the_steps(session):
    default_steps()
    RegionFactory()
    ReviewStepFactory(region_code="361025", name_zh="县里另有规定")
    ReviewStepFactory(region_code=TOWNSHIP, name_zh="镇里另有规定")
    entry = ReviewKind.COOPERATIVE_ENTRY
    assert [step.name_zh for step in steps_for(session, entry, VILLAGE)] == ["镇里另有规定"]
    assert [step.name_zh for step in steps_for(session, entry, "361025101200")] == ["县里另有规定"]
    assert [step.name_zh for step in steps_for(session, entry, OTHER_COUNTY_VILLAGE)] == [
        "村级初审",
        "乡镇复核",
        "公示",
        "县级审定",
    ]
    assert [step.name_zh for step in steps_for(session, ReviewKind.CERTIFICATE, VILLAGE)] == ["县级审核"]


def test_a_later_change_of_policy_leaves_open_cases_as_they_began(session, people):
    case = case_of(session)
    ReviewStepFactory(region_code=VILLAGE, name_zh="新规定", role=Role.COUNTY_REVIEWER)
    session.expire(case)
    assert [step.name_zh for step in case.steps] == ["村级初审", "乡镇复核", "公示", "县级审定"]


def test_without_configured_steps_nothing_is_opened(session):
    with pytest.raises(Refused) as refusal:
        case_of(session)
    assert refusal.value.code == "no_review_steps"
    assert session.query(ReviewCase).count() == 0


def test_one_subject_has_one_open_review(session, people):
    case = case_of(session)
    cooperative = CooperativeFactory()
    with pytest.raises(Conflict):
        open_review(
            session,
            actor_at(cooperative),
            kind=case.kind,
            subject_id=case.subject_id,
            title="又一次",
            region_code=VILLAGE,
            cooperative_id=case.cooperative_id,
        )
    again = ReviewCase(
        kind=case.kind,
        subject_id=case.subject_id,
        title="绕过规则",
        region_code=VILLAGE,
        cooperative_id=cooperative.id,
    )
    session.add(again)
    with pytest.raises(IntegrityError):
        session.flush()


# --- decisions ---


def test_a_case_passes_village_township_notice_and_county(session, people, outcomes, ends, clock):
    case = case_of(session)
    decide_step(session, people.village, case, decision=PASS, outcomes=outcomes)
    assert case.current_position == 2
    decide_step(session, people.township, case, decision=PASS, comment="材料齐全", outcomes=outcomes)
    step = case.steps[2]
    assert (step.notice_from, step.notice_until) == (date(2026, 6, 2), date(2026, 6, 8))
    assert close_notices(session, outcomes=outcomes) == 0
    clock.set_to(datetime(2026, 6, 9, 0, 0, tzinfo=SHANGHAI))
    assert close_notices(session, outcomes=outcomes) == 1
    assert close_notices(session, outcomes=outcomes) == 0
    assert (case.current_position, case.state, ends) == (4, CaseState.OPEN, [])
    decide_step(session, people.county, case, decision=PASS, outcomes=outcomes)
    assert (case.state, case.closed_at) == (CaseState.PASSED, clock.now)
    assert ends == [(ReviewKind.COOPERATIVE_ENTRY, "passed")]
    assert answers(session, case) == [
        (1, PASS, people.village.user_id),
        (2, PASS, people.township.user_id),
        (3, PASS, None),
        (4, PASS, people.county.user_id),
    ]
    trail = session.query(TrailEntry).filter_by(action="reviews.decide", subject_no=case.public_no).all()
    assert [(row.actor_name, row.detail["step"], row.county_code) for row in trail] == [
        (people.village.name, 1, "361025"),
        (people.township.name, 2, "361025"),
        ("system", 3, "361025"),
        (people.county.name, 4, "361025"),
    ]


@pytest.mark.parametrize(("decision", "state"), [(RETURN, CaseState.RETURNED), (REJECT, CaseState.REJECTED)])
def test_a_return_and_a_refusal_end_the_case_and_say_why(session, people, outcomes, ends, decision, state):
    case = case_of(session)
    with pytest.raises(Refused) as refusal:
        decide_step(session, people.village, case, decision=decision, comment="  ", outcomes=outcomes)
    assert (refusal.value.code, refusal.value.field) == ("comment_missing", "comment")
    assert (case.state, answers(session, case), ends) == (CaseState.OPEN, [], [])
    decide_step(session, people.village, case, decision=decision, comment="缺少成员名册", outcomes=outcomes)
    assert (case.state, ends) == (state, [(case.kind, state.value)])
    with pytest.raises(Conflict):
        decide_step(session, people.village, case, decision=PASS, outcomes=outcomes)
    assert case.state is state


@pytest.mark.parametrize("region_code", [OTHER_COUNTY_VILLAGE, "361025100201", ""])
def test_a_reviewer_from_elsewhere_finds_no_such_case(session, people, outcomes, region_code):
    case = case_of(session)
    stranger = actor_of(official_with(Role.VILLAGE_REVIEWER, region_code or None))
    if not region_code:
        stranger = actor_of(UserFactory(granted=(Role.VILLAGE_REVIEWER,)))
    with pytest.raises(NotFound):
        decide_step(session, stranger, case, decision=PASS, outcomes=outcomes)
    with pytest.raises(NotFound):
        case_by_no(session, stranger, case.public_no)
    assert session.scalars(cases_waiting_for(stranger)).all() == []
    assert (case.current_position, answers(session, case)) == (1, [])


def test_a_reviewer_of_another_level_may_look_but_not_decide(session, people, outcomes):
    case = case_of(session)
    assert case_by_no(session, people.county, case.public_no) == case
    with pytest.raises(Forbidden):
        decide_step(session, people.county, case, decision=PASS, outcomes=outcomes)
    assert (case.current_position, answers(session, case)) == (1, [])


@pytest.mark.parametrize("role", [r for r in Role if not r.value.endswith("_reviewer")])
def test_nobody_but_reviewers_decides(session, people, outcomes, role):
    case = case_of(session)
    with pytest.raises(Forbidden):
        decide_step(session, actor_with(role), case, decision=PASS, outcomes=outcomes)
    assert answers(session, case) == []


def test_one_person_does_not_decide_two_steps_of_a_case(session, people, outcomes):
    case = case_of(session)
    both = actor_of(
        UserFactory(
            granted=(Role.VILLAGE_REVIEWER, Role.TOWNSHIP_REVIEWER),
            organisation=official_with(Role.VILLAGE_REVIEWER).organisation,
        )
    )
    decide_step(session, both, case, decision=PASS, outcomes=outcomes)
    with pytest.raises(Forbidden):
        decide_step(session, both, case, decision=PASS, outcomes=outcomes)
    assert session.scalars(cases_waiting_for(both)).all() == []
    assert (case.current_position, answers(session, case)) == (2, [(1, PASS, both.user_id)])
    session.add(
        ReviewDecision(
            case_id=case.id, position=2, decision=PASS, decided_by=both.user_id, decided_by_name="绕过规则"
        )
    )
    with pytest.raises(IntegrityError):
        session.flush()


def test_nobody_reviews_what_they_brought_themselves(session, people, outcomes):
    cooperative = CooperativeFactory()
    cooperative.organisation.region_code = VILLAGE
    insider = actor_of(UserFactory(granted=(Role.VILLAGE_REVIEWER,), organisation=cooperative.organisation))
    case = case_of(session, cooperative)
    with pytest.raises(Forbidden):
        decide_step(session, insider, case, decision=PASS, outcomes=outcomes)
    case.opened_by = people.village.user_id
    session.flush()
    with pytest.raises(Forbidden):
        decide_step(session, people.village, case, decision=PASS, outcomes=outcomes)
    assert session.scalars(cases_waiting_for(people.village)).all() == []
    assert answers(session, case) == []


def test_of_two_answers_to_one_step_the_second_is_told_so(session, people, outcomes, engine):
    case = case_of(session)
    colleague = actor_of(official_with(Role.VILLAGE_REVIEWER))
    session.commit()
    with session_maker(engine)() as other:
        seen_by_colleague = other.get_one(ReviewCase, case.id)
        other.rollback()  # what was read stays in the colleague's hands
        decide_step(session, people.village, case, decision=PASS, outcomes=outcomes)
        session.commit()
        with pytest.raises(Conflict):
            decide_step(
                other,
                colleague,
                seen_by_colleague,
                decision=REJECT,
                comment="不行",
                outcomes=outcomes,
                position=1,
            )
        other.rollback()
    session.expire_all()
    assert (case.current_position, case.state) == (2, CaseState.OPEN)
    assert answers(session, case) == [(1, PASS, people.village.user_id)]


@pytest.mark.databases("postgresql")
def test_two_answers_at_the_very_same_moment_leave_one(session, people, outcomes, engine):
    case = case_of(session)
    colleague = actor_of(official_with(Role.VILLAGE_REVIEWER))
    session.commit()
    with session_maker(engine)() as other:
        stale = other.get_one(ReviewCase, case.id)
        assert stale.current_position == 1
        decide_step(session, people.village, case, decision=PASS, outcomes=outcomes)
        session.commit()
        with pytest.raises(Conflict):  # the update finds no row at position 1 any more
            decide_step(other, colleague, stale, decision=REJECT, comment="不行", outcomes=outcomes)
        other.rollback()
    session.expire_all()
    assert answers(session, case) == [(1, PASS, people.village.user_id)]


# --- public notice ---


def test_a_notice_names_the_cooperative_and_its_village_and_nobody(session, people, outcomes):
    case = case_on_notice(session, people, outcomes)
    text = case.steps[2].notice_text
    assert case.title in text
    assert "抚州市乐安县鳌溪镇鳌溪村委会" in text
    assert "自2026年6月2日起至2026年6月8日止" in text
    assert "经村级初审、乡镇复核" in text
    assert "罗春生" not in text


@pytest.mark.parametrize(
    "title",
    [
        "乐安县油茶合作社 36102519700101001X",
        "乐安县油茶合作社（联系 13812345678）",
        "乐安县油茶合作社 ３６１０２５１９７００１０１００１５",
        "乐安县油茶合作社 361025 19700101 0015",
        "乐安县油茶合作社 +86 138-1234-5678",
    ],
)
def test_a_personal_number_never_goes_on_public_notice(session, people, outcomes, title):
    case = case_of(session)
    case.title = title
    decide_step(session, people.village, case, decision=PASS, outcomes=outcomes)
    session.commit()
    with pytest.raises(Refused) as refusal:
        decide_step(session, people.township, case, decision=PASS, outcomes=outcomes)
    session.rollback()
    assert refusal.value.code == "personal_number_in_public_text"
    assert (case.current_position, case.steps[2].notice_from, case.steps[2].notice_text) == (2, None, "")


def test_a_notice_cannot_be_decided_away(session, people, outcomes):
    case = case_on_notice(session, people, outcomes)
    with pytest.raises(Refused) as refusal:
        decide_step(session, people.county, case, decision=PASS, outcomes=outcomes)
    assert refusal.value.code == "on_notice"
    assert case.current_position == 3


def test_objections_are_taken_from_the_first_to_the_last_minute_of_the_notice(
    session, people, outcomes, clock
):
    case = case_on_notice(session, people, outcomes)
    with pytest.raises(Refused):
        file_objection(session, case, text="太早")
    clock.set_to(datetime(2026, 6, 2, 0, 0, tzinfo=SHANGHAI))
    file_objection(session, case, text="第一天")
    clock.set_to(datetime(2026, 6, 8, 23, 59, 59, tzinfo=SHANGHAI))
    file_objection(session, case, text="最后一分钟", contact="张某")
    clock.set_to(datetime(2026, 6, 9, 0, 0, tzinfo=SHANGHAI))
    with pytest.raises(Refused) as refusal:
        file_objection(session, case, text="太晚")
    assert refusal.value.code == "notice_over"
    assert session.scalars(select(Objection.text).order_by(Objection.id)).all() == ["第一天", "最后一分钟"]


@pytest.mark.parametrize(
    ("text", "contact", "field"),
    [(" ", "", "text"), ("长" * 1001, "", "text"), ("有理由", "9" * 101, "contact")],
)
def test_an_objection_needs_its_reasons(session, people, outcomes, clock, text, contact, field):
    case = case_on_notice(session, people, outcomes)
    clock.advance(days=1)
    with pytest.raises(Refused) as refusal:
        file_objection(session, case, text=text, contact=contact)
    assert refusal.value.field == field
    assert session.query(Objection).count() == 0


def test_an_open_objection_holds_the_case_until_it_is_answered(session, people, outcomes, clock):
    case = case_on_notice(session, people, outcomes)
    clock.advance(days=1)
    objection = file_objection(session, case, text="成员名册不实")
    clock.advance(days=10)
    assert close_notices(session, outcomes=outcomes) == 0
    assert session.scalars(cases_waiting_for(people.county)).all() == [case]
    answer_objection(
        session, people.county, objection, upheld=False, answer="已入户核实，名册属实", outcomes=outcomes
    )
    session.refresh(objection)
    assert (objection.state, objection.answered_by) == (ObjectionState.DISMISSED, people.county.user_id)
    assert close_notices(session, outcomes=outcomes) == 1
    decide_step(session, people.county, case, decision=PASS, outcomes=outcomes)
    assert case.state is CaseState.PASSED


def test_an_upheld_objection_refuses_the_case(session, people, outcomes, ends, clock):
    case = case_on_notice(session, people, outcomes)
    clock.advance(days=1)
    objection = file_objection(session, case, text="负责人被冒名")
    answer_objection(
        session, people.county, objection, upheld=True, answer="经核实情况属实", outcomes=outcomes
    )
    assert (case.state, ends) == (CaseState.REJECTED, [(case.kind, "rejected")])
    assert answers(session, case)[-1] == (3, REJECT, people.county.user_id)
    clock.advance(days=30)
    assert close_notices(session, outcomes=outcomes) == 0
    assert session.execute(notices()).all() == []


def test_an_objection_is_answered_once_with_words_by_the_right_person(session, people, outcomes, clock):
    case = case_on_notice(session, people, outcomes)
    clock.advance(days=1)
    objection = file_objection(session, case, text="成员名册不实")
    with pytest.raises(Refused):
        answer_objection(session, people.county, objection, upheld=True, answer=" ", outcomes=outcomes)
    with pytest.raises(Forbidden):
        answer_objection(session, people.township, objection, upheld=False, answer="不实", outcomes=outcomes)
    stranger = actor_of(official_with(Role.COUNTY_REVIEWER, "360827"))
    with pytest.raises(NotFound):
        answer_objection(session, stranger, objection, upheld=False, answer="不实", outcomes=outcomes)
    assert (objection.state, case.state) == (ObjectionState.OPEN, CaseState.OPEN)
    answer_objection(session, people.county, objection, upheld=False, answer="不实", outcomes=outcomes)
    with pytest.raises(Conflict):
        answer_objection(session, people.county, objection, upheld=True, answer="属实", outcomes=outcomes)
    session.refresh(objection)
    assert (objection.state, objection.answer, case.state) == (
        ObjectionState.DISMISSED,
        "不实",
        CaseState.OPEN,
    )


def test_a_notice_as_the_last_step_ends_the_case_by_itself(session, clock, outcomes, ends):
    RegionFactory()
    ReviewStepFactory(step=StepKind.PUBLIC_NOTICE, name_zh="公示", role=Role.COUNTY_REVIEWER, notice_days=1)
    case = case_of(session)
    clock.advance(days=2)
    assert close_notices(session, outcomes=outcomes) == 1
    assert (case.state, ends) == (CaseState.PASSED, [(case.kind, "passed")])


# --- who sees what ---


def test_a_notice_is_public_from_its_first_day_and_then_among_the_ended(session, people, outcomes, clock):
    case = case_on_notice(session, people, outcomes)
    assert session.execute(notices()).all() == []
    with pytest.raises(NotFound):
        notice_by_no(session, case.public_no)
    clock.advance(days=1)
    assert [row.ReviewCase for row in session.execute(notices())] == [case]
    assert notice_by_no(session, case.public_no)[1] == case.steps[2]
    clock.advance(days=7)
    assert session.execute(notices()).all() == []
    assert [row.ReviewCase for row in session.execute(notices(ended=True))] == [case]


def test_a_cooperative_sees_its_own_cases_and_an_auditor_those_of_the_place(session, people):
    case, other = case_of(session), case_of(session)
    cooperative = actor_at(session.get_one(CooperativeFactory._meta.model, case.cooperative_id))
    assert session.scalars(cases_visible_to(cooperative)).all() == [case]
    assert session.scalars(cases_visible_to(actor_with(Role.AUDITOR))).all() == [other, case]
    assert session.scalars(cases_visible_to(actor_of(official_with(Role.AUDITOR, "360827")))).all() == []
    for role in (Role.STAFF_BUYER, Role.HOUSEHOLD, Role.OPERATOR, Role.UNIT_PAYER):
        assert session.scalars(cases_visible_to(actor_with(role))).all() == []


def test_the_desk_says_what_waits(session, people, outcomes, clock):
    case_of(session)
    case = case_on_notice(session, people, outcomes)
    clock.advance(days=1)
    file_objection(session, case, text="成员名册不实")
    file_objection(session, case, text="还有一件事")
    assert [task.count for task in tasks_of(session, people.village)] == [1, 0]
    assert [task.count for task in tasks_of(session, people.county)] == [0, 1]
    assert tasks_of(session, actor_with(Role.STAFF_BUYER)) == []
