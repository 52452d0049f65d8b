"""Reviews: opening a case, deciding its steps, public notices and objections.

"Who reviews is responsible": every answer names a person, nobody reviews what their own organisation brought, and one
person answers one step of a case at most. What the end of a review means for its subject is told by the owner of the
kind, through the table of outcomes that the app passes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, VISITOR, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Cooperative, Region
from marketplace.registry.reviews.models import (
    CaseState,
    CaseStep,
    Decision,
    Objection,
    ObjectionState,
    ReviewCase,
    ReviewDecision,
    ReviewKind,
    StepKind,
)
from marketplace.registry.reviews.notices import notice_text, refuse_personal_numbers
from marketplace.registry.reviews.queries import (
    MAX_OBJECTIONS,
    count_open_objections,
    current_step,
    is_open_to_objections,
    objections_of,
    steps_for,
)

Outcome = Callable[[Session, ReviewCase], None]
Outcomes = Mapping[ReviewKind, Outcome]
ENDED_BY = {
    Decision.PASS: CaseState.PASSED,
    Decision.RETURN: CaseState.RETURNED,
    Decision.REJECT: CaseState.REJECTED,
}
MAX_COMMENT = 500
MAX_TEXT = 1000
MAX_CONTACT = 100
NOTICE_RAN_OUT = N_("公示期满，没有未处理的异议")


def open_review(
    session: Session,
    actor: Actor,
    *,
    kind: ReviewKind,
    subject_id: int,
    title: str,
    region_code: str,
    cooperative_id: int,
) -> ReviewCase:
    """Open a review of a subject, with the steps configured for its place today.

    A subject that was returned gets a new case each round; earlier rounds stay as they were. Raises Conflict when one
    is open already, Refused when no steps are configured.
    """
    is_open = select(ReviewCase.id).where(
        ReviewCase.kind == kind, ReviewCase.subject_id == subject_id, ReviewCase.state == CaseState.OPEN
    )
    if session.scalar(is_open):
        raise Conflict("already_under_review", N_("这项申请正在审核，不必重复提交"))
    steps = steps_for(session, kind, region_code)
    if not steps:
        raise Refused("no_review_steps", N_("当地还没有设置这类审核的步骤，请联系平台"))
    case = ReviewCase(
        kind=kind,
        subject_id=subject_id,
        title=title[:160],
        region_code=region_code,
        cooperative_id=cooperative_id,
        current_position=1,
        opened_by=actor.user_id,
        steps=[
            CaseStep(
                position=position,
                step=step.step,
                name_zh=step.name_zh,
                name_en=step.name_en,
                role=step.role,
                notice_days=step.notice_days,
            )
            for position, step in enumerate(steps, start=1)
        ],
    )
    session.add(case)
    session.flush()
    _begin_step(session, case)
    _trail(session, actor, "reviews.open", case)
    return case


def reason_not_to_decide(session: Session, actor: Actor, case: ReviewCase) -> str | None:
    """Why this reviewer may not answer the present step of `case`; None when they may. The text is a source string."""
    if case.cooperative_id == actor.cooperative_id or (case.opened_by and case.opened_by == actor.user_id):
        return N_("不能审核本单位或自己提交的申请")
    if current_step(case).role not in actor.roles:
        return N_("这一步由其他岗位办理，您可以查看，不能审核")
    mine = select(ReviewDecision.id).where(
        ReviewDecision.case_id == case.id, ReviewDecision.decided_by == actor.user_id
    )
    if session.scalar(mine):
        return N_("您已审核过这件申请的另一步，请由另一位同事办理")
    return None


def decide_step(
    session: Session,
    actor: Actor,
    case: ReviewCase,
    *,
    decision: Decision,
    comment: str = "",
    outcomes: Outcomes,
    position: int | None = None,
) -> ReviewCase:
    """Answer the step the case stands at: pass it on, return it for mending, or refuse it.

    `position` is the step the reviewer was looking at; when the case has moved on meanwhile, Conflict. Raises NotFound
    outside the actor's jurisdiction, Forbidden to the wrong person, Refused without a comment on a return or refusal,
    or when passing would put a personal number on public notice.
    """
    _require_jurisdiction(actor, case)
    if case.state is not CaseState.OPEN or (position or case.current_position) != case.current_position:
        raise _too_late()
    if current_step(case).step is StepKind.PUBLIC_NOTICE:
        raise Refused("on_notice", N_("正在公示，公示期满且没有未处理的异议后自动进入下一步"))
    _require_reviewer(session, actor, case)
    comment = comment.strip()
    if decision is not Decision.PASS and not comment:
        raise Refused("comment_missing", N_("退回或不予通过时，请写明原因和需要补正的内容"), field="comment")
    if len(comment) > MAX_COMMENT:
        raise Refused("comment_too_long", N_("意见最多 %(most)s 个字"), field="comment", most=MAX_COMMENT)
    _answer_step(session, actor, case, decision, comment, outcomes)
    return case


def file_objection(session: Session, case: ReviewCase, *, text: str, contact: str = "") -> Objection:
    """Object to the notice the case is on, without an account. It holds the case until a reviewer has answered.

    Raises Refused outside the days of the notice (Asia/Shanghai, by the server's clock), or without a text.
    """
    _lock(session, case)
    step = current_step(case)
    if not is_open_to_objections(case, step, on=today()):
        raise Refused(
            "notice_over", N_("现在不在公示期内，不能提出异议。如有情况反映，请联系当地农业农村部门")
        )
    text, contact = text.strip(), contact.strip()
    if not 1 <= len(text) <= MAX_TEXT:
        raise Refused(
            "objection_text", N_("请写明异议的事实和理由，最多 %(most)s 个字"), field="text", most=MAX_TEXT
        )
    if len(contact) > MAX_CONTACT:
        raise Refused("contact_too_long", N_("联系方式最多 %(most)s 个字"), field="contact", most=MAX_CONTACT)
    if len(objections_of(session, case)) >= MAX_OBJECTIONS:
        raise Refused("too_many_objections", N_("这件公示收到的异议已经很多，正在核实，暂不再收"))
    objection = Objection(case_id=case.id, position=step.position, text=text, contact=contact)
    session.add(objection)
    session.flush()
    _trail(session, VISITOR, "reviews.object", case, objection=objection.public_no)
    return objection


def answer_objection(
    session: Session, actor: Actor, objection: Objection, *, upheld: bool, answer: str, outcomes: Outcomes
) -> Objection:
    """Answer an objection. One that is upheld refuses the case.

    Raises NotFound outside the jurisdiction, Forbidden to the wrong person, Refused without an answer or with a
    personal number in it, Conflict when a colleague was faster or the case is over.
    """
    case = session.get_one(ReviewCase, objection.case_id)
    _require_jurisdiction(actor, case)
    if case.state is not CaseState.OPEN or case.current_position != objection.position:
        raise _too_late()
    _require_reviewer(session, actor, case)
    answer = answer.strip()
    if not 1 <= len(answer) <= MAX_TEXT:
        raise Refused(
            "answer_missing", N_("请写明核实的情况和结论，最多 %(most)s 个字"), field="answer", most=MAX_TEXT
        )
    refuse_personal_numbers(answer, field="answer")  # whoever has the ticket reads it
    _lock(session, case)
    verdict = ObjectionState.UPHELD if upheld else ObjectionState.DISMISSED
    values = {"state": verdict, "answer": answer, "answered_by": actor.user_id, "answered_at": now()}
    still_open = update(Objection).where(Objection.id == objection.id, Objection.state == ObjectionState.OPEN)
    if _rows(session.execute(still_open.values(**values))) != 1:
        raise Conflict("objection_answered", N_("这条异议已由别人答复，请刷新后再看"))
    _trail(
        session, actor, "reviews.answer_objection", case, objection=objection.public_no, verdict=verdict.value
    )
    if upheld:
        _answer_step(session, actor, case, Decision.REJECT, answer[:MAX_COMMENT], outcomes)
    return objection


def close_notices(session: Session, *, outcomes: Outcomes, limit: int = 200) -> int:
    """Pass on the cases whose notice ran out without an open objection; how many. Safe to run again and twice."""
    over = (
        select(ReviewCase)
        .join(CaseStep, CaseStep.case_id == ReviewCase.id)
        .where(
            ReviewCase.state == CaseState.OPEN,
            CaseStep.position == ReviewCase.current_position,
            CaseStep.step == StepKind.PUBLIC_NOTICE,
            CaseStep.notice_until < today(),
            ~select(Objection.id)
            .where(Objection.case_id == ReviewCase.id, Objection.state == ObjectionState.OPEN)
            .exists(),
        )
        .order_by(ReviewCase.id)
        .limit(limit)
        .with_for_update(of=ReviewCase, skip_locked=True)
    )
    closed = 0
    for case in session.scalars(over).all():
        if count_open_objections(session, case):  # filed while we waited for the lock
            continue
        _answer_step(session, SYSTEM, case, Decision.PASS, NOTICE_RAN_OUT, outcomes)
        closed += 1
    return closed


def _answer_step(
    session: Session, actor: Actor, case: ReviewCase, decision: Decision, comment: str, outcomes: Outcomes
) -> None:
    """Move the case by one answer. Only one answer to a step can win: the update names the step it expects."""
    position = case.current_position
    moves_on = decision is Decision.PASS and position < len(case.steps)
    values = (
        {"current_position": position + 1} if moves_on else {"state": ENDED_BY[decision], "closed_at": now()}
    )
    expected = update(ReviewCase).where(
        ReviewCase.id == case.id, ReviewCase.state == CaseState.OPEN, ReviewCase.current_position == position
    )
    if _rows(session.execute(expected.values(**values))) != 1:
        raise _too_late()
    session.add(
        ReviewDecision(
            case_id=case.id,
            position=position,
            decision=decision,
            comment=comment,
            decided_by=actor.user_id,
            decided_by_name=actor.name,
        )
    )
    session.flush()
    _trail(session, actor, "reviews.decide", case, step=position, decision=decision.value)
    if moves_on:
        _begin_step(session, case)
    else:
        outcomes[case.kind](session, case)


def _begin_step(session: Session, case: ReviewCase) -> None:
    """A notice begins by itself the day after the case reaches it, so that its first day is a whole one."""
    step = current_step(case)
    if step.step is not StepKind.PUBLIC_NOTICE:
        return
    step.notice_from = today() + timedelta(days=1)
    step.notice_until = today() + timedelta(days=step.notice_days)
    step.notice_text = notice_text(
        title=case.title,
        kind_label=case.kind.label,
        organisation=session.get_one(Cooperative, case.cooperative_id).name,
        place=session.get_one(Region, case.region_code).full_name,
        first_on=step.notice_from,
        last_on=step.notice_until,
        passed=tuple(earlier.name_zh for earlier in case.steps if earlier.position < step.position),
    )
    session.flush()


def _require_jurisdiction(actor: Actor, case: ReviewCase) -> None:
    actor.require(Permission.ANSWER_REVIEWS)
    if not actor.region_code or not case.region_code.startswith(actor.region_code):
        raise NotFound


def _require_reviewer(session: Session, actor: Actor, case: ReviewCase) -> None:
    reason = reason_not_to_decide(session, actor, case)
    if reason:
        raise Forbidden("not_the_reviewer", reason)


def _lock(session: Session, case: ReviewCase) -> None:
    """Read the case afresh and hold it, so that an objection and the end of the notice cannot cross."""
    session.refresh(case, attribute_names=["state", "current_position"], with_for_update={"of": ReviewCase})


def _too_late() -> Conflict:
    return Conflict("already_decided", N_("这一步已经办理过了，可能是同事刚刚处理的，请刷新后再看"))


def _rows(result: object) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount


def _trail(session: Session, actor: Actor, action: str, case: ReviewCase, **detail: Any) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("review_case", case.public_no),
        cooperative_id=case.cooperative_id,
        county_code=case.region_code[:6],
        **detail,
    )
