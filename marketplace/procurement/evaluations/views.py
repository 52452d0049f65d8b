"""Evaluating a delivery, and the list of what was said."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import delivery_by_no
from marketplace.procurement.evaluations import queries, rules
from marketplace.procurement.evaluations.forms import EvaluationForm, ReplyForm
from marketplace.procurement.receiving.queries import units_off
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("evaluations", __name__)
P = Permission


@bp.get("/evaluations")
@requires(
    P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT, P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.PAY_FOR_UNIT, P.FULFIL_ORDERS
)
def index() -> ResponseReturnValue:
    """What waits for an evaluation, and what was said."""
    session, actor = current_session(), current_actor()
    evaluates = actor.can(P.BUY_PERSONALLY) or actor.can(P.RECEIVE_FOR_UNIT)
    waits = evaluates and request.args.get("state", "") != "said"
    query = queries.awaiting_evaluation(actor) if waits else queries.evaluations_visible_to(actor)
    page = page_of(session, query)
    return render_template(
        "procurement/evaluations/index.html",
        page=page,
        off=units_off(session, [part.id for part in page.rows]) if waits else {},
        waits=waits,
        evaluates=evaluates,
    )


@bp.route("/deliveries/<part_no>/evaluation", methods=["GET", "POST"])
@requires(P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT)
def evaluate(part_no: str) -> ResponseReturnValue:
    """Say how the goods and the delivery were."""
    session, actor, form = current_session(), current_actor(), EvaluationForm()
    part = delivery_by_no(session, actor, part_no)
    if form.validate_on_submit():
        try:
            rules.evaluate_part(
                session,
                actor,
                part,
                goods_score=form.goods_score.data,
                delivery_score=form.delivery_score.data,
                remark=form.remark.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            part = delivery_by_no(session, actor, part_no)
        else:
            flash(_("谢谢您的评价，这笔采购已计入完成"), "success")
            return redirect(url_for("ordering.order", order_no=part.order.public_no), 303)
    said = queries.evaluations_of(session, [part.id]).get(part.id)
    off = units_off(session, [part.id])
    page = render_template("procurement/evaluations/form.html", part=part, form=form, said=said, off=off)
    return page, 422 if form.errors else 200


@bp.route("/evaluations/<part_no>/reply", methods=["GET", "POST"])
@requires(P.FULFIL_ORDERS)
def reply(part_no: str) -> ResponseReturnValue:
    """Answer what a buyer said."""
    session, actor, form = current_session(), current_actor(), ReplyForm()
    found = queries.evaluation_by_part(session, actor, part_no)
    if form.validate_on_submit():
        try:
            rules.reply_to_evaluation(session, actor, found, text=form.text.data or "")
        except DomainError as error:
            place_error(form, error)
            found = queries.evaluation_by_part(session, actor, part_no)
        else:
            flash(_("回复已公开，商品页上可以看到"), "success")
            return redirect(url_for(".index", state="said"), 303)
    page = render_template("procurement/evaluations/reply.html", one=found, form=form)
    return page, 422 if form.errors else 200
