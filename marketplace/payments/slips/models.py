"""Income slips as they were issued, and their withdrawals. Both are history: nothing on an issued slip ever changes.

What a slip says is kept as it was computed, with a hash over it, so that the public check can tell a true paper from a
changed one and say whether the ledger still says the same.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.registry.models import Cooperative, Household

TOKEN_LENGTH = 26  # of 5 random bits each: 130 bits cannot be guessed


class IncomeSlip(Base):
    """The income of one household over the days [since_on, until_on]. Append-only.

    `cooperative_id` is set on a slip that a cooperative issued: it tells of that cooperative's money alone. `token` is
    what the QR code leads to; `figures` are fen as `queries.SlipFigures` keeps them.
    """

    __tablename__ = "income_slip"
    __table_args__ = (
        UniqueConstraint("household_id", "idempotency_key"),
        CheckConstraint("until_on >= since_on", name="span"),
        Index("ix_income_slip_household", "household_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("SL"))
    token: Mapped[str] = mapped_column(String(32), unique=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("cooperative.id"), index=True)
    since_on: Mapped[date]
    until_on: Mapped[date]
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    content_hash: Mapped[str] = mapped_column(String(64))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    issued_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    issued_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    household: Mapped[Household] = relationship(lazy="joined")
    cooperative: Mapped[Cooperative | None] = relationship(lazy="joined")
    withdrawal: Mapped[SlipWithdrawal | None] = relationship(
        back_populates="slip", lazy="joined", viewonly=True
    )


class SlipWithdrawal(Base):
    """A slip that no longer counts, and why. Append-only; one a slip."""

    __tablename__ = "income_slip_withdrawal"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"), {"info": APPEND_ONLY})

    slip_id: Mapped[int] = mapped_column(ForeignKey("income_slip.id"), primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(300))
    withdrawn_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    withdrawn_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    slip: Mapped[IncomeSlip] = relationship(back_populates="withdrawal", viewonly=True)
