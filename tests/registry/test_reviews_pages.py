"""The reviewers' pages and the public notices, through HTTP."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from marketplace.core.labels import LabelledEnum
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.registry.cooperatives.rules import apply_entry_outcome
from marketplace.registry.models import CooperativeState
from marketplace.registry.reviews.jobs import close_notices as close_notices_job
from marketplace.registry.reviews.models import (
    CaseState,
    Decision,
    Objection,
    ObjectionState,
    ReviewDecision,
    ReviewKind,
)
from marketplace.registry.reviews.rules import close_notices, decide_step, file_objection
from marketplace.web.limits import limiter
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.reviews import case_of, case_on_notice, default_steps, reviewers

OUTCOMES = {ReviewKind.COOPERATIVE_ENTRY: apply_entry_outcome}


@pytest.fixture
def people(session, clock):
    default_steps()
    return reviewers()


@pytest.fixture(autouse=True)
def fresh_limits(app):
    limiter.reset()


def user(session, actor):
    return session.get_one(User, actor.user_id)


def text_of(answer, status=200):
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def test_the_queue_shows_what_waits_and_what_else_there_is(client, session, people):
    case = case_of(session)
    client.sign_in(user(session, people.village))
    assert case.title in text_of(client.get("/reviews"))
    client.sign_in(user(session, people.township))
    assert "没有等您办理的审核" in text_of(client.get("/reviews"))
    assert case.title in text_of(client.get("/reviews?show=all"))
    client.sign_in(official_with(Role.COUNTY_REVIEWER, "360827"))
    assert case.title not in text_of(client.get("/reviews?show=all"))


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.HOUSEHOLD, Role.UNIT_ORDERER, Role.OPERATOR])
def test_reviews_are_not_for_everybody(client, session, people, role):
    case = case_of(session)
    assert client.get("/reviews").headers["Location"].startswith("/sign-in")
    client.sign_in(official_with(role) if role is Role.OPERATOR else UserFactory(granted=(role,)))
    assert client.get("/reviews").status_code == 403
    assert client.get(f"/reviews/{case.public_no}").status_code == 403


def test_a_forged_case_number_is_not_found_and_changes_nothing(client, session, people):
    case = case_of(session)
    client.sign_in(official_with(Role.VILLAGE_REVIEWER, "360827100001"))
    for address in (f"/reviews/{case.public_no}", "/reviews/V-0000000000"):
        assert client.get(address).status_code == 404
        sent = client.post(address, data={"position": 1, "decision": "pass"})
        assert sent.status_code == 404
    assert (case.current_position, session.query(ReviewDecision).count()) == (1, 0)


def test_a_return_without_words_keeps_the_choice_and_says_what_is_missing(client, session, people):
    case = case_of(session)
    client.sign_in(user(session, people.village))
    text = text_of(client.post(f"/reviews/{case.public_no}", data={"position": 1, "decision": "return"}), 422)
    assert "请写明原因和需要补正的内容" in text
    assert "checked" in text
    assert session.query(ReviewDecision).count() == 0


def test_a_second_answer_to_the_same_step_meets_a_conflict(client, session, people):
    case = case_of(session)
    colleague = official_with(Role.VILLAGE_REVIEWER)
    client.sign_in(user(session, people.village))
    client.post(f"/reviews/{case.public_no}", data={"position": 1, "decision": "pass"})
    client.sign_in(colleague)
    sent = {"position": 1, "decision": "reject", "comment": "不行"}
    text = text_of(client.post(f"/reviews/{case.public_no}", data=sent), 409)
    assert "这一步已经办理过了" in text
    assert (case.current_position, case.state) == (2, CaseState.OPEN)
    assert session.scalars(select(ReviewDecision.decided_by)).all() == [people.village.user_id]


def test_a_returned_applicant_reads_why_and_sees_both_rounds(client, session, people):
    cooperative = CooperativeFactory(state=CooperativeState.UNDER_REVIEW, admitted_at=None)
    first = case_of(session, cooperative)
    decide_step(
        session, people.village, first, decision=Decision.RETURN, comment="请补成员名册", outcomes=OUTCOMES
    )
    client.sign_in(user_of(cooperative))
    assert "请补成员名册" in text_of(client.get("/apply/check"))
    second = case_of(session, cooperative)
    client.sign_in(user(session, people.village))
    page = text_of(client.get(f"/reviews/{second.public_no}"))
    assert "历次提交" in page
    assert f"/reviews/{first.public_no}" in page


def test_anybody_objects_without_an_account_and_a_reviewer_answers(client, session, people, clock):
    case = case_on_notice(session, people, OUTCOMES)
    address = f"/notices/{case.public_no}"
    assert client.get(address).status_code == 404
    clock.advance(days=1)
    assert case.title in text_of(client.get("/notices"))
    sent = {"text": "负责人的身份是借用的", "contact": "王某 手机另给"}
    assert "异议已收到" in text_of(client.post(address, data=sent))
    objection = session.scalars(select(Objection)).one()
    public = text_of(client.get(address))
    assert "1 件" in public
    assert "身份是借用的" not in public
    assert "王某" not in public
    client.sign_in(user(session, people.county))
    assert "王某 手机另给" in text_of(client.get(f"/reviews/{case.public_no}"))
    prefix = objection.public_no
    answer_address = f"/reviews/{case.public_no}/objections/{objection.public_no}"
    assert client.post(answer_address, data={f"{prefix}-verdict": "upheld"}).status_code == 422
    assert client.post(f"/reviews/{case.public_no}/objections/O-0000000000", data={}).status_code == 404
    answered = {f"{prefix}-verdict": "upheld", f"{prefix}-answer": "经核实属实"}
    assert client.post(answer_address, data=answered).status_code == 302
    assert objection.state is ObjectionState.UPHELD
    assert case.state is CaseState.REJECTED
    client.delete_cookie("session")
    assert "已结束" in text_of(client.get(address))
    assert case.title in text_of(client.get("/notices?show=ended"))


def test_an_objection_after_the_deadline_is_refused_and_keeps_its_words(client, session, people, clock):
    case = case_on_notice(session, people, OUTCOMES)
    clock.advance(days=8)
    text = text_of(client.post(f"/notices/{case.public_no}", data={"text": "来晚了一步"}), 422)
    assert "现在不在公示期内" in text
    assert "来晚了一步" in text
    assert session.query(Objection).count() == 0


def test_objections_are_rate_limited(client, session, people, clock):
    case = case_on_notice(session, people, OUTCOMES)
    clock.advance(days=1)
    answers = [
        client.post(f"/notices/{case.public_no}", data={"text": f"第{n}条"}).status_code for n in range(11)
    ]
    assert answers == [200] * 10 + [429]
    assert session.query(Objection).count() == 10


def test_the_job_ends_notices_through_the_apps_own_outcomes(app, client, session, people, clock):
    case = case_on_notice(session, people, OUTCOMES)
    clock.advance(days=8)
    with app.app_context():
        assert close_notices_job(session) is False
    assert case.current_position == 4
    decide_step(
        session, people.county, case, decision=Decision.PASS, outcomes=app.extensions["review_outcomes"]
    )
    assert case.state is CaseState.PASSED


def test_every_kind_of_review_has_an_outcome_and_a_subject(app):
    assert set(app.extensions["review_outcomes"]) == set(ReviewKind)
    assert set(app.extensions["review_subjects"]) == set(ReviewKind)


def test_the_applicant_reads_the_own_case_without_the_objections(client, session, people, clock):
    case = case_on_notice(session, people, OUTCOMES)
    clock.advance(days=1)
    file_objection(session, case, text="举报内容", contact="举报人")
    applicant = session.scalars(select(User).where(User.organisation_id == case.cooperative_id)).first()
    client.sign_in(applicant)
    page = text_of(client.get(f"/reviews/{case.public_no}"))
    assert "举报内容" not in page
    assert "举报人" not in page
    assert "审核结论" not in page
    assert (
        client.post(f"/reviews/{case.public_no}", data={"position": 3, "decision": "pass"}).status_code == 403
    )
    assert close_notices(session, outcomes=OUTCOMES) == 0


def test_a_namesake_among_the_applicants_is_pointed_out(client, session, people):
    case = case_of(session)
    reviewer = user(session, people.village)
    reviewer.display_name = "罗春生"
    assert actor_of(reviewer).name == "罗春生"
    client.sign_in(reviewer)
    assert "与您同名" in text_of(client.get(f"/reviews/{case.public_no}"))


def test_labels_of_cases_are_words(session):
    assert all(
        isinstance(member, LabelledEnum) and member.label for member in (*CaseState, *Decision, *ReviewKind)
    )
