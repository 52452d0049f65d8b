"""Recording evidence by the sheet: reading it, trying every row, taking the good ones. What a sheet is: sheet_format.

Global keys make it harmless to send the same sheet twice: rows already recorded are found and left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import DomainError, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import own_cooperative_id, require_own
from marketplace.linkage.mechanisms.sheet_table import SHEETS
from marketplace.linkage.models import Entitlement, Lot
from marketplace.linkage.sheet_format import Finding, Ground, SheetFormat, SheetHeader, SheetRow, SheetShape
from marketplace.linkage.sheet_models import EvidenceSheet, SheetState
from marketplace.registry.roster.rules import MEDIA_TYPES
from marketplace.registry.roster.sheets import SheetReader, kind_of

MOST_ROWS = 1_000
MOST_LINES = 2 * MOST_ROWS
MOST_BYTES = 4 * 1024 * 1024
EVIDENCE_A_QUERY = 500


@dataclass
class Outcome:
    """What came of a sheet: how many rows were good, of how many households, their sum in fen, and what was wrong."""

    rows_good: int = 0
    households: int = 0
    amount_fen: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def rows_bad(self) -> int:
        """The rows with a finding."""
        return len({finding.row for finding in self.findings})


def format_named(name: str) -> SheetFormat:
    """The format of that name. Raises NotFound."""
    if name not in SHEETS:
        raise NotFound
    return SHEETS[name]


def sheet_reader(sheet_format: SheetShape, content: bytes) -> SheetReader:
    """The sheet, its header found. Raises Refused when it is none, too large, or lacks a column."""
    if len(content) > MOST_BYTES:
        raise Refused("sheet_too_large", N_("文件太大，请分成几份上传"), field="file")
    reader = SheetReader(content, sheet_format.header_in)
    header: Any = reader.header
    if header is None:
        message = N_("没有找到表头，请下载模板，把内容填在模板里再上传")
        raise Refused("no_header", message, field="file")
    missing = [one for one in sheet_format.columns if one.required and one not in header.places]
    if missing:
        message = N_("缺少“%(column)s”这一列，请照模板补上")
        raise Refused("no_column", message, field="file", column=missing[0].label)
    return reader


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
    _check(session, actor, sheet, content)
    _tell(session, actor, "linkage.upload_sheet", sheet)
    return sheet


def check_again(session: Session, actor: Actor, files: FileStore, sheet: EvidenceSheet) -> EvidenceSheet:
    """Check a sheet again, e.g. after an agreement was signed; one already taken may give its mended rows too."""
    _hold(session, actor, sheet)
    sheet.state, sheet.taken_at, sheet.taken_by = SheetState.CHECKED, None, None
    _check(session, actor, sheet, _content(session, files, sheet))
    return sheet


def take_sheet(session: Session, actor: Actor, files: FileStore, sheet: EvidenceSheet) -> EvidenceSheet:
    """Record the good rows of a checked sheet, all in this transaction; repeating it changes nothing.

    What is wrong by now stays a finding. Raises Refused when no row is good, NotFound for somebody else's sheet.
    """
    _hold(session, actor, sheet)
    if sheet.state is SheetState.TAKEN:
        return sheet
    outcome = _record_rows(session, actor, sheet, _content(session, files, sheet))
    if not outcome.rows_good:
        raise Refused("no_good_rows", N_("没有可以入账的行，请按提示改好后重新上传"))
    _keep(sheet, outcome)
    sheet.state, sheet.taken_at, sheet.taken_by = SheetState.TAKEN, now(), actor.user_id
    session.flush()
    _tell(session, actor, "linkage.take_sheet", sheet, rows=outcome.rows_good, amount_fen=outcome.amount_fen)
    return sheet


def content_of(session: Session, files: FileStore, sheet: EvidenceSheet) -> bytes:
    """The uploaded file, for the marked-up sheet."""
    return _content(session, files, sheet)


def _hold(session: Session, actor: Actor, sheet: EvidenceSheet) -> None:
    if sheet.cooperative_id != own_cooperative_id(actor):
        raise NotFound
    session.execute(select(EvidenceSheet.id).where(EvidenceSheet.id == sheet.id).with_for_update())
    session.refresh(sheet, ["state", "taken_at", "taken_by"])


def _content(session: Session, files: FileStore, sheet: EvidenceSheet) -> bytes:
    return files.read(session.get_one(StoredFile, sheet.file_id).address, sealed=True)


def _check(session: Session, actor: Actor, sheet: EvidenceSheet, content: bytes) -> None:
    """Record every row and take all of it back: so the check says what recording would say."""
    session.flush()
    attempt = session.begin_nested()
    try:
        outcome = _record_rows(session, actor, sheet, content)
    finally:
        attempt.rollback()
    if sheet.lot is not None:
        session.refresh(sheet.lot)
    _keep(sheet, outcome)
    session.flush()


def _keep(sheet: EvidenceSheet, outcome: Outcome) -> None:
    sheet.rows_good, sheet.rows_bad = outcome.rows_good, outcome.rows_bad
    sheet.households, sheet.amount_fen = outcome.households, outcome.amount_fen
    sheet.findings = [asdict(finding) for finding in outcome.findings]


def _record_rows(session: Session, actor: Actor, sheet: EvidenceSheet, content: bytes) -> Outcome:
    sheet_format = format_named(sheet.format)
    rows, findings = rows_of(sheet_format, content)
    rows, repeated = without_repeats(sheet_format, rows)
    ground = Ground(sheet.cooperative_id, sheet.lot)
    record = sheet_format.open(session, actor, ground, rows)
    outcome = Outcome(findings=findings + repeated)
    recorded: list[int] = []
    for row in rows:
        try:
            recorded.append(record(row).id)
        except DomainError as error:
            outcome.findings.append(sheet_format.finding_of(row, error))
    outcome.findings.sort(key=lambda finding: finding.row)
    outcome.rows_good = len(recorded)
    outcome.households, outcome.amount_fen = _sums(session, recorded)
    return outcome


def rows_of(sheet_format: SheetShape, content: bytes) -> tuple[list[SheetRow], list[Finding]]:
    """The rows of a sheet that could be read, and what is wrong in the others.

    Raises Refused for what is no such sheet, has no rows, or more than MOST_ROWS.
    """
    reader = sheet_reader(sheet_format, content)
    header: SheetHeader = reader.header  # type: ignore[assignment]  # found by this format
    rows: list[SheetRow] = []
    findings: list[Finding] = []
    read = 0
    for number, cells in reader.lines(MOST_LINES):
        found = sheet_format.read_row(number, cells, header)
        if found is None:
            continue
        read += 1
        if isinstance(found, SheetRow):
            rows.append(found)
        else:
            findings += found
    if read > MOST_ROWS or not reader.at_end:
        message = N_("一份登记表最多 %(most)s 行，请分成几份上传")
        raise Refused("too_many_rows", message, field="file", most=MOST_ROWS)
    if not read:
        raise Refused("no_rows", N_("表里没有内容，请填好后再上传"), field="file")
    return rows, findings


def without_repeats(
    sheet_format: SheetShape, rows: Iterable[SheetRow]
) -> tuple[list[SheetRow], list[Finding]]:
    """The first row of each key, and a finding for each further one."""
    first: dict[tuple[Any, ...], int] = {}
    kept: list[SheetRow] = []
    findings: list[Finding] = []
    label = next((one.label for one in sheet_format.columns if one.key == sheet_format.unique[0]), "")
    for row in rows:
        key = tuple(row[name] for name in sheet_format.unique)
        if key in first:
            message = N_("和第 %(first)s 行重复，同一笔只能登记一次，请删去一行")
            findings.append(Finding(row.number, label, message, {"first": first[key]}))
        else:
            first[key] = row.number
            kept.append(row)
    return kept, findings


def _sums(session: Session, evidence_ids: Sequence[int]) -> tuple[int, int]:
    """Of how many households the evidence is, and what it entitles to in fen."""
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
    return len(amounts), sum(amounts.values())


def _tell(session: Session, actor: Actor, action: str, sheet: EvidenceSheet, **detail: Any) -> None:
    subject = ("evidence_sheet", sheet.public_no)
    record_trail(session, actor, action, subject=subject, format=sheet.format, **detail)
