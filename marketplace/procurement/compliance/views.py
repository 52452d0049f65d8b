"""Certificates of lots with their public check, and the papers that travel with goods, made to be printed."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import order_by_no, part_by_no
from marketplace.procurement.compliance import queries, rules
from marketplace.procurement.compliance.forms import CertificateForm
from marketplace.procurement.receiving.queries import (
    delivered_lines,
    inspections_of,
    lots_delivered,
    receipts_of,
)
from marketplace.web.checks import CHECKS, check_page
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("compliance", __name__)
P = Permission
UNIT = (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
BUYERS = (P.BUY_PERSONALLY, *UNIT, P.READ_AUDIT)


@bp.route("/lots/<lot_no>/certificates", methods=["GET", "POST"])
@requires(P.FULFIL_ORDERS)
def certificates(lot_no: str) -> ResponseReturnValue:
    """The certificates of a lot, and the form to issue one."""
    session, actor = current_session(), current_actor()
    lot, issued = queries.certificates_of_lot(session, actor, lot_no)
    form = CertificateForm(promise=_(rules.PROMISE))
    if form.validate_on_submit():
        try:
            made = rules.issue_certificate(session, actor, lot=lot, promise=form.promise.data or "")
        except DomainError as error:
            place_error(form, error)
            lot, issued = queries.certificates_of_lot(session, actor, lot_no)
        else:
            flash(_("合格证 %(no)s 已开具", no=made.public_no), "success")
            return redirect(url_for(".certificate", token=made.token), 303)
    page = render_template("procurement/compliance/certificates.html", lot=lot, issued=issued, form=form)
    return page, 422 if form.errors else 200


@bp.get("/certificates/<token>")
@public
@limiter.limit(CHECKS)
def certificate(token: str) -> ResponseReturnValue:
    """The certificate as it was issued, for whoever scans its code, and to print. Names no person."""
    found = queries.certificate_under_token(current_session(), token)
    return check_page(
        "procurement/compliance/certificate.html",
        certificate=found,
        newest=queries.is_newest(current_session(), found),
        qr_code=qr_to(url_for(".certificate", token=token)),
    )


@bp.get("/orders/<order_no>/purchase-order")
@requires(*BUYERS)
def purchase_order(order_no: str) -> ResponseReturnValue:
    """The purchase order on paper."""
    order = order_by_no(current_session(), current_actor(), order_no)
    return render_template("procurement/compliance/purchase_order.html", order=order)


@bp.get("/parts/<part_no>/delivery-note")
@requires(*BUYERS, P.FULFIL_ORDERS)
def delivery_note(part_no: str) -> ResponseReturnValue:
    """The delivery note: each line's lots and their certificates, with the code the receiver scans."""
    session = current_session()
    part = part_by_no(session, current_actor(), part_no)
    round_no, delivered = delivered_lines(session, part)
    lots = lots_delivered(session, part)
    shares = [share for found in lots.values() for share in found]
    return render_template(
        "procurement/compliance/delivery_note.html",
        part=part,
        round_no=round_no,
        delivered=delivered,
        lots=lots,
        villages=queries.villages_of(session, [share.lot for share in shares]),
        certificates=queries.certificates_of_lots(session, {share.lot_id for share in shares}),
        qr_code=qr_to(url_for("receiving.delivery", part_no=part.public_no)),
    )


@bp.get("/parts/<part_no>/acceptance-form")
@requires(*BUYERS, P.FULFIL_ORDERS)
def acceptance_form(part_no: str) -> ResponseReturnValue:
    """The acceptance form: what was found, or empty columns to fill in by hand before anything was."""
    session = current_session()
    part = part_by_no(session, current_actor(), part_no)
    _round, delivered = delivered_lines(session, part)
    return render_template(
        "procurement/compliance/acceptance_form.html",
        part=part,
        delivered=delivered,
        inspections=inspections_of(session, [part.id]),
        receipt=receipts_of(session, [part.id]).get(part.id),
    )
