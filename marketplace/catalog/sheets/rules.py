"""Bringing in a whole sheet: reading it, trying every row, taking the good ones."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.sheets.format import CatalogFormat
from marketplace.catalog.sheets.models import CatalogSheet, SheetKind, SheetState
from marketplace.core.clock import now
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.linkage.sheet_format import Finding
from marketplace.linkage.sheets import rows_of, without_repeats
from marketplace.registry.roster.rules import MEDIA_TYPES
from marketplace.registry.roster.sheets import kind_of


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
    """Keep a sheet, sealed, and check it: nothing of it is recorded yet. Raises Refused for what is no such sheet."""
    actor.require(sheet_format.permission)
    if actor.organisation_id is None or actor.user_id is None:
        raise NotFound
    rows_of(sheet_format, content)
    address = files.address_of(content, sealed=True)
    known = select(CatalogSheet).where(
        CatalogSheet.organisation_id == actor.organisation_id,
        CatalogSheet.kind == kind,
        CatalogSheet.content_hash == address,
        CatalogSheet.state == SheetState.CHECKED,
    )
    sheet = session.scalars(known.limit(1)).first()
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
    _check(session, actor, sheet_format, sheet, content)
    return sheet


def take_sheet(
    session: Session, actor: Actor, files: FileStore, sheet: CatalogSheet, sheet_format: CatalogFormat
) -> CatalogSheet:
    """Record the good rows, all in this transaction; repeating it changes nothing.

    What is wrong by now stays a finding. Raises Refused when no row is good, NotFound for another organisation's sheet.
    """
    actor.require(sheet_format.permission)
    if sheet.organisation_id != actor.organisation_id:
        raise NotFound
    session.execute(select(CatalogSheet.id).where(CatalogSheet.id == sheet.id).with_for_update())
    session.refresh(sheet, ["state", "taken_at", "taken_by"])
    if sheet.state is SheetState.TAKEN:
        return sheet
    good, findings = _record(session, actor, sheet_format, content_of(session, files, sheet))
    if not good:
        raise Refused("no_good_rows", N_("没有可以录入的行，请按提示改好后重新上传"))
    _keep(sheet, good, findings)
    sheet.state, sheet.taken_at, sheet.taken_by = SheetState.TAKEN, now(), actor.user_id
    session.flush()
    record_trail(
        session,
        actor,
        "catalog.take_sheet",
        subject=("catalog_sheet", sheet.public_no),
        kind=sheet.kind.value,
        rows=good,
    )
    return sheet


def content_of(session: Session, files: FileStore, sheet: CatalogSheet) -> bytes:
    """The uploaded file."""
    return files.read(session.get_one(StoredFile, sheet.file_id).address, sealed=True)


def _check(
    session: Session, actor: Actor, sheet_format: CatalogFormat, sheet: CatalogSheet, content: bytes
) -> None:
    """Record every row and take all of it back: so the check says what recording would say."""
    session.flush()
    attempt = session.begin_nested()
    try:
        good, findings = _record(session, actor, sheet_format, content)
    finally:
        attempt.rollback()
    _keep(sheet, good, findings)
    session.flush()


def _keep(sheet: CatalogSheet, good: int, findings: list[Finding]) -> None:
    sheet.rows_good, sheet.rows_bad = good, len({finding.row for finding in findings})
    sheet.findings = [asdict(finding) for finding in findings]


def _record(
    session: Session, actor: Actor, sheet_format: CatalogFormat, content: bytes
) -> tuple[int, list[Finding]]:
    """How many rows were recorded, and what is wrong with the others, in the order of the sheet."""
    rows, findings = rows_of(sheet_format, content)
    rows, repeated = without_repeats(sheet_format, rows)
    findings += repeated
    take, good = sheet_format.begin(session, actor, rows), 0
    for row in rows:
        try:
            with session.begin_nested():
                take(row)
        except DomainError as error:
            findings.append(sheet_format.finding_of(row, error))
        else:
            good += 1
    return good, sorted(findings, key=lambda finding: finding.row)
