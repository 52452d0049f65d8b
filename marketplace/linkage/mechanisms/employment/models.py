"""Attendance: the evidence of employment. One row a person, day, cooperative, scope and kind of work.

Two tables stand beside it, over all cooperatives: how many minutes a person has worked on a day, which never exceed
sixteen hours, and the spans of the day that were noted, which never overlap.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.db import Base
from marketplace.linkage.models import Evidence, LinkagePeriod, Lot
from marketplace.registry.models import HouseholdMember

MOST_MINUTES = 16 * 60  # what a person can have worked on one day, whoever says so
MOST_PIECES = 100_000
DAY_MINUTES = 24 * 60


class LabourDay(Base):
    """What a person has worked on a day for all cooperatives together. Moved with each attendance, never typed."""

    __tablename__ = "labour_day"
    __table_args__ = (CheckConstraint(f"minutes >= 0 AND minutes <= {MOST_MINUTES}", name="sixteen_hours"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("household_member.id"), primary_key=True)
    worked_on: Mapped[date] = mapped_column(primary_key=True)
    minutes: Mapped[int] = mapped_column(default=0)


class Attendance(Base):
    """What one person did on one day: minutes, or pieces of a kind; for a lot, or for a linkage period.

    Append-only; shares its id with its evidence. `starts_minute` and `ends_minute` count from midnight, when noted.
    """

    __tablename__ = "attendance"
    __table_args__ = (
        CheckConstraint("(minutes IS NULL) <> (pieces IS NULL)", name="minutes_or_pieces"),
        CheckConstraint("(pieces IS NULL) = (piece_kind IS NULL)", name="kind"),
        CheckConstraint(f"minutes > 0 AND minutes <= {MOST_MINUTES}", name="minutes"),
        CheckConstraint(f"pieces > 0 AND pieces <= {MOST_PIECES}", name="pieces"),
        CheckConstraint("(lot_id IS NULL) <> (period_id IS NULL)", name="one_scope"),
        CheckConstraint("(starts_minute IS NULL) = (ends_minute IS NULL)", name="both_times"),
        CheckConstraint("minutes <= ends_minute - starts_minute", name="within_times"),
        ForeignKeyConstraint(("person_id", "worked_on"), ("labour_day.person_id", "labour_day.worked_on")),
        Index("ix_attendance_person", "person_id", "worked_on"),
        Index("ix_attendance_day", "worked_on"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("household_member.id"))
    worked_on: Mapped[date]
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    period_id: Mapped[int | None] = mapped_column(ForeignKey("linkage_period.id"), index=True)
    minutes: Mapped[int | None]
    piece_kind: Mapped[str | None] = mapped_column(String(20))
    pieces: Mapped[int | None]
    starts_minute: Mapped[int | None]
    ends_minute: Mapped[int | None]

    evidence: Mapped[Evidence] = relationship()
    person: Mapped[HouseholdMember] = relationship()
    lot: Mapped[Lot | None] = relationship()
    period: Mapped[LinkagePeriod | None] = relationship()


class LabourSpan(Base):
    """The minutes [starts, ends) of a person's day that an attendance covers, when its times were noted.

    The spans of a day form one chain, as the spans of days do (see spans.py): each names the end of the one before
    it, and does not begin earlier. So no two share a minute, whichever cooperatives recorded them.
    """

    __tablename__ = "labour_span"
    __table_args__ = (
        UniqueConstraint("person_id", "worked_on", "ends_minute"),
        UniqueConstraint("person_id", "worked_on", "previous_ends_minute"),
        Index(
            "uq_labour_span_first",
            "person_id",
            "worked_on",
            unique=True,
            sqlite_where=text("previous_ends_minute IS NULL"),
            postgresql_where=text("previous_ends_minute IS NULL"),
        ),
        ForeignKeyConstraint(
            ("person_id", "worked_on", "previous_ends_minute"),
            ("labour_span.person_id", "labour_span.worked_on", "labour_span.ends_minute"),
            deferrable=True,
            initially="DEFERRED",
        ),
        CheckConstraint(
            f"starts_minute >= 0 AND ends_minute > starts_minute AND ends_minute <= {DAY_MINUTES}",
            name="minutes",
        ),
        CheckConstraint("previous_ends_minute <= starts_minute", name="after_previous"),
    )

    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(ForeignKey("household_member.id"))
    worked_on: Mapped[date]
    starts_minute: Mapped[int]
    ends_minute: Mapped[int]
    previous_ends_minute: Mapped[int | None]
