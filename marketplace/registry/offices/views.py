"""Government bodies: the operator's list, and opening one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.offices import queries, rules
from marketplace.registry.offices.forms import OfficeForm, OfficeSearchForm
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("offices", __name__, url_prefix="/offices")
operator = requires(Permission.MANAGE_USERS)


@bp.get("")
@operator
def index() -> ResponseReturnValue:
    """All bodies, from the province down."""
    session = current_session()
    form = OfficeSearchForm(request.args)
    text = (form.q.data or "") if form.validate() else ""
    page = page_of(session, queries.offices(text), scalars=False)
    counts = queries.people_counts(session, [office.id for office, _place in page.rows])
    return render_template("registry/offices/index.html", form=form, page=page, counts=counts)


@bp.route("/new", methods=["GET", "POST"])
@operator
def add() -> ResponseReturnValue:
    """Open a body; its people come next."""
    session = current_session()
    form = OfficeForm()
    form.offer(session)
    if "refresh" not in request.form and form.validate_on_submit():
        try:
            office = rules.register_office(
                session, current_actor(), name=form.name.data or "", region_code=form.region_code()
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("单位已登记，接着为它的人员开通账号"), "success")
            return redirect(url_for("users.add", organisation=office.public_no))
    return render_template("registry/offices/new.html", form=form), 422 if form.errors else 200
