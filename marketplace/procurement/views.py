"""The approver's pages: what waits, with its steps and its budget; decisions from the list and from the order."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import joinedload

from marketplace.core.errors import Forbidden, Refused
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.models import Order
from marketplace.ordering.queries import UNIT_DUTIES, order_by_no
from marketplace.ordering.states import PartState
from marketplace.procurement import rules
from marketplace.procurement.approvals.desk import approval_of, approvals_of
from marketplace.procurement.approvals.forms import DecisionForm
from marketplace.procurement.approvals.queries import may_look, waiting_orders
from marketplace.procurement.budgets.queries import line_by_no
from marketplace.procurement.budgets.rules import name_budget_line
from marketplace.web.forms import tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("procurement", __name__)
bp.add_app_template_global(approval_of, "approval_of")


@bp.get("/approvals")
@requires(*UNIT_DUTIES)
def approvals() -> ResponseReturnValue:
    """Orders that wait for an approval: for approvers, and for who is a deputy today."""
    session, actor = current_session(), current_actor()
    if not may_look(session, actor):
        raise Forbidden
    page = page_of(session, waiting_orders(actor).options(joinedload(Order.buyer)))
    return render_template("procurement/approvals.html", page=page, rows=approvals_of(actor, page.rows))


@bp.post("/orders/<order_no>/approve")
@requires(*UNIT_DUTIES)
def approve(order_no: str) -> ResponseReturnValue:
    """Take the step of an order that waits."""
    session, actor, form = current_session(), current_actor(), DecisionForm()
    order = order_by_no(session, actor, order_no)
    try:
        rules.approve_order(session, actor, order, note=form.note.data or "")
    except Refused as error:
        tell(error)
        return redirect(url_for("ordering.order", order_no=order_no), 303)
    if order.parts[0].state is PartState.AWAITING_APPROVAL:
        flash(_("已批准这一步，等待下一步审批"), "success")
    else:
        flash(_("已批准，采购单已送达各合作社"), "success")
    return redirect(_next(order_no), 303)


@bp.post("/orders/<order_no>/reject")
@requires(*UNIT_DUTIES)
def reject(order_no: str) -> ResponseReturnValue:
    """Turn an order down."""
    session, actor, form = current_session(), current_actor(), ReasonForm()
    order = order_by_no(session, actor, order_no)
    if not form.validate_on_submit():
        flash(_("请写明不通过的原因"), "error")
    else:
        rules.reject_order(session, actor, order, reason=form.reason.data or "")
        flash(_("已退回，商品已放回货架"), "success")
    return redirect(_next(order_no), 303)


def _next(order_no: str) -> str:
    """Back to the list for a decision made there."""
    if request.form.get("back") == "list":
        return url_for(".approvals")
    return url_for("ordering.order", order_no=order_no)


@bp.post("/orders/<order_no>/budget")
@requires(Permission.APPROVE_ORDERS, Permission.ORDER_FOR_UNIT)
def name_budget(order_no: str) -> ResponseReturnValue:
    """Name the budget line of an order that has none."""
    session, actor = current_session(), current_actor()
    order = order_by_no(session, actor, order_no)
    try:
        line = line_by_no(session, actor, request.form.get("budget", ""))
        name_budget_line(session, actor, order, line)
    except Refused as error:
        tell(error)
    else:
        flash(_("已指定预算科目"), "success")
    return redirect(url_for("ordering.order", order_no=order_no), 303)
