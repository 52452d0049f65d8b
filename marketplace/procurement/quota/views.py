"""Filing a reserved quota and confirming it, the shared canteen, the rules. How far a unit is: `reporting/quota`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.queries import category_tree
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.uploads import uploaded_documents
from marketplace.procurement.quota import policy, queries, rules, sharing as sharings
from marketplace.procurement.quota.forms import FilingForm, ReturnForm, RuleForm, SharingForm
from marketplace.procurement.quota.models import QuotaFiling
from marketplace.registry.buyer_units.queries import own_unit
from marketplace.web.downloads import download
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("quota", __name__)
P = Permission
DUTIES = (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
orderer = requires(P.ORDER_FOR_UNIT)
member = requires(*DUTIES)
reader = requires(*DUTIES, P.READ_QUOTAS)
RULE_READERS = (*DUTIES, P.READ_QUOTAS, P.MANAGE_QUOTA_RULES)


# --- filing ---


@bp.route("/quota/file", methods=["GET", "POST"])
@orderer
def file() -> ResponseReturnValue:
    """File this year's quota, file it again after it came back, or amend what is in force."""
    session, actor = current_session(), current_actor()
    unit, year = own_unit(session, actor), today().year
    rule = queries.rule_for(session, unit.county_code, year)
    in_force = queries.filing_in_force(session, unit.id, year)
    form = FilingForm(data=_first_values(year, in_force, rule))
    if form.validate_on_submit():
        try:
            filing = rules.file_quota(
                session,
                actor,
                year=form.year.data or 0,
                base_fen=form.base_fen.data or 0,
                reserve_bp=form.reserve_bp.data or 0,
                papers=uploaded_documents(form.papers),
                explanation=form.explanation.data or "",
                amendment_reason=form.amendment_reason.data or "",
                contractor=form.contractor.data or "",
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("申报已提交，等本单位审批人确认后生效"), "success")
            return redirect(url_for(".filing", filing_no=filing.public_no), 303)
    page = render_template(
        "procurement/quota/file.html",
        form=form,
        unit=unit,
        year=year,
        rule=rule,
        is_late=rule is not None and in_force is None and today() > rule.due_on,
        in_force=in_force,
        waiting=None if form.errors else queries.undecided_filing(session, unit.id, year),
        last=queries.filing_in_force(session, unit.id, year - 1),
        membership=queries.membership_of(session, unit.id, year),
    )
    return page, 422 if form.errors else 200


def _first_values(
    year: int, in_force: QuotaFiling | None, rule: queries.RuleOfYear | None
) -> dict[str, object]:
    if in_force is not None:
        return {
            "year": year,
            "base_fen": in_force.base_fen,
            "reserve_bp": in_force.reserve_bp,
            "contractor": in_force.contractor,
        }
    return {"year": year, "reserve_bp": rule.rule.percent_bp if rule else None}


@bp.get("/quota/filings/<filing_no>")
@reader
def filing(filing_no: str) -> ResponseReturnValue:
    """One filing: its figures, evidence and decision; the approver decides here."""
    found = queries.filing_by_no(current_session(), current_actor(), filing_no)
    return _filing_page(found, ReturnForm(formdata=None))


def _filing_page(found: QuotaFiling, form: ReturnForm) -> str:
    session, actor = current_session(), current_actor()
    in_force = queries.filing_in_force(session, found.unit_id, found.year)
    waits = found.decision is None and actor.buyer_unit_id == found.unit_id and actor.can(P.APPROVE_ORDERS)
    return render_template(
        "procurement/quota/filing.html",
        filing=found,
        state=queries.state_of(found, in_force),
        decides=waits and found.filed_by != actor.user_id,
        own=waits and found.filed_by == actor.user_id,
        form=form,
    )


@bp.get("/quota/filings/<filing_no>/papers/<file_no>")
@reader
def paper(filing_no: str, file_no: str) -> ResponseReturnValue:
    """A document behind a filing, for the unit and for the finance department."""
    found = queries.filing_by_no(current_session(), current_actor(), filing_no)
    kept = next((one.file for one in found.papers if one.file.public_no == file_no), None)
    if kept is None:
        raise NotFound
    content = current_app.extensions["files"].read(kept.address, sealed=kept.sealed)
    return download(content, kept.media_type, name=kept.name)


@bp.post("/quota/filings/<filing_no>/confirm")
@requires(P.APPROVE_ORDERS, P.ORDER_FOR_UNIT)
def confirm(filing_no: str) -> ResponseReturnValue:
    """Confirm what somebody else filed."""
    session, actor = current_session(), current_actor()
    found = queries.filing_by_no(session, actor, filing_no)
    rules.decide_filing(session, actor, found, is_confirmed=True)
    flash(_("申报已确认生效"), "success")
    return redirect(url_for(".filing", filing_no=filing_no), 303)


@bp.post("/quota/filings/<filing_no>/return")
@requires(P.APPROVE_ORDERS)
def give_back(filing_no: str) -> ResponseReturnValue:
    """Return a filing with a reason."""
    session, actor, form = current_session(), current_actor(), ReturnForm()
    found = queries.filing_by_no(session, actor, filing_no)
    if form.validate_on_submit():
        try:
            rules.decide_filing(session, actor, found, is_confirmed=False, note=form.note.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("申报已退回"), "success")
            return redirect(url_for(".filing", filing_no=filing_no), 303)
    return _filing_page(queries.filing_by_no(session, actor, filing_no), form), 422


# --- shared canteens ---


@bp.route("/quota/sharing", methods=["GET", "POST"])
@member
def sharing() -> ResponseReturnValue:
    """The canteen the unit shares this year, or the form to propose one."""
    session, actor = current_session(), current_actor()
    unit, year = own_unit(session, actor), today().year
    form = SharingForm(data={"representative_code": unit.uscc})
    if form.is_submitted() and not actor.can(P.ORDER_FOR_UNIT):
        raise Forbidden
    if form.validate_on_submit():
        try:
            sharings.propose_sharing(
                session,
                actor,
                name=form.name.data or "",
                credit_codes=[unit.uscc, *(form.credit_codes.data or "").replace("，", " ").split()],
                representative_code=form.representative_code.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("已发起合用食堂，等其他单位同意后由本单位统一申报"), "success")
            return redirect(url_for(".sharing"), 303)
    page = render_template(
        "procurement/quota/sharing.html",
        form=form,
        unit=unit,
        year=year,
        membership=queries.membership_of(session, unit.id, year),
        cover=queries.cover_of(session, unit.id, year),
    )
    return page, 422 if form.errors else 200


@bp.post("/quota/sharing/agree")
@orderer
def agree() -> ResponseReturnValue:
    """Agree to share the canteen."""
    sharings.agree_to_sharing(current_session(), current_actor())
    flash(_("已同意合用食堂，由代表单位统一申报"), "success")
    return redirect(url_for(".sharing"), 303)


@bp.post("/quota/sharing/leave")
@orderer
def leave() -> ResponseReturnValue:
    """Decline, leave or dissolve the shared canteen."""
    sharings.leave_sharing(current_session(), current_actor())
    flash(_("本单位已不在合用食堂里，可以单独申报"), "success")
    return redirect(url_for(".sharing"), 303)


# --- rules ---


@bp.route("/quota-rules", methods=["GET", "POST"])
@requires(*RULE_READERS)
def quota_rules() -> ResponseReturnValue:
    """The rules that hold and, with `?versions=all`, every version; operator and province set them here."""
    session, actor = current_session(), current_actor()
    form = RuleForm(data={"year": today().year})
    form.offer(session, actor)
    if form.is_submitted() and not actor.can(P.MANAGE_QUOTA_RULES):
        raise Forbidden
    if form.validate_on_submit():
        try:
            policy.set_quota_rule(session, actor, **_rule_of(form))
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("规则已设置，从现在起的申报按它执行"), "success")
            return redirect(url_for(".quota_rules"), 303)
    shows_all = request.args.get("versions") == "all"
    page = render_template(
        "procurement/quota/rules.html",
        form=form,
        page=page_of(session, queries.all_versions() if shows_all else queries.rules_in_force()),
        shows_all=shows_all,
        categories={one.code: one for one in category_tree(session)},
        may_set=actor.can(P.MANAGE_QUOTA_RULES),
    )
    return page, 422 if form.errors else 200


def _rule_of(form: RuleForm) -> dict[str, Any]:
    return {
        "region_code": form.region_code.data or None,
        "year": form.year.data,
        "percent_bp": form.percent_bp.data,
        "filing_due_on": form.filing_due_on.data,
        "category_codes": form.category_codes.data or [],
        "scope_note": form.scope_note.data or "",
        "basis": form.basis.data or "",
        "reason": form.reason.data or "",
    }
