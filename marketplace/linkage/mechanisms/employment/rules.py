"""Recording attendance: one person's day, or a whole day of a cooperative at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import (
    evidence_under,
    grant_entitlement,
    keep_evidence,
    require_own,
    version_for,
)
from marketplace.linkage.mechanisms.employment.days import Work, add_span, take_minutes
from marketplace.linkage.mechanisms.employment.mechanism import (
    HOUR,
    attendance_details,
    entitlement,
    piece_rate_of,
)
from marketplace.linkage.mechanisms.employment.models import (
    DAY_MINUTES,
    MOST_MINUTES,
    MOST_PIECES,
    Attendance,
)
from marketplace.linkage.models import Agreement, AgreementVersion, Evidence, LinkagePeriod, Lot, Mechanism
from marketplace.linkage.queries import period_on
from marketplace.registry.models import Cooperative, HouseholdMember

MOST_ROWS = 300


@dataclass(frozen=True)
class Mark:
    """One line of a day's sheet: who worked, under which agreement, and what."""

    agreement: Agreement
    person: HouseholdMember
    work: Work


class SheetRefused(Refused):
    """A day's sheet of which some lines cannot be recorded; `rows` says which, by the person's public number."""

    def __init__(self, rows: Mapping[str, DomainError]) -> None:
        message = N_("有 %(count)s 人的考勤有问题，整张表还没有保存")
        super().__init__("sheet", message, count=len(rows))
        self.rows = rows


def attendance_key(person_no: str, worked_on: date, uscc: str, scope_no: str, kind: str) -> str:
    """The global key of an attendance: person, day, cooperative, the lot or period, and the kind of work."""
    return f"attendance:{person_no}:{worked_on.isoformat()}:{uscc}:{scope_no}:{kind}"


def record_attendance_sheet(
    session: Session,
    actor: Actor,
    *,
    worked_on: date,
    marks: Sequence[Mark],
    lot: Lot | None = None,
    file: StoredFile | None = None,
) -> list[Evidence]:
    """Record a day's attendance of several people, all of them or none; `file` is the sheet they signed.

    Raises SheetRefused with what is wrong in each line, Refused for an empty or too long sheet.
    """
    if not marks:
        raise Refused("nobody", N_("请勾选这天出工的人"))
    if len(marks) > MOST_ROWS:
        raise Refused("too_many_rows", N_("一次最多记 %(most)s 人，请分几次记"), most=MOST_ROWS)
    recorded, refused = [], dict[str, DomainError]()
    with session.begin_nested():
        for mark in marks:
            try:
                evidence = record_attendance(
                    session,
                    actor,
                    agreement=mark.agreement,
                    person=mark.person,
                    worked_on=worked_on,
                    work=mark.work,
                    lot=lot,
                    file=file,
                )
            except (NotFound, Forbidden):
                raise
            except DomainError as error:
                refused[mark.person.public_no] = error
            else:
                recorded.append(evidence)
        if refused:
            raise SheetRefused(refused)
    return recorded


def record_attendance(
    session: Session,
    actor: Actor,
    *,
    agreement: Agreement,
    person: HouseholdMember,
    worked_on: date,
    work: Work,
    lot: Lot | None = None,
    file: StoredFile | None = None,
) -> Evidence:
    """Record what `person` did on a day under `agreement`, and what it entitles the household to.

    The labour belongs to `lot`, or without one to the linkage period of the day. Raises Refused (field named) for work,
    a day or a person that cannot be, for more than sixteen hours a day over all cooperatives; Conflict when the same
    attendance was recorded before or overlaps another; NotFound for somebody else's agreement or lot. Then nothing has
    changed.
    """
    require_own(actor, agreement, *([lot] if lot else []))
    _check_work(work)
    version = version_for(session, agreement, Mechanism.EMPLOYMENT, worked_on, field="worked_on")
    _check_person(agreement, version, person)
    _check_wage(version, work)
    period = None if lot else _open_period(session, agreement, worked_on)
    key = _unused_key(session, agreement, person, worked_on, work, lot or period)
    take_minutes(session, person, worked_on, work)
    attendance = Attendance(
        person_id=person.id,
        worked_on=worked_on,
        lot_id=lot.id if lot else None,
        period_id=period.id if period else None,
        minutes=work.minutes,
        piece_kind=work.piece_kind,
        pieces=work.pieces,
        starts_minute=work.starts_minute,
        ends_minute=work.ends_minute,
    )
    details = attendance_details(attendance, period.ends_on if period else None)
    evidence = keep_evidence(
        session,
        actor,
        version=version,
        mechanism=Mechanism.EMPLOYMENT,
        key=key,
        occurred_on=worked_on,
        content={**details, "person": person.public_no, "agreement": agreement.public_no},
        file=file,
    )
    attendance.id = evidence.id
    session.add(attendance)
    add_span(session, attendance)
    computed = entitlement(details, version.terms)
    grant_entitlement(
        session, evidence, agreement, computed, lot_id=attendance.lot_id, period_id=attendance.period_id
    )
    record_trail(
        session,
        actor,
        "linkage.record_attendance",
        subject=("evidence", evidence.public_no),
        household_id=agreement.household_id,
        person=person.public_no,
        worked_on=worked_on.isoformat(),
        amount_fen=computed.amount_fen,
    )
    return evidence


def _check_work(work: Work) -> None:
    if work.minutes is not None and not 0 < work.minutes <= MOST_MINUTES:
        message = N_("一天的工时须大于零，最多 %(hours)s 小时")
        raise Refused("minutes", message, field="minutes", hours=MOST_MINUTES // HOUR)
    if work.minutes is None and not 0 < (work.pieces or 0) <= MOST_PIECES:
        message = N_("件数须大于零，一天最多 %(most)s 件，请核对")
        raise Refused("pieces", message, field="pieces", most=MOST_PIECES)
    starts, ends = work.starts_minute, work.ends_minute
    if (starts is None) != (ends is None):
        raise Refused("both_times", N_("上工和收工时间要么都填，要么都不填"), field="ends_minute")
    if starts is None or ends is None:
        return
    if not 0 <= starts < ends <= DAY_MINUTES:
        raise Refused("times", N_("收工时间须晚于上工时间；过夜的活按两天记"), field="ends_minute")
    if (work.minutes or 0) > ends - starts:
        raise Refused("within_times", N_("工时比上工到收工的时间还长，请核对"), field="minutes")


def _check_person(agreement: Agreement, version: AgreementVersion, person: HouseholdMember) -> None:
    if person.household_id != agreement.household_id:
        raise Refused("other_household", N_("这个人不是签协议那一户的家庭成员"), field="person")
    if person.public_no not in version.terms["persons"]:
        message = N_("这个人不在务工协议里，请先变更协议，勾上这个人")
        raise Refused("not_agreed_person", message, field="person")


def _check_wage(version: AgreementVersion, work: Work) -> None:
    if work.minutes is not None and version.terms["rate_fen_per_hour"] is None:
        raise Refused("no_hourly_wage", N_("协议没有约定时薪，请按件数记"), field="minutes")
    if work.minutes is None and piece_rate_of(version.terms, work.piece_kind or "") is None:
        message = N_("协议没有约定“%(kind)s”的计件单价")
        raise Refused("unknown_kind", message, field="piece_kind", kind=work.piece_kind or "")


def _open_period(session: Session, agreement: Agreement, worked_on: date) -> LinkagePeriod:
    """The linkage period of the day; that it is open, the version of the day has been asked for."""
    period = period_on(session, agreement.cooperative_id, worked_on)
    if period is None:
        message = N_("%(day)s 还没有联结期，请先开设一个联结期，或选一个批次")
        raise Refused("no_period", message, field="worked_on", day=worked_on.isoformat())
    return period


def _unused_key(
    session: Session,
    agreement: Agreement,
    person: HouseholdMember,
    worked_on: date,
    work: Work,
    scope: Lot | LinkagePeriod | None,
) -> str:
    cooperative = session.get_one(Cooperative, agreement.cooperative_id)
    scope_no = scope.public_no if scope else ""
    kind = work.piece_kind if work.minutes is None else "minutes"
    key = attendance_key(person.person_no, worked_on, cooperative.uscc, scope_no, kind or "")
    if evidence_under(session, key) is not None:
        message = N_("这个人 %(day)s 的这项考勤已经记过，没有重复记录")
        raise Conflict("attendance_used", message, field="worked_on", day=worked_on.isoformat())
    return key
