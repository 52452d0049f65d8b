"""Weighing one household after the other on a phone: each slip begins as the one before it ended.

Who, how much, save: the number counts up, grade, price, day and signer stay. What was saved is told above the next
empty slip, with the day's sums.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from marketplace.core.clock import SHANGHAI, business_day, today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.mechanisms.contract_farming.forms import QuickSlipForm
from marketplace.linkage.mechanisms.contract_farming.models import USUAL_GRADES
from marketplace.linkage.mechanisms.contract_farming.queries import last_slip_of, totals_since
from marketplace.linkage.mechanisms.contract_farming.rules import following_slip_no, record_weigh_slip
from marketplace.linkage.models import Agreement, Evidence, Lot, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("quick", __name__)
MOST_PEOPLE = 500


@bp.route("/lots/<lot_no>/slips/quick", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def slips(lot_no: str) -> ResponseReturnValue:
    """The next slip of a lot; `?after=` is the one just saved."""
    session, actor = current_session(), current_actor()
    lot = queries.lot_by_no(session, actor, lot_no)
    people = queries.agreements_in_force(
        session,
        actor,
        Mechanism.CONTRACT_FARMING,
        today(),
        term=("commodity", lot.commodity),
        limit=MOST_PEOPLE,
    )
    form = QuickSlipForm(data=likely_slip(lot))
    form.agreement_no.choices = [SelectChoice("", _("请选择")), *(_choice(one) for one in people)]
    if form.validate_on_submit():
        try:
            evidence = _record(form, lot)
        except DomainError as error:
            place_error(form, error)
        else:
            return redirect(url_for(".slips", lot_no=lot_no, after=evidence.public_no))
    after = request.args.get("after", "")
    page = render_template(
        "linkage/contract_farming/quick.html",
        form=form,
        lot=lot,
        people=people,
        grades=USUAL_GRADES,
        saved=queries.entitlement_by_evidence_no(session, actor, after) if after else None,
        totals=totals_since(session, lot, datetime.combine(today(), time(), SHANGHAI)),
    )
    return page, 422 if form.errors else 200


def likely_slip(lot: Lot) -> dict[str, Any]:
    """What the next slip of a lot likely says: as the last one; price and day only when that was recorded today."""
    before = last_slip_of(current_session(), lot)
    if before is None:
        return {}
    likely: dict[str, Any] = {
        "slip_no": following_slip_no(before.slip_no),
        "grade": before.grade,
        "cooperative_signer": before.cooperative_signer,
    }
    if business_day(before.evidence.recorded_at) == today():
        likely["market_price_fen_per_kg"] = before.market_price_fen_per_kg
        likely["weighed_on"] = before.evidence.occurred_on
    return likely


def _choice(agreement: Agreement) -> SelectChoice:
    household = agreement.household
    words = _(
        "%(name)s（%(village)s，户编号尾号 %(tail)s）",
        name=household.head_name,
        village=household.village.name,
        tail=household.registry_no[-4:],
    )
    return SelectChoice(agreement.public_no, words)


def _record(form: QuickSlipForm, lot: Lot) -> Evidence:
    session, actor = current_session(), current_actor()
    agreement = queries.agreement_by_no(session, actor, form.agreement_no.data)
    return record_weigh_slip(
        session,
        actor,
        agreement=agreement,
        lot=lot,
        slip_no=form.slip_no.data or "",
        weighed_on=form.weighed_on.data,
        grade=form.grade.data or "",
        net_g=form.net_g.data or 0,
        market_price_fen_per_kg=form.market_price_fen_per_kg.data,
        signatures=(
            form.household_signer.data or agreement.household.head_name,
            form.cooperative_signer.data or "",
        ),
        file=uploaded_document(form.file),
    )
