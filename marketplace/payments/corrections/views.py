"""Corrections on the page: propose, read before and after, agree or decline, print."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.core.errors import DomainError, NotFound
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.corrections import queries, rules
from marketplace.payments.corrections.forms import AgreeForm, DeclineForm, ProposalForm
from marketplace.payments.corrections.models import CorrectionKind, CorrectionSet, CorrectionState
from marketplace.registry.models import Household, Region
from marketplace.registry.queries import household_by_either_no, region_by_code
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("corrections", __name__)
P = Permission
UNKNOWN_HOUSEHOLD = N_("没有这个编号的户，或不在您的管辖范围内")
UNKNOWN_VILLAGE = N_("没有这个村，请重新选择")


@bp.get("/corrections")
@requires(P.CORRECT_CREDITS, P.READ_AUDIT)
def index() -> ResponseReturnValue:
    """The sets the reader may see, by state."""
    wanted = request.args.get("state", "")
    state = CorrectionState(wanted) if wanted in list(CorrectionState) else None
    page = page_of(current_session(), queries.corrections_in_state(current_actor(), state))
    return render_template("payments/corrections/index.html", page=page, state=state, states=CorrectionState)


@bp.route("/corrections/new", methods=["GET", "POST"])
@requires(P.CORRECT_CREDITS)
def propose() -> ResponseReturnValue:
    """Propose a correction; what it changes is shown before anybody agrees."""
    form = ProposalForm(household_no=request.args.get("household", ""))
    form.kind.choices = [SelectChoice(kind.value, label(kind)) for kind in CorrectionKind]
    form.offer(current_session())
    if "refresh" not in request.form and form.validate_on_submit():
        found = _proposed(form)
        if found is not None:
            flash(_("更正已提出，请另一人复核"), "success")
            return redirect(url_for(".correction", set_no=found.public_no), 303)
    return render_template("payments/corrections/new.html", form=form), 422 if form.errors else 200


def _proposed(form: ProposalForm) -> CorrectionSet | None:
    """The set the form proposes; None when the form says what is wrong with it."""
    household = _household(form, "household_no")
    other = _household(form, "other_no") if form.other_no.data else None
    village = _village(form) if form.village_code.data else None
    if household is None or form.from_on.data is None or form.errors:
        return None
    try:
        return rules.propose_correction(
            current_session(),
            current_actor(),
            kind=CorrectionKind(form.kind.data),
            household=household,
            from_on=form.from_on.data,
            reason=form.reason.data or "",
            other=other,
            share_bp=None if form.share.data is None else int(form.share.data * 100),
            village=village,
        )
    except DomainError as error:
        place_error(form, error)
        return None


def _household(form: ProposalForm, name: str) -> Household | None:
    field = form[name]
    try:
        return household_by_either_no(current_session(), current_actor(), field.data or "")
    except NotFound:
        field.errors = [*field.errors, _(UNKNOWN_HOUSEHOLD)]
        return None


def _village(form: ProposalForm) -> Region | None:
    try:
        return region_by_code(current_session(), form.village_code.data or "")
    except NotFound:
        form.village_code.errors = [*form.village_code.errors, _(UNKNOWN_VILLAGE)]
        return None


@bp.get("/corrections/<set_no>")
@requires(P.CORRECT_CREDITS, P.READ_AUDIT)
def correction(set_no: str) -> ResponseReturnValue:
    """One set with before and after, to decide or to print."""
    return _page(queries.correction_by_no(current_session(), current_actor(), set_no))


def _page(found: CorrectionSet, agree: AgreeForm | None = None, decline: DeclineForm | None = None) -> str:
    session, actor = current_session(), current_actor()
    waits = found.state is CorrectionState.PROPOSED and actor.can(P.CORRECT_CREDITS)
    return render_template(
        "payments/corrections/correction.html",
        set=found,
        households=queries.household_changes(session, found),
        voids=queries.voids_of(session, found),
        page=page_of(session, queries.pool_lines(found), size=50, scalars=False),
        decides=waits and found.proposed_by != actor.user_id,
        agree_form=agree or AgreeForm(formdata=None),
        decline_form=decline or DeclineForm(formdata=None),
    )


@bp.post("/corrections/<set_no>/agree")
@requires(P.CORRECT_CREDITS)
def agree(set_no: str) -> ResponseReturnValue:
    """The second person agrees: it is posted."""
    session, form = current_session(), AgreeForm()
    found = queries.correction_by_no(session, current_actor(), set_no)
    if not form.validate_on_submit():
        return _page(found, agree=form), 422
    try:
        rules.agree_correction(session, current_actor(), found, note=form.note.data or "")
    except DomainError as error:
        place_error(form, error)
        return _page(queries.correction_by_no(session, current_actor(), set_no), agree=form), error.status
    flash(_("更正已记账"), "success")
    return redirect(url_for(".correction", set_no=set_no), 303)


@bp.post("/corrections/<set_no>/decline")
@requires(P.CORRECT_CREDITS)
def decline(set_no: str) -> ResponseReturnValue:
    """The second person does not agree."""
    session, form = current_session(), DeclineForm()
    found = queries.correction_by_no(session, current_actor(), set_no)
    if not form.validate_on_submit():
        return _page(found, decline=form), 422
    try:
        rules.decline_correction(session, current_actor(), found, reason=form.reason.data or "")
    except DomainError as error:
        place_error(form, error)
        return _page(queries.correction_by_no(session, current_actor(), set_no), decline=form), error.status
    flash(_("已退回，理由会一并保存"), "success")
    return redirect(url_for(".correction", set_no=set_no), 303)
