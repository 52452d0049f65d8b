"""Bringing in a whole sheet: keeping and checking it, taking its good rows. How far that is: linkage/sheet_work.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.sheets.format import CatalogFormat
from marketplace.catalog.sheets.models import CatalogSheet, SheetKind
from marketplace.core.clock import now
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.core.waking import wake_after_commit
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.linkage.sheet_format import Finding, SheetRow
from marketplace.linkage.sheet_work import (
    ROWS_A_PASS,
    SheetState,
    asker_of,
    goes_on,
    resume_work,
    stop_work,
    tried,
)
from marketplace.linkage.sheets import rows_of, without_repeats
from marketplace.registry.roster.rules import MEDIA_TYPES
from marketplace.registry.roster.sheets import kind_of

WORK_ON_SHEETS = "work on catalogue sheets"  # the job


def upload_sheet(
    session: Session,
    actor: Actor,
    files: FileStore,
    *,
    kind: SheetKind,
    sheet_format: CatalogFormat,
    content: bytes,
    file_name: str,
) -> CatalogSheet:
    """Keep a sheet, sealed, and check it: nothing of it is recorded yet. One that was not taken yet is the same sheet.

    Raises Refused for what is no such sheet.
    """
    actor.require(sheet_format.permission)
    if actor.organisation_id is None or actor.user_id is None:
        raise NotFound
    rows_of(sheet_format, content)
    address = files.address_of(content, sealed=True)
    known = select(CatalogSheet).where(
        CatalogSheet.organisation_id == actor.organisation_id,
        CatalogSheet.kind == kind,
        CatalogSheet.content_hash == address,
        CatalogSheet.state != SheetState.TAKEN,
    )
    sheet = session.scalars(known.order_by(CatalogSheet.id).limit(1)).first()
    if sheet is not None and sheet.state is not SheetState.CHECKED:
        return sheet
    if sheet is None:
        file = keep_file(
            session,
            actor,
            files,
            content=content,
            name=file_name,
            media_type=MEDIA_TYPES[kind_of(content)],
            sealed=True,
        )
        sheet = CatalogSheet(
            organisation_id=actor.organisation_id,
            kind=kind,
            file_id=file.id,
            content_hash=address,
            file_name=file_name[-200:],
            uploaded_by=actor.user_id,
        )
        session.add(sheet)
    _begin(session, actor, sheet_format, sheet, SheetState.CHECKING, content)
    return sheet


def take_sheet(
    session: Session, actor: Actor, files: FileStore, sheet: CatalogSheet, sheet_format: CatalogFormat
) -> CatalogSheet:
    """Record the good rows of a checked sheet; a long one as soon as a worker gets to it. Repeating it changes nothing.

    What is wrong by now stays a finding. Raises Refused when no row is good, NotFound for another organisation's sheet.
    """
    _hold_own(session, actor, sheet, sheet_format)
    if sheet.state is not SheetState.CHECKED:
        return sheet
    _begin(session, actor, sheet_format, sheet, SheetState.TAKING, content_of(session, files, sheet))
    if sheet.is_through and not sheet.rows_good:
        raise Refused("no_good_rows", N_("没有可以录入的行，请按提示改好后重新上传"))
    return sheet


def stop_sheet(
    session: Session, actor: Actor, sheet: CatalogSheet, sheet_format: CatalogFormat
) -> CatalogSheet:
    """Check or take no further row; what is taken stays. Raises NotFound, Conflict when all rows are done."""
    _hold_own(session, actor, sheet, sheet_format)
    was_open = sheet.is_open
    stop_work(session, sheet)
    if was_open:
        _tell(session, actor, "catalog.stop_sheet", sheet, rows=sheet.rows_done)
    return sheet


def resume_sheet(
    session: Session, actor: Actor, sheet: CatalogSheet, sheet_format: CatalogFormat
) -> CatalogSheet:
    """Go on with a sheet that was stopped. Raises NotFound."""
    _hold_own(session, actor, sheet, sheet_format)
    if resume_work(session, actor, sheet):
        wake_after_commit(session, WORK_ON_SHEETS)
        _tell(session, actor, "catalog.resume_sheet", sheet, rows=sheet.rows_done)
    return sheet


def work_on_next_sheet(
    session: Session, files: FileStore, formats: Mapping[SheetKind, CatalogFormat]
) -> bool:
    """The next rows of the oldest sheet that is worked on; returns whether there was one. It stops when who asked for
    it may not bring in such sheets any more."""
    query = select(CatalogSheet).where(goes_on(CatalogSheet)).order_by(CatalogSheet.id).limit(1)
    sheet = session.scalar(query.with_for_update(of=CatalogSheet, skip_locked=True))
    if sheet is None:
        return False
    actor, sheet_format = asker_of(session, sheet), formats[sheet.kind]
    if actor.can(sheet_format.permission) and actor.organisation_id == sheet.organisation_id:
        rows, _unread = _readable(sheet_format, content_of(session, files, sheet))
        _pass(session, actor, sheet_format, sheet, rows)
    else:
        stop_work(session, sheet)
    return True


def content_of(session: Session, files: FileStore, sheet: CatalogSheet) -> bytes:
    """The uploaded file."""
    return files.read(session.get_one(StoredFile, sheet.file_id).address, sealed=True)


def _hold_own(session: Session, actor: Actor, sheet: CatalogSheet, sheet_format: CatalogFormat) -> None:
    actor.require(sheet_format.permission)
    if sheet.organisation_id != actor.organisation_id:
        raise NotFound
    session.refresh(sheet, with_for_update=True)


def _readable(sheet_format: CatalogFormat, content: bytes) -> tuple[list[SheetRow], list[Finding]]:
    """The rows that could be read, each once, and what is wrong with the others."""
    rows, findings = rows_of(sheet_format, content)
    rows, repeated = without_repeats(sheet_format, rows)
    return rows, findings + repeated


def _begin(
    session: Session,
    actor: Actor,
    sheet_format: CatalogFormat,
    sheet: CatalogSheet,
    state: SheetState,
    content: bytes,
) -> None:
    """Begin to check or to take a sheet; a short one is done at once."""
    rows, unread = _readable(sheet_format, content)
    sheet.begin(actor, state, len(rows), unread)
    if len(rows) <= ROWS_A_PASS:
        _pass(session, actor, sheet_format, sheet, rows)
        return
    session.flush()
    wake_after_commit(session, WORK_ON_SHEETS)


def _pass(
    session: Session, actor: Actor, sheet_format: CatalogFormat, sheet: CatalogSheet, rows: Sequence[SheetRow]
) -> None:
    """Check or take the next rows, and finish with the last."""
    some = rows[sheet.rows_done :][:ROWS_A_PASS]
    checks = sheet.state is SheetState.CHECKING
    with tried(session) if checks else nullcontext():
        good, findings = _record(session, actor, sheet_format, rows, some)
    sheet.add(len(some), good, findings)
    if sheet.is_through and (checks or not sheet.rows_good):
        sheet.state = SheetState.CHECKED
    elif sheet.is_through:
        sheet.state, sheet.taken_at, sheet.taken_by = SheetState.TAKEN, now(), actor.user_id
        _tell(session, actor, "catalog.take_sheet", sheet, rows=sheet.rows_good)
    session.flush()


def _record(
    session: Session,
    actor: Actor,
    sheet_format: CatalogFormat,
    rows: Sequence[SheetRow],
    some: Sequence[SheetRow],
) -> tuple[int, list[Finding]]:
    """How many of some rows of a sheet were recorded, and what is wrong with the others."""
    take, good, findings = sheet_format.begin(session, actor, rows), 0, list[Finding]()
    for row in some:
        try:
            with session.begin_nested():
                take(row)
        except DomainError as error:
            findings.append(sheet_format.finding_of(row, error))
        else:
            good += 1
    return good, findings


def _tell(session: Session, actor: Actor, action: str, sheet: CatalogSheet, **detail: Any) -> None:
    subject = ("catalog_sheet", sheet.public_no)
    record_trail(session, actor, action, subject=subject, kind=sheet.kind.value, **detail)
