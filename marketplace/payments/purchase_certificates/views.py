"""Purchase certificates: a unit's list with the form to issue one, the paper, the withdrawal, and the public check."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Attribution
from marketplace.ordering.models import OrderKind
from marketplace.payments import papers
from marketplace.payments.forms import WithdrawForm
from marketplace.payments.purchase_certificates import queries, rules
from marketplace.payments.purchase_certificates.forms import CertificateForm
from marketplace.payments.purchase_certificates.models import PurchaseCertificate
from marketplace.web.checks import CHECKS, check_page
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.paging import page_of
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("purchase_certificates", __name__)
P = Permission
concerned = requires(P.CERTIFY_PURCHASES, P.RECEIVE_FOR_UNIT, P.READ_AUDIT)


@bp.route("/purchase-certificates", methods=["GET", "POST"])
@concerned
def index() -> ResponseReturnValue:
    """The certificates of the unit, and the form to issue one."""
    session, actor = current_session(), current_actor()
    form = CertificateForm(kind=OrderKind.CANTEEN.value, since=today().replace(month=1, day=1), until=today())
    if form.validate_on_submit() and form.since.data and form.until.data:
        try:
            certificate = rules.issue_certificate(
                session,
                actor,
                kind=OrderKind(form.kind.data),
                since=form.since.data,
                until=form.until.data,
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("凭证 %(no)s 已开具，可以打印", no=certificate.public_no), "success")
            return redirect(url_for(".certificate", number=certificate.public_no), 303)
    page = render_template(
        "payments/purchase_certificates/index.html",
        form=form,
        may_issue=actor.can(P.CERTIFY_PURCHASES) and actor.buyer_unit_id is not None,
        page=page_of(session, queries.certificates_visible_to(actor)),
    )
    return page, 422 if form.errors else 200


def _certificate_page(certificate: PurchaseCertificate, form: WithdrawForm) -> str:
    session, actor = current_session(), current_actor()
    withdraws = actor.can(P.CERTIFY_PURCHASES) and certificate.buyer_unit_id == actor.buyer_unit_id
    by_attribution = {
        one: certificate.figures["by_attribution"][one.value]
        for one in Attribution
        if one.value in certificate.figures["by_attribution"]
    }
    return render_template(
        "payments/purchase_certificates/show.html",
        certificate=certificate,
        by_attribution=by_attribution,
        page=page_of(session, queries.certified_lines(certificate), size=100),
        is_intact=queries.content_hash(certificate) == certificate.content_hash,
        qr_code=qr_to(url_for(".check", token=certificate.token)),
        withdraws=withdraws and certificate.withdrawal is None,
        form=form,
    )


@bp.get("/purchase-certificates/<number>")
@concerned
def certificate(number: str) -> ResponseReturnValue:
    """One certificate, on the screen and on paper."""
    found = queries.certificate_by_no(current_session(), current_actor(), number)
    return _certificate_page(found, WithdrawForm(formdata=None))


@bp.post("/purchase-certificates/<number>/withdraw")
@requires(P.CERTIFY_PURCHASES)
def withdraw(number: str) -> ResponseReturnValue:
    """Say that a certificate no longer counts."""
    session, actor = current_session(), current_actor()
    found = queries.certificate_by_no(session, actor, number)
    form = papers.withdraw_by_form(
        lambda reason: rules.withdraw_certificate(session, actor, found, reason=reason)
    )
    if form is not None:
        return _certificate_page(queries.certificate_by_no(session, actor, number), form), 422
    flash(_("凭证 %(no)s 已作废，扫码的人会看到", no=number), "success")
    return redirect(url_for(".certificate", number=number), 303)


@bp.get("/certified-purchases/<token>")
@public
@limiter.limit(CHECKS)
def check(token: str) -> ResponseReturnValue:
    """The public check behind the QR code: what was certified, and whether it still counts. Names nobody."""
    found = queries.check_of(current_session(), token)
    return check_page("payments/purchase_certificates/check.html", check=found)
