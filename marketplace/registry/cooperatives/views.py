"""The pages of a cooperative: its application in four steps, its own profile, and what the public sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session
from wtforms.fields.choices import SelectChoice

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, public, requires, signed_in
from marketplace.identity.documents import document_type
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.registry.cooperatives import queries, rules
from marketplace.registry.cooperatives.forms import (
    CountyForm,
    EvidenceForm,
    FactsForm,
    MemberForm,
    ProfileForm,
    RemoveMemberForm,
    SubmitForm,
)
from marketplace.registry.cooperatives.queries import ApplicationStep
from marketplace.registry.models import Cooperative, CooperativeState, FiveOnesItem, MemberRole
from marketplace.registry.reviews.queries import decisions_of, last_decision_of
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("cooperatives", __name__)
Section = Callable[
    [Session, Cooperative], tuple[str, dict[str, Any]]
]  # what rooms above add to the public page
manager = requires(Permission.MANAGE_COOPERATIVE)
PAGES = {
    ApplicationStep.FACTS: "cooperatives.facts",
    ApplicationStep.MEMBERS: "cooperatives.members",
    ApplicationStep.FIVE_ONES: "cooperatives.five_ones",
    ApplicationStep.CHECK: "cooperatives.check",
}


def _application() -> Cooperative:
    return queries.own_cooperative(current_session(), current_actor())


def _away(cooperative: Cooperative | None) -> ResponseReturnValue | None:
    """Where to go instead, when there is no application to fill in."""
    if cooperative is None or cooperative.state is CooperativeState.DRAFT:
        return None
    return redirect(url_for("cooperatives.own"))


def _step_page(name: str, step: ApplicationStep, cooperative: Cooperative | None, **context: object) -> str:
    missing = queries.missing_parts(current_session(), cooperative) if cooperative else []
    open_steps = {part.step for part in missing} if cooperative else set(ApplicationStep)
    case = queries.last_entry_case(current_session(), cooperative) if cooperative else None
    return render_template(
        f"registry/cooperatives/{name}.html",
        pages=PAGES,
        step=step,
        cooperative=cooperative,
        missing=missing,
        open_steps=open_steps,
        returned=last_decision_of(current_session(), case) if case else None,
        **context,
    )


# --- the application ---


@bp.get("/apply")
@public
def apply() -> ResponseReturnValue:
    """What is asked for; for those who have begun, the first page that lacks something."""
    session = current_session()
    cooperative = queries.cooperative_of(session, current_actor())
    if cooperative is None:
        return render_template("registry/cooperatives/start.html", pages=PAGES)
    if cooperative.state is not CooperativeState.DRAFT:
        return redirect(url_for("cooperatives.own"))
    missing = queries.missing_parts(session, cooperative)
    return redirect(url_for(PAGES[missing[0].step if missing else ApplicationStep.CHECK]))


@bp.route("/apply/facts", methods=["GET", "POST"])
@signed_in
def facts() -> ResponseReturnValue:
    """Step 1: who the cooperative is. The first save begins the application."""
    session, actor = current_session(), current_actor()
    cooperative = queries.cooperative_of(session, actor)
    elsewhere = _away(cooperative)
    if elsewhere:
        return elsewhere
    form = FactsForm(obj=cooperative)
    if cooperative and request.method == "GET":
        form.place(cooperative.village_code)
    form.offer(session)
    if "refresh" not in request.form and form.validate_on_submit():
        try:
            _save_facts(form, cooperative)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("基本情况已保存"), "success")
            return redirect(url_for("cooperatives.members"))
    tail = queries.bank_account_tail(current_app.extensions["data_key"], cooperative) if cooperative else ""
    page = _step_page("facts", ApplicationStep.FACTS, cooperative, form=form, account_tail=tail)
    return page, 422 if form.errors else 200


def _save_facts(form: FactsForm, cooperative: Cooperative | None) -> None:
    session, actor, data_key = current_session(), current_actor(), current_app.extensions["data_key"]
    names = ("name", "uscc", "county_code", "village_code", "legal_person", "phone", "bank_account", "story")
    values = {name: form[name].data or "" for name in names}
    if cooperative is None:
        rules.apply_cooperative(session, actor, data_key, **values)
    else:
        rules.change_application(session, actor, data_key, cooperative, **values)


@bp.route("/apply/members", methods=["GET", "POST"])
@manager
def members() -> ResponseReturnValue:
    """Step 2: one leads, the others take part; one member a save."""
    session, cooperative = current_session(), _application()
    elsewhere = _away(cooperative)
    if elsewhere:
        return elsewhere
    form = MemberForm()
    form.role.choices = [SelectChoice(role.value, label(role)) for role in MemberRole]
    if form.validate_on_submit():
        try:
            rules.add_cooperative_member(
                session,
                current_actor(),
                cooperative,
                role=MemberRole(form.role.data),
                name=form.name.data or "",
                position=form.position.data or "",
                related_party=form.related_party.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("成员已登记"), "success")
            return redirect(url_for("cooperatives.members"))
    named = queries.members_of(session, cooperative.id)
    page = _step_page("members", ApplicationStep.MEMBERS, cooperative, form=form, members=named)
    return page, 422 if form.errors else 200


@bp.post("/apply/members/remove")
@manager
def remove_member() -> ResponseReturnValue:
    """Take a member off."""
    form = RemoveMemberForm()
    if not form.validate_on_submit():
        raise NotFound
    rules.remove_cooperative_member(
        current_session(),
        current_actor(),
        _application(),
        role=MemberRole(form.role.data),
        name=form.name.data or "",
    )
    flash(_("成员已删去"), "success")
    return redirect(url_for("cooperatives.members"))


@bp.get("/apply/five-ones")
@manager
def five_ones() -> ResponseReturnValue:
    """Step 3: the five items, each with words and a document."""
    cooperative = _application()
    return _away(cooperative) or _five_ones_page(cooperative)


def _five_ones_page(cooperative: Cooperative, wrong: EvidenceForm | None = None, item: str = "") -> str:
    evidence = queries.five_ones_of(current_session(), cooperative.id)
    forms = {
        one: EvidenceForm(formdata=None, prefix=f"{one}-", obj=evidence.get(one)) for one in FiveOnesItem
    }
    if wrong is not None:
        forms[FiveOnesItem(item)] = wrong
    files = queries.evidence_files_of(current_session(), evidence)
    return _step_page(
        "five_ones", ApplicationStep.FIVE_ONES, cooperative, forms=forms, evidence=evidence, files=files
    )


@bp.post("/apply/five-ones/<item>")
@manager
def record_item(item: str) -> ResponseReturnValue:
    """Save one item."""
    if item not in list(FiveOnesItem):
        raise NotFound
    session, actor, cooperative = current_session(), current_actor(), _application()
    form = EvidenceForm(prefix=f"{item}-")
    if form.validate_on_submit():
        try:
            file = _kept_upload(form)
            rules.record_five_ones(
                session, actor, cooperative, item=FiveOnesItem(item), note=form.note.data or "", file=file
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("“%(item)s”已保存", item=label(FiveOnesItem(item))), "success")
            return redirect(url_for("cooperatives.five_ones", _anchor=item))
    return _five_ones_page(_application(), form, item), 422


def _kept_upload(form: EvidenceForm) -> StoredFile | None:
    upload = form.file.data
    if not upload:
        return None
    content = upload.read()
    return keep_file(
        current_session(),
        current_actor(),
        current_app.extensions["files"],
        content=content,
        name=upload.filename or "",
        media_type=document_type(content),
        sealed=True,
    )


@bp.route("/apply/check", methods=["GET", "POST"])
@manager
def check() -> ResponseReturnValue:
    """Step 4: everything on one page, what is missing with links, and the submission."""
    session, actor, cooperative = current_session(), current_actor(), _application()
    elsewhere = _away(cooperative)
    if elsewhere:
        return elsewhere
    form = SubmitForm()
    if form.validate_on_submit():
        try:
            rules.submit_application(session, actor, cooperative)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("申请已提交，请等待村级初审"), "success")
            return redirect(url_for("cooperatives.own"))
    page = _step_page("check", ApplicationStep.CHECK, cooperative, form=form, **_own_parts(cooperative))
    return page, 422 if form.errors else 200


def _own_parts(cooperative: Cooperative) -> dict[str, object]:
    session = current_session()
    evidence = queries.five_ones_of(session, cooperative.id)
    return {
        "members": queries.members_of(session, cooperative.id),
        "items": list(FiveOnesItem),
        "evidence": evidence,
        "files": queries.evidence_files_of(session, evidence),
        "account_tail": queries.bank_account_tail(current_app.extensions["data_key"], cooperative),
    }


# --- the own profile ---


@bp.route("/cooperative", methods=["GET", "POST"])
@requires(Permission.MANAGE_COOPERATIVE, Permission.MANAGE_LISTINGS)
def own() -> ResponseReturnValue:
    """The own cooperative: where the review stands, what the public sees, what was shown."""
    session, actor = current_session(), current_actor()
    cooperative = queries.own_cooperative(session, actor)
    form = ProfileForm(obj=cooperative)
    if form.validate_on_submit():
        try:
            rules.change_profile(
                session, actor, cooperative, story=form.story.data or "", phone=form.phone.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("资料已更新"), "success")
            return redirect(url_for("cooperatives.own"))
    case = queries.last_entry_case(session, cooperative)
    page = render_template(
        "registry/cooperatives/own.html",
        cooperative=cooperative,
        form=form,
        case=case,
        decisions=decisions_of(session, case) if case else [],
        **_own_parts(cooperative),
    )
    return page, 422 if form.errors else 200


@bp.post("/cooperative/reopen")
@manager
def reopen() -> ResponseReturnValue:
    """Begin again after a refusal."""
    rules.reopen_application(current_session(), current_actor(), _application())
    flash(_("可以修改后重新提交了"), "success")
    return redirect(url_for("cooperatives.check"))


# --- the public ---


@bp.get("/cooperatives")
@public
def index() -> ResponseReturnValue:
    """The admitted cooperatives, by county."""
    session = current_session()
    places = queries.counties_of_cooperatives(session)
    form = CountyForm(request.args)
    form.county.choices = [
        SelectChoice("", _("全部县（市、区）")),
        *(SelectChoice(place.code, place.full_name) for place in places),
    ]
    page = page_of(session, queries.admitted_cooperatives(form.county.data or ""))
    counts = queries.public_household_counts(session, [row.id for row in page.rows])
    return render_template("registry/cooperatives/index.html", form=form, page=page, counts=counts)


@bp.get("/cooperatives/<cooperative_no>")
@public
def show(cooperative_no: str) -> ResponseReturnValue:
    """One cooperative as the public sees it."""
    session = current_session()
    cooperative = queries.public_cooperative(session, cooperative_no)
    count = queries.public_household_counts(session, [cooperative.id])[cooperative.id]
    sections: Sequence[Section] = current_app.extensions["cooperative_sections"]
    return render_template(
        "registry/cooperatives/show.html",
        cooperative=cooperative,
        household_count=count,
        sections=[section(session, cooperative) for section in sections],
    )
