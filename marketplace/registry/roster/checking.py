"""Checking a roster in steps: each reads some lines, or runs one check across rows, or counts what would be new.

A step first looks (`prepare_step`: reading, unsealing, checking, the slow part) and then writes what it found
(`write_step`), if the import still stands where it was looked at. So nobody waits for the slow part, progress is seen,
and after a crash the next step goes on where the last one was committed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Refused
from marketplace.core.files import FileStore
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.registry.models import Cooperative, ImportState, RosterImport
from marketplace.registry.queries import counting_statuses
from marketplace.registry.roster.checks import Finding, Ground, PersonRow, Villages, check_row
from marketplace.registry.roster.columns import Header
from marketplace.registry.roster.cross_checks import CROSS_CHECKS
from marketplace.registry.roster.models import RosterRow
from marketplace.registry.roster.queries import county_places
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.taking import foresee, forget_rows, mark_bad_rows, write_findings
from marketplace.registry.rules import ID_COLUMN
from marketplace.web.progress import Progress

LINES_A_STEP = 2_000
READ = 1  # having read the lines is the first of the checks
FORESEEN = READ + len(CROSS_CHECKS) + 1  # and counting what would be new is the last
MAX_OPEN = 4
# Sheets half read, by import and place: an XLSX cannot be entered in the middle, and reading it from the start for
# every step would take quadratic time. Losing one (a crash, another worker) only costs skipping the lines again.
_half_read: dict[tuple[str, int], SheetReader] = {}


@dataclass
class Step:
    """What a step found out: rows and findings to add and `changes` of the import that stood at `place`."""

    import_id: int
    place: tuple[int, int]
    rows: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    is_failure: bool = False


def prepare_step(
    session: Session, data_key: DataKey, files: FileStore, roster: RosterImport, *, lines: int = LINES_A_STEP
) -> Step:
    """Look at the next `lines` lines of a roster, or run its next check across rows. Changes nothing."""
    step = Step(roster.id, (roster.rows_read, roster.checks_done))
    if roster.checks_done < READ:
        try:
            _read_lines(session, data_key, files, roster, step, lines)
        except Refused as refusal:
            step.findings = [Finding(0, None, refusal.code, refusal.message, refusal.params)]
            step.is_failure = True
    elif roster.checks_done < FORESEEN - 1:
        step.findings = list(CROSS_CHECKS[roster.checks_done - READ].findings(session, roster))
        step.changes = {"checks_done": roster.checks_done + 1}
    else:
        step.changes = {**foresee(session, roster), "checks_done": FORESEEN}
    return step


def write_step(session: Session, step: Step) -> bool:
    """Write what a step found, unless the import has moved on meanwhile. True while there is more to check."""
    roster = session.get_one(RosterImport, step.import_id)
    session.refresh(roster, with_for_update=True)
    is_waiting = roster.state in (ImportState.UPLOADED, ImportState.CHECKING)
    if not is_waiting or (roster.rows_read, roster.checks_done) != step.place:
        return is_waiting
    if step.is_failure:
        forget_rows(session, roster)
        roster.rows_good = roster.rows_bad = 0
        roster.state, roster.failure = ImportState.FAILED, step.findings[0].code
    else:
        roster.state = ImportState.CHECKING
    if step.rows:
        session.execute(insert(RosterRow), step.rows)
    write_findings(session, roster, step.findings)
    if step.findings and roster.checks_done >= READ:
        mark_bad_rows(session, roster)
    for name, value in step.changes.items():
        setattr(roster, name, value)
    if roster.checks_done == FORESEEN:
        roster.state, roster.checked_at = ImportState.CHECKED, now()
    session.flush()
    return roster.state is ImportState.CHECKING


def progress_of(roster: RosterImport) -> Progress | None:
    """What is being done with it now and how far that is; None while nothing is."""
    if roster.state is ImportState.TAKING:
        return Progress(N_("等待入库"), 0, roster.rows_good)
    if roster.state not in (ImportState.UPLOADED, ImportState.CHECKING):
        return None
    if roster.checks_done < READ:
        return Progress(N_("正在逐行检查"), roster.rows_read, roster.rows_total)
    checks = FORESEEN - READ
    return Progress(N_("每一行都读过了，正在和登记的农户核对"), roster.checks_done - READ, checks)


def check_roster(
    session: Session, data_key: DataKey, files: FileStore, roster: RosterImport, *, lines: int = LINES_A_STEP
) -> bool:
    """One step in one transaction. True while there is more to check."""
    return write_step(session, prepare_step(session, data_key, files, roster, lines=lines))


def check_at_once(session: Session, data_key: DataKey, files: FileStore, roster: RosterImport) -> bool:
    """Check a short roster (one step of lines) to the end; a longer one is left to the job. True when it is done."""
    more = check_roster(session, data_key, files, roster)
    while more and roster.checks_done >= READ:
        more = check_roster(session, data_key, files, roster)
    return not more


# --- reading lines ---


def _read_lines(
    session: Session, data_key: DataKey, files: FileStore, roster: RosterImport, step: Step, most: int
) -> None:
    reader = _reader_at(files, roster)
    header = reader.header
    if header is None or not header.is_usable:
        step.findings, step.is_failure = _header_findings(header), True
        return
    ground = _ground(session, roster, reader, header)
    for number, cells in reader.lines(most):
        checked = check_row(number, cells, ground)
        if checked:
            step.findings += checked[1]
            step.rows.append(_staged(data_key, roster, *checked))
    rows_read = reader.position - header.row
    good = sum(row["is_good"] for row in step.rows)
    step.changes = {
        "rows_read": rows_read,
        "rows_total": rows_read if reader.at_end else max(reader.total - header.row, rows_read),
        "rows_good": roster.rows_good + good,
        "rows_bad": roster.rows_bad + len(step.rows) - good,
        "checks_done": READ if reader.at_end else 0,
    }
    if not reader.at_end:
        _keep_open(roster.public_no, rows_read, reader)
    elif not (step.rows or roster.rows_good or roster.rows_bad):
        step.findings = [Finding(0, None, "no_rows", N_("名册里没有一行农户，请按模板填写后再上传"))]
        step.is_failure, step.changes = True, {}


def _ground(session: Session, roster: RosterImport, reader: SheetReader, header: Header) -> Ground:
    cooperative = session.get_one(Cooperative, roster.cooperative_id)
    return Ground(
        header=header,
        merged=reader.merged,
        villages=Villages(cooperative.county_code, county_places(session, cooperative.county_code)),
        counting=counting_statuses(session, cooperative.county_code, valid_on=today()),
        today=today(),
    )


def _staged(
    data_key: DataKey, roster: RosterImport, person: PersonRow, findings: list[Finding]
) -> dict[str, Any]:
    member_no, number = public_no("M"), person.id_number
    return {
        "import_id": roster.id,
        "row": person.row,
        "is_good": not findings,
        "registry_no": person.registry_no,
        "head_name": person.head_name,
        "village_code": person.village_code,
        "person_no": person.person_no,
        "name": person.name,
        "relation": person.relation,
        "is_head": person.is_head,
        "id_number_sealed": data_key.seal(number, context=f"{ID_COLUMN}:{member_no}") if number else None,
        "id_number_index": data_key.blind_index(number, column=ID_COLUMN) if number else None,
        "status": person.status,
        "valid_from": person.valid_from,
        "phone": person.phone,
        "household_no": public_no("H"),
        "member_no": member_no,
        "enrolment_no": public_no("E"),
    }


def _header_findings(header: Header | None) -> list[Finding]:
    if header is None:
        return [Finding(0, None, "no_header", N_("没有找到表头，请使用模板，表头放在前 10 行以内"))]
    missing = [
        Finding(header.row, column, "missing_column", N_("缺少这一列，请补上，表头写法见模板"))
        for column in header.missing
    ]
    return missing + [
        Finding(header.row, column, "duplicate_column", N_("这一列出现了两次，请只保留一列"))
        for column in header.duplicates
    ]


def _reader_at(files: FileStore, roster: RosterImport) -> SheetReader:
    """The sheet, read up to where the last step ended. Raises Refused when it cannot be read."""
    reader = _half_read.pop((roster.public_no, roster.rows_read), None)
    if reader is None:
        try:
            content = files.read(roster.content_hash, sealed=True)
        except FileNotFoundError as error:
            raise Refused("file_lost", N_("原文件已找不到，请再上传一次同一份文件，然后重新检查")) from error
        reader = SheetReader(content)
        skip = roster.rows_read
        while skip > 0:
            skip -= len(reader.lines(min(skip, LINES_A_STEP))) or skip
    return reader


def _keep_open(roster_no: str, rows_read: int, reader: SheetReader) -> None:
    while len(_half_read) >= MAX_OPEN:
        _half_read.pop(next(iter(_half_read)), None)
    _half_read[roster_no, rows_read] = reader
