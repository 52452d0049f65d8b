"""Pages of prepared files: what one asked for, how far it is, cancelling it, and the file itself.

A room whose file may be long asks for it with `hand_in` and sends the reader to the page that tells how far it is.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, signed_in
from marketplace.identity.downloads import queries, rules
from marketplace.identity.downloads.jobs import current_folder, current_kinds
from marketplace.identity.downloads.kinds import Params
from marketplace.identity.downloads.models import OPEN, FileState, PreparedFile
from marketplace.web.errors import explain
from marketplace.web.locale import current_locale
from marketplace.web.paging import page_of
from marketplace.web.progress import Progress, progress_answer
from marketplace.web.transaction import current_session

bp = Blueprint("downloads", __name__, url_prefix="/downloads")
TONES = {
    FileState.WAITING: "info",
    FileState.RUNNING: "info",
    FileState.READY: "good",
    FileState.CANCELLED: "neutral",
    FileState.FAILED: "bad",
    FileState.EXPIRED: "neutral",
}


def hand_in(kind: str, *, params: Params, title: str, total_count: int) -> Response:
    """Ask for a file for the reader, in the reader's language; answers with its page. Raises Forbidden, Refused."""
    file = rules.ask_for_file(
        current_session(),
        current_actor(),
        current_kinds(),
        kind,
        params=params,
        title=title,
        locale=current_locale(),
        total_count=total_count,
    )
    answer: Response = redirect(url_for("downloads.show", file_no=file.public_no), 303)  # type: ignore[assignment]
    return answer


def progress_of(file: PreparedFile) -> Progress | None:
    """How far a file is; None once it has ended."""
    if file.state not in OPEN:
        return None
    return Progress(file.state.label, file.done_count, max(file.total_count, 1))


def _file(file_no: str) -> PreparedFile:
    return queries.file_by_no(current_session(), current_actor(), file_no)


@bp.get("")
@signed_in
def index() -> ResponseReturnValue:
    """What one asked for, newest first."""
    page = page_of(current_session(), queries.files_of(current_actor()))
    return render_template(
        "identity/downloads/index.html", page=page, tones=TONES, can_take=can_take, kept_days=rules.KEPT_DAYS
    )


@bp.get("/<file_no>")
@signed_in
def show(file_no: str) -> ResponseReturnValue:
    """One file: how far it is, or the file, or why there is none."""
    file = _file(file_no)
    return render_template(
        "identity/downloads/show.html",
        file=file,
        progress=progress_of(file),
        tone=TONES[file.state],
        can_take=can_take(file),
        kept_days=rules.KEPT_DAYS,
    )


@bp.get("/<file_no>/progress")
@signed_in
def progress(file_no: str) -> ResponseReturnValue:
    """The progress alone, asked every second."""
    return progress_answer(progress_of(_file(file_no)), url_for(".progress", file_no=file_no))


@bp.post("/<file_no>/cancel")
@signed_in
def cancel(file_no: str) -> ResponseReturnValue:
    """Want it no longer."""
    try:
        rules.cancel_file(current_session(), current_actor(), _file(file_no))
    except Conflict as refusal:
        flash(explain(refusal), "warning")
    else:
        flash(_("已取消，没有留下文件"), "success")
    return redirect(url_for(".show", file_no=file_no), 303)


@bp.get("/<file_no>/file")
@signed_in
def take(file_no: str) -> ResponseReturnValue:
    """The file itself, for who asked for it and may still have it."""
    file = _file(file_no)
    if not can_take(file):
        raise NotFound("file_gone", N_("这个文件已到期或不在了，请重新准备"))
    kind = current_kinds()[file.kind]
    if not kind.is_open_to(current_actor()):
        raise Forbidden
    try:
        content = current_folder().reading(file.stored_name)
    except FileNotFoundError as error:
        raise NotFound("file_gone", N_("这个文件已到期或不在了，请重新准备")) from error
    name = f"{file.title}.{kind.ending}"
    answer: Response = send_file(
        content, mimetype=kind.media_type, as_attachment=True, download_name=name, max_age=0
    )
    answer.headers["Cache-Control"] = "no-store"
    answer.content_length = file.size_bytes
    return answer


def can_take(file: PreparedFile) -> bool:
    """Whether the file can be downloaded now."""
    return file.state is FileState.READY and file.expires_at is not None and file.expires_at > now()
