"""Deposits on the page: the slip for a unit's payer, what became of the money, and the cashier's part."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.by_hand import lines_of_amount
from marketplace.payments.deposits import queries, rules
from marketplace.payments.deposits.forms import MatchForm
from marketplace.payments.deposits.models import DepositState
from marketplace.payments.queries import queued_line_by_no
from marketplace.payments.refunds.forms import SerialForm
from marketplace.web.forms import tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("deposits", __name__)
P = Permission
READERS = (
    P.ORDER_FOR_UNIT,
    P.APPROVE_ORDERS,
    P.RECEIVE_FOR_UNIT,
    P.PAY_FOR_UNIT,
    P.FULFIL_ORDERS,
    P.MATCH_BANK_LINES,
    P.READ_AUDIT,
)


@bp.get("/deposits")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The deposits the reader may see; the cashier begins with what has to be sent back."""
    session, actor = current_session(), current_actor()
    sends = actor.can(P.MATCH_BANK_LINES)
    return render_template(
        "payments/deposits/index.html",
        page=page_of(session, queries.deposits_visible_to(actor)),
        returns=session.scalars(queries.returns_to_send().limit(50)).all() if sends else [],
        form=SerialForm(formdata=None),
    )


@bp.get("/ahead/<forward_no>/deposit")
@requires(*READERS)
def of_forward(forward_no: str) -> ResponseReturnValue:
    """The deposit of an order before the harvest; back to the order while none is asked for yet."""
    try:
        found = queries.deposit_of_forward(current_session(), current_actor(), forward_no)
    except NotFound:
        flash(_("订金单正在开具，请一分钟后再看"), "info")
        return redirect(url_for("forward.show", forward_no=forward_no))
    return redirect(url_for(".show", deposit_no=found.public_no))


@bp.get("/deposits/<deposit_no>")
@requires(*READERS)
def show(deposit_no: str) -> ResponseReturnValue:
    """One deposit: how to pay it, and where its money went."""
    session, actor = current_session(), current_actor()
    found = queries.deposit_by_no(session, actor, deposit_no)
    pays = found.state is DepositState.OPEN
    settings = current_app.config["SETTINGS"]
    return render_template(
        "payments/deposits/show.html",
        found=found,
        lines=lines_of_amount(session, found.amount_fen) if pays and actor.can(P.MATCH_BANK_LINES) else [],
        form=MatchForm(formdata=None),
        pays=pays,
        payee={
            "name": settings.bank_payee,
            "account_no": settings.bank_account_no,
            "bank": settings.bank_name,
        },
    )


@bp.post("/deposits/<deposit_no>/match")
@requires(P.MATCH_BANK_LINES)
def match(deposit_no: str) -> ResponseReturnValue:
    """A queued bank line is this deposit."""
    session, actor, form = current_session(), current_actor(), MatchForm()
    found = queries.deposit_by_no(session, actor, deposit_no)
    line = queued_line_by_no(session, form.line.data or "")
    try:
        rules.match_deposit(session, actor, found, line, note=form.note.data or "")
    except DomainError as error:
        tell(error)
    else:
        flash(_("已登记处理结果"), "success")
    return redirect(url_for(".show", deposit_no=deposit_no), 303)


@bp.post("/deposits/returns/<return_no>")
@requires(P.MATCH_BANK_LINES)
def returned(return_no: str) -> ResponseReturnValue:
    """What was left of a deposit was transferred back."""
    session, form = current_session(), SerialForm()
    found = queries.return_by_no(session, return_no)
    try:
        rules.mark_deposit_returned(session, current_actor(), found, serial_no=form.serial_no.data or "")
    except DomainError as error:
        tell(error)
    else:
        flash(_("已登记退回"), "success")
    return redirect(url_for(".index"), 303)
