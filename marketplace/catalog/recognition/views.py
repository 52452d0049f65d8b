"""Recognitions: the list of a cooperative, a county or the province, one with its history, the application, the public
check, and spot checks."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.catalog.certificates.forms import read_yuan
from marketplace.catalog.certificates.queries import badges_of, cooperative_names
from marketplace.catalog.models import Product
from marketplace.catalog.queries import certificate_of, listing_of_product, own_product
from marketplace.catalog.recognition import checks, queries, rules
from marketplace.catalog.recognition.forms import CheckForm, DrawForm, RecognitionForm, RevokeForm
from marketplace.catalog.recognition.models import Recognition, SpotCheck, SpotCheckRound
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.money import format_yuan
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative
from marketplace.registry.queries import counties, region_by_code
from marketplace.registry.reviews.models import ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.web.checks import CHECKS, check_page
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.locale import counted, label
from marketplace.web.paging import page_of
from marketplace.web.qr import qr_to
from marketplace.web.transaction import current_session

bp = Blueprint("recognition", __name__)
P = Permission
PROVINCE = "36"
readers = requires(P.MANAGE_LISTINGS, P.ANSWER_REVIEWS, P.READ_AUDIT)


@bp.get("/recognitions")
@readers
def index() -> ResponseReturnValue:
    """The recognitions one may see, newest first."""
    session, actor = current_session(), current_actor()
    show = queries.Show.known(request.args.get("show", "")) or queries.Show.ALL
    page = page_of(session, queries.recognitions_visible_to(actor, show))
    return render_template(
        "catalog/recognition/index.html",
        page=page,
        show=show,
        shows=list(queries.Show),
        names=cooperative_names(session, [one.cooperative_id for one in page.rows]),
    )


@bp.get("/recognitions/<recognition_no>")
@readers
def recognition(recognition_no: str) -> ResponseReturnValue:
    """One recognition: what it stands on, its history and spot checks."""
    return _page(_found(recognition_no), RevokeForm(formdata=None))


def _found(recognition_no: str) -> Recognition:
    return queries.recognition_by_no(current_session(), current_actor(), recognition_no)


def _page(found: Recognition, form: RevokeForm) -> str:
    session = current_session()
    return render_template(
        "catalog/recognition/recognition.html",
        recognition=found,
        product=found.product,
        in_force=found.product_id in queries.recognised_of(session, [found.product_id], today()),
        cooperative=session.get_one(Cooperative, found.cooperative_id),
        events=queries.events_of(session, found),
        checks=queries.checks_of(session, found),
        case=last_case_of(session, ReviewKind.PRODUCT_RECOGNITION, found.id),
        notice=queries.notice_of(session, found),
        form=form,
    )


@bp.post("/recognitions/<recognition_no>/revoked")
@requires(P.SUSPEND_CERTIFICATES)
def revoke(recognition_no: str) -> ResponseReturnValue:
    """Revoke a recognition, with a reason the public reads."""
    form = RevokeForm()
    if form.validate_on_submit():
        try:
            rules.revoke_recognition(
                current_session(), current_actor(), _found(recognition_no), reason=form.reason.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("认定已取消"), "success")
            return redirect(url_for(".recognition", recognition_no=recognition_no), 303)
    return _page(_found(recognition_no), form), 422


@bp.route("/workshop/products/<product_no>/recognition", methods=["GET", "POST"])
@requires(P.MANAGE_LISTINGS)
def apply(product_no: str) -> ResponseReturnValue:
    """Apply for the recognition of a product, or hand it in again."""
    session, actor = current_session(), current_actor()
    product = own_product(session, actor, product_no)
    form = _form(product)
    if form.validate_on_submit():
        try:
            made = rules.apply_recognition(
                session,
                actor,
                product=product,
                quality=form.quality.data or "",
                price_fen=read_yuan(form.price.data, "price"),
                reference_fen=read_yuan(form.reference.data, "reference"),
                price_source=form.price_source.data or "",
                linkage=form.linkage.data or "",
                certificate=certificate_of(session, product, form.certificate.data or ""),
            )
        except DomainError as error:
            place_error(form, error)
            product = own_product(session, actor, product_no)
        else:
            flash(_("认定申请已提交，村级审核员会先看到"), "success")
            return redirect(url_for(".recognition", recognition_no=made.public_no), 303)
    page = render_template("catalog/recognition/apply.html", form=form, product=product)
    return page, 422 if form.errors else 200


def _form(product: Product) -> RecognitionForm:
    """The form, beginning with what came back or with the price on sale."""
    session = current_session()
    last, listing = queries.live_recognition(session, product.id), listing_of_product(session, product)
    given: dict[str, str] = {}
    known, known_fen = queries.known_average(session, product), queries.known_average_fen(session, product)
    if known is not None and known_fen is not None:
        given = {"reference": format_yuan(known_fen, grouped=False), "price_source": _(known.source_name)}
    if last is not None:
        given = {"quality": last.quality, "price_source": last.price_source, "linkage": last.linkage}
        given["reference"] = format_yuan(last.reference_fen, grouped=False)
    if listing is not None and listing.current_version is not None:
        given["price"] = format_yuan(listing.current_version.tiers[0].unit_price_fen, grouped=False)
    form = RecognitionForm(**given)
    form.certificate.choices = _certificate_choices(product)
    return form


def _certificate_choices(product: Product) -> list[SelectChoice]:
    """The certificates in force; going without one is offered only where the category allows it."""
    needed = product.category.needs_certificate
    held = [
        SelectChoice(one.public_no, f"{label(one.kind)} {one.number}") for one in badges_of(product, today())
    ]
    if held and needed:
        return held
    return [*held, SelectChoice("", _("还没有有效证书") if needed else _("不凭证书"))]


@bp.get("/check/recognitions/<recognition_no>")
@public
@limiter.limit(CHECKS)
def check(recognition_no: str) -> ResponseReturnValue:
    """What a recognition is worth today, for whoever scans its code."""
    session = current_session()
    found = queries.public_recognition(session, recognition_no)
    return check_page(
        "catalog/recognition/check.html",
        recognition=found,
        product=found.product,
        in_force=found.product_id in queries.recognised_of(session, [found.product_id], today()),
        notice=queries.notice_of(session, found),
        qr_code=qr_to(url_for(".check", recognition_no=recognition_no)),
    )


# --- spot checks ---


@bp.route("/spot-checks", methods=["GET", "POST"])
@requires(P.CHECK_RECOGNITIONS, P.READ_AUDIT)
def rounds() -> ResponseReturnValue:
    """The rounds of spot checks, and drawing a new one."""
    session, actor, form = current_session(), current_actor(), DrawForm()
    place = actor.region_code or PROVINCE
    places = {place: region_by_code(session, place).full_name}
    places |= {one.code: one.full_name for one in counties(session) if one.code.startswith(place)}
    form.region_code.choices = [SelectChoice(code, name) for code, name in places.items()]
    if form.validate_on_submit():
        try:
            drawn = checks.draw_checks(
                session, actor, region_code=form.region_code.data or "", size=form.size.data or 0
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(counted("已抽出 %(count)s 个产品", drawn.size), "success")
            return redirect(url_for(".round_", round_no=drawn.public_no), 303)
    page = page_of(session, queries.rounds_visible_to(actor))
    shown = render_template(
        "catalog/recognition/rounds.html",
        page=page,
        form=form,
        counts=queries.counts_of_rounds(session, [one.id for one in page.rows]),
        places=places,
    )
    return shown, 422 if form.errors else 200


@bp.get("/spot-checks/<round_no>")
@requires(P.CHECK_RECOGNITIONS, P.READ_AUDIT)
def round_(round_no: str) -> ResponseReturnValue:
    """What was drawn, and what was found."""
    return _round_page(queries.round_by_no(current_session(), current_actor(), round_no))


def _round_page(drawn: SpotCheckRound, wrong: SpotCheck | None = None, form: CheckForm | None = None) -> str:
    session = current_session()
    page = page_of(session, queries.checks_of_round(drawn), size=50)
    forms = {one.id: CheckForm(formdata=None, prefix=f"c{one.id}-") for one in page.rows}
    if wrong is not None and form is not None:
        forms[wrong.id] = form
    return render_template(
        "catalog/recognition/round.html",
        round=drawn,
        place=region_by_code(session, drawn.region_code),
        page=page,
        forms=forms,
        names=cooperative_names(session, [one.recognition.cooperative_id for one in page.rows]),
    )


@bp.post("/spot-checks/<round_no>/<int:check_id>")
@requires(P.CHECK_RECOGNITIONS)
def record(round_no: str, check_id: int) -> ResponseReturnValue:
    """Record what one spot check found."""
    session, actor = current_session(), current_actor()
    drawn = queries.round_by_no(session, actor, round_no)
    found = session.get(SpotCheck, check_id)
    if found is None or found.round_id != drawn.id:
        raise NotFound
    form = CheckForm(prefix=f"c{check_id}-")
    if form.validate_on_submit():
        try:
            checks.record_check(
                session, actor, found, passed=form.result.data == "passed", note=form.reason.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("核查结果已登记"), "success")
            return redirect(url_for(".round_", round_no=round_no), 303)
    return _round_page(drawn, found, form), 422
