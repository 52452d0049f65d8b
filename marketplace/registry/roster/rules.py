"""Roster imports: uploading, checking in small steps, confirming, taking.

Checking a long roster is many short transactions: each reads some lines or runs one check across rows, so that nobody
waits for it, progress is seen, and after a crash the next step goes on where the last one ended.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.core.files import FileStore
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor, actor_of
from marketplace.identity.models import User
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Cooperative, ImportState, RosterFinding, RosterImport
from marketplace.registry.queries import counting_statuses
from marketplace.registry.roster.checks import Finding, Ground, PersonRow, Villages, check_row
from marketplace.registry.roster.columns import Header
from marketplace.registry.roster.cross_checks import CROSS_CHECKS
from marketplace.registry.roster.models import RosterRow
from marketplace.registry.roster.queries import county_places, import_of_content
from marketplace.registry.roster.sheets import SheetReader, kind_of
from marketplace.registry.roster.taking import foresee, run_check, take_rows, write_findings
from marketplace.registry.rules import ID_COLUMN

LINES_A_STEP = 2_000
READING = 1  # reading the lines is the first of the checks
ALL_CHECKS = READING + len(CROSS_CHECKS)
MAX_OPEN = 4
MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# Sheets half read, by import and place: an XLSX cannot be entered in the middle, and reading it from the start for
# every step would take quadratic time. Losing one (a crash, another worker) only costs skipping the lines again.
_half_read: dict[tuple[str, int], SheetReader] = {}


def upload_roster(
    session: Session, actor: Actor, files: FileStore, *, content: bytes, file_name: str
) -> RosterImport:
    """Keep a roster, sealed, to be checked. The same file for the same cooperative is the same import.

    Raises Refused for what is neither CSV nor XLSX.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    cooperative = session.get(Cooperative, actor.cooperative_id or 0)
    if cooperative is None:
        raise Forbidden
    kind = kind_of(content)
    address = files.address_of(content, sealed=True)
    known = import_of_content(session, cooperative.id, address)
    if known:
        return known
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type=MEDIA_TYPES[kind], sealed=True
    )
    roster = RosterImport(
        cooperative_id=cooperative.id,
        file_id=file.id,
        content_hash=address,
        file_name=file_name[-200:],
        uploaded_by=actor.user_id,
    )
    session.add(roster)
    session.flush()
    _record(session, actor, "registry.upload_roster", roster)
    return roster


def recheck_roster(session: Session, actor: Actor, roster: RosterImport) -> RosterImport:
    """Forget the findings and check again, e.g. after the register was corrected. Raises Conflict once confirmed."""
    actor.require(Permission.ENROL_HOUSEHOLDS)
    _lock(session, roster)
    if roster.state not in (ImportState.CHECKED, ImportState.FAILED):
        raise Conflict("roster_busy", N_("这份名册正在检查或已经确认，不能重新检查"))
    _forget(session, roster)
    roster.state, roster.failure, roster.checked_at = ImportState.UPLOADED, "", None
    roster.rows_read = roster.rows_total = roster.rows_good = roster.rows_bad = roster.checks_done = 0
    roster.households_new = roster.people_new = roster.enrolments_new = 0
    _record(session, actor, "registry.recheck_roster", roster)
    session.flush()
    return roster


def confirm_roster(session: Session, actor: Actor, roster: RosterImport) -> RosterImport:
    """Say that the good rows shall be taken. Repeating it changes nothing.

    Raises Conflict while it is being checked, Refused when it has no good row or the check is of another year.
    """
    actor.require(Permission.ENROL_HOUSEHOLDS)
    _lock(session, roster)
    if roster.state in (ImportState.TAKING, ImportState.TAKEN):
        return roster
    if roster.state is not ImportState.CHECKED or roster.checked_at is None:
        raise Conflict("roster_not_checked", N_("这份名册还没有检查完，请稍候"))
    if not roster.rows_good:
        raise Refused("no_good_rows", N_("没有可以入库的行，请按提示改好后重新上传"))
    if business_day(roster.checked_at).year != today().year:
        raise Refused("check_outdated", N_("这份名册是去年检查的，帮扶政策按年执行，请先重新检查"))
    roster.state = ImportState.TAKING
    roster.confirmed_by = actor.user_id
    session.flush()
    _record(session, actor, "registry.confirm_roster", roster)
    return roster


def take_roster(session: Session, roster: RosterImport) -> RosterImport:
    """Take a confirmed roster, in the name of who confirmed it; any other is left as it is."""
    _lock(session, roster)
    if roster.state is not ImportState.TAKING:
        return roster
    user = session.get(User, roster.confirmed_by or 0)
    actor = actor_of(user) if user else SYSTEM
    take_rows(session, actor, roster)
    session.flush()
    _record(
        session,
        actor,
        "registry.take_roster",
        roster,
        households=roster.households_new,
        people=roster.people_new,
        enrolments=roster.enrolments_new,
    )
    return roster


# --- checking ---


def check_roster(
    session: Session, data_key: DataKey, files: FileStore, roster: RosterImport, *, lines: int = LINES_A_STEP
) -> bool:
    """Check some more of a roster: `lines` lines, or one check across rows. True while there is more to do."""
    _lock(session, roster)
    if roster.state is ImportState.UPLOADED:
        roster.state = ImportState.CHECKING
    if roster.state is not ImportState.CHECKING:
        return False
    if roster.checks_done < READING:
        try:
            _read_lines(session, data_key, files, roster, lines)
        except Refused as refusal:
            _fail(session, roster, [Finding(0, None, refusal.code, refusal.message, refusal.params)])
    else:
        run_check(session, roster, CROSS_CHECKS[roster.checks_done - READING])
        roster.checks_done += 1
    if roster.checks_done == ALL_CHECKS:
        foresee(session, roster)
        roster.state, roster.checked_at = ImportState.CHECKED, now()
    session.flush()
    return roster.state is ImportState.CHECKING


def check_at_once(session: Session, data_key: DataKey, files: FileStore, roster: RosterImport) -> bool:
    """Check a roster to the end when it is short (one step of lines); True when it is checked or failed."""
    more = check_roster(session, data_key, files, roster)
    while more and roster.checks_done >= READING:
        more = check_roster(session, data_key, files, roster)
    return not more


def _read_lines(
    session: Session, data_key: DataKey, files: FileStore, roster: RosterImport, most: int
) -> None:
    reader = _reader_at(files, roster)
    header = reader.header
    if header is None or not header.is_usable:
        _fail(session, roster, _header_findings(header))
        return
    ground = _ground(session, roster, reader, header)
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for number, cells in reader.lines(most):
        checked = check_row(number, cells, ground)
        if checked:
            findings += checked[1]
            rows.append(_staged(data_key, roster, *checked))
    if rows:
        session.execute(insert(RosterRow), rows)
    write_findings(session, roster, findings)
    roster.rows_good += sum(row["is_good"] for row in rows)
    roster.rows_bad += sum(not row["is_good"] for row in rows)
    roster.rows_read = reader.position - header.row
    roster.rows_total = max(reader.total - header.row, roster.rows_read)
    if not reader.at_end:
        _keep_open(roster, reader)
    elif roster.rows_good + roster.rows_bad == 0:
        _fail(session, roster, [Finding(0, None, "no_rows", N_("名册里没有一行农户，请按模板填写后再上传"))])
    else:
        roster.rows_total = roster.rows_read
        roster.checks_done = READING


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
        reader = SheetReader(files.read(roster.content_hash, sealed=True))
        skip = roster.rows_read
        while skip > 0:
            skip -= len(reader.lines(min(skip, LINES_A_STEP))) or skip
    return reader


def _keep_open(roster: RosterImport, reader: SheetReader) -> None:
    while len(_half_read) >= MAX_OPEN:
        del _half_read[next(iter(_half_read))]
    _half_read[roster.public_no, roster.rows_read] = reader


def _fail(session: Session, roster: RosterImport, findings: list[Finding]) -> None:
    _forget(session, roster)
    write_findings(session, roster, findings)
    roster.rows_good = roster.rows_bad = 0
    roster.state, roster.failure = ImportState.FAILED, findings[0].code


def _forget(session: Session, roster: RosterImport) -> None:
    session.execute(delete(RosterRow).where(RosterRow.import_id == roster.id))
    session.execute(delete(RosterFinding).where(RosterFinding.import_id == roster.id))


def _lock(session: Session, roster: RosterImport) -> None:
    """Hold the import until the end of the transaction, and look at its present state."""
    session.refresh(roster, with_for_update=True)


def _record(session: Session, actor: Actor, action: str, roster: RosterImport, **detail: int) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("roster_import", roster.public_no),
        cooperative_id=roster.cooperative_id,
        county_code=session.get_one(Cooperative, roster.cooperative_id).county_code,
        **detail,
    )
