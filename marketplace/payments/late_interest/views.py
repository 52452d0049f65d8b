"""Late interest on the screen: the claims of either side, the slip of one, and the cooperative's waiver."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.late_interest import queries, rules
from marketplace.payments.late_interest.forms import WaiveForm
from marketplace.payments.late_interest.models import InterestState
from marketplace.payments.models import Payment
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("late_interest", __name__)
P = Permission
READERS = (P.FULFIL_ORDERS, P.PAY_FOR_UNIT, P.READ_AUDIT, P.MATCH_BANK_LINES)


@bp.get("/interest")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """Claims of interest by state; those not paid at first."""
    asked = request.args.get("state", InterestState.OPEN.value)
    state = InterestState(asked) if asked in set(InterestState) else None
    page = page_of(current_session(), queries.interests_in_state(current_actor(), state))
    return render_template("payments/late_interest/index.html", page=page, state=state, states=InterestState)


@bp.get("/interest/<interest_no>")
@requires(*READERS)
def interest(interest_no: str) -> ResponseReturnValue:
    """One claim: how it was computed, and how to pay it."""
    session, actor = current_session(), current_actor()
    found = queries.interest_by_no(session, actor, interest_no)
    is_own = actor.cooperative_id == found.cooperative_id and actor.can(P.FULFIL_ORDERS)
    return render_template(
        "payments/late_interest/interest.html",
        interest=found,
        waiver=queries.waiver_of(session, found.payment_id),
        account=current_app.config["SETTINGS"],
        waives=is_own and found.state is InterestState.OPEN,
    )


@bp.route("/bills/<payment_no>/waive-interest", methods=["GET", "POST"])
@requires(P.FULFIL_ORDERS)
def waive(payment_no: str) -> ResponseReturnValue:
    """The cooperative asks no interest on a bill: the reason, and what it gives up by today."""
    session, actor, form = current_session(), current_actor(), WaiveForm()
    bill = queries.bill_of_cooperative(session, actor, payment_no)
    if form.validate_on_submit():
        try:
            rules.waive_interest(session, actor, bill, reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
            bill = queries.bill_of_cooperative(session, actor, payment_no)
        else:
            flash(_("已免收，付款单位会看到原因"), "success")
            return redirect(_after(bill), 303)
    page = render_template(
        "payments/late_interest/waive.html",
        form=form,
        bill=bill,
        claim=queries.interest_of(session, bill.id),
        running=queries.accruals(session, [bill], on=today()).get(bill.id),
        back=_after(bill),
    )
    return page, 422 if form.errors else 200


def _after(bill: Payment) -> str:
    """The page that shows what became of the interest of a bill."""
    claim = queries.interest_of(current_session(), bill.id)
    if claim is not None:
        return url_for(".interest", interest_no=claim.public_no)
    unit = bill.order.buyer_unit
    return url_for("receivables.unit", unit_no=unit.public_no) if unit else url_for("receivables.index")
