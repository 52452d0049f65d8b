"""Household bank accounts: who lacks one, recording one, a whole sheet of them, and looking at one for a reason."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.crypto import DataKey
from marketplace.core.errors import DomainError, NotFound
from marketplace.core.workbooks import XLSX
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.payments.payouts import account_queries, account_rules, account_sheets, queries
from marketplace.payments.payouts.account_template import template
from marketplace.payments.payouts.forms import AccountForm, AccountSheetForm
from marketplace.payments.payouts.models import SheetState
from marketplace.payments.payouts.views import LONGEST_LIST, UNPROCESSABLE, current_files
from marketplace.registry.forms import ReasonForm
from marketplace.registry.models import Household
from marketplace.registry.queries import household_by_no
from marketplace.web.downloads import download
from marketplace.web.errors import explain
from marketplace.web.forms import place_error
from marketplace.web.locale import counted
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("payout_accounts", __name__)
recording = requires(Permission.ENROL_HOUSEHOLDS, Permission.VOUCH_FOR_HOUSEHOLDS, Permission.RECORD_STATUS)


def _data_key() -> DataKey:
    key: DataKey = current_app.extensions["data_key"]
    return key


@bp.route("/payouts/accounts", methods=["GET", "POST"])
@recording
def index() -> ResponseReturnValue:
    """Whose account the bank refused, who has none, and bringing a sheet."""
    session, actor, form = current_session(), current_actor(), AccountSheetForm()
    if form.validate_on_submit():
        upload = form.file.data
        try:
            sheet = account_sheets.upload_accounts(
                session,
                actor,
                current_files(),
                content=upload.read(),
                file_name=upload.filename or "accounts.xlsx",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            if sheet.state is SheetState.TAKEN:
                flash(_("这份文件已经导入过，没有重复办理"), "info")
            return redirect(url_for("payout_accounts.sheet", sheet_no=sheet.public_no), 303)
    refused = session.scalars(queries.households_refused(actor).limit(LONGEST_LIST)).all()
    page = render_template(
        "payments/payouts/accounts.html",
        form=form,
        refused=refused,
        page=page_of(session, queries.households_without_account(actor)),
        sheets=session.scalars(account_queries.sheets_visible_to(actor).limit(10)).all(),
    )
    return page, UNPROCESSABLE if form.errors else 200


@bp.get("/payouts/accounts/template.xlsx")
@recording
def empty_template() -> ResponseReturnValue:
    """The empty sheet."""
    return download(template(), XLSX, name=_("收款账号表") + ".xlsx")


@bp.get("/payouts/accounts/sheets/<sheet_no>")
@recording
def sheet(sheet_no: str) -> ResponseReturnValue:
    """What a sheet says: before it is taken against what is recorded, afterwards as it was taken."""
    session, actor = current_session(), current_actor()
    found = account_queries.sheet_by_no(session, actor, sheet_no)
    examined = None
    if found.state is SheetState.CHECKED:
        examined = account_sheets.examine_accounts(session, actor, _data_key(), current_files(), found)
    findings = [one.as_json() for one in examined.findings[:LONGEST_LIST]] if examined else found.findings
    return render_template("payments/payouts/sheet.html", sheet=found, examined=examined, findings=findings)


@bp.post("/payouts/accounts/sheets/<sheet_no>/take")
@recording
def take_sheet(sheet_no: str) -> ResponseReturnValue:
    """Record the accounts of the good rows, all in one."""
    session, actor = current_session(), current_actor()
    found = account_queries.sheet_by_no(session, actor, sheet_no)
    try:
        taken = account_sheets.take_accounts(session, actor, _data_key(), current_files(), found)
    except DomainError as error:
        if isinstance(error, NotFound):
            raise
        session.rollback()
        flash(explain(error), "error")
    else:
        flash(counted("已登记 %(count)s 户的收款账号", taken.rows_new), "success")
    return redirect(url_for("payout_accounts.sheet", sheet_no=sheet_no), 303)


@bp.route("/households/<household_no>/bank-account", methods=["GET", "POST"])
@requires(
    Permission.ENROL_HOUSEHOLDS,
    Permission.VOUCH_FOR_HOUSEHOLDS,
    Permission.RECORD_STATUS,
    Permission.REVEAL_ID_NUMBERS,
)
def account(household_no: str) -> ResponseReturnValue:
    """The account one household is paid to: recording it, and every earlier one by its last four digits."""
    session, actor, form = current_session(), current_actor(), AccountForm()
    household = household_by_no(session, actor, household_no)
    if form.validate_on_submit() and form.valid_from.data:
        try:
            account_rules.record_account(
                session,
                actor,
                _data_key(),
                household,
                account_number=form.account_number.data or "",
                holder_name=form.holder_name.data or "",
                bank_name=form.bank_name.data or "",
                valid_from=form.valid_from.data,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("收款账号已登记"), "success")
            return redirect(url_for("payout_accounts.account", household_no=household_no), 303)
    page = _account_page(household_by_no(session, actor, household_no), form, ReasonForm(formdata=None))
    return page, UNPROCESSABLE if form.errors else 200


def _account_page(household: Household, form: AccountForm, reason: ReasonForm, shown: str = "") -> str:
    session, actor = current_session(), current_actor()
    standing = account_queries.account_of(session, household.id)
    if not form.account_number.raw_data:
        form.holder_name.data = standing.holder_name if standing else household.head_name
        form.bank_name.data = standing.bank_name if standing else None
    in_care = account_queries.households_to_record(actor).where(Household.id == household.id)
    reveals = actor.can(Permission.REVEAL_ID_NUMBERS)
    return render_template(
        "payments/payouts/account.html",
        household=household,
        form=form,
        reason=reason,
        shown=shown,
        standing=standing,
        failure=account_queries.last_failure(session, standing) if standing else None,
        history=account_queries.account_history(session, household.id),
        payouts=queries.payouts_of_household(session, household.id, limit=20),
        records=session.scalar(in_care.with_only_columns(Household.id)) is not None,
        reveals=account_queries.reveals_of(session, household.id) if reveals else [],
    )


@bp.post("/households/<household_no>/bank-account/reveal")
@requires(Permission.REVEAL_ID_NUMBERS)
def reveal(household_no: str) -> ResponseReturnValue:
    """Show the account number, once, on the answering page; the reason is kept."""
    session, actor, reason = current_session(), current_actor(), ReasonForm()
    household = household_by_no(session, actor, household_no)
    standing = account_queries.account_of(session, household.id)
    if standing is None:
        raise NotFound
    shown = ""
    if reason.validate_on_submit():
        try:
            shown = account_rules.reveal_account(
                session, actor, _data_key(), standing, reason=reason.reason.data or ""
            )
        except DomainError as error:
            place_error(reason, error)
    page = _account_page(
        household_by_no(session, actor, household_no), AccountForm(formdata=None), reason, shown
    )
    response = make_response(page, UNPROCESSABLE if reason.errors else 200)
    response.headers["Cache-Control"] = "no-store"
    return response
