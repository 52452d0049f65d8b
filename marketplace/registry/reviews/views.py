"""The reviewers' queue and case page, and the public notices with their objections.

What a case is about is shown by the owner of its kind: the app passes a table of subjects, each a template and its
context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.queries import region_by_code
from marketplace.registry.reviews import queries, rules
from marketplace.registry.reviews.forms import AnswerForm, DecisionForm, ObjectionForm
from marketplace.registry.reviews.models import (
    CaseState,
    Decision,
    Objection,
    ReviewCase,
    ReviewKind,
)
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.paging import Page, page_of, whole_number
from marketplace.web.transaction import current_session

bp = Blueprint("reviews", __name__)
readers = requires(Permission.ANSWER_REVIEWS, Permission.READ_AUDIT, Permission.MANAGE_LISTINGS)
reviewers = requires(Permission.ANSWER_REVIEWS)
Subject = Callable[[Session, ReviewCase], tuple[str, dict[str, Any]]]
OBJECTIONS = "10 per hour"
TICKETS = "60 per hour"


def _outcomes() -> rules.Outcomes:
    outcomes: rules.Outcomes = current_app.extensions["review_outcomes"]
    return outcomes


def _subject(case: ReviewCase) -> tuple[str | None, dict[str, Any]]:
    subjects: Mapping[ReviewKind, Subject] = current_app.extensions["review_subjects"]
    show = subjects.get(case.kind)
    return show(current_session(), case) if show else (None, {})


def _case(case_no: str) -> ReviewCase:
    return queries.case_by_no(current_session(), current_actor(), case_no)


@bp.get("/reviews")
@readers
def queue() -> ResponseReturnValue:
    """What waits for the actor; `?show=all` is everything they may read."""
    session, actor = current_session(), current_actor()
    waits = actor.can(Permission.ANSWER_REVIEWS) and request.args.get("show") != "all"
    query = queries.cases_waiting_for(actor) if waits else queries.cases_visible_to(actor)
    page: Page[ReviewCase] = page_of(session, query)
    names = queries.cooperative_names(session, page.rows)
    return render_template(
        "registry/reviews/queue.html", page=page, names=names, waits=waits, step_of=queries.current_step
    )


@bp.route("/reviews/<case_no>", methods=["GET", "POST"])
@readers
def case(case_no: str) -> ResponseReturnValue:
    """One case: what was submitted, its history, and the answer to the present step."""
    found = _case(case_no)
    form = DecisionForm(position=found.current_position)
    if form.validate_on_submit():
        try:
            rules.decide_step(
                current_session(),
                current_actor(),
                found,
                decision=Decision(form.decision.data),
                comment=form.comment.data or "",
                outcomes=_outcomes(),
                position=whole_number(form.position.data or "") or 0,
            )
        except DomainError as error:
            if error.status == 409:
                raise
            place_error(form, error)
        else:
            flash(_("已办理：%(decision)s", decision=_(Decision(form.decision.data).label)), "success")
            return redirect(url_for("reviews.queue"))
    return _case_page(found, form), 422 if form.errors else 200


def _case_page(
    found: ReviewCase,
    form: DecisionForm,
    answering: Objection | None = None,
    answer: AnswerForm | None = None,
) -> str:
    session, actor = current_session(), current_actor()
    subject_template, subject = _subject(found)
    may_answer = actor.can(Permission.ANSWER_REVIEWS) and found.state is CaseState.OPEN
    reason = rules.reason_not_to_decide(session, actor, found) if may_answer else None
    objections = queries.objections_of(session, found)
    answers = {one.id: AnswerForm(formdata=None, prefix=f"{one.public_no}-") for one in objections}
    if answering is not None and answer is not None:
        answers[answering.id] = answer
    return render_template(
        "registry/reviews/case.html",
        case=found,
        step=queries.current_step(found),
        place=region_by_code(session, found.region_code),
        name=queries.cooperative_names(session, [found]).get(found.cooperative_id),
        decisions=queries.decisions_of(session, found),
        rounds=queries.cases_of_subject(session, found.kind, found.subject_id),
        objections=objections,
        answers=answers,
        form=form,
        may_answer=may_answer and reason is None,
        reason=reason,
        subject_template=subject_template,
        today=today(),
        **subject,
    )


@bp.post("/reviews/<case_no>/objections/<objection_no>")
@reviewers
def answer(case_no: str, objection_no: str) -> ResponseReturnValue:
    """Answer an objection."""
    session, found = current_session(), _case(case_no)
    objection = queries.objection_by_no(session, found, objection_no)
    form = AnswerForm(prefix=f"{objection.public_no}-")
    if form.validate_on_submit():
        try:
            rules.answer_objection(
                session,
                current_actor(),
                objection,
                upheld=form.verdict.data == "upheld",
                answer=form.answer.data or "",
                outcomes=_outcomes(),
            )
        except DomainError as error:
            if error.status == 409:
                raise
            place_error(form, error)
        else:
            flash(_("异议已答复"), "success")
            return redirect(url_for("reviews.case", case_no=case_no))
    return _case_page(
        found, DecisionForm(formdata=None, position=found.current_position), objection, form
    ), 422


# --- the public ---


@bp.get("/notices")
@public
def notices() -> ResponseReturnValue:
    """What is on public notice; `?show=ended` is what was."""
    ended = request.args.get("show") == "ended"
    page = page_of(current_session(), queries.notices(ended=ended), scalars=False)
    return render_template("registry/reviews/notices.html", page=page, ended=ended)


@bp.route("/notices/<case_no>", methods=["GET", "POST"])
@public
@limiter.limit(OBJECTIONS, methods=["POST"])
def notice(case_no: str) -> ResponseReturnValue:
    """One public notice, and while it lasts the form for objections."""
    session = current_session()
    found, step = queries.notice_by_no(session, case_no)
    form = ObjectionForm()
    if form.validate_on_submit():
        try:
            filed = rules.file_objection(
                session, found, text=form.text.data or "", contact=form.contact.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            return render_template("registry/reviews/objection_filed.html", case=found, objection=filed)
    subjects: Mapping[ReviewKind, Subject] = current_app.extensions["review_public_subjects"]
    show = subjects.get(found.kind)
    subject_template, subject = show(session, found) if show else (None, {})
    page = render_template(
        "registry/reviews/notice.html",
        case=found,
        subject_template=subject_template,
        **subject,
        step=step,
        form=form,
        is_open=queries.is_open_to_objections(found, step, on=today()),
        objection_count=len(queries.objections_of(session, found)),
    )
    return page, 422 if form.errors else 200


@bp.get("/objections")
@public
@limiter.limit(TICKETS)
def objection() -> ResponseReturnValue:
    """What became of an objection, for whoever has its ticket number. Shows neither its text nor who filed it."""
    number = request.args.get("no", "").strip().upper()
    found, about = None, None
    if number:
        try:
            found, about = queries.objection_under_ticket(current_session(), number[:16])
        except NotFound:
            found = None
    page = render_template("registry/reviews/objection.html", number=number[:16], objection=found, case=about)
    return page, 404 if number and found is None else 200
