"""Roster imports: uploading, progress, findings, the marked-up sheet, taking the good rows."""

from __future__ import annotations

from io import BytesIO

import structlog
from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.downloads.views import hand_in
from marketplace.identity.permissions import Permission
from marketplace.registry.jobs import CHECK_ROSTERS, TAKE_ROSTERS
from marketplace.registry.models import ImportState, RosterImport
from marketplace.registry.roster import queries, rules
from marketplace.registry.roster.checking import LINES_A_STEP, check_at_once, progress_of
from marketplace.registry.roster.columns import Column
from marketplace.registry.roster.forms import UploadForm
from marketplace.registry.roster.marked import (
    MARKED,
    XLSX,
    can_mark,
    explain_finding,
    write_marked_roster,
)
from marketplace.registry.roster.workbooks import HOW_TO_FILL, template
from marketplace.web.downloads import download
from marketplace.web.forms import place_error, tell
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.progress import progress_answer
from marketplace.web.transaction import current_session

bp = Blueprint("roster", __name__)
enrolling = requires(Permission.ENROL_HOUSEHOLDS)
log = structlog.get_logger()
FINDINGS_A_PAGE = 50
WHOLE_ROW = "-"


@bp.route("/rosters", methods=["GET", "POST"])
@enrolling
def imports() -> ResponseReturnValue:
    """The cooperative's imports, and uploading another. A short roster is checked at once."""
    form = UploadForm()
    if form.validate_on_submit():
        try:
            return redirect(url_for("roster.show", roster_no=_upload(form).public_no))
        except DomainError as error:
            place_error(form, error)
    page = page_of(current_session(), queries.rosters_visible_to(current_actor()))
    answer = render_template(
        "registry/roster/index.html", form=form, page=page, columns=Column, notes=HOW_TO_FILL
    )
    return answer, 422 if form.errors else 200


def _upload(form: UploadForm) -> RosterImport:
    session, actor, extensions = current_session(), current_actor(), current_app.extensions
    upload = form.file.data
    roster = rules.upload_roster(
        session, actor, extensions["files"], content=upload.read(), file_name=upload.filename or "名册"
    )
    if roster.state is not ImportState.UPLOADED:
        flash(_("这份文件已经上传过，没有重复登记"), "info")
    elif not check_at_once(session, extensions["data_key"], extensions["files"], roster):
        nudge(CHECK_ROSTERS)
    return roster


@bp.get("/rosters/template.xlsx")
@enrolling
def empty_template() -> ResponseReturnValue:
    """The empty template."""
    return download(template(_), XLSX, name=_("农户名册模板") + ".xlsx")


def _roster(roster_no: str) -> RosterImport:
    return queries.roster_by_no(current_session(), current_actor(), roster_no)


@bp.get("/rosters/<roster_no>")
@enrolling
def show(roster_no: str) -> ResponseReturnValue:
    """One import: how far it is, what is wrong, what would be new."""
    session, roster = current_session(), _roster(roster_no)
    chosen = request.args.get("column", "")[:40]
    column = None if not chosen else "" if chosen == WHOLE_ROW else chosen
    return render_template(
        "registry/roster/show.html",
        roster=roster,
        progress=progress_of(roster),
        counts=queries.finding_counts(session, roster),
        chosen=chosen,
        page=page_of(session, queries.findings_of(roster, column=column), size=FINDINGS_A_PAGE),
        explain=explain_finding,
        can_mark=can_mark(roster),
        is_long=roster.rows_total > LINES_A_STEP,
    )


@bp.get("/rosters/<roster_no>/progress")
@enrolling
def progress(roster_no: str) -> ResponseReturnValue:
    """The progress alone, asked every second; lets the page load anew once the state has changed."""
    return progress_answer(progress_of(_roster(roster_no)), url_for(".progress", roster_no=roster_no))


@bp.post("/rosters/<roster_no>/take")
@enrolling
def take(roster_no: str) -> ResponseReturnValue:
    """Take the good rows: a short roster at once, a long one as soon as a worker gets to it."""
    roster = rules.confirm_roster(current_session(), current_actor(), _roster(roster_no))
    if roster.state is ImportState.TAKING and roster.rows_good <= LINES_A_STEP:
        rules.take_roster(current_session(), roster)
        flash(_("已入库，新增的农户正等待本人或村级审核员确认"), "success")
    elif roster.state is ImportState.TAKING:
        nudge(TAKE_ROSTERS)
    return redirect(url_for("roster.show", roster_no=roster_no))


@bp.post("/rosters/<roster_no>/stop")
@enrolling
def stop(roster_no: str) -> ResponseReturnValue:
    """Stop what is being done with it: the check, or the taking no worker has begun."""
    roster = rules.stop_roster(current_session(), current_actor(), _roster(roster_no))
    if roster.state is ImportState.STOPPED:
        flash(_("已停下，文件还在，可以重新检查"), "success")
    else:
        flash(_("已撤回，还没有入库，什么都没有改动"), "success")
    return redirect(url_for("roster.show", roster_no=roster_no))


@bp.post("/rosters/<roster_no>/recheck")
@enrolling
def recheck(roster_no: str) -> ResponseReturnValue:
    """Check again against what the register says by now."""
    session, extensions = current_session(), current_app.extensions
    roster = rules.recheck_roster(session, current_actor(), _roster(roster_no))
    if not check_at_once(session, extensions["data_key"], extensions["files"], roster):
        nudge(CHECK_ROSTERS)
    return redirect(url_for("roster.show", roster_no=roster_no))


@bp.get("/rosters/<roster_no>/marked.xlsx")
@enrolling
def marked(roster_no: str) -> ResponseReturnValue:
    """The uploaded sheet with bad cells red and what to do beside them, where it is short."""
    roster = _roster(roster_no)
    if roster.rows_total > LINES_A_STEP:
        flash(_("这份名册较长，请按“准备标注好的名册”，在后台做好再下载"), "warning")
        return redirect(url_for(".show", roster_no=roster_no), 303)
    sheet = BytesIO()
    write_marked_roster(current_session(), roster, sheet)
    log.info("roster_marked", roster=roster.public_no, actor=current_actor().user_id)
    return download(sheet.getvalue(), XLSX, name=_marked_name(roster) + ".xlsx")


@bp.post("/rosters/<roster_no>/marked")
@enrolling
def prepare_marked(roster_no: str) -> ResponseReturnValue:
    """The same of a long roster, made by the worker."""
    roster = _roster(roster_no)
    if not can_mark(roster):
        raise NotFound
    params = {"roster": roster.public_no}
    try:
        return hand_in(MARKED, params=params, title=_marked_name(roster), total_count=roster.rows_total)
    except DomainError as error:
        tell(error)
        return redirect(url_for(".show", roster_no=roster_no), 303)


def _marked_name(roster: RosterImport) -> str:
    return _("%(name)s（已标注）", name=roster.file_name.rsplit(".", 1)[0])
