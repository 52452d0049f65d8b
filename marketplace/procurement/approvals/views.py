"""How a unit approves: the steps of its chain, the limits of its approvers, and who stands in for whom."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import UNIT_DUTIES
from marketplace.procurement.approvals import queries, rules
from marketplace.procurement.approvals.forms import ChainForm, DeputyForm, LimitForm, rows_of
from marketplace.web.forms import place_error, tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("approval_settings", __name__, url_prefix="/unit/approval")
approver = requires(Permission.APPROVE_ORDERS)


@bp.get("")
@requires(*UNIT_DUTIES)
def show() -> ResponseReturnValue:
    """The chain that holds now, the limits, the deputies: open to everybody of the unit."""
    session, actor = current_session(), current_actor()
    unit_id = actor.buyer_unit_id or 0
    return render_template(
        "procurement/approvals/settings.html",
        chains=queries.chains_of(session, unit_id),
        approvers=queries.approvers_of(session, unit_id),
        limits=queries.limits_of(session, unit_id),
        page=page_of(session, queries.deputyships_of(actor)),
        today=today(),
    )


@bp.route("/chain", methods=["GET", "POST"])
@approver
def chain() -> ResponseReturnValue:
    """Set the steps; from the next order on."""
    session, actor = current_session(), current_actor()
    unit_id = actor.buyer_unit_id or 0
    present = next(iter(queries.chains_of(session, unit_id)), None)
    form = ChainForm(data={"rows": rows_of(present)})
    form.offer(queries.approvers_of(session, unit_id))
    if form.validate_on_submit():
        try:
            rules.set_chain(session, actor, steps=form.wanted(), reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("审批步骤已保存，从下一张采购单起执行"), "success")
            return redirect(url_for(".show"), 303)
    return render_template("procurement/approvals/chain.html", form=form), 422 if form.errors else 200


@bp.route("/limits/<user_no>", methods=["GET", "POST"])
@approver
def limit(user_no: str) -> ResponseReturnValue:
    """Set somebody's limit; nobody sets an own one."""
    session, actor = current_session(), current_actor()
    unit_id = actor.buyer_unit_id or 0
    person = next((one for one in queries.approvers_of(session, unit_id) if one.public_no == user_no), None)
    if person is None:
        raise NotFound
    present = queries.limits_of(session, unit_id).get(person.id)
    form = LimitForm(data={"limit": present.limit_fen if present else None})
    if form.validate_on_submit():
        try:
            rules.set_limit(
                session, actor, approver_no=user_no, limit_fen=form.limit.data, reason=form.reason.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("审批限额已保存"), "success")
            return redirect(url_for(".show"), 303)
    page = render_template("procurement/approvals/limit.html", form=form, person=person)
    return page, 422 if form.errors else 200


@bp.route("/deputies/new", methods=["GET", "POST"])
@approver
def deputy() -> ResponseReturnValue:
    """Name who stands in for oneself."""
    session, actor = current_session(), current_actor()
    form = DeputyForm(data={"from_on": today(), "until_on": today()})
    form.offer(queries.colleagues_of(session, actor))
    if form.validate_on_submit():
        try:
            rules.name_deputy(
                session,
                actor,
                deputy_no=form.deputy.data or "",
                from_on=form.from_on.data,
                until_on=form.until_on.data,
                reason=form.reason.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已委托代办，期间由他代您审批"), "success")
            return redirect(url_for(".show"), 303)
    return render_template("procurement/approvals/deputy.html", form=form), 422 if form.errors else 200


@bp.post("/deputies/<number>/end")
@approver
def end(number: str) -> ResponseReturnValue:
    """Take a deputyship back."""
    session, actor = current_session(), current_actor()
    try:
        rules.end_deputyship(session, actor, queries.deputyship_by_no(session, actor, number))
    except Conflict as error:
        tell(error)
    else:
        flash(_("委托已结束"), "success")
    return redirect(url_for(".show"), 303)
