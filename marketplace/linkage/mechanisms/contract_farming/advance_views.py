"""The advances of a contract: what was given, how much slips have repaid, and recording a further one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.mechanisms.contract_farming.advances import record_advance
from marketplace.linkage.mechanisms.contract_farming.forms import AdvanceForm
from marketplace.linkage.mechanisms.contract_farming.queries import advance_standing, advances_of
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("advances", __name__)


@bp.route("/agreements/<agreement_no>/advances", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def index(agreement_no: str) -> ResponseReturnValue:
    """The advances of a contract, and recording one."""
    session, actor = current_session(), current_actor()
    agreement = queries.agreement_by_no(session, actor, agreement_no)
    if agreement.mechanism is not Mechanism.CONTRACT_FARMING:
        raise NotFound
    form = AdvanceForm()
    if form.validate_on_submit():
        try:
            record_advance(
                session,
                actor,
                agreement=agreement,
                receipt_no=form.receipt_no.data or "",
                amount_fen=form.amount_fen.data or 0,
                given_on=form.given_on.data,
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("预付款已记录"), "success")
            return redirect(url_for(".index", agreement_no=agreement_no))
    page = render_template(
        "linkage/contract_farming/advances.html",
        agreement=agreement,
        form=form,
        cap_bp=_cap_bp(agreement),
        standing=advance_standing(session, agreement),
        advances=advances_of(session, agreement),
    )
    return page, 422 if form.errors else 200


def _cap_bp(agreement: Agreement) -> int:
    """The share of a slip that repays advances under the terms of today, else of the last version."""
    version = queries.version_on(agreement, today()) or agreement.versions[-1]
    cap_bp: int = version.terms.get("cap_bp", 0)
    return cap_bp
