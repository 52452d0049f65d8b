"""The worker's side: make the file that waits, note how far it is, stop when nobody wants it, remove what is over.

A file is written while no transaction that writes is open: each word about its progress is a transaction of its own, so
that its page sees it and, on SQLite, others can write. What is read is one state of the database throughout.
"""

from __future__ import annotations

import threading

import structlog
from flask import Flask, current_app
from flask_babel import force_locale, gettext
from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace.core.asking import is_postgresql
from marketplace.core.errors import DomainError, Forbidden
from marketplace.core.labels import N_
from marketplace.core.sealed_files import SealedFolder
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.downloads import rules
from marketplace.identity.downloads.kinds import FileKind, Making
from marketplace.identity.downloads.models import PreparedFile
from marketplace.identity.downloads.queries import stored_names
from marketplace.identity.models import User
from marketplace.web.jobs import Job, current_jobs
from marketplace.web.transaction import database, runner

log = structlog.get_logger()
ONE_STATE = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")  # on SQLite any reading is
BROKEN = N_("系统出错，没有做成，请再要一次；还不行请告诉平台管理员")
NO_LONGER = N_("您现在没有查看这些内容的权限")
_one_at_a_time = threading.Lock()  # so that other jobs always find a free thread


class UnwantedError(Exception):
    """Nobody waits for this attempt any more."""


def current_folder() -> SealedFolder:
    """The deployment's folder of prepared files."""
    folder: SealedFolder = current_app.extensions["prepared_files"]
    return folder


def current_kinds() -> dict[str, FileKind]:
    """The kinds of files there are."""
    kinds: dict[str, FileKind] = current_app.extensions["file_kinds"]
    return kinds


def prepare_files(_session: Session) -> bool:
    """Make the file that waits longest; `_session` stays unused, and with it the database free."""
    if not _one_at_a_time.acquire(blocking=False):
        return False
    try:
        app = current_jobs().app
        with runner(app) as own:
            file = rules.take_on(own)
        if file is None:
            return False
        _prepare(app, file)
        return True
    finally:
        _one_at_a_time.release()


def _prepare(app: Flask, file: PreparedFile) -> None:
    """Make one file; how it ended stands in its row. An attempt that is unwanted leaves nothing."""
    folder, reason = current_folder(), ""
    try:
        with folder.writing(file.stored_name) as target:
            _write(app, file, target)
        with runner(app) as own:
            is_wanted = rules.finish_file(own, file, size_bytes=target.size)
        if not is_wanted:
            folder.remove(file.stored_name)
    except UnwantedError:
        log.info("file_unwanted", file=file.public_no)
    except DomainError as refusal:
        reason = refusal.message
    except Exception:
        log.exception("file_failed", file=file.public_no)
        reason = BROKEN
    if reason:
        with runner(app) as own:
            rules.fail_file(own, file, reason=reason)


def _write(app: Flask, file: PreparedFile, target: object) -> None:
    def note(done_count: int) -> None:
        with runner(app) as own:
            if not rules.note_progress(own, file, done_count=done_count):
                raise UnwantedError

    kind = current_kinds()[file.kind]
    with database().reading() as reading, force_locale(file.locale):
        if is_postgresql(reading):
            reading.execute(ONE_STATE)
        actor = _asker(reading, file, kind)
        kind.write(
            Making(
                reading,
                actor,
                file.params,
                file.title,
                target,  # type: ignore[arg-type]  # writes bytes, which is all that is asked
                lambda words: str(gettext(words)),
                note,
            )
        )


def _asker(session: Session, file: PreparedFile, kind: FileKind) -> Actor:
    """Who asked, as they are now. Raises Forbidden when they may no longer."""
    user = session.get_one(User, file.asked_by)
    actor = actor_of(user)
    if user.disabled_at or actor.organisation_id != file.organisation_id or not kind.is_open_to(actor):
        raise Forbidden("no_longer", NO_LONGER)
    return actor


def remove_files(session: Session) -> bool:
    """Let expired files go, then remove bytes that belong to no file; True when some expired and wait for removal."""
    folder = current_folder()
    names = folder.names()  # before the rows: a file that begins after this is not looked at
    for name in set(names) - stored_names(session):
        folder.remove(name)
    return rules.expire_files(session) > 0


JOBS = (Job(rules.PREPARE_FILES, prepare_files), Job("remove files", remove_files, every_minutes=10))
