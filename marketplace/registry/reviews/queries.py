"""Reading reviews: which steps apply where, who sees which case, what waits for whom, what is on public notice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative
from marketplace.registry.reviews.models import (
    CaseState,
    CaseStep,
    Objection,
    ObjectionState,
    ReviewCase,
    ReviewDecision,
    ReviewKind,
    ReviewStep,
    StepKind,
)
from marketplace.web.tasks import Task

PREFIX_LENGTHS = (12, 9, 6, 4, 2)
MAX_OBJECTIONS = 200


def steps_for(session: Session, kind: ReviewKind, region_code: str) -> list[ReviewStep]:
    """The configured steps of `kind` at a place: those of the most specific jurisdiction that has any."""
    prefixes = [region_code[:length] for length in PREFIX_LENGTHS if length <= len(region_code)]
    rows = session.scalars(
        select(ReviewStep)
        .where(ReviewStep.kind == kind, ReviewStep.region_code.in_(prefixes))
        .order_by(ReviewStep.position)
    ).all()
    nearest = max((len(row.region_code) for row in rows), default=0)
    return [row for row in rows if len(row.region_code) == nearest]


def current_step(case: ReviewCase) -> CaseStep:
    """The step the case stands at, or stood at when it ended."""
    return next(step for step in case.steps if step.position == case.current_position)


def _in_jurisdiction(actor: Actor) -> ColumnElement[bool]:
    return ReviewCase.region_code.startswith(actor.region_code, autoescape=True)


def _may_see(actor: Actor) -> ColumnElement[bool] | None:
    """Officials see their jurisdiction, a cooperative its own cases; None = nothing."""
    if actor.can(Permission.READ_AUDIT):
        return _in_jurisdiction(actor) if actor.region_code else true()
    if actor.can(Permission.ANSWER_REVIEWS) and actor.region_code:
        return _in_jurisdiction(actor)
    if actor.cooperative_id and actor.can(Permission.MANAGE_LISTINGS):
        return ReviewCase.cooperative_id == actor.cooperative_id
    return None


def cases_visible_to(actor: Actor) -> Select[ReviewCase]:
    """The cases the actor may read, newest first."""
    condition = _may_see(actor)
    query = select(ReviewCase).order_by(ReviewCase.id.desc())
    return query.where(condition) if condition is not None else query.where(ReviewCase.id.is_(None))


def case_by_no(session: Session, actor: Actor, case_no: str) -> ReviewCase:
    """One visible case. Raises NotFound."""
    case = session.scalar(cases_visible_to(actor).where(ReviewCase.public_no == case_no))
    if case is None:
        raise NotFound
    return case


def _at_a_step_of(actor: Actor) -> Select[ReviewCase]:
    """Open cases of the jurisdiction that stand at a step of one of the actor's roles, not decided on before."""
    decided = select(ReviewDecision.id).where(
        ReviewDecision.case_id == ReviewCase.id, ReviewDecision.decided_by == actor.user_id
    )
    query = (
        select(ReviewCase)
        .join(
            CaseStep,
            and_(CaseStep.case_id == ReviewCase.id, CaseStep.position == ReviewCase.current_position),
        )
        .where(
            ReviewCase.state == CaseState.OPEN,
            CaseStep.role.in_(actor.roles),
            _in_jurisdiction(actor),
            ReviewCase.cooperative_id != (actor.cooperative_id or 0),
            or_(ReviewCase.opened_by.is_(None), ReviewCase.opened_by != actor.user_id),
            ~decided.exists(),
        )
        .order_by(ReviewCase.id)
    )
    if not (actor.region_code and actor.can(Permission.ANSWER_REVIEWS)):
        return query.where(ReviewCase.id.is_(None))
    return query


def _has_open_objection() -> ColumnElement[bool]:
    return (
        select(Objection.id)
        .where(Objection.case_id == ReviewCase.id, Objection.state == ObjectionState.OPEN)
        .exists()
    )


def cases_waiting_for(actor: Actor) -> Select[ReviewCase]:
    """What the actor is to decide or answer, oldest first: decisions, and notices with an open objection."""
    return _at_a_step_of(actor).where(or_(CaseStep.step == StepKind.DECISION, _has_open_objection()))


def decisions_of(session: Session, case: ReviewCase) -> list[ReviewDecision]:
    """The answers given, oldest first."""
    query = select(ReviewDecision).where(ReviewDecision.case_id == case.id).order_by(ReviewDecision.id)
    return list(session.scalars(query))


def objections_of(session: Session, case: ReviewCase) -> list[Objection]:
    """The objections to the case's notices, newest first; bounded by MAX_OBJECTIONS, which the rule keeps."""
    query = select(Objection).where(Objection.case_id == case.id).order_by(Objection.id.desc())
    return list(session.scalars(query.limit(MAX_OBJECTIONS)))


def objection_by_no(session: Session, case: ReviewCase, objection_no: str) -> Objection:
    """One objection of `case`. Raises NotFound."""
    query = select(Objection).where(Objection.case_id == case.id, Objection.public_no == objection_no)
    objection = session.scalar(query)
    if objection is None:
        raise NotFound
    return objection


def objection_under_ticket(session: Session, objection_no: str) -> tuple[Objection, ReviewCase]:
    """An objection by the ticket number that whoever filed it was given, and its case. Raises NotFound."""
    row = session.execute(
        select(Objection, ReviewCase)
        .join(ReviewCase, ReviewCase.id == Objection.case_id)
        .where(Objection.public_no == objection_no)
    ).first()
    if row is None:
        raise NotFound
    objection, case = row
    return objection, case


def count_open_objections(session: Session, case: ReviewCase) -> int:
    """How many objections still wait for an answer."""
    query = select(func.count()).where(Objection.case_id == case.id, Objection.state == ObjectionState.OPEN)
    return session.scalar(query) or 0


def cases_of_subject(
    session: Session, kind: ReviewKind, subject_id: int, *, limit: int = 20
) -> list[ReviewCase]:
    """All rounds of review of one thing, newest first."""
    query = select(ReviewCase).where(ReviewCase.kind == kind, ReviewCase.subject_id == subject_id)
    return list(session.scalars(query.order_by(ReviewCase.id.desc()).limit(limit)))


def last_case_of(session: Session, kind: ReviewKind, subject_id: int) -> ReviewCase | None:
    """The latest round of review of one thing."""
    return next(iter(cases_of_subject(session, kind, subject_id, limit=1)), None)


def last_decision_of(session: Session, case: ReviewCase) -> ReviewDecision | None:
    """The latest answer."""
    query = select(ReviewDecision).where(ReviewDecision.case_id == case.id).order_by(ReviewDecision.id.desc())
    return session.scalar(query.limit(1))


def cooperative_names(session: Session, cases: Sequence[ReviewCase]) -> dict[int, str]:
    """The names of the cooperatives of `cases`, by id, in one statement."""
    wanted = {case.cooperative_id for case in cases}
    rows = session.execute(select(Cooperative.id, Cooperative.name).where(Cooperative.id.in_(wanted)))
    return dict(rows.all())


def notices(*, ended: bool = False, on: date | None = None) -> Select[ReviewCase, CaseStep]:
    """Public notices that have begun: those people may still object to, or those that have ended; latest first."""
    day = on or today()
    running = and_(
        ReviewCase.state == CaseState.OPEN,
        ReviewCase.current_position == CaseStep.position,
        CaseStep.notice_until >= day,
    )
    return (
        select(ReviewCase, CaseStep)
        .join(CaseStep, CaseStep.case_id == ReviewCase.id)
        .where(CaseStep.notice_from <= day, ~running if ended else running)
        .order_by(CaseStep.notice_from.desc(), CaseStep.id.desc())
    )


def notice_by_no(session: Session, case_no: str) -> tuple[ReviewCase, CaseStep]:
    """The latest notice of a case that has begun, with or without days left. Raises NotFound."""
    row = session.execute(
        select(ReviewCase, CaseStep)
        .join(CaseStep, CaseStep.case_id == ReviewCase.id)
        .where(ReviewCase.public_no == case_no, CaseStep.notice_from <= today())
        .order_by(CaseStep.position.desc())
        .limit(1)
    ).first()
    if row is None:
        raise NotFound
    case, step = row
    return case, step


def is_open_to_objections(case: ReviewCase, step: CaseStep, *, on: date) -> bool:
    """Whether somebody may still object on the day `on`: from the first to the last day of the notice."""
    return (
        case.state is CaseState.OPEN
        and case.current_position == step.position
        and step.notice_from is not None
        and step.notice_until is not None
        and step.notice_from <= on <= step.notice_until
    )


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits for a reviewer: cases to decide, objections to answer."""
    if not actor.can(Permission.ANSWER_REVIEWS):
        return []
    base = _at_a_step_of(actor).order_by(None)
    to_decide = base.where(CaseStep.step == StepKind.DECISION)
    to_answer = base.where(CaseStep.step == StepKind.PUBLIC_NOTICE, _has_open_objection())
    deciding, answering = (
        session.scalar(select(func.count()).select_from(query.subquery())) or 0
        for query in (to_decide, to_answer)
    )
    return [
        Task(NN_("%(count)s 件申请等您审核"), deciding, "reviews.queue"),
        Task(NN_("%(count)s 件公示有异议等您答复"), answering, "reviews.queue"),
    ]
