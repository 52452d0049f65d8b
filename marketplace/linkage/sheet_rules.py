"""Recording evidence by the sheet: keeping and checking it, taking its good rows. How far that is: sheet_work.

Global keys make it harmless to send the same sheet twice: rows already recorded are found and left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.core.waking import wake_after_commit
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import own_cooperative_id, require_own
from marketplace.linkage.models import Entitlement, Lot
from marketplace.linkage.sheet_format import Finding, Ground, SheetFormat, SheetRow
from marketplace.linkage.sheet_models import EvidenceSheet
from marketplace.linkage.sheet_work import (
    ROWS_A_PASS,
    SheetState,
    asker_of,
    goes_on,
    resume_work,
    stop_work,
    tried,
)
from marketplace.linkage.sheets import format_named, rows_of, sheet_reader, without_repeats
from marketplace.registry.roster.rules import MEDIA_TYPES
from marketplace.registry.roster.sheets import kind_of

WORK_ON_SHEETS = "work on evidence sheets"  # the job
EVIDENCE_A_QUERY = 500


@dataclass
class Outcome:
    """What came of some rows: how many were good, what they entitle to in fen by household, and what was wrong."""

    rows_good: int = 0
    amounts: dict[int, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def upload_sheet(
    session: Session,
    actor: Actor,
    files: FileStore,
    *,
    sheet_format: SheetFormat,
    lot: Lot | None,
    content: bytes,
    file_name: str,
) -> EvidenceSheet:
    """Keep a sheet, sealed, and check it: nothing of it is recorded yet. The same file again is the same sheet.

    Raises Refused for what is no such sheet, NotFound for somebody else's lot.
    """
    cooperative_id = require_own(actor, *([lot] if lot else []))
    if sheet_format.needs_lot and lot is None:
        raise NotFound
    sheet_reader(sheet_format, content)
    address = files.address_of(content, sealed=True)
    known = select(EvidenceSheet).where(
        EvidenceSheet.cooperative_id == cooperative_id,
        EvidenceSheet.format == sheet_format.name,
        EvidenceSheet.content_hash == address,
        EvidenceSheet.lot_id.is_(None) if lot is None else EvidenceSheet.lot_id == lot.id,
    )
    found = session.scalars(known.limit(1)).first()
    if found is not None:
        files.put(content, sealed=True)  # brings back a file that was lost
        return found
    media_type = MEDIA_TYPES[kind_of(content)]
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type=media_type, sealed=True
    )
    sheet = EvidenceSheet(
        cooperative_id=cooperative_id,
        format=sheet_format.name,
        lot_id=lot.id if lot else None,
        file_id=file.id,
        content_hash=address,
        file_name=file_name[-200:],
        uploaded_by=actor.user_id,
    )
    session.add(sheet)
    _begin(session, actor, sheet, SheetState.CHECKING, content)
    _tell(session, actor, "linkage.upload_sheet", sheet)
    return sheet


def check_again(session: Session, actor: Actor, files: FileStore, sheet: EvidenceSheet) -> EvidenceSheet:
    """Check a sheet again, e.g. after an agreement was signed; one already taken may give its mended rows too. One that
    is worked on goes on."""
    _hold_own(session, actor, sheet)
    if not sheet.is_open:
        sheet.state, sheet.taken_at, sheet.taken_by = SheetState.CHECKING, None, None
        _begin(session, actor, sheet, SheetState.CHECKING, content_of(session, files, sheet))
    return sheet


def take_sheet(session: Session, actor: Actor, files: FileStore, sheet: EvidenceSheet) -> EvidenceSheet:
    """Record the good rows of a checked sheet; a long one as soon as a worker gets to it. Repeating it changes nothing.

    What is wrong by now stays a finding. Raises Refused when no row is good, NotFound for somebody else's sheet.
    """
    _hold_own(session, actor, sheet)
    if sheet.state is not SheetState.CHECKED:
        return sheet
    _begin(session, actor, sheet, SheetState.TAKING, content_of(session, files, sheet))
    if sheet.is_through and not sheet.rows_good:
        raise Refused("no_good_rows", N_("没有可以入账的行，请按提示改好后重新上传"))
    return sheet


def stop_sheet(session: Session, actor: Actor, sheet: EvidenceSheet) -> EvidenceSheet:
    """Check or take no further row; what is taken stays. Raises NotFound, Conflict when all rows are done."""
    _hold_own(session, actor, sheet)
    was_open = sheet.is_open
    stop_work(session, sheet)
    if was_open:
        _tell(session, actor, "linkage.stop_sheet", sheet, rows=sheet.rows_done)
    return sheet


def resume_sheet(session: Session, actor: Actor, sheet: EvidenceSheet) -> EvidenceSheet:
    """Go on with a sheet that was stopped. Raises NotFound."""
    _hold_own(session, actor, sheet)
    if resume_work(session, actor, sheet):
        wake_after_commit(session, WORK_ON_SHEETS)
        _tell(session, actor, "linkage.resume_sheet", sheet, rows=sheet.rows_done)
    return sheet


def work_on_next_sheet(session: Session, files: FileStore) -> bool:
    """The next rows of the oldest sheet that is worked on; returns whether there was one. It stops when who asked for
    it may not record evidence any more."""
    query = select(EvidenceSheet).where(goes_on(EvidenceSheet)).order_by(EvidenceSheet.id).limit(1)
    sheet = session.scalar(query.with_for_update(of=EvidenceSheet, skip_locked=True))
    if sheet is None:
        return False
    actor = asker_of(session, sheet)
    if actor.can(Permission.RECORD_EVIDENCE) and actor.cooperative_id == sheet.cooperative_id:
        rows, _unread = _readable(sheet, content_of(session, files, sheet))
        _pass(session, actor, sheet, rows)
    else:
        stop_work(session, sheet)
    return True


def content_of(session: Session, files: FileStore, sheet: EvidenceSheet) -> bytes:
    """The uploaded file."""
    return files.read(session.get_one(StoredFile, sheet.file_id).address, sealed=True)


def _hold_own(session: Session, actor: Actor, sheet: EvidenceSheet) -> None:
    if sheet.cooperative_id != own_cooperative_id(actor):
        raise NotFound
    session.refresh(sheet, with_for_update={"of": EvidenceSheet})


def _readable(sheet: EvidenceSheet, content: bytes) -> tuple[list[SheetRow], list[Finding]]:
    """The rows that could be read, each once, and what is wrong with the others."""
    sheet_format = format_named(sheet.format)
    rows, findings = rows_of(sheet_format, content)
    rows, repeated = without_repeats(sheet_format, rows)
    return rows, findings + repeated


def _begin(session: Session, actor: Actor, sheet: EvidenceSheet, state: SheetState, content: bytes) -> None:
    """Begin to check or to take a sheet; a short one is done at once."""
    rows, unread = _readable(sheet, content)
    sheet.begin(actor, state, len(rows), unread)
    sheet.household_ids, sheet.households, sheet.amount_fen = [], 0, 0
    if len(rows) <= ROWS_A_PASS:
        _pass(session, actor, sheet, rows)
        return
    session.flush()
    wake_after_commit(session, WORK_ON_SHEETS)


def _pass(session: Session, actor: Actor, sheet: EvidenceSheet, rows: Sequence[SheetRow]) -> None:
    """Check or take the next rows, and finish with the last."""
    some = rows[sheet.rows_done :][:ROWS_A_PASS]
    checks = sheet.state is SheetState.CHECKING
    with tried(session) if checks else nullcontext():
        outcome = _record(session, actor, sheet, rows, some)
    if checks and sheet.lot is not None:
        session.refresh(sheet.lot)
    sheet.add(len(some), outcome.rows_good, outcome.findings)
    sheet.household_ids = sorted({*sheet.household_ids, *outcome.amounts})
    sheet.households = len(sheet.household_ids)
    sheet.amount_fen += sum(outcome.amounts.values())
    if sheet.is_through and (checks or not sheet.rows_good):
        sheet.state = SheetState.CHECKED
    elif sheet.is_through:
        sheet.state, sheet.taken_at, sheet.taken_by = SheetState.TAKEN, now(), actor.user_id
        _tell(session, actor, "linkage.take_sheet", sheet, rows=sheet.rows_good, amount_fen=sheet.amount_fen)
    session.flush()


def _record(
    session: Session,
    actor: Actor,
    sheet: EvidenceSheet,
    rows: Sequence[SheetRow],
    some: Sequence[SheetRow],
) -> Outcome:
    """Record some of the rows of a sheet."""
    sheet_format, outcome, recorded = format_named(sheet.format), Outcome(), list[int]()
    record = sheet_format.open(session, actor, Ground(sheet.cooperative_id, sheet.lot), rows)
    for row in some:
        try:
            recorded.append(record(row).id)
        except DomainError as error:
            outcome.findings.append(sheet_format.finding_of(row, error))
    outcome.rows_good, outcome.amounts = len(recorded), _amounts(session, recorded)
    return outcome


def _amounts(session: Session, evidence_ids: Sequence[int]) -> dict[int, int]:
    """What evidence entitles to in fen, by household."""
    amounts: dict[int, int] = {}
    for start in range(0, len(evidence_ids), EVIDENCE_A_QUERY):
        some = evidence_ids[start : start + EVIDENCE_A_QUERY]
        query = (
            select(Entitlement.household_id, func.sum(Entitlement.amount_fen))
            .where(Entitlement.evidence_id.in_(some))
            .group_by(Entitlement.household_id)
        )
        for household_id, amount_fen in session.execute(query):
            amounts[household_id] = amounts.get(household_id, 0) + int(amount_fen)
    return amounts


def _tell(session: Session, actor: Actor, action: str, sheet: EvidenceSheet, **detail: Any) -> None:
    subject = ("evidence_sheet", sheet.public_no)
    record_trail(session, actor, action, subject=subject, format=sheet.format, **detail)
