"""Yield records: the evidence of production trusteeship."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.db import Base
from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.models import Evidence, Lot

MOST_G = 500_000_000  # 1000 mu at the best yields of rice give less


class HalfYear(LabelledEnum):
    """The part of a year that a season's crop belongs to: a plot is reaped at most twice a year here."""

    FIRST = "1", N_("上半年（春茶、早稻等）")
    SECOND = "2", N_("下半年（晚稻、油茶、脐橙等）")


class YieldRecord(Base):
    """What a household's plots gave in one season, brought into one lot.

    Append-only; shares its id with its evidence, whose key holds the agreement and the season, so that a season is
    counted, and its service fee charged, once. `season` is the year and its half, e.g. "2026-2". A crop that failed
    is recorded with 0 g: the guaranteed yield is paid all the same.
    """

    __tablename__ = "yield_record"
    __table_args__ = (
        CheckConstraint(f"actual_g >= 0 AND actual_g <= {MOST_G}", name="actual"),
        CheckConstraint("season LIKE '____-1' OR season LIKE '____-2'", name="season"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    season: Mapped[str] = mapped_column(String(6))
    actual_g: Mapped[int]

    evidence: Mapped[Evidence] = relationship(lazy="joined")
    lot: Mapped[Lot] = relationship()
