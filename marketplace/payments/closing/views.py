"""Pages of closing: the figures of a linkage period and its two people, late corrections, and what waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.csv_sheets import CSV
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.late_corrections.queries import corrections_of_period
from marketplace.linkage.late_corrections.rules import next_number, record_late_correction
from marketplace.linkage.models import Agreement, Evidence, LinkagePeriod, PeriodState
from marketplace.linkage.queries import agreement_by_no, entitlement_by_evidence_no, found_agreements
from marketplace.linkage.uploads import uploaded_document
from marketplace.linkage.views import shown_name
from marketplace.payments.closing import queries, rules, sheets, unallocated
from marketplace.payments.closing.forms import CorrectionForm, Way
from marketplace.payments.closing.models import PeriodClosing
from marketplace.web.downloads import download
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("closing", __name__)
CLOSERS = Permission.CLOSE_PERIODS
READERS = (CLOSERS, Permission.READ_AUDIT)
PRINTED_ROWS = 2_000
SHEETS = {"xlsx": XLSX, "csv": CSV}


def _period(period_no: str) -> LinkagePeriod:
    return queries.period_by_no(current_session(), current_actor(), period_no)


# --- closing a period ---


@bp.get("/linkage/periods/<period_no>")
@requires(*READERS)
def period(period_no: str) -> ResponseReturnValue:
    """What a linkage period owes and has given, household by household, and how far its closing is."""
    session, found = current_session(), _period(period_no)
    corrections = page_of(session, corrections_of_period(found.id)) if _is_closed(found) else None
    return render_template(
        "payments/closing/period.html",
        page=page_of(session, queries.figure_rows(found.id), scalars=False),
        corrections=corrections,
        waiting=unallocated.waiting_in_period(session, found),
        is_over=queries.is_over(found),
        **_facts(found),
    )


@bp.get("/linkage/periods/<period_no>/print")
@requires(*READERS)
def printed(period_no: str) -> ResponseReturnValue:
    """The figures on paper, for the file."""
    session, found = current_session(), _period(period_no)
    rows = session.execute(queries.figure_rows(found.id).limit(PRINTED_ROWS)).all()
    return render_template("payments/closing/print.html", rows=rows, most=PRINTED_ROWS, **_facts(found))


def _is_closed(found: LinkagePeriod) -> bool:
    return found.state is PeriodState.CLOSED


def _facts(found: LinkagePeriod) -> dict[str, Any]:
    session = current_session()
    return {
        "period": found,
        "closing": queries.closing_of(session, found.id),
        "totals": queries.totals_of_period(session, found.id),
        "by_mechanism": queries.totals_by_mechanism(session, found.id),
        "villages": queries.villages_keeping(session, found.id),
    }


@bp.get("/linkage/periods/<period_no>/figures.<kind>")
@requires(*READERS)
def figures(period_no: str, kind: str) -> ResponseReturnValue:
    """The figures as a sheet."""
    found = _period(period_no)
    if kind not in SHEETS:
        raise NotFound
    rows = queries.all_figures(current_session(), found.id)
    if kind == "xlsx":
        content = sheets.figures_xlsx(rows, title=_("关账明细"), translate=_, shown_name=shown_name)
    else:
        content = sheets.figures_csv(rows, translate=_, shown_name=shown_name)
    name = f"{_('关账明细')}-{found.starts_on.isoformat()}-{found.public_no}.{kind}"
    return download(content, SHEETS[kind], name=name)


@bp.post("/linkage/periods/<period_no>/prepare")
@requires(CLOSERS)
def prepare(period_no: str) -> ResponseReturnValue:
    """The first person freezes the figures."""
    found = _period(period_no)
    return _done(
        found,
        lambda: rules.prepare_closing(current_session(), current_actor(), found),
        _("关账已准备好，请另一位同事核对后确认"),
    )


@bp.post("/linkage/periods/<period_no>/confirm")
@requires(CLOSERS)
def confirm(period_no: str) -> ResponseReturnValue:
    """The second person closes the period."""
    closing = _prepared(period_no)
    return _done(
        closing.period,
        lambda: rules.confirm_closing(current_session(), current_actor(), closing),
        _("联结期已关账，不足应得的都已补足"),
    )


@bp.post("/linkage/periods/<period_no>/withdraw")
@requires(CLOSERS)
def withdraw(period_no: str) -> ResponseReturnValue:
    """Give up what was prepared."""
    closing = _prepared(period_no)
    return _done(
        closing.period,
        lambda: rules.withdraw_closing(current_session(), current_actor(), closing),
        _("关账准备已撤回"),
    )


def _prepared(period_no: str) -> PeriodClosing:
    closing = queries.closing_of(current_session(), _period(period_no).id)
    if closing is None or closing.public_no != request.form.get("closing", closing.public_no):
        raise NotFound
    return closing


def _done(found: LinkagePeriod, act: Callable[[], object], words: str) -> ResponseReturnValue:
    """Do it and go back to the period, with what was done or why not."""
    number = found.public_no
    try:
        act()
    except DomainError as error:
        if error.status in {403, 404}:
            raise
        current_session().rollback()
        flash(explain(error), "error")
    else:
        flash(words, "success")
    return redirect(url_for(".period", period_no=number), 303)


# --- late corrections ---


@bp.route("/linkage/periods/<period_no>/correct", methods=["GET", "POST"])
@requires(Permission.RECORD_EVIDENCE)
def correct(period_no: str) -> ResponseReturnValue:
    """Record what a closed period missed: first whose agreement, then how much and why."""
    session, found = current_session(), _period(period_no)
    if not _is_closed(found):
        raise NotFound
    agreement, corrected = _corrected()
    if agreement is None:
        return _choose_agreement(found)
    form = CorrectionForm(data={"number": next_number(session, agreement, found, corrected)})
    form.way.choices = [(way.value, label(way)) for way in Way]
    if form.validate_on_submit():
        try:
            record_late_correction(
                session,
                current_actor(),
                agreement=agreement,
                period=found,
                corrected=corrected,
                amount_fen=form.signed_fen,
                reason=form.reason.data or "",
                number=int(form.number.data) if str(form.number.data).isdecimal() else 0,
                file=uploaded_document(form.file),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("更正已记录"), "success")
            return redirect(url_for(".period", period_no=period_no, _anchor="corrections"), 303)
    page = render_template(
        "payments/closing/correct.html", form=form, period=found, agreement=agreement, corrected=corrected
    )
    return page, 422 if form.errors else 200


def _corrected() -> tuple[Agreement | None, Evidence | None]:
    """Whose agreement is corrected, and which evidence, as the address says. Raises NotFound for another's."""
    session, actor = current_session(), current_actor()
    if evidence_no := request.args.get("evidence"):
        evidence = entitlement_by_evidence_no(session, actor, evidence_no).evidence
        return evidence.agreement_version.agreement, evidence
    if agreement_no := request.args.get("agreement"):
        return agreement_by_no(session, actor, agreement_no), None
    return None, None


def _choose_agreement(found: LinkagePeriod) -> ResponseReturnValue:
    text = request.args.get("q", "").strip()[:60]
    page = page_of(current_session(), found_agreements(current_actor(), text=text))
    return render_template("payments/closing/choose.html", page=page, period=found, text=text)


# --- what waits ---


@bp.get("/linkage/unallocated")
@requires(*READERS)
def unallocated_pools() -> ResponseReturnValue:
    """Pools that wait for evidence, the oldest first, and what is missing."""
    session, actor = current_session(), current_actor()
    page = page_of(session, unallocated.waiting_scopes(actor), scalars=False)
    return render_template(
        "payments/closing/unallocated.html",
        page=page,
        scopes=unallocated.scopes_found(page.rows),
        by_age=unallocated.waiting_by_age(session, actor),
        balance_fen=unallocated.ledger_balance(session, actor),
    )
