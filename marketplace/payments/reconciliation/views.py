"""The cashier's reconciliation: how each channel stands, the days compared, and the differences to explain."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.reconciliation import queries, rules
from marketplace.payments.reconciliation.forms import DayForm, ExplainForm
from marketplace.payments.reconciliation.jobs import reconcile_day
from marketplace.payments.reconciliation.models import ItemState
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("reconciliation", __name__)
READERS = (Permission.MATCH_BANK_LINES, Permission.READ_AUDIT)


@bp.route("/cashier/reconciliation", methods=["GET", "POST"])
@requires(*READERS)
def index() -> ResponseReturnValue:
    """How each channel stands and every day that was compared; the cashier may compare a day again."""
    session, form = current_session(), DayForm(day=today() - timedelta(days=1))
    if request.method == "POST":
        current_actor().require(Permission.MATCH_BANK_LINES)
        if form.validate_on_submit() and form.day.data:
            try:
                reconcile_day(session, form.day.data)
            except DomainError as error:
                place_error(form, error)
            else:
                flash(_("对账完成"), "success")
                return redirect(url_for(".index"), 303)
    page = render_template(
        "payments/reconciliation/index.html",
        form=form,
        latest=queries.latest_runs(session),
        counts=queries.counts_of_items(session),
        page=page_of(session, queries.runs()),
        may_work=current_actor().can(Permission.MATCH_BANK_LINES),
    )
    return page, 422 if form.errors else 200


@bp.get("/cashier/reconciliation/differences")
@requires(*READERS)
def items() -> ResponseReturnValue:
    """The differences: those to explain, to confirm, and what became of the others."""
    session = current_session()
    wanted = next((one for one in ItemState if one.value == request.args.get("state")), ItemState.OPEN)
    counts = queries.counts_of_items(session)
    tabs = [
        {
            "label": label(state),
            "url": url_for(".items", state=state.value),
            "active": state is wanted,
            "count": counts.get(state, 0),
        }
        for state in ItemState
    ]
    page = page_of(session, queries.items_of(wanted))
    return render_template(
        "payments/reconciliation/items.html",
        page=page,
        tabs=tabs,
        orders=queries.orders_behind(session, page.rows),
        today=today(),
    )


@bp.route("/cashier/reconciliation/differences/<item_no>", methods=["GET", "POST"])
@requires(*READERS)
def item(item_no: str) -> ResponseReturnValue:
    """One difference; the first person explains it here."""
    session, actor, form = current_session(), current_actor(), ExplainForm()
    found = rules.item_by_no(session, item_no)
    if form.validate_on_submit():
        try:
            rules.explain_item(session, actor, found, explanation=form.explanation.data or "")
        except DomainError as error:
            place_error(form, error)
            found = rules.item_by_no(session, item_no)
        else:
            flash(_("已登记，等待另一位同事复核"), "success")
            return redirect(url_for(".item", item_no=item_no), 303)
    page = render_template(
        "payments/reconciliation/item.html",
        item=found,
        form=form,
        order=queries.orders_behind(session, [found]).get(found.id),
        may_work=actor.can(Permission.MATCH_BANK_LINES),
        own=found.proposed_by == actor.user_id,
        today=today(),
    )
    return page, 422 if form.errors else 200


@bp.post("/cashier/reconciliation/differences/<item_no>/<any(confirm, back):answer>")
@requires(Permission.MATCH_BANK_LINES)
def answer(item_no: str, answer: str) -> ResponseReturnValue:
    """The second person agrees, or sends the explanation back."""
    session, actor = current_session(), current_actor()
    found = rules.item_by_no(session, item_no)
    try:
        if answer == "confirm":
            rules.confirm_item(session, actor, found)
        else:
            rules.send_item_back(session, actor, found)
    except DomainError as error:
        session.rollback()
        flash(explain(error), "error")
    else:
        flash(_("已登记"), "success")
    return redirect(url_for(".item", item_no=item_no), 303)
