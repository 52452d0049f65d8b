"""Pages of recording by the sheet: upload, see what would be recorded and what to mend, take the good rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired

from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage import queries, sheet_rules, sheets
from marketplace.linkage.models import Lot
from marketplace.linkage.sheet_format import Finding
from marketplace.linkage.sheet_models import EvidenceSheet
from marketplace.linkage.sheet_queries import sheet_by_no, sheets_visible_to
from marketplace.linkage.sheet_work import SheetState, SheetWork
from marketplace.linkage.sheet_workbooks import empty_sheet
from marketplace.registry.roster.rules import MEDIA_TYPES
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.workbooks import write_marked
from marketplace.web.downloads import download
from marketplace.web.forms import place_error, tell
from marketplace.web.locale import counted
from marketplace.web.paging import page_of
from marketplace.web.progress import Progress, progress_answer
from marketplace.web.transaction import current_session

bp = Blueprint("sheets", __name__)
recording = requires(Permission.RECORD_EVIDENCE)
FINDINGS_SHOWN = 100


class SheetForm(FlaskForm):
    """One file: CSV or XLSX."""

    file = FileField(
        _l("登记表文件"), [FileRequired(_l("请选择登记表文件"))], render_kw={"accept": ".csv,.xlsx,.txt"}
    )


@bp.route("/sheets/new/<name>", methods=["GET", "POST"])
@recording
def upload(name: str) -> ResponseReturnValue:
    """Upload a sheet (`?lot=` where it belongs to one); those uploaded before are listed below."""
    session, actor = current_session(), current_actor()
    sheet_format, lot = sheets.format_named(name), _asked_lot()
    if sheet_format.needs_lot and lot is None:
        return redirect(url_for("linkage.lots"))
    form = SheetForm()
    if form.validate_on_submit():
        chosen = form.file.data
        try:
            sheet = sheet_rules.upload_sheet(
                session,
                actor,
                current_app.extensions["files"],
                sheet_format=sheet_format,
                lot=lot,
                content=chosen.read(),
                file_name=chosen.filename or sheet_format.title,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            return redirect(url_for(".show", sheet_no=sheet.public_no), 303)
    page = page_of(session, sheets_visible_to(actor, sheet_format.name, lot))
    shown = render_template(
        "linkage/sheet_upload.html",
        form=form,
        sheet_format=sheet_format,
        lot=lot,
        page=page,
        most=sheets.MOST_ROWS,
    )
    return shown, 422 if form.errors else 200


def _asked_lot() -> Lot | None:
    lot_no = request.args.get("lot", "")
    return queries.lot_by_no(current_session(), current_actor(), lot_no) if lot_no else None


@bp.get("/sheets/template/<name>.xlsx")
@recording
def template(name: str) -> ResponseReturnValue:
    """The empty template."""
    sheet_format = sheets.format_named(name)
    return download(empty_sheet(sheet_format, _), MEDIA_TYPES["xlsx"], name=_(sheet_format.title) + ".xlsx")


@bp.get("/sheets/<sheet_no>")
@recording
def show(sheet_no: str) -> ResponseReturnValue:
    """One sheet: what its good rows come to, and what to mend in the others."""
    sheet = _sheet(sheet_no)
    return render_template(
        "linkage/sheet.html",
        sheet=sheet,
        progress=progress_of(sheet),
        sheet_format=sheets.format_named(sheet.format),
        findings=findings_of(sheet.findings[:FINDINGS_SHOWN]),
        findings_more=max(0, len(sheet.findings) - FINDINGS_SHOWN),
        explain=explain_finding,
    )


@bp.get("/sheets/<sheet_no>/progress")
@recording
def progress(sheet_no: str) -> ResponseReturnValue:
    """How far a sheet is, asked every second."""
    return progress_answer(progress_of(_sheet(sheet_no)), url_for(".progress", sheet_no=sheet_no))


@bp.post("/sheets/<sheet_no>/take")
@recording
def take(sheet_no: str) -> ResponseReturnValue:
    """Record the good rows."""
    sheet = _sheet(sheet_no)
    sheet_rules.take_sheet(current_session(), current_actor(), current_app.extensions["files"], sheet)
    if sheet.state is SheetState.TAKEN:
        flash(counted("已入账 %(count)s 行", sheet.rows_good), "success")
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


@bp.post("/sheets/<sheet_no>/check")
@recording
def check(sheet_no: str) -> ResponseReturnValue:
    """Check again."""
    sheet = _sheet(sheet_no)
    sheet_rules.check_again(current_session(), current_actor(), current_app.extensions["files"], sheet)
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


@bp.post("/sheets/<sheet_no>/stop")
@recording
def stop(sheet_no: str) -> ResponseReturnValue:
    """Check or take no further row."""
    try:
        sheet_rules.stop_sheet(current_session(), current_actor(), _sheet(sheet_no))
    except Conflict as error:
        tell(error)
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


@bp.post("/sheets/<sheet_no>/resume")
@recording
def resume(sheet_no: str) -> ResponseReturnValue:
    """Go on with a sheet that was stopped."""
    sheet_rules.resume_sheet(current_session(), current_actor(), _sheet(sheet_no))
    return redirect(url_for(".show", sheet_no=sheet_no), 303)


def progress_of(sheet: SheetWork) -> Progress | None:
    """How far a sheet is checked or taken; None when nothing goes on."""
    if not sheet.is_open:
        return None
    checks = sheet.state is SheetState.CHECKING
    message = N_("正在逐行检查") if checks else N_("正在逐行录入")
    return Progress(message, sheet.rows_done, sheet.rows_total)


@bp.get("/sheets/<sheet_no>/marked.xlsx")
@recording
def marked(sheet_no: str) -> ResponseReturnValue:
    """The uploaded sheet with bad cells red and what to do beside them."""
    sheet = _sheet(sheet_no)
    if not sheet.findings:
        raise NotFound
    content = sheet_rules.content_of(current_session(), current_app.extensions["files"], sheet)
    reader = sheets.sheet_reader(sheets.format_named(sheet.format), content)
    return download_marked(reader, sheet.findings, sheet.file_name)


def download_marked(reader: SheetReader, findings: Sequence[Mapping[str, Any]], file_name: str) -> Response:
    """A sheet as it was uploaded, with the bad cells of its kept findings red and what to do beside them."""
    target = BytesIO()
    write_marked(target, reader, findings_of(findings), heading=_("问题与修改办法"), explain=explain_finding)
    name = _("%(name)s（已标注）", name=file_name.rsplit(".", 1)[0]) + ".xlsx"
    return download(target.getvalue(), MEDIA_TYPES["xlsx"], name=name)


def _sheet(sheet_no: str) -> EvidenceSheet:
    return sheet_by_no(current_session(), current_actor(), sheet_no)


def findings_of(kept: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What was found in a sheet, as it keeps it, in the order of its rows."""
    return [Finding(**one) for one in kept]


def explain_finding(finding: Finding) -> str:
    """The message of a finding in the reader's language."""
    params: dict[str, Any] = {
        key: _(value) if isinstance(value, str) and value else value for key, value in finding.params.items()
    }
    text = str(_(finding.message))
    return text % params if params else text
