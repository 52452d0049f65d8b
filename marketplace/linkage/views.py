"""Pages of the linkage room: agreements, lots, linkage periods, evidence.

Terms and evidence look as each mechanism says (mechanisms/pages.py); its own pages hang below this blueprint.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import joinedload, selectinload
from wtforms import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries, rules, sheet_views
from marketplace.linkage.forms import AgreementForm, EndForm, LotForm, PeriodForm, day_after
from marketplace.linkage.late_corrections.inputs import explain, is_late_correction, summarise
from marketplace.linkage.late_corrections.queries import closed_period_on, correction_of
from marketplace.linkage.mechanisms.pages import PAGES
from marketplace.linkage.mechanisms.seam import Described
from marketplace.linkage.mechanisms.table import module_of
from marketplace.linkage.models import Agreement, AgreementState, Entitlement, Lot, Mechanism
from marketplace.linkage.uploads import uploaded_document
from marketplace.registry.models import Cooperative, Household
from marketplace.registry.queries import children_of, household_status
from marketplace.web.filters import day, masked
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("linkage", __name__, url_prefix="/linkage")
for pages in PAGES.values():
    bp.register_blueprint(pages.blueprint)
bp.register_blueprint(sheet_views.bp)

RECORDS = Permission.RECORD_EVIDENCE
READERS = (RECORDS, Permission.READ_HOUSEHOLDS, Permission.READ_AUDIT)
SHEET_ROWS = 1000
LATE_PAGES: dict[str, Any] = {
    "templates": "linkage/late_corrections",
    "detail_of": correction_of,
    "statement": N_("更正确认单"),
}


@bp.app_template_filter("last_day")
def last_day(ends_on: date | None) -> date | None:
    """The last day of a span that ends before `ends_on`, as people read it."""
    return None if ends_on is None else ends_on - timedelta(days=1)


@bp.app_template_global("is_in_force")
def is_in_force(agreement: Agreement) -> bool:
    """Whether an agreement holds today."""
    return queries.version_on(agreement, today()) is not None


@bp.app_template_global("is_coming")
def is_coming(agreement: Agreement) -> bool:
    """Whether an agreement has not begun yet."""
    return agreement.versions[0].valid_from > today()


@bp.app_template_global("shown_name")
def shown_name(name: str) -> str:
    """A name in full for those who may read households and for the household itself, masked for others."""
    actor = current_actor()
    reads = actor.can(Permission.READ_HOUSEHOLDS) or actor.can(Permission.READ_OWN_INCOME)
    return name if reads else masked(name)


@bp.app_template_global("summary_of")
def summary_of(entitlement: Entitlement) -> Described:
    """What an entitlement comes from, in one line."""
    return summarise(module_of(entitlement.mechanism), entitlement.inputs)


def _asked_mechanism() -> Mechanism | None:
    return next((one for one in PAGES if one.value == request.args.get("mechanism")), None)


# --- agreements ---


@bp.get("/agreements")
@requires(*READERS)
def agreements() -> ResponseReturnValue:
    """The agreements one may read, by mechanism, state and household."""
    text, mechanism = request.args.get("q", "").strip()[:60], _asked_mechanism()
    state = next((one for one in AgreementState if one.value == request.args.get("state")), None)
    found = queries.found_agreements(current_actor(), text=text, mechanism=mechanism, state=state)
    page = page_of(current_session(), found.options(selectinload(Agreement.versions)))
    return render_template(
        "linkage/agreements.html",
        page=page,
        text=text,
        mechanism=mechanism,
        state=state,
        states=AgreementState,
        mechanism_tabs=_mechanism_tabs(mechanism, {"q": text or None, "state": state}),
    )


def _mechanism_tabs(chosen: Mechanism | None, kept: dict[str, Any]) -> list[dict[str, Any]]:
    everything = {"label": _("全部"), "url": url_for(".agreements", **kept), "active": chosen is None}
    return [everything] + [
        {
            "label": label(one),
            "url": url_for(".agreements", mechanism=one.value, **kept),
            "active": one is chosen,
        }
        for one in PAGES
    ]


@bp.get("/agreements/new")
@requires(RECORDS)
def choose_household() -> ResponseReturnValue:
    """The first step of signing: which household, and which mechanism."""
    session, actor = current_session(), current_actor()
    text, without = request.args.get("q", "").strip()[:60], request.args.get("show") == "without"
    page = page_of(session, queries.signable_households(actor, text=text, without_agreement=without))
    ids = [household.id for household in page.rows]
    return render_template(
        "linkage/choose_household.html",
        page=page,
        text=text,
        without=without,
        signed=queries.agreements_between(session, actor.cooperative_id or 0, ids),
        pages=PAGES,
        chosen=_asked_mechanism() or Mechanism.CONTRACT_FARMING,
        kept={"q": text or None, "show": "without" if without else None},
    )


@bp.route("/agreements/new/<household_no>/<mechanism>", methods=["GET", "POST"])
@requires(RECORDS)
def sign(household_no: str, mechanism: str) -> ResponseReturnValue:
    """The second step: the terms."""
    session, actor = current_session(), current_actor()
    household = queries.signable_household_by_no(session, actor, household_no)
    chosen = next((one for one in PAGES if one.value == mechanism), None)
    if chosen is None:
        raise NotFound
    form = PAGES[chosen].terms_form(data={"valid_from": today()})
    if not form.grow() and form.validate_on_submit():
        try:
            signed = rules.sign_agreement(
                session, actor, household=household, mechanism=chosen, **_version_fields(form)
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("协议已签订"), "success")
            return redirect(url_for(".agreement", agreement_no=signed.public_no))
    return _terms_page(form, household, chosen)


def _version_fields(form: AgreementForm) -> dict[str, Any]:
    return {
        "valid_from": form.valid_from.data,
        "valid_to": form.valid_to,
        "terms": form.terms(),
        "file": uploaded_document(form.file),
    }


def _terms_page(
    form: AgreementForm, household: Household, mechanism: Mechanism, agreement: Agreement | None = None
) -> ResponseReturnValue:
    session = current_session()
    page = render_template(
        "linkage/terms.html",
        form=form,
        household=household,
        status=household_status(session, household.id, valid_on=today()),
        mechanism=mechanism,
        pages=PAGES[mechanism],
        agreement=agreement,
        described_before=module_of(mechanism).describe_terms(agreement.versions[-1].terms)
        if agreement
        else [],
    )
    return page, 422 if form.errors else 200


@bp.get("/agreements/<agreement_no>")
@requires(*READERS)
def agreement(agreement_no: str) -> ResponseReturnValue:
    """One agreement: its versions, what was recorded under it, and what can be done next."""
    return _agreement_page(
        queries.agreement_by_no(current_session(), current_actor(), agreement_no), EndForm(formdata=None)
    )


def _agreement_page(found: Agreement, end_form: EndForm) -> ResponseReturnValue:
    session = current_session()
    module = module_of(found.mechanism)
    versions = queries.versions_of(session, found)
    page = render_template(
        "linkage/agreement.html",
        agreement=found,
        versions=[(version, module.describe_terms(version.terms)) for version in reversed(versions)],
        current=queries.version_on(found, today()),
        pages=PAGES[found.mechanism],
        page=page_of(session, queries.entitlements_of_agreement(found.id)),
        totals=queries.totals_of(session, queries.under_agreement(found.id)),
        charged_fen=queries.charged_fen(session, found.id),
        module_of=module_of,
        end_form=end_form,
    )
    return page, 422 if end_form.errors else 200


@bp.route("/agreements/<agreement_no>/amend", methods=["GET", "POST"])
@requires(RECORDS)
def amend(agreement_no: str) -> ResponseReturnValue:
    """Change the terms from a day on."""
    session, actor = current_session(), current_actor()
    found = queries.agreement_by_no(session, actor, agreement_no)
    before = found.versions[-1]
    typed_before = {**before.terms, "valid_from": None, "last_day": last_day(before.valid_to)}
    form = PAGES[found.mechanism].terms_form(data=typed_before)
    if not form.grow() and form.validate_on_submit():
        try:
            rules.amend_agreement(session, actor, found, **_version_fields(form))
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("协议已变更，新的条款从 %(day)s 起生效", day=day(form.valid_from.data)), "success")
            return redirect(url_for(".agreement", agreement_no=agreement_no))
    return _terms_page(form, found.household, found.mechanism, found)


@bp.post("/agreements/<agreement_no>/end")
@requires(RECORDS)
def end(agreement_no: str) -> ResponseReturnValue:
    """End an agreement with a day."""
    session, actor = current_session(), current_actor()
    found = queries.agreement_by_no(session, actor, agreement_no)
    form = EndForm()
    if form.validate_on_submit():
        try:
            rules.end_agreement(session, actor, found, ended_on=day_after(form.ended_on.data) or date.max)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("协议已终止，已有的记录不受影响"), "success")
            return redirect(url_for(".agreement", agreement_no=agreement_no))
    return _agreement_page(found, form)


# --- evidence ---


@bp.get("/evidence/<evidence_no>")
@requires(*READERS, Permission.READ_OWN_INCOME)
def evidence(evidence_no: str) -> ResponseReturnValue:
    """One piece of evidence, and how it became an entitlement."""
    return render_template("linkage/evidence.html", **_evidence_facts(evidence_no))


@bp.get("/evidence/<evidence_no>/print")
@requires(*READERS, Permission.READ_OWN_INCOME)
def confirmation(evidence_no: str) -> ResponseReturnValue:
    """The confirmation handed to the household, in large type."""
    return render_template("linkage/confirmation.html", **_evidence_facts(evidence_no))


def _evidence_facts(evidence_no: str) -> dict[str, Any]:
    session = current_session()
    entitlement = queries.entitlement_by_evidence_no(session, current_actor(), evidence_no)
    module = module_of(entitlement.mechanism)
    found = entitlement.evidence
    pages = PAGES[entitlement.mechanism]
    if is_late_correction(entitlement.inputs):
        pages = replace(pages, **LATE_PAGES)
    return {
        "entitlement": entitlement,
        "evidence": found,
        "file": session.get(StoredFile, found.file_id) if found.file_id else None,
        "agreement": found.agreement_version.agreement,
        "pages": pages,
        "detail": pages.detail_of(session, found.id),
        "summary": summarise(module, entitlement.inputs),
        "explained": explain(module, entitlement.inputs),
        "closed": closed_period_on(session, entitlement.cooperative_id, found.occurred_on),
    }


# --- lots ---


@bp.get("/lots")
@requires(*READERS)
def lots() -> ResponseReturnValue:
    """The lots one may read."""
    show = request.args.get("show", "")
    found = queries.lots_visible_to(current_actor())
    if show == "empty":
        found = found.where(Lot.received_g == 0)
    page = page_of(current_session(), found.options(joinedload(Lot.cooperative)))
    return render_template(
        "linkage/lots.html", page=page, show=show, usable_g=queries.usable_g, free_g=queries.free_g
    )


@bp.route("/lots/new", methods=["GET", "POST"])
@requires(RECORDS)
def new_lot() -> ResponseReturnValue:
    """Open a lot."""
    session, actor = current_session(), current_actor()
    form = LotForm()
    cooperative = session.get(Cooperative, actor.cooperative_id or 0)
    if cooperative is None:
        raise NotFound
    villages = children_of(session, cooperative.village.parent_code or cooperative.county_code)
    form.village_code.choices = [SelectChoice(village.code, village.name) for village in villages]
    if not form.is_submitted():
        form.village_code.data = cooperative.village_code
    if form.validate_on_submit():
        try:
            opened = rules.open_lot(
                session,
                actor,
                lot_no=form.lot_no.data or "",
                commodity=form.commodity.data or "",
                village_code=form.village_code.data,
                harvested_on=form.harvested_on.data,
                yield_bp=form.yield_bp.data or 0,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("批次 %(lot_no)s 已建好，可以开始过磅", lot_no=opened.lot_no), "success")
            return redirect(url_for(".lot", lot_no=opened.public_no))
    commodities = queries.commodities_of(session, cooperative.id)
    page = render_template("linkage/new_lot.html", form=form, commodities=commodities)
    return page, 422 if form.errors else 200


@bp.get("/lots/<lot_no>")
@requires(*READERS)
def lot(lot_no: str) -> ResponseReturnValue:
    """One lot: received, sold, free, and whose produce it holds."""
    session = current_session()
    found = queries.lot_by_no(session, current_actor(), lot_no)
    page = page_of(session, queries.entitlements_of_lot(found.id))
    return render_template("linkage/lot.html", page=page, **_lot_facts(found))


@bp.get("/lots/<lot_no>/sheet")
@requires(*READERS)
def lot_sheet(lot_no: str) -> ResponseReturnValue:
    """The sheet of a lot, to print: every slip in the order of recording."""
    session = current_session()
    found = queries.lot_by_no(session, current_actor(), lot_no)
    query = queries.entitlements_of_lot(found.id).order_by(None).order_by(Entitlement.id).limit(SHEET_ROWS)
    return render_template("linkage/lot_sheet.html", rows=session.scalars(query).all(), **_lot_facts(found))


def _lot_facts(found: Lot) -> dict[str, Any]:
    session = current_session()
    return {
        "lot": found,
        "village": queries.village_of(session, found),
        "usable_g": queries.usable_g(found),
        "free_g": queries.free_g(found),
        "totals": queries.totals_of(session, Entitlement.lot_id == found.id),
        "module_of": module_of,
    }


# --- linkage periods ---


@bp.route("/periods", methods=["GET", "POST"])
@requires(RECORDS, Permission.READ_AUDIT)
def periods() -> ResponseReturnValue:
    """The linkage periods, and opening a further one."""
    session, actor = current_session(), current_actor()
    form = PeriodForm()
    if form.validate_on_submit():
        try:
            rules.open_period(
                session,
                actor,
                starts_on=form.starts_on.data,
                ends_on=day_after(form.ends_on.data) or date.max,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("联结期已开设"), "success")
            return redirect(url_for(".periods"))
    page = page_of(session, queries.periods_visible_to(actor))
    totals = queries.period_totals(session, [period.id for period in page.rows])
    shown = render_template(
        "linkage/periods.html",
        page=page,
        totals=totals,
        names={} if actor.cooperative_id else queries.cooperatives_of_periods(session, page.rows),
        form=form,
        today=today(),
    )
    return shown, 422 if form.errors else 200
