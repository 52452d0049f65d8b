"""One person's working day over all cooperatives: at most sixteen hours, and no minute twice.

The day's row is held until the transaction ends, so that two cooperatives recording at once see each other; the tables'
own constraints stand behind it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.linkage.mechanisms.employment.mechanism import HOUR
from marketplace.linkage.mechanisms.employment.models import MOST_MINUTES, Attendance, LabourDay, LabourSpan
from marketplace.registry.models import HouseholdMember


@dataclass(frozen=True)
class Work:
    """Minutes, or pieces of a kind; from when to when in minutes after midnight, when that was noted."""

    minutes: int | None = None
    piece_kind: str | None = None
    pieces: int | None = None
    starts_minute: int | None = None
    ends_minute: int | None = None

    @property
    def counted_minutes(self) -> int:
        """What counts towards sixteen hours: the minutes, else the time noted."""
        if self.minutes is not None:
            return self.minutes
        return (self.ends_minute or 0) - (self.starts_minute or 0)


def take_minutes(session: Session, person: HouseholdMember, worked_on: date, work: Work) -> None:
    """Add the work to the person's day, whose row is held until the end, and which no two may fill beyond its limit."""
    query = (
        select(LabourDay)
        .where(LabourDay.person_id == person.id, LabourDay.worked_on == worked_on)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    day = session.scalar(query)
    if day is None:
        with (
            suppress(IntegrityError),
            session.begin_nested(),
        ):  # else somebody was faster, and the row is there
            session.execute(insert(LabourDay).values(person_id=person.id, worked_on=worked_on, minutes=0))
        day = session.scalars(query).one()
    if day.minutes + work.counted_minutes > MOST_MINUTES:
        hours, minutes = divmod(day.minutes, HOUR)
        raise Refused(
            "over_sixteen_hours",
            N_("这个人当天在各合作社已记 %(hours)s 小时 %(minutes)s 分，一天合计不能超过 %(most)s 小时"),
            field="minutes",
            hours=hours,
            minutes=minutes,
            most=MOST_MINUTES // HOUR,
        )
    _refuse_overlap(session, person, worked_on, work)
    day.minutes += work.counted_minutes
    session.flush()


def _refuse_overlap(session: Session, person: HouseholdMember, worked_on: date, work: Work) -> None:
    if work.starts_minute is None:
        return
    other = session.scalars(
        select(LabourSpan)
        .where(
            LabourSpan.person_id == person.id,
            LabourSpan.worked_on == worked_on,
            LabourSpan.starts_minute < work.ends_minute,
            LabourSpan.ends_minute > work.starts_minute,
        )
        .order_by(LabourSpan.starts_minute)
        .limit(1)
    ).first()
    if other is not None:
        raise Conflict(
            "times_overlap",
            N_("这个人当天 %(first)s 到 %(last)s 已记了考勤，时间不能重叠"),
            field="starts_minute",
            first=clock_text(other.starts_minute),
            last=clock_text(other.ends_minute),
        )


def clock_text(minute: int) -> str:
    """Minutes after midnight as a clock shows them: 450 -> "07:30"."""
    return f"{minute // HOUR:02d}:{minute % HOUR:02d}"


def add_span(session: Session, attendance: Attendance) -> None:
    """Put the times noted into the chain of the person's day; `take_minutes` has been asked."""
    starts, ends = attendance.starts_minute, attendance.ends_minute
    if starts is None or ends is None:
        return
    same = (LabourSpan.person_id == attendance.person_id, LabourSpan.worked_on == attendance.worked_on)
    before = (
        select(LabourSpan.ends_minute)
        .where(*same, LabourSpan.ends_minute <= starts)
        .order_by(LabourSpan.ends_minute.desc())
    )
    after = (
        select(LabourSpan).where(*same, LabourSpan.starts_minute >= ends).order_by(LabourSpan.starts_minute)
    )
    previous, successor = session.scalars(before.limit(1)).first(), session.scalars(after.limit(1)).first()
    if successor is not None:  # first, because two spans may not name the same one before them
        successor.previous_ends_minute = ends
        session.flush()
    session.add(
        LabourSpan(
            evidence_id=attendance.id,
            person_id=attendance.person_id,
            worked_on=attendance.worked_on,
            starts_minute=starts,
            ends_minute=ends,
            previous_ends_minute=previous,
        )
    )
    session.flush()
