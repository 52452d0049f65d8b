"""Pages of bringing in a sheet: upload, see what is good and what to mend, take the good rows."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired

from marketplace.catalog.sheets import rules
from marketplace.catalog.sheets.format import CatalogFormat
from marketplace.catalog.sheets.models import CatalogSheet, SheetKind
from marketplace.catalog.sheets.queries import sheet_by_no, sheets_of
from marketplace.catalog.sheets.table import FORMATS
from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.sheet_views import download_marked, explain_finding, findings_of, progress_of
from marketplace.linkage.sheet_work import SheetState
from marketplace.linkage.sheet_workbooks import empty_sheet
from marketplace.linkage.sheets import MOST_ROWS, sheet_reader
from marketplace.registry.roster.rules import MEDIA_TYPES
from marketplace.web.downloads import download
from marketplace.web.forms import place_error, tell
from marketplace.web.locale import counted
from marketplace.web.paging import page_of
from marketplace.web.progress import progress_answer
from marketplace.web.transaction import current_session

bp = Blueprint("catalog_sheets", __name__, url_prefix="/catalog-sheets")
bringing = requires(Permission.MANAGE_LISTINGS, Permission.MANAGE_REFERENCE_PRICES)
FINDINGS_SHOWN = 100


class SheetForm(FlaskForm):
    """One file: CSV or XLSX."""

    file = FileField(
        _l("表格文件"), [FileRequired(_l("请选择表格文件"))], render_kw={"accept": ".csv,.xlsx,.txt"}
    )


def _format(kind: SheetKind) -> CatalogFormat:
    """The format of a kind the actor may bring. Raises NotFound, Forbidden."""
    current_actor().require(FORMATS[kind].permission)
    return FORMATS[kind]


def _kind(code: str) -> SheetKind:
    kind = SheetKind.known(code)
    if kind is None or kind not in FORMATS:
        raise NotFound
    return kind


def _sheet(sheet_no: str) -> CatalogSheet:
    return sheet_by_no(current_session(), current_actor(), sheet_no)


@bp.route("/new/<kind>", methods=["GET", "POST"])
@bringing
def upload(kind: str) -> ResponseReturnValue:
    """Upload a sheet; those uploaded before are listed below."""
    session, actor, wanted, form = current_session(), current_actor(), _kind(kind), SheetForm()
    sheet_format = _format(wanted)
    if form.validate_on_submit():
        chosen = form.file.data
        try:
            sheet = rules.upload_sheet(
                session,
                actor,
                current_app.extensions["files"],
                kind=wanted,
                sheet_format=sheet_format,
                content=chosen.read(),
                file_name=chosen.filename or sheet_format.title,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            return redirect(url_for(".show", sheet_no=sheet.public_no), 303)
    page = page_of(session, sheets_of(actor, wanted))
    shown = render_template(
        "catalog/sheets/upload.html",
        form=form,
        sheet_format=sheet_format,
        kind=wanted,
        page=page,
        most=MOST_ROWS,
    )
    return shown, 422 if form.errors else 200


@bp.get("/template/<kind>.xlsx")
@bringing
def template(kind: str) -> ResponseReturnValue:
    """The empty template."""
    sheet_format = _format(_kind(kind))
    return download(empty_sheet(sheet_format, _), MEDIA_TYPES["xlsx"], name=_(sheet_format.title) + ".xlsx")


@bp.get("/<sheet_no>")
@bringing
def show(sheet_no: str) -> ResponseReturnValue:
    """One sheet: how many rows are good, and what to mend in the others."""
    sheet = _sheet(sheet_no)
    return render_template(
        "catalog/sheets/show.html",
        sheet=sheet,
        progress=progress_of(sheet),
        sheet_format=_format(sheet.kind),
        findings=findings_of(sheet.findings[:FINDINGS_SHOWN]),
        findings_more=max(0, len(sheet.findings) - FINDINGS_SHOWN),
        explain=explain_finding,
    )


@bp.get("/<sheet_no>/progress")
@bringing
def progress(sheet_no: str) -> ResponseReturnValue:
    """How far a sheet is, asked every second."""
    return progress_answer(progress_of(_sheet(sheet_no)), url_for(".progress", sheet_no=sheet_no))


@bp.post("/<sheet_no>/take")
@bringing
def take(sheet_no: str) -> ResponseReturnValue:
    """Record the good rows."""
    sheet = _sheet(sheet_no)
    rules.take_sheet(
        current_session(), current_actor(), current_app.extensions["files"], sheet, _format(sheet.kind)
    )
    if sheet.state is SheetState.TAKEN:
        flash(counted("已录入 %(count)s 行", sheet.rows_good), "success")
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


@bp.post("/<sheet_no>/stop")
@bringing
def stop(sheet_no: str) -> ResponseReturnValue:
    """Check or take no further row."""
    sheet = _sheet(sheet_no)
    try:
        rules.stop_sheet(current_session(), current_actor(), sheet, _format(sheet.kind))
    except Conflict as error:
        tell(error)
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


@bp.post("/<sheet_no>/resume")
@bringing
def resume(sheet_no: str) -> ResponseReturnValue:
    """Go on with a sheet that was stopped."""
    sheet = _sheet(sheet_no)
    rules.resume_sheet(current_session(), current_actor(), sheet, _format(sheet.kind))
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


@bp.get("/<sheet_no>/marked.xlsx")
@bringing
def marked(sheet_no: str) -> ResponseReturnValue:
    """The uploaded sheet with bad cells red and what to do beside them."""
    sheet = _sheet(sheet_no)
    if not sheet.findings:
        raise NotFound
    content = rules.content_of(current_session(), current_app.extensions["files"], sheet)
    return download_marked(sheet_reader(_format(sheet.kind), content), sheet.findings, sheet.file_name)
