"""The cashier's payouts: which of them came to the bank, and saying by hand which credit one is."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.core.errors import DomainError
from marketplace.core.money import format_yuan
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.models import BankLine
from marketplace.payments.reconciliation import payouts
from marketplace.payments.reconciliation.forms import ArrivalForm
from marketplace.web.filters import day
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("payouts_at_bank", __name__, url_prefix="/cashier/payouts")
READERS = (Permission.MATCH_BANK_LINES, Permission.READ_AUDIT)
STATES = {"awaited": True, "settled": False}


@bp.get("")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """Every payout, the latest first; `?state=` those that are awaited or the others."""
    session, asked = current_session(), request.args.get("state", "")
    page = page_of(session, payouts.payouts(awaited=STATES.get(asked)))
    words = {"": _("全部"), "awaited": _("待到账"), "settled": _("已到账或退回")}
    return render_template(
        "payments/reconciliation/payouts.html",
        page=page,
        arrivals=payouts.arrivals_of(session, page.rows),
        back=payouts.came_back(session, page.rows),
        tabs=[
            {"label": word, "url": url_for(".index", state=state or None), "active": state == asked}
            for state, word in words.items()
        ],
    )


@bp.route("/<payout_ref>", methods=["GET", "POST"])
@requires(*READERS)
def payout(payout_ref: str) -> ResponseReturnValue:
    """One payout; while it is awaited the cashier may say which credit it is."""
    session, form, actor = current_session(), ArrivalForm(), current_actor()
    move = payouts.payout_by_ref(session, payout_ref)
    lines = payouts.lines_for(session, move)
    form.line.choices = [SelectChoice(line.public_no, _shown(line)) for line in lines]
    if form.validate_on_submit():
        try:
            payouts.take_payout(session, actor, move, line_no=form.line.data or "", note=form.note.data or "")
        except DomainError as error:
            place_error(form, error)
            move = payouts.payout_by_ref(session, payout_ref)
        else:
            flash(_("提现已核对到账"), "success")
            return redirect(url_for(".payout", payout_ref=payout_ref), 303)
    page = render_template(
        "payments/reconciliation/payout.html",
        move=move,
        form=form,
        lines=lines,
        arrival=payouts.arrivals_of(session, [move]).get(move.id),
        came_back=bool(payouts.came_back(session, [move])),
        may_work=actor.can(Permission.MATCH_BANK_LINES),
    )
    return page, 422 if form.errors else 200


def _shown(line: BankLine) -> str:
    return f"{day(line.booked_on)} · ¥{format_yuan(line.amount_fen)} · {line.payer_name} · {line.remark}"
