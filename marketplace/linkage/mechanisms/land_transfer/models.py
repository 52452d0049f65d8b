"""Parcels under transfer, and parcel-years: the evidence of land transfer.

One parcel is under at most one transfer on any day, and no day of a parcel is paid for twice: the spans are chained
(see spans.py), whatever agreement, household or cooperative they belong to.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.linkage.models import Agreement, Evidence, LinkagePeriod
from marketplace.linkage.spans import Span, chained_by
from marketplace.registry.models import Region

MOST_GRAIN_FEN_PER_KG = 10_000


class ParcelTransfer(Span, Base):
    """A parcel held under an agreement over a span of days; open-ended until 9999-12-31.

    Not history but a claim: it is cut when the agreement is amended or ended.
    """

    __tablename__ = "parcel_transfer"
    __table_args__ = (
        CheckConstraint("area_cmu > 0", name="area"),
        Index("ix_parcel_transfer_agreement", "agreement_id"),
        *chained_by("parcel_transfer", "parcel_no"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    parcel_no: Mapped[str] = mapped_column(String(19))
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"))
    area_cmu: Mapped[int]

    agreement: Mapped[Agreement] = relationship(lazy="joined")


class ParcelYear(Base):
    """Rent of one parcel for the days [starts_on, ends_on). Append-only; shares its id with its evidence."""

    __tablename__ = "parcel_year"
    __table_args__ = (
        CheckConstraint("area_cmu > 0", name="area"),
        CheckConstraint("ends_on > starts_on", name="days"),
        Index("ix_parcel_year_parcel_no", "parcel_no", "starts_on"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    period_id: Mapped[int] = mapped_column(ForeignKey("linkage_period.id"), index=True)
    parcel_no: Mapped[str] = mapped_column(String(19))
    right_certificate_no: Mapped[str] = mapped_column(String(40))
    area_cmu: Mapped[int]
    starts_on: Mapped[date]
    ends_on: Mapped[date]

    evidence: Mapped[Evidence] = relationship(lazy="joined")
    period: Mapped[LinkagePeriod] = relationship()


class RentedSpan(Span, Base):
    """The days of a parcel that a piece of evidence pays for, chained so that none is paid for twice."""

    __tablename__ = "rented_span"
    __table_args__ = chained_by("rented_span", "parcel_no")

    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    parcel_no: Mapped[str] = mapped_column(String(19))

    evidence: Mapped[Evidence] = relationship(lazy="joined")


class GrainPrice(Base):
    """What a kilogram of unhusked rice costs in a region and year, for rents in grain, and where that is written.

    Append-only: a correction is a further version. Rents recorded by then keep the version they were computed with.
    """

    __tablename__ = "grain_price"
    __table_args__ = (
        UniqueConstraint("region_code", "year", "version"),
        CheckConstraint("year BETWEEN 2014 AND 2100", name="year"),
        CheckConstraint(f"fen_per_kg > 0 AND fen_per_kg <= {MOST_GRAIN_FEN_PER_KG}", name="price"),
        CheckConstraint("source <> ''", name="source"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    year: Mapped[int]
    version: Mapped[int]
    fen_per_kg: Mapped[int]
    source: Mapped[str] = mapped_column(String(200))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    region: Mapped[Region] = relationship()


class ParcelYearPrice(Base):
    """The price of grain a parcel-year was computed with. Append-only; has the id of the parcel-year."""

    __tablename__ = "parcel_year_price"
    __table_args__ = ({"info": APPEND_ONLY},)

    id: Mapped[int] = mapped_column(ForeignKey("parcel_year.id"), primary_key=True, autoincrement=False)
    grain_price_id: Mapped[int] = mapped_column(ForeignKey("grain_price.id"), index=True)
