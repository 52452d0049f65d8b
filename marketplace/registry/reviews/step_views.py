"""Configuring reviews: which places have steps of their own, and changing them. For the operator."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.models import Role
from marketplace.identity.permissions import Permission
from marketplace.registry.queries import region_by_code
from marketplace.registry.reviews.forms import NewPlaceForm, StepsForm
from marketplace.registry.reviews.models import ReviewKind
from marketplace.registry.reviews.queries import steps_for
from marketplace.registry.reviews.steps import (
    StepDraft,
    configured_steps,
    places_with_steps,
    set_review_steps,
)
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("review_steps", __name__, url_prefix="/review-steps")
operator = requires(Permission.MANAGE_USERS)


@bp.route("", methods=["GET", "POST"])
@operator
def index() -> ResponseReturnValue:
    """The places with steps of their own, and the way to give another place its own."""
    session = current_session()
    form = NewPlaceForm()
    form.offer(session)
    if "refresh" not in request.form and form.validate_on_submit():
        return redirect(url_for("review_steps.edit", kind=form.kind.data, region_code=form.region_code()))
    page = render_template("registry/reviews/steps.html", form=form, places=places_with_steps(session))
    return page, 422 if form.errors else 200


@bp.route("/<kind>/<region_code>", methods=["GET", "POST"])
@operator
def edit(kind: str, region_code: str) -> ResponseReturnValue:
    """The steps of one kind of review at one place."""
    if kind not in list(ReviewKind):
        raise NotFound
    session, wanted = current_session(), ReviewKind(kind)
    region = region_by_code(session, region_code)
    own = configured_steps(session, wanted, region_code)
    form = StepsForm(data={"rows": [_row(step) for step in own or steps_for(session, wanted, region_code)]})
    form.offer()
    if form.validate_on_submit():
        try:
            set_review_steps(
                session, current_actor(), kind=wanted, region_code=region_code, steps=_drafts(form)
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("审核步骤已保存，从下一件新申请起执行"), "success")
            return redirect(url_for("review_steps.index"))
    page = render_template("registry/reviews/steps_edit.html", form=form, kind=wanted, region=region, own=own)
    return page, 422 if form.errors else 200


def _row(step: object) -> dict[str, object]:
    names = ("name_zh", "name_en", "role", "notice_days")
    return {name: getattr(step, name) for name in names}


def _drafts(form: StepsForm) -> list[StepDraft]:
    """The rows that have a name; an empty row is no step."""
    return [
        StepDraft(
            name_zh=row.name_zh.data,
            name_en=row.name_en.data or "",
            role=Role(row.role.data),
            notice_days=row.notice_days.data or 0,
        )
        for row in form.rows
        if (row.name_zh.data or "").strip()
    ]
