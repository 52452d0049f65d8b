"""A cooperative's freight sheets. A sheet never changes: a new one follows, and an order part pins the one it saw.

Without a sheet a cooperative delivers free of charge everywhere.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant


class FreightSheet(Base):
    """What a cooperative asks from `created_at` on; nothing for goods of `free_from_fen` fen or more. Append-only."""

    __tablename__ = "freight_sheet"
    __table_args__ = (
        UniqueConstraint("cooperative_id", "version"),
        UniqueConstraint(
            "id", "cooperative_id"
        ),  # what order parts refer to, so that nobody pays another's freight
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("free_from_fen > 0", name="free_from"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    version: Mapped[int]
    free_from_fen: Mapped[int | None] = mapped_column(BigInteger)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    rates: Mapped[list[FreightRate]] = relationship(order_by="FreightRate.zone_code.desc()", lazy="selectin")


class FreightRate(Base):
    """What carrying to a zone costs: `first_fen` for the first kilogram, `further_fen` for each further one begun, and
    the days it takes. Append-only.

    `zone_code` is a county (6 digits), a prefecture (4), the province (2), or empty for everywhere else; the longest
    that fits a destination holds. Where none fits, the cooperative does not deliver.
    """

    __tablename__ = "freight_rate"
    __table_args__ = (
        UniqueConstraint("sheet_id", "zone_code"),
        CheckConstraint("first_fen >= 0 AND further_fen >= 0", name="fen"),
        CheckConstraint("days_from >= 1 AND days_to >= days_from AND days_to <= 60", name="days"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sheet_id: Mapped[int] = mapped_column(ForeignKey("freight_sheet.id"))
    zone_code: Mapped[str] = mapped_column(String(6))
    first_fen: Mapped[int] = mapped_column(BigInteger)
    further_fen: Mapped[int] = mapped_column(BigInteger)
    days_from: Mapped[int]
    days_to: Mapped[int]
