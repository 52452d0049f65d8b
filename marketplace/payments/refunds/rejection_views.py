"""Rejections on the page: the cooperative answers, both sides and the county speak, and what goes back in one place."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf import FlaskForm

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import order_by_no
from marketplace.payments.refunds.answers import agree_rejection, replace_rejected
from marketplace.payments.refunds.queries import refunds_of_order
from marketplace.procurement.receiving import queries, rejections
from marketplace.procurement.receiving.forms import AnswerForm, StatementForm, replace_form, uploads_of
from marketplace.procurement.receiving.models import Inspection
from marketplace.web.forms import place_error
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("rejections", __name__)
P = Permission
BUYERS = (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
PARTIES = (*BUYERS, P.FULFIL_ORDERS, P.MEDIATE_DISPUTES, P.READ_AUDIT)
ANSWERS = (P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT, P.FULFIL_ORDERS, P.MEDIATE_DISPUTES)


@bp.get("/rejections")
@requires(*PARTIES)
def index() -> ResponseReturnValue:
    """Rejections: those that wait, what waits longest first, or all."""
    session, actor = current_session(), current_actor()
    everything = request.args.get("state") == "all"
    query = queries.rejections_visible_to(actor) if everything else queries.open_rejections(actor)
    page = page_of(session, query)
    return render_template("payments/refunds/rejections.html", page=page, everything=everything)


@bp.get("/disputes")
@requires(P.MEDIATE_DISPUTES)
def disputes() -> ResponseReturnValue:
    """What is contested in the mediator's county."""
    session, actor = current_session(), current_actor()
    page = page_of(session, queries.open_rejections(actor, queries.PartState.DISPUTED))
    return render_template("payments/refunds/disputes.html", page=page)


@bp.get("/rejections/<rejection_no>")
@requires(*PARTIES)
def rejection(rejection_no: str) -> ResponseReturnValue:
    """One rejection: what was found, what was said, and how it may end."""
    return _page(rejection_no)


def _page(rejection_no: str, **forms: FlaskForm) -> str:
    session, actor = current_session(), current_actor()
    found = queries.rejection_by_no(session, actor, rejection_no)
    return render_template(
        "payments/refunds/rejection.html",
        **{
            "inspection": found,
            "part": found.part,
            "everything": queries.is_everything(session, found),
            "replaced": queries.replacement_of(session, found.part) is not None,
            "side": queries.side_of(actor, found.part),
            "statements": queries.statements_of(session, found),
            "agree_form": AnswerForm(formdata=None),
            "withdraw_form": AnswerForm(formdata=None),
            "replace_form": replace_form(found, formdata=None),
            "again": queries.units_again(session, found),
            "contest_form": StatementForm(formdata=None),
            "state_form": StatementForm(formdata=None),
            **forms,
        },
    )


@bp.post("/rejections/<rejection_no>/agree")
@requires(P.FULFIL_ORDERS, P.MEDIATE_DISPUTES)
def agree(rejection_no: str) -> ResponseReturnValue:
    """The rejection stands: what was rejected is not paid for."""
    form = AnswerForm()

    def act(found: Inspection) -> None:
        agree_rejection(current_session(), current_actor(), found, reason=form.reason.data or "")
        nudge("send refunds")
        nudge("settle lines")

    return _answer(rejection_no, form, "agree_form", act, _("已同意拒收，货款已扣减"))


@bp.post("/rejections/<rejection_no>/withdraw")
@requires(*ANSWERS)
def withdraw(rejection_no: str) -> ResponseReturnValue:
    """The goods are accepted after all."""
    form = AnswerForm()

    def act(found: Inspection) -> None:
        rejections.withdraw_rejection(
            current_session(), current_actor(), found, reason=form.reason.data or ""
        )
        nudge("bill accepted parts")
        nudge("settle lines")

    return _answer(rejection_no, form, "withdraw_form", act, _("这批货已按全部合格验收"))


@bp.post("/rejections/<rejection_no>/replace")
@requires(P.FULFIL_ORDERS)
def replace(rejection_no: str) -> ResponseReturnValue:
    """Other goods are under way for what was rejected."""
    form = replace_form(queries.rejection_by_no(current_session(), current_actor(), rejection_no))

    def act(found: Inspection) -> None:
        replace_rejected(
            current_session(),
            current_actor(),
            found,
            units=form.units,
            carrier=form.carrier.data or "",
            waybill_no=form.waybill_no.data or "",
        )
        nudge("send refunds")

    return _answer(rejection_no, form, "replace_form", act, _("补发的货已登记发出，买方收到后只验收这一部分"))


@bp.post("/rejections/<rejection_no>/contest")
@requires(P.FULFIL_ORDERS)
def contest(rejection_no: str) -> ResponseReturnValue:
    """The cooperative does not agree."""
    form = StatementForm()

    def act(found: Inspection) -> None:
        rejections.contest_rejection(
            current_session(),
            current_actor(),
            current_app.extensions["files"],
            found,
            words=form.statement.data or "",
            uploads=uploads_of(form.files),
            idempotency_key=form.idempotency_key.data,
        )

    return _answer(rejection_no, form, "contest_form", act, _("已提出异议，双方和县里都可以补充说明"))


@bp.post("/rejections/<rejection_no>/statements")
@requires(*ANSWERS)
def state(rejection_no: str) -> ResponseReturnValue:
    """One side, or the county, says something."""
    form = StatementForm()

    def act(found: Inspection) -> None:
        rejections.make_statement(
            current_session(),
            current_actor(),
            current_app.extensions["files"],
            found,
            words=form.statement.data or "",
            uploads=uploads_of(form.files),
            idempotency_key=form.idempotency_key.data,
        )

    return _answer(rejection_no, form, "state_form", act, _("说明已提交"))


def _answer(
    rejection_no: str, form: FlaskForm, name: str, act: Callable[[Inspection], None], done: str
) -> ResponseReturnValue:
    """Do what one form asks of a rejection; what is refused stands in that form."""
    found = queries.rejection_by_no(current_session(), current_actor(), rejection_no)
    if not form.validate_on_submit():
        return _page(rejection_no, **{name: form}), 422
    try:
        act(found)
    except DomainError as error:
        place_error(form, error)
        return _page(rejection_no, **{name: form}), error.status
    flash(done, "success")
    return redirect(url_for(".rejection", rejection_no=rejection_no), 303)


@bp.get("/orders/<order_no>/returns")
@requires(*BUYERS, P.READ_AUDIT)
def returns(order_no: str) -> ResponseReturnValue:
    """What was received, rejected, sent again and given back of an order, with the days."""
    session = current_session()
    order = order_by_no(session, current_actor(), order_no)
    ids = [part.id for part in order.parts]
    return render_template(
        "payments/refunds/returns.html",
        order=order,
        receipts=queries.receipts_of(session, ids),
        inspections=queries.inspections_of(session, ids),
        refunds=refunds_of_order(session, order.id),
    )
