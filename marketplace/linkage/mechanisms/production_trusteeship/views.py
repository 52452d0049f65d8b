"""Recording what a season gave."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.mechanisms.production_trusteeship.forms import YieldForm
from marketplace.linkage.mechanisms.production_trusteeship.formula import season_of
from marketplace.linkage.mechanisms.production_trusteeship.mechanism import season_words
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear
from marketplace.linkage.mechanisms.production_trusteeship.queries import lots_for, records_under
from marketplace.linkage.mechanisms.production_trusteeship.rules import record_yield, season_on
from marketplace.linkage.models import Agreement, Lot, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.transaction import current_session

bp = Blueprint("production_trusteeship", __name__)
bp.add_app_template_global(season_words)


@bp.route("/agreements/<agreement_no>/yields/new", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def record(agreement_no: str) -> ResponseReturnValue:
    """Record the yield of a season under a trusteeship."""
    session, actor = current_session(), current_actor()
    agreement = queries.agreement_by_no(session, actor, agreement_no)
    if agreement.mechanism is not Mechanism.PRODUCTION_TRUSTEESHIP:
        raise NotFound
    version = queries.version_on(agreement, today()) or agreement.versions[-1]
    lots = lots_for(session, agreement.cooperative_id, version.terms["commodity"])
    form = _yield_form(lots)
    if form.validate_on_submit():
        try:
            evidence = record_yield(
                session,
                actor,
                agreement=agreement,
                lot=next(lot for lot in lots if lot.public_no == form.lot_no.data),
                year=form.year.data or 0,
                half=form.season_half(),
                actual_g=form.actual_g.data or 0,
                recorded_on=form.recorded_on.data,
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("产量已记录，请核对应得和服务费"), "success")
            return redirect(url_for("linkage.evidence", evidence_no=evidence.public_no))
    return _page(agreement, version.terms, lots, form)


def _page(
    agreement: Agreement, terms: dict[str, object], lots: Sequence[Lot], form: YieldForm
) -> ResponseReturnValue:
    page = render_template(
        "linkage/production_trusteeship/record.html",
        form=form,
        agreement=agreement,
        terms=terms,
        lots=lots,
        guaranteed=season_of(0, terms),
        records=records_under(current_session(), agreement),
    )
    return page, 422 if form.errors else 200


def _yield_form(lots: Sequence[Lot]) -> YieldForm:
    form = YieldForm()
    form.half.choices = [SelectChoice(half.value, label(half)) for half in HalfYear]
    form.lot_no.choices = [
        SelectChoice(lot.public_no, _("%(commodity)s %(lot_no)s", commodity=lot.commodity, lot_no=lot.lot_no))
        for lot in lots
    ]
    if not form.is_submitted():
        form.year.data, form.half.data = season_on(today())
    return form
