"""Certificates: the list of a cooperative or a county, one with its history and fee, the application, the public check.

The scan of a certificate is never shown to the public; of the forest eco-label not even its number is.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.catalog.certificates import fees, queries, rules
from marketplace.catalog.certificates.forms import (
    ApplicationForm,
    ChoiceForm,
    FeeForm,
    ReasonForm,
    WaiverForm,
    kind_of,
    read_kg,
    read_mu,
    read_yuan,
)
from marketplace.catalog.certificates.kinds import KINDS
from marketplace.catalog.certificates.models import CertificateDeed, CertificateFee
from marketplace.catalog.models import Certificate, CertificateKind, Product
from marketplace.catalog.queries import own_product, products_of
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.money import format_yuan
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.linkage.uploads import uploaded_document
from marketplace.registry.models import Cooperative
from marketplace.registry.reviews.models import ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.web.checks import CHECKS, check_page
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("certificates", __name__)
P = Permission
MOST_PRODUCTS = 200
TURNS = {
    CertificateDeed.SUSPENDED: rules.suspend_certificate,
    CertificateDeed.LIFTED: rules.lift_suspension,
    CertificateDeed.REVOKED: rules.revoke_certificate,
}
readers = requires(P.MANAGE_LISTINGS, P.ANSWER_REVIEWS, P.READ_AUDIT)


@bp.get("/product-certificates")
@readers
def index() -> ResponseReturnValue:
    """The certificates one may see, those that end first at the top, and what of their fees is waived."""
    session, actor = current_session(), current_actor()
    show = queries.Show.known(request.args.get("show", "")) or queries.Show.ALL
    page = page_of(session, queries.certificates_visible_to(actor, show))
    return render_template(
        "catalog/certificates/index.html",
        page=page,
        show=show,
        shows=list(queries.Show),
        standing=queries.standing,
        today=today(),
        fees=queries.fees_of(session, [one.id for one in page.rows]),
        names=queries.cooperative_names(session, [one.cooperative_id for one in page.rows]),
        totals=queries.waived_totals(session, actor),
    )


@bp.get("/product-certificates/<certificate_no>")
@readers
def certificate(certificate_no: str) -> ResponseReturnValue:
    """One certificate: what it is, its fee, its history, and what may be done with it."""
    return _page(_found(certificate_no))


def _found(certificate_no: str) -> Certificate:
    return queries.certificate_by_no(current_session(), current_actor(), certificate_no)


def _page(found: Certificate, **forms: object) -> str:
    session, actor = current_session(), current_actor()
    fee = queries.fees_of(session, [found.id]).get(found.id)
    return render_template(
        "catalog/certificates/certificate.html",
        **{
            "certificate": found,
            "kind": KINDS[found.kind],
            "standing": queries.standing(found, today()),
            "use": queries.gi_uses_of(session, [found.id]).get(found.id),
            "fee": fee,
            "file": session.get(StoredFile, found.file_id) if found.file_id else None,
            "events": queries.events_of(session, found),
            "cooperative": session.get_one(Cooperative, found.cooperative_id),
            "case": last_case_of(session, ReviewKind.CERTIFICATE, found.id),
            "is_own": actor.cooperative_id == found.cooperative_id and actor.can(P.MANAGE_LISTINGS),
            "ends_soon": found.expires_on <= today() + timedelta(days=queries.RENEWAL_DAYS),
            "renewal": queries.renewal_of(session, found),
            "fee_form": _fee_form(fee),
            "waiver_form": WaiverForm(formdata=None),
            "reason_form": ReasonForm(formdata=None),
            **forms,
        },
    )


def _fee_form(fee: CertificateFee | None) -> FeeForm:
    """The form with what was stated before."""
    if fee is None:
        return FeeForm(formdata=None)
    asked = format_yuan(fee.asked_fen, grouped=False) if fee.asked_fen else ""
    return FeeForm(
        formdata=None,
        fee=format_yuan(fee.fee_fen, grouped=False),
        payee=fee.payee,
        asked=asked,
        basis=fee.basis,
    )


@bp.route("/product-certificates/new", methods=["GET", "POST"])
@requires(P.MANAGE_LISTINGS)
def new() -> ResponseReturnValue:
    """Apply for the registration or renewal of a certificate; first of all the product and the kind are chosen."""
    session, actor = current_session(), current_actor()
    renews = _found(request.args["renews"]) if request.args.get("renews") else None
    kind = renews.kind if renews else kind_of(request.args.get("kind", ""))
    number = renews.product.public_no if renews else request.args.get("product", "")
    product = own_product(session, actor, number) if number else None
    if kind is None or product is None:
        return render_template("catalog/certificates/choose.html", form=_choices(product), kinds=KINDS)
    form = ApplicationForm(
        enterprise_no=renews.enterprise_no if renews and renews.kind is CertificateKind.GREEN_FOOD else "",
        issuer=renews.issuer if renews else "",
    )
    form.number.label.text = _(KINDS[kind].number_label)
    form.enterprise_no.label.text = _(KINDS[kind].second_label) if KINDS[kind].second_label else ""
    if form.validate_on_submit():
        try:
            made = _apply(form, product, kind, renews)
        except DomainError as error:
            place_error(form, error)
            product = own_product(session, actor, number)
        else:
            flash(_("证书已提交县级审核，通过后即可用于上架"), "success")
            return redirect(url_for(".certificate", certificate_no=made.public_no), 303)
    page = render_template(
        "catalog/certificates/new.html",
        form=form,
        product=product,
        kind=kind,
        facts_of_kind=KINDS[kind],
        renews=renews,
    )
    return page, 422 if form.errors else 200


def _choices(product: Product | None) -> ChoiceForm:
    form = ChoiceForm(product=product.public_no if product else None)
    products = current_session().scalars(products_of(current_actor()).limit(MOST_PRODUCTS))
    form.product.choices = [
        SelectChoice(one.public_no, f"{one.name} · {one.specification}") for one in products
    ]
    form.kind.choices = [SelectChoice(kind.value, label(kind)) for kind in KINDS]
    return form


def _apply(
    form: ApplicationForm, product: Product, kind: CertificateKind, renews: Certificate | None
) -> Certificate:
    session, actor, use = current_session(), current_actor(), None
    if KINDS[kind].by_use:
        use = rules.UseTerms(
            form.holder.data or "", read_mu(form.area.data, "area"), read_kg(form.cap.data, "cap")
        )
    return rules.apply_certificate(
        session,
        actor,
        product=product,
        kind=kind,
        number=form.number.data or "",
        enterprise_no=form.enterprise_no.data or "",
        issuer=form.issuer.data or "",
        issued_on=form.issued_on.data or today(),
        expires_on=form.expires_on.data or today(),
        use=use,
        renews=renews,
        file=uploaded_document(form.file),
    )


@bp.post("/product-certificates/<certificate_no>/fee")
@requires(P.MANAGE_LISTINGS)
def fee(certificate_no: str) -> ResponseReturnValue:
    """State the fee, and ask for a waiver."""
    form = FeeForm()
    if form.validate_on_submit():
        try:
            fees.state_fee(
                current_session(),
                current_actor(),
                _found(certificate_no),
                fee_fen=read_yuan(form.fee.data, "fee"),
                payee=form.payee.data or "",
                asked_fen=read_yuan(form.asked.data, "asked"),
                basis=form.basis.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("费用已登记"), "success")
            return redirect(url_for(".certificate", certificate_no=certificate_no), 303)
    return _page(_found(certificate_no), fee_form=form), 422


@bp.post("/product-certificates/<certificate_no>/waiver")
@requires(P.WAIVE_FEES)
def waiver(certificate_no: str) -> ResponseReturnValue:
    """Waive the fee, or not."""
    form = WaiverForm()
    if form.validate_on_submit():
        try:
            fees.decide_waiver(
                current_session(),
                current_actor(),
                _found(certificate_no),
                waived_fen=read_yuan(form.waived.data, "waived"),
                reason=form.reason.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("减免已办理"), "success")
            return redirect(url_for(".certificate", certificate_no=certificate_no), 303)
    return _page(_found(certificate_no), waiver_form=form), 422


@bp.post("/product-certificates/<certificate_no>/<deed>")
@requires(P.SUSPEND_CERTIFICATES)
def turn(certificate_no: str, deed: str) -> ResponseReturnValue:
    """Suspend a certificate, let it be used again, or revoke it."""
    known = CertificateDeed.known(deed)
    if known not in TURNS:
        raise NotFound
    form = ReasonForm()
    if form.validate_on_submit():
        try:
            TURNS[known](
                current_session(), current_actor(), _found(certificate_no), reason=form.reason.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已办理：%(decision)s", decision=label(known)), "success")
            return redirect(url_for(".certificate", certificate_no=certificate_no), 303)
    return _page(_found(certificate_no), reason_form=form), 422


@bp.get("/check/certificates/<certificate_no>")
@public
@limiter.limit(CHECKS)
def check(certificate_no: str) -> ResponseReturnValue:
    """What a certificate is worth today, for whoever scans its code. Names no person and shows no scan."""
    session = current_session()
    found = queries.public_certificate(session, certificate_no)
    return check_page(
        "catalog/certificates/check.html",
        certificate=found,
        kind=KINDS[found.kind],
        standing=queries.standing(found, today()),
        today=today(),
        use=queries.gi_uses_of(session, [found.id]).get(found.id),
        steps=queries.public_steps_of(session, found),
        renewal=queries.renewal_of(session, found),
        qr_code=qr_to(url_for(".check", certificate_no=certificate_no)),
    )
