"""The approver's pages of a canteen."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.queries import order_by_no
from marketplace.procurement import queries, rules
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("procurement", __name__)


@bp.get("/approvals")
@requires(Permission.APPROVE_ORDERS)
def approvals() -> ResponseReturnValue:
    """Orders that wait for an approval."""
    page = page_of(current_session(), queries.awaiting_approval(current_actor()))
    return render_template("procurement/approvals.html", page=page)


@bp.post("/orders/<order_no>/approve")
@requires(Permission.APPROVE_ORDERS, Permission.ORDER_FOR_UNIT)
def approve(order_no: str) -> ResponseReturnValue:
    """Approve an order somebody else placed."""
    session, actor = current_session(), current_actor()
    rules.approve_order(session, actor, order_by_no(session, actor, order_no))
    flash(_("已批准，采购单已送达各合作社"), "success")
    return redirect(url_for("ordering.order", order_no=order_no), 303)


@bp.post("/orders/<order_no>/reject")
@requires(Permission.APPROVE_ORDERS)
def reject(order_no: str) -> ResponseReturnValue:
    """Turn an order down."""
    session, actor, form = current_session(), current_actor(), ReasonForm()
    order = order_by_no(session, actor, order_no)
    if not form.validate_on_submit():
        flash(_("请写明不通过的原因"), "error")
    else:
        rules.reject_order(session, actor, order, reason=form.reason.data or "")
        flash(_("已退回，商品已放回货架"), "success")
    return redirect(url_for("ordering.order", order_no=order_no), 303)
