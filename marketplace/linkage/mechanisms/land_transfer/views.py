"""Recording the rent of a parcel."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.quantity import format_mu
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.forms import day_after
from marketplace.linkage.mechanisms.land_transfer import grain_views
from marketplace.linkage.mechanisms.land_transfer.forms import RentForm
from marketplace.linkage.mechanisms.land_transfer.queries import paid_until
from marketplace.linkage.mechanisms.land_transfer.rules import record_parcel_year
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("land_transfer", __name__)
bp.register_blueprint(grain_views.bp)


@bp.route("/agreements/<agreement_no>/rent", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def record_rent(agreement_no: str) -> ResponseReturnValue:
    """Record the rent of one parcel for some days of a linkage period."""
    session, actor = current_session(), current_actor()
    agreement = queries.agreement_by_no(session, actor, agreement_no)
    if agreement.mechanism is not Mechanism.LAND_TRANSFER:
        raise NotFound
    paid = paid_until(session, agreement)
    form = _rent_form(agreement, paid)
    if form.validate_on_submit():
        try:
            evidence = record_parcel_year(
                session,
                actor,
                agreement=agreement,
                parcel_no=form.parcel_no.data,
                starts_on=form.starts_on.data,
                ends_on=day_after(form.ends_on.data) or date.max,
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("租金已记录"), "success")
            return redirect(url_for("linkage.evidence", evidence_no=evidence.public_no))
    period = queries.period_on(session, agreement.cooperative_id, today())
    page = render_template(
        "linkage/land_transfer/record.html",
        form=form,
        agreement=agreement,
        parcels=_parcels(agreement),
        paid=paid,
        period=period,
        in_grain="jin_per_mu" in agreement.versions[-1].terms,
    )
    return page, 422 if form.errors else 200


def _parcels(agreement: Agreement) -> list[dict[str, Any]]:
    """The parcels under the terms of today, else of the last version."""
    version = queries.version_on(agreement, today()) or agreement.versions[-1]
    parcels: list[dict[str, Any]] = version.terms["parcels"]
    return parcels


def _rent_form(agreement: Agreement, paid: dict[str, date]) -> RentForm:
    """The form, for the first parcel going on where its rent was recorded last."""
    form, parcels = RentForm(), _parcels(agreement)
    form.parcel_no.choices = [
        SelectChoice(
            one["parcel_no"], _("%(no)s（%(mu)s 亩）", no=one["parcel_no"], mu=format_mu(one["area_cmu"]))
        )
        for one in parcels
    ]
    if not form.is_submitted():
        form.starts_on.data = paid.get(parcels[0]["parcel_no"], agreement.versions[0].valid_from)
    return form
