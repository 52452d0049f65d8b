"""Recording the rent of a village asset for its whole roster, and showing how it was shared."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries
from marketplace.linkage.mechanisms.asset_lease.forms import RentReceiptForm
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt
from marketplace.linkage.mechanisms.asset_lease.queries import (
    receipt_by_no,
    receipts_visible_to,
    roster_of,
    shares_of_receipt,
)
from marketplace.linkage.mechanisms.asset_lease.rules import record_asset_rent
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("asset_lease", __name__)
SHOWN_RECEIPTS = 12


@bp.route("/agreements/<agreement_no>/asset-rent", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def record_rent(agreement_no: str) -> ResponseReturnValue:
    """Record a rent of the asset an agreement is about, for every household of its roster."""
    session, actor = current_session(), current_actor()
    agreement = queries.agreement_by_no(session, actor, agreement_no)
    if agreement.mechanism is not Mechanism.ASSET_LEASE:
        raise NotFound
    form = RentReceiptForm()
    if form.validate_on_submit():
        try:
            receipt = _record(form, agreement)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("租金已记录，并按决议分给名册里的农户"), "success")
            return redirect(url_for(".rent", receipt_no=receipt.public_no))
    return _record_page(form, agreement)


def _asset_no(agreement: Agreement) -> str:
    version = queries.version_on(agreement, today()) or agreement.versions[-1]
    return str(version.terms["asset_no"])


def _record(form: RentReceiptForm, agreement: Agreement) -> AssetRentReceipt:
    return record_asset_rent(
        current_session(),
        current_actor(),
        asset_no=_asset_no(agreement),
        receipt_no=form.receipt_no.data or "",
        rent_fen=form.rent_fen.data or 0,
        received_on=form.received_on.data,
        village_code=agreement.household.village_code,
        file=uploaded_document(form.file),
    )


def _record_page(form: RentReceiptForm, agreement: Agreement) -> ResponseReturnValue:
    session, actor = current_session(), current_actor()
    asset_no = _asset_no(agreement)
    roster = roster_of(session, agreement.cooperative_id, asset_no, form.received_on.data or today())
    before = receipts_visible_to(actor).where(AssetRentReceipt.asset_no == asset_no).limit(SHOWN_RECEIPTS)
    page = render_template(
        "linkage/asset_lease/record.html",
        form=form,
        agreement=agreement,
        asset_no=asset_no,
        roster=roster,
        weight_total=sum(place.version.terms["plan_weight"] for place in roster),
        receipts=session.scalars(before).all(),
        period=queries.period_on(session, agreement.cooperative_id, today()),
    )
    return page, 422 if form.errors else 200


@bp.get("/asset-rents/<receipt_no>")
@requires(Permission.RECORD_EVIDENCE, Permission.READ_AUDIT)
def rent(receipt_no: str) -> ResponseReturnValue:
    """One receipt: what the village keeps, and each household's share."""
    session = current_session()
    receipt = receipt_by_no(session, current_actor(), receipt_no)
    page = page_of(session, shares_of_receipt(receipt))
    return render_template("linkage/asset_lease/receipt.html", receipt=receipt, page=page)
