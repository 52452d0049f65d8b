"""A unit's budgets: what is spent, committed and free; opening a line, changing it, and the orders behind it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import UNIT_DUTIES
from marketplace.procurement.budgets import queries, rules
from marketplace.procurement.budgets.forms import BudgetForm, ChangeForm
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of, whole_number
from marketplace.web.transaction import current_session

bp = Blueprint("budgets", __name__, url_prefix="/budgets")
approver = requires(Permission.APPROVE_ORDERS)


@bp.get("")
@requires(*UNIT_DUTIES)
def index() -> ResponseReturnValue:
    """The lines of a year (`?year=`)."""
    session, actor = current_session(), current_actor()
    years = queries.years_of(session, actor.buyer_unit_id)
    asked = whole_number(request.args.get("year", ""))
    year = asked if asked in years else today().year
    page = page_of(session, queries.lines_of(actor.buyer_unit_id, year))
    return render_template(
        "procurement/budgets/index.html",
        years=sorted({*years, today().year}, reverse=True),
        year=year,
        page=page,
        balances=queries.balances(session, page.rows),
    )


@bp.route("/new", methods=["GET", "POST"])
@approver
def new() -> ResponseReturnValue:
    """Open a line."""
    form = BudgetForm(data={"year": today().year})
    if form.validate_on_submit():
        try:
            line = rules.open_budget_line(
                current_session(),
                current_actor(),
                year=form.year.data or 0,
                purpose=form.purpose.data or "",
                granted_fen=form.amount.data or 0,
                reason=form.reason.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("预算科目已设立，从现在起采购单要指定科目"), "success")
            return redirect(url_for(".show", number=line.public_no), 303)
    return render_template("procurement/budgets/new.html", form=form), 422 if form.errors else 200


@bp.route("/<number>", methods=["GET", "POST"])
@requires(*UNIT_DUTIES)
def show(number: str) -> ResponseReturnValue:
    """One line: its balance, its changes, its orders; an approver changes it here."""
    session, actor = current_session(), current_actor()
    line = queries.line_by_no(session, actor, number)
    form = ChangeForm()
    if form.validate_on_submit():
        try:
            rules.change_budget(
                session, actor, line, granted_fen=form.amount.data or 0, reason=form.reason.data or ""
            )
        except DomainError as error:
            place_error(form, error)
            line = queries.line_by_no(session, actor, number)
        else:
            flash(_("预算已调整"), "success")
            return redirect(url_for(".show", number=number), 303)
    page = render_template(
        "procurement/budgets/show.html",
        form=form,
        balance=queries.balance_of(session, line),
        grants=list(session.scalars(queries.grants_of(line).limit(50))),
        page=page_of(session, queries.orders_of(line)),
    )
    return page, 422 if form.errors else 200
