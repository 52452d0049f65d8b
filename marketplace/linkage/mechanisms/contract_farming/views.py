"""Recording weigh slips beside the scales: find the household, type the slip, see at once what it is entitled to."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.mechanisms.contract_farming import advance_views, quick_views
from marketplace.linkage.mechanisms.contract_farming.forms import SlipForm
from marketplace.linkage.mechanisms.contract_farming.mechanism import explain
from marketplace.linkage.mechanisms.contract_farming.models import USUAL_GRADES
from marketplace.linkage.mechanisms.contract_farming.rules import record_weigh_slip
from marketplace.linkage.models import Agreement, Entitlement, Evidence, Lot, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("contract_farming", __name__)
bp.register_blueprint(advance_views.bp)
bp.register_blueprint(quick_views.bp)
SHOWN = 20


@bp.route("/lots/<lot_no>/slips/new", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def record_slip(lot_no: str) -> ResponseReturnValue:
    """Record a slip into a lot: the household first (`?q=`, `?agreement=`), then the slip; `?after=` shows the last."""
    session, actor = current_session(), current_actor()
    lot = queries.lot_by_no(session, actor, lot_no)
    chosen = request.args.get("agreement", "")
    agreement = queries.agreement_by_no(session, actor, chosen) if chosen else None
    form = _slip_form(lot, agreement)
    if agreement is not None and form.validate_on_submit():
        try:
            evidence = _record(form, lot, agreement)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("过磅单已保存"), "success")
            return redirect(url_for(".record_slip", lot_no=lot_no, after=evidence.public_no))
    page = render_template("linkage/contract_farming/record.html", form=form, **_around(lot, agreement))
    return page, 422 if form.errors else 200


def _slip_form(lot: Lot, agreement: Agreement | None) -> SlipForm:
    """The form with what is likely the same as on the slip before."""
    likely = quick_views.likely_slip(lot)
    if agreement is not None:
        likely["household_signer"] = agreement.household.head_name
    return SlipForm(data={name: value for name, value in likely.items() if value})


def _record(form: SlipForm, lot: Lot, agreement: Agreement) -> Evidence:
    return record_weigh_slip(
        current_session(),
        current_actor(),
        agreement=agreement,
        lot=lot,
        slip_no=form.slip_no.data or "",
        weighed_on=form.weighed_on.data,
        grade=form.grade.data or "",
        net_g=form.net_g.data or 0,
        market_price_fen_per_kg=form.market_price_fen_per_kg.data,
        signatures=(form.household_signer.data or "", form.cooperative_signer.data or ""),
        file=uploaded_document(form.file),
    )


def _around(lot: Lot, agreement: Agreement | None) -> dict[str, object]:
    """What stands beside the form: the lot's totals, the slip just saved, the households to choose from."""
    session, actor = current_session(), current_actor()
    text = request.args.get("q", "").strip()[:60]
    after = request.args.get("after", "")
    saved = queries.entitlement_by_evidence_no(session, actor, after) if after else None
    found = []
    if agreement is None:
        term = ("commodity", lot.commodity)
        in_force = queries.agreements_in_force(
            session, actor, Mechanism.CONTRACT_FARMING, today(), text=text, term=term
        )
        found = [one for one in in_force if _terms(one)["commodity"] == lot.commodity]
    return {
        "lot": lot,
        "agreement": agreement,
        "terms": _terms(agreement) if agreement else None,
        "text": text,
        "found": found[:SHOWN],
        "found_more": len(found) > SHOWN,
        "grades": USUAL_GRADES,
        "saved": saved,
        "explained": explain(saved.inputs) if saved else [],
        "totals": queries.totals_of(session, Entitlement.lot_id == lot.id),
    }


def _terms(agreement: Agreement) -> dict[str, object]:
    version = queries.version_on(agreement, today()) or agreement.versions[-1]
    return version.terms
