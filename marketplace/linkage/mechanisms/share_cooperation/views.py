"""Pages of resolutions on a surplus, from the minutes to the list that is put up, and of passing a stake on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.mechanisms.share_cooperation.distribution import Distribution
from marketplace.linkage.mechanisms.share_cooperation.forms import ReassignForm, ResolutionForm
from marketplace.linkage.mechanisms.share_cooperation.models import ShareResolution
from marketplace.linkage.mechanisms.share_cooperation.queries import (
    dividends_of,
    periods_to_share,
    reassignment_of,
    resolution_by_no,
    resolutions_visible_to,
    sums_of,
)
from marketplace.linkage.mechanisms.share_cooperation.rules import (
    adopt_resolution,
    preview_resolution,
    reassign_stake,
)
from marketplace.linkage.models import LinkagePeriod, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.filters import day
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("share_cooperation", __name__)
READERS = (Permission.RECORD_EVIDENCE, Permission.READ_AUDIT)
LIST_ROWS = 1000
SHOWN = 20


@bp.get("/resolutions")
@requires(*READERS)
def resolutions() -> ResponseReturnValue:
    """The resolutions one may read."""
    session = current_session()
    page = page_of(session, resolutions_visible_to(current_actor()))
    sums = sums_of(session, [one.id for one in page.rows])
    return render_template("linkage/share_cooperation/resolutions.html", page=page, sums=sums)


@bp.route("/resolutions/new", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def new_resolution() -> ResponseReturnValue:
    """Type the minutes and look at what each household gets; nothing is kept until that was looked at and adopted."""
    session, actor = current_session(), current_actor()
    periods = periods_to_share(session, actor.cooperative_id or 0)
    form = _resolution_form(periods)
    drawn: Distribution | None = None
    if form.validate_on_submit():
        period = next(one for one in periods if one.public_no == form.period_no.data)
        try:
            if form.adopt.data and form.digest.data:
                adopted = _adopt(form, period)
                flash(_("决议已登记，每户的分红可以查看和打印"), "success")
                return redirect(url_for(".resolution", resolution_no=adopted.public_no))
            drawn = preview_resolution(session, actor, period=period, decision=form.decision())
        except DomainError as error:
            place_error(form, error)
        else:
            form.digest.raw_data, form.digest.data = None, drawn.digest
    page = render_template(
        "linkage/share_cooperation/new_resolution.html", form=form, periods=periods, drawn=drawn
    )
    return page, 422 if form.errors else 200


def _adopt(form: ResolutionForm, period: LinkagePeriod) -> ShareResolution:
    return adopt_resolution(
        current_session(),
        current_actor(),
        period=period,
        decision=form.decision(),
        file=uploaded_document(form.file),
        digest=form.digest.data,
    )


def _resolution_form(periods: Sequence[LinkagePeriod]) -> ResolutionForm:
    form = ResolutionForm()
    form.period_no.choices = [
        SelectChoice(
            one.public_no,
            _(
                "%(first)s 至 %(last)s",
                first=day(one.starts_on),
                last=day(one.ends_on - timedelta(days=1)),
            ),
        )
        for one in periods
    ]
    return form


@bp.get("/resolutions/<resolution_no>")
@requires(*READERS)
def resolution(resolution_no: str) -> ResponseReturnValue:
    """One resolution, and what each household gets by it."""
    session = current_session()
    found = resolution_by_no(session, current_actor(), resolution_no)
    return render_template(
        "linkage/share_cooperation/resolution.html",
        resolution=found,
        page=page_of(session, dividends_of(found)),
        totals=sums_of(session, [found.id]).get(found.id, (0, 0)),
    )


@bp.get("/resolutions/<resolution_no>/print")
@requires(*READERS)
def distribution_list(resolution_no: str) -> ResponseReturnValue:
    """The list that is put up in the village: names masked, whoever prints it."""
    session = current_session()
    found = resolution_by_no(session, current_actor(), resolution_no)
    return render_template(
        "linkage/share_cooperation/distribution_list.html",
        resolution=found,
        rows=session.scalars(dividends_of(found).limit(LIST_ROWS)).all(),
        totals=sums_of(session, [found.id]).get(found.id, (0, 0)),
    )


@bp.route("/agreements/<agreement_no>/reassign", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def reassign(agreement_no: str) -> ResponseReturnValue:
    """Pass a stake on: the household first (`?q=`, `?to=`), then the day and the reason."""
    session, actor = current_session(), current_actor()
    agreement = queries.agreement_by_no(session, actor, agreement_no)
    if agreement.mechanism is not Mechanism.SHARE_COOPERATION:
        raise NotFound
    text, chosen = request.args.get("q", "").strip()[:60], request.args.get("to", "")
    household = queries.signable_household_by_no(session, actor, chosen) if chosen else None
    form = ReassignForm()
    if household is not None and form.validate_on_submit():
        try:
            signed = reassign_stake(
                session,
                actor,
                agreement,
                to_household=household,
                from_day=form.from_day.data,
                reason=form.reason.data or "",
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("股份已转给新的持有人，从 %(day)s 起算", day=day(form.from_day.data)), "success")
            return redirect(url_for("linkage.agreement", agreement_no=signed.public_no))
    others = queries.signable_households(actor, text=text)
    page = render_template(
        "linkage/share_cooperation/reassign.html",
        form=form,
        agreement=agreement,
        terms=agreement.versions[-1].terms,
        household=household,
        passed=reassignment_of(session, agreement),
        text=text,
        found=session.scalars(others.limit(SHOWN)).unique().all() if household is None else [],
    )
    return page, 422 if form.errors else 200
