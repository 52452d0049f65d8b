"""Households and enrolments: lists, one household in both times, reasons for looking at ID numbers, answers."""

from __future__ import annotations

import re

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import end_of, today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.registry import queries, rules
from marketplace.registry.forms import (
    AsOfForm,
    HouseholdSearchForm,
    ProposalForm,
    ReasonForm,
    Reasons,
    StatusForm,
)
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdStatusKind,
    Region,
    RegionLevel,
)
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("registry", __name__)
reading = requires(Permission.READ_HOUSEHOLDS)
answering = requires(Permission.READ_OWN_INCOME, Permission.VOUCH_FOR_HOUSEHOLDS)
concerned = requires(Permission.READ_HOUSEHOLDS, Permission.READ_OWN_INCOME)
UNPROCESSABLE = 422
MOST_PLACES = 8
ROSTER_NO = re.compile(r"\bR-[0-9A-Z]{10}$")  # taking in a roster writes it as the reason


@bp.app_template_filter("status_reason")
def status_reason(reason: str) -> str:
    """Why a status was recorded, as it was written; of a roster in the reader's language."""
    roster = ROSTER_NO.search(reason)
    return _("名册 %(no)s", no=roster.group()) if roster else reason


# --- households ---


@bp.get("/households")
@reading
def households() -> ResponseReturnValue:
    """The households the reader may see, found by name, number, place and status."""
    session, actor = current_session(), current_actor()
    form = HouseholdSearchForm(request.args)
    form.offer()
    places = _places(form.place.data or "")
    query = queries.found_households(
        actor,
        text=(form.q.data or "").strip(),
        region_code=places[0].code if len(places) == 1 else "",
        status=_status(form.status.data or ""),
    )
    page = page_of(session, query)
    statuses = queries.statuses_of(session, [one.id for one in page.rows], valid_on=today())
    return render_template(
        "registry/households/index.html", form=form, page=page, places=places, statuses=statuses
    )


def _places(text: str) -> list[Region]:
    """The villages and townships of the reader's jurisdiction that the text may mean: those called so, else near."""
    session, within = current_session(), current_actor().region_code
    found = queries.found_regions(session, text, within=within, limit=MOST_PLACES)
    if not queries.COMMITTEE.search(text.strip()):
        level = RegionLevel.TOWNSHIP
        found = queries.found_regions(session, text, level=level, within=within, limit=MOST_PLACES) + found
    core = queries.COMMITTEE.sub("", text.strip())
    called_so = [place for place in found if place.name.startswith(core) or place.code == core]
    return (called_so or found)[:MOST_PLACES]


def _status(text: str) -> HouseholdStatusKind | None:
    return HouseholdStatusKind(text) if text in list(HouseholdStatusKind) else None


def _household(household_no: str) -> Household:
    return queries.household_by_no(current_session(), current_actor(), household_no)


@bp.get("/households/<household_no>")
@reading
def household(household_no: str) -> ResponseReturnValue:
    """One household: persons, status in both times, enrolments."""
    return _household_page(_household(household_no))


def _household_page(
    household: Household, *, form: ReasonForm | None = None, asked: str = "", shown: str = ""
) -> str:
    """`asked` is the person whose number is asked for, in `form`, and `shown` the number."""
    session, actor = current_session(), current_actor()
    as_of = AsOfForm(request.args if request.method == "GET" else None)
    on, known = as_of.on.data or today(), as_of.known.data or today()
    return render_template(
        "registry/households/show.html",
        household=household,
        members=household.members if queries.may_read_members(session, actor, household) else None,
        status=queries.household_status(session, household.id, valid_on=today()),
        as_of=as_of,
        then=queries.household_status(session, household.id, valid_on=on, known_at=end_of(known)),
        history=queries.status_history(session, household.id),
        enrolments=queries.enrolments_of(session, actor, household),
        reveals=queries.reveals_of(session, household) if actor.can(Permission.REVEAL_ID_NUMBERS) else [],
        reasons=Reasons("" if shown else asked, form),
        asked=asked,
        shown=shown,
    )


@bp.post("/households/<household_no>/members/<member_no>/reveal")
@requires(Permission.REVEAL_ID_NUMBERS)
def reveal(household_no: str, member_no: str) -> ResponseReturnValue:
    """Show one ID number, once, on the answering page; the reason is kept."""
    session, actor = current_session(), current_actor()
    member = queries.member_by_no(session, actor, household_no, member_no)
    form, shown = ReasonForm(), ""
    if form.validate_on_submit():
        try:
            shown = rules.reveal_id_number(
                session, actor, current_app.extensions["data_key"], member, reason=form.reason.data or ""
            )
        except DomainError as error:
            place_error(form, error)
    page = _household_page(_household(household_no), form=form, asked=member_no, shown=shown)
    return page, UNPROCESSABLE if form.errors else 200


@bp.route("/households/<household_no>/status", methods=["GET", "POST"])
@requires(Permission.RECORD_STATUS)
def status(household_no: str) -> ResponseReturnValue:
    """State what a household is from a day on."""
    session, household, form = current_session(), _household(household_no), StatusForm()
    form.offer()
    if form.validate_on_submit() and form.valid_from.data:
        try:
            rules.record_status(
                session,
                current_actor(),
                household,
                status=HouseholdStatusKind(form.status.data),
                valid_from=form.valid_from.data,
                valid_to=form.valid_to.data,
                reason=form.reason.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("状态已登记"), "success")
            return redirect(url_for("registry.household", household_no=household_no))
    present = queries.household_status(session, household.id, valid_on=today())
    page = render_template("registry/households/status.html", form=form, household=household, status=present)
    return page, UNPROCESSABLE if form.errors else 200


# --- enrolments ---


@bp.route("/enrolments", methods=["GET", "POST"])
@reading
def enrolments() -> ResponseReturnValue:
    """Enrolments by state; a cooperative proposes a registered household here."""
    session, actor, form = current_session(), current_actor(), ProposalForm()
    if form.validate_on_submit() and form.enrolled_on.data:
        try:
            rules.propose_by_number(
                session,
                actor,
                registry_no=form.registry_no.data or "",
                head_name=form.head_name.data or "",
                enrolled_on=form.enrolled_on.data,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已提出，等农户本人或村级审核员确认"), "success")
            return redirect(url_for("registry.enrolments", state=EnrolmentState.PROPOSED))
    chosen = request.args.get("state", "")
    state = EnrolmentState(chosen) if chosen in list(EnrolmentState) else None
    query = queries.enrolments_visible_to(actor)
    page = render_template(
        "registry/enrolments/index.html",
        form=form,
        state=state,
        states=list(EnrolmentState),
        counts=queries.enrolment_counts(session, actor),
        page=page_of(session, query.where(Enrolment.state == state) if state else query),
    )
    return page, UNPROCESSABLE if form.errors else 200


@bp.get("/my/enrolments")
@requires(Permission.READ_OWN_INCOME)
def my_enrolments() -> ResponseReturnValue:
    """What a household is asked, and where it takes part."""
    session, actor = current_session(), current_actor()
    household = queries.household_of(session, actor)
    if household is None:
        raise NotFound
    own = sorted(
        queries.enrolments_of(session, actor, household),
        key=lambda enrolment: enrolment.state is not EnrolmentState.PROPOSED,
    )
    return render_template("registry/enrolments/own.html", household=household, enrolments=own)


def _enrolment(enrolment_no: str) -> Enrolment:
    return queries.enrolment_by_no(current_session(), current_actor(), enrolment_no)


@bp.get("/enrolments/<enrolment_no>")
@concerned
def enrolment(enrolment_no: str) -> ResponseReturnValue:
    """One enrolment, and what the reader may answer."""
    return _enrolment_page(_enrolment(enrolment_no))


def _enrolment_page(enrolment: Enrolment, form: ReasonForm | None = None, asked: str = "") -> str:
    """`asked` is the answer whose reason `form` holds."""
    actor = current_actor()
    return render_template(
        "registry/enrolments/show.html",
        enrolment=enrolment,
        reasons=Reasons(asked, form),
        speaks_itself=enrolment.household.user_id == actor.user_id,
        vouches=actor.can(Permission.VOUCH_FOR_HOUSEHOLDS),
        is_own=enrolment.cooperative_id == actor.cooperative_id,
    )


@bp.post("/enrolments/<enrolment_no>/acknowledge")
@answering
def acknowledge(enrolment_no: str) -> ResponseReturnValue:
    """Say yes: the household without a reason, its village clerk with one."""
    session, actor, enrolment, form = (
        current_session(),
        current_actor(),
        _enrolment(enrolment_no),
        ReasonForm(),
    )
    try:
        rules.acknowledge_enrolment(session, actor, enrolment, reason=form.reason.data or "")
    except DomainError as error:
        place_error(form, error)
        return _enrolment_page(_enrolment(enrolment_no), form, "acknowledge"), UNPROCESSABLE
    flash(_("已确认加入%(name)s", name=enrolment.cooperative.name), "success")
    return redirect(_next_page())


def _next_page() -> str:
    """The household's own page, or the next one that waits for the clerk."""
    session, actor = current_session(), current_actor()
    if actor.can(Permission.READ_OWN_INCOME):
        return url_for("registry.my_enrolments")
    waiting = queries.enrolments_visible_to(actor).where(Enrolment.state == EnrolmentState.PROPOSED)
    following = session.scalar(waiting.order_by(None).order_by(Enrolment.id).limit(1))
    if following:
        return url_for("registry.enrolment", enrolment_no=following.public_no)
    return url_for("registry.enrolments", state=EnrolmentState.PROPOSED)


@bp.post("/enrolments/<enrolment_no>/decline")
@answering
def decline(enrolment_no: str) -> ResponseReturnValue:
    """Say no, with a reason."""
    session, actor, enrolment, form = (
        current_session(),
        current_actor(),
        _enrolment(enrolment_no),
        ReasonForm(),
    )
    if form.validate_on_submit():
        try:
            rules.decline_enrolment(session, actor, enrolment, reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已登记为不加入；如果点错了，可以改为加入"), "info")
            return redirect(url_for("registry.enrolment", enrolment_no=enrolment_no))
    return _enrolment_page(_enrolment(enrolment_no), form, "decline"), UNPROCESSABLE


@bp.post("/enrolments/<enrolment_no>/end")
@concerned
def end(enrolment_no: str) -> ResponseReturnValue:
    """Leave, with a reason."""
    session, actor, enrolment, form = (
        current_session(),
        current_actor(),
        _enrolment(enrolment_no),
        ReasonForm(),
    )
    if form.validate_on_submit():
        try:
            rules.end_enrolment(session, actor, enrolment, reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已办理退出，已经记账的收入不受影响"), "success")
            return redirect(url_for("registry.enrolment", enrolment_no=enrolment_no))
    return _enrolment_page(_enrolment(enrolment_no), form, "end"), UNPROCESSABLE


@bp.post("/enrolments/<enrolment_no>/withdraw")
@requires(Permission.ENROL_HOUSEHOLDS)
def withdraw(enrolment_no: str) -> ResponseReturnValue:
    """Take back a proposal that is not answered yet."""
    rules.withdraw_enrolment(current_session(), current_actor(), _enrolment(enrolment_no))
    flash(_("已撤回"), "info")
    return redirect(url_for("registry.enrolments"))
