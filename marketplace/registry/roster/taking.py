"""Taking a checked roster into the register: set-based, in one transaction, whatever its length.

Only what is not there yet is added; nothing that is registered is changed. So a roster whose rows are all known
changes nothing, and taking it again after a crash is safe. Who may say so is for `rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CursorResult,
    Insert,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.identity.actors import Actor
from marketplace.identity.models import TrailEntry
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    ImportState,
    RosterFinding,
    RosterImport,
)
from marketplace.registry.roster.checks import Finding
from marketplace.registry.roster.cross_checks import IN_REGISTER, OF_HOUSEHOLDS
from marketplace.registry.roster.models import RosterRow

R = RosterRow


def mark_bad_rows(session: Session, roster: RosterImport) -> None:
    """Rows with findings are not good."""
    found = exists().where(RosterFinding.import_id == roster.id, RosterFinding.row == R.row)
    session.execute(update(R).where(R.import_id == roster.id, R.is_good, found).values(is_good=False))


def forget_rows(session: Session, roster: RosterImport) -> None:
    """Remove the rows and findings of an import."""
    session.execute(delete(R).where(R.import_id == roster.id))
    session.execute(delete(RosterFinding).where(RosterFinding.import_id == roster.id))


def write_findings(session: Session, roster: RosterImport, findings: Sequence[Finding]) -> None:
    """Keep findings, in one statement."""
    if findings:
        session.execute(
            insert(RosterFinding),
            [
                {
                    "import_id": roster.id,
                    "row": finding.row,
                    "column": finding.column.label if finding.column else "",
                    "code": finding.code,
                    "message": finding.message,
                    "params": dict(finding.params),
                }
                for finding in findings
            ],
        )


def foresee(session: Session, roster: RosterImport) -> dict[str, int]:
    """How many rows are good and bad, and what taking the good ones would add: values for the import's columns."""
    good = and_(R.import_id == roster.id, R.is_good)
    rows_good = _count(session, select(R.id).where(good))
    return {
        "rows_good": rows_good,
        "rows_bad": _count(session, select(R.id).where(R.import_id == roster.id)) - rows_good,
        "households_new": _count(session, select(R.registry_no).where(good, ~_is_registered()).distinct()),
        "people_new": _count(session, select(R.id).where(good, ~_is_known_person())),
        "enrolments_new": _count(
            session, select(R.registry_no).where(good, ~_is_enrolled(roster)).distinct()
        ),
    }


def take_rows(session: Session, actor: Actor, roster: RosterImport) -> None:
    """Add what the good rows bring and the register lacks, and forget the rows.

    Rows that the register contradicts by now are left out, with a finding.
    """
    for check in (*IN_REGISTER, *OF_HOUSEHOLDS):
        if findings := list(check.findings(session, roster, only_good=True)):
            write_findings(session, roster, findings)
            mark_bad_rows(session, roster)
            roster.rows_good -= len(findings)
            roster.rows_bad += len(findings)
    at = now()
    roster.households_new = _insert(session, _households(roster, at))
    roster.people_new = _insert(session, _members(roster))
    _insert(session, _statuses(roster, actor, at))
    roster.enrolments_new = _insert(session, _enrolments(roster, at))
    _insert(session, _trail(roster, actor, at))
    session.execute(delete(R).where(R.import_id == roster.id))
    roster.state = ImportState.TAKEN
    roster.taken_at = at


def _count(session: Session, rows: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def _insert(session: Session, statement: Insert) -> int:
    result = session.execute(statement, execution_options={"preserve_rowcount": True})
    assert isinstance(result, CursorResult)
    return result.rowcount


def _is_registered() -> Any:
    return exists().where(Household.registry_no == R.registry_no)


def _is_known_person() -> Any:
    return exists().where(HouseholdMember.id_number_index == R.id_number_index)


def _is_enrolled(roster: RosterImport) -> Any:
    return exists().where(
        Household.registry_no == R.registry_no,
        Enrolment.household_id == Household.id,
        Enrolment.cooperative_id == roster.cooperative_id,
    )


def _first_rows(roster: RosterImport) -> Select[Any]:
    """The number of each household's first good row."""
    return select(func.min(R.row)).where(R.import_id == roster.id, R.is_good).group_by(R.registry_no)


def _households(roster: RosterImport, at: datetime) -> Insert:
    rows = (
        select(
            R.household_no,
            R.registry_no,
            R.head_name,
            R.village_code,
            func.substr(R.village_code, 1, 6),
            R.phone,
            literal(at, Household.created_at.type),
        )
        .where(R.import_id == roster.id, R.is_good, R.is_head, ~_is_registered())
        .order_by(R.row)
    )
    names = ("public_no", "registry_no", "head_name", "village_code", "county_code", "phone", "created_at")
    return insert(Household).from_select(names, rows)


def _members(roster: RosterImport) -> Insert:
    rows = (
        select(
            R.member_no,
            Household.id,
            R.person_no,
            R.name,
            R.relation,
            R.is_head,
            R.id_number_sealed,
            R.id_number_index,
        )
        .join(Household, Household.registry_no == R.registry_no)
        .where(R.import_id == roster.id, R.is_good, ~_is_known_person())
        .order_by(R.row)
    )
    names = (
        "public_no",
        "household_id",
        "person_no",
        "name",
        "relation",
        "is_head",
        "id_number_sealed",
        "id_number_index",
    )
    return insert(HouseholdMember).from_select(names, rows)


def _statuses(roster: RosterImport, actor: Actor, at: datetime) -> Insert:
    rows = (
        select(
            Household.id,
            R.status,
            R.valid_from,
            null(),
            literal(at, HouseholdStatus.known_at.type),
            literal(actor.user_id, HouseholdStatus.recorded_by.type),
            literal(f"名册 {roster.public_no}"),
        )
        .join(Household, Household.registry_no == R.registry_no)
        .where(
            R.import_id == roster.id,
            R.row.in_(_first_rows(roster)),
            ~exists().where(HouseholdStatus.household_id == Household.id),
        )
        .order_by(R.row)
    )
    names = ("household_id", "status", "valid_from", "valid_to", "known_at", "recorded_by", "reason")
    return insert(HouseholdStatus).from_select(names, rows)


def _enrolments(roster: RosterImport, at: datetime) -> Insert:
    rows = (
        select(
            R.enrolment_no,
            literal(roster.cooperative_id),
            Household.id,
            literal(EnrolmentState.PROPOSED, Enrolment.state.type),
            literal(today()),
            literal(at, Enrolment.proposed_at.type),
            literal(""),
            literal(""),
        )
        .join(Household, Household.registry_no == R.registry_no)
        .where(R.import_id == roster.id, R.row.in_(_first_rows(roster)), ~_is_enrolled(roster))
        .order_by(R.row)
    )
    names = (
        "public_no",
        "cooperative_id",
        "household_id",
        "state",
        "enrolled_on",
        "proposed_at",
        "vouching_reason",
        "ending_reason",
    )
    return insert(Enrolment).from_select(names, rows)


def _trail(roster: RosterImport, actor: Actor, at: datetime) -> Insert:
    """One line of the trail for each household now asked, as `enrol_household` would have written."""
    rows = (
        select(
            literal(at, TrailEntry.at.type),
            literal(actor.user_id, TrailEntry.actor_user_id.type),
            literal(actor.name),
            literal("registry.enrol"),
            literal("enrolment"),
            Enrolment.public_no,
            Enrolment.cooperative_id,
            Enrolment.household_id,
            Household.county_code,
            literal({"enrolled_on": today().isoformat(), "roster": roster.public_no}, TrailEntry.detail.type),
        )
        .join(R, and_(R.import_id == roster.id, R.enrolment_no == Enrolment.public_no))
        .join(Household, Household.id == Enrolment.household_id)
        .order_by(Enrolment.id)
    )
    names = (
        "at",
        "actor_user_id",
        "actor_name",
        "action",
        "subject_kind",
        "subject_no",
        "cooperative_id",
        "household_id",
        "county_code",
        "detail",
    )
    return insert(TrailEntry).from_select(names, rows)
