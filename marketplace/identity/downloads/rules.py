"""Asking for a file, cancelling it, and what the worker may say of it. Nothing here touches the bytes."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.core.labels import N_
from marketplace.core.waking import wake_after_commit
from marketplace.identity.actors import Actor
from marketplace.identity.downloads.kinds import FileKind, Params
from marketplace.identity.downloads.models import OPEN, FileState, PreparedFile
from marketplace.identity.downloads.queries import count_open, open_file
from marketplace.identity.trail import record_trail

PREPARE_FILES = "prepare files"  # the job
KEPT_DAYS = 3
MOST_OPEN = 5
MOST_ATTEMPTS = 3
LEFT_BEHIND = timedelta(minutes=5)  # without progress for so long its worker is lost
INTERRUPTED = N_("做了几次都中断了，请稍后再要一次；还不行请告诉平台管理员")


def ask_for_file(
    session: Session,
    actor: Actor,
    kinds: dict[str, FileKind],
    kind: str,
    *,
    params: Params,
    title: str,
    locale: str,
    total_count: int,
) -> PreparedFile:
    """Have a file of `kind` made; `title` is also its name, `total_count` how many rows it will have.

    Who asks for the same while it is open gets the first. Raises Forbidden, Refused while too many are open.
    """
    if actor.user_id is None or not kinds[kind].is_open_to(actor):
        raise Forbidden
    key = _open_key(actor, kind, params, locale)
    found = open_file(session, actor, key)
    if found is not None:
        return found
    if count_open(session, actor) >= MOST_OPEN:
        raise Refused(
            "files_open", N_("已有 %(most)s 个文件在准备，请等其中一个做好，或先取消一个"), most=MOST_OPEN
        )
    file = PreparedFile(
        asked_by=actor.user_id,
        organisation_id=actor.organisation_id,
        kind=kind,
        params=dict(params),
        locale=locale,
        title=title[:200],
        open_key=key,
        total_count=total_count,
    )
    try:
        with session.begin_nested():
            session.add(file)
            session.flush()
    except IntegrityError:  # the same was asked for at the same moment
        found = open_file(session, actor, key)
        if found is None:
            raise
        return found
    wake_after_commit(session, PREPARE_FILES)
    _tell(session, actor, "identity.ask_for_file", file, rows=total_count)
    return file


def _open_key(actor: Actor, kind: str, params: Params, locale: str) -> str:
    asked = json.dumps(
        [kind, actor.organisation_id, locale, dict(params)], sort_keys=True, ensure_ascii=False
    )
    return hashlib.sha256(asked.encode()).hexdigest()


def cancel_file(session: Session, actor: Actor, file: PreparedFile) -> PreparedFile:
    """Want a file no longer: its worker stops at the next step and leaves nothing. Cancelling twice changes nothing.

    Raises Conflict when it has ended otherwise.
    """
    session.refresh(file, with_for_update=True)
    if file.state is FileState.CANCELLED:
        return file
    if file.state not in OPEN:
        raise Conflict("file_ended", N_("这个文件已经不在准备了，没有什么可以取消的"))
    _end(file, FileState.CANCELLED)
    session.flush()
    _tell(session, actor, "identity.cancel_file", file)
    return file


def _tell(session: Session, actor: Actor, action: str, file: PreparedFile, **detail: Any) -> None:
    record_trail(session, actor, action, subject=("prepared_file", file.public_no), kind=file.kind, **detail)


def _end(file: PreparedFile, state: FileState, *, reason: str = "") -> None:
    file.state, file.finished_at, file.open_key, file.reason = state, now(), None, reason[:200]


# --- what the worker says ---


def take_on(session: Session) -> PreparedFile | None:
    """The next file to make, now this worker's: the oldest that waits or whose worker is lost; None without one.

    One that was lost MOST_ATTEMPTS times is given up.
    """
    lost = and_(PreparedFile.state == FileState.RUNNING, PreparedFile.progressed_at < now() - LEFT_BEHIND)
    query = (
        select(PreparedFile)
        .where(or_(PreparedFile.state == FileState.WAITING, lost))
        .order_by(PreparedFile.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    while (file := session.scalar(query)) is not None:
        if file.attempt < MOST_ATTEMPTS:
            file.state, file.attempt, file.done_count = FileState.RUNNING, file.attempt + 1, 0
            file.progressed_at = now()
            session.flush()
            return file
        _end(file, FileState.FAILED, reason=INTERRUPTED)
        session.flush()
    return None


def note_progress(session: Session, file: PreparedFile, *, done_count: int) -> bool:
    """So many rows are written. False when this attempt is no longer wanted: cancelled, or given to another worker."""
    values = {"done_count": min(done_count, file.total_count), "progressed_at": now()}
    return _say(session, file, values)


def finish_file(session: Session, file: PreparedFile, *, size_bytes: int) -> bool:
    """The file is complete. False when it is no longer wanted."""
    ended = now()
    values = {
        "state": FileState.READY,
        "done_count": file.total_count,
        "finished_at": ended,
        "expires_at": ended + timedelta(days=KEPT_DAYS),
        "open_key": None,
        "size_bytes": size_bytes,
    }
    return _say(session, file, values)


def fail_file(session: Session, file: PreparedFile, *, reason: str) -> bool:
    """The file cannot be made, for a `reason` people can read (a source string). False when nobody waits for it."""
    values = {"state": FileState.FAILED, "finished_at": now(), "open_key": None, "reason": reason[:200]}
    return _say(session, file, values)


def _say(session: Session, file: PreparedFile, values: dict[str, Any]) -> bool:
    own = (
        update(PreparedFile)
        .where(
            PreparedFile.id == file.id,
            PreparedFile.state == FileState.RUNNING,
            PreparedFile.attempt == file.attempt,
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(own)).rowcount == 1


def expire_files(session: Session) -> int:
    """Let files go whose time is over; returns how many. Their bytes are removed afterwards."""
    over = (
        update(PreparedFile)
        .where(PreparedFile.state == FileState.READY, PreparedFile.expires_at <= now())
        .values(state=FileState.EXPIRED)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", session.execute(over)).rowcount
