"""Guarantees that were posted and replaced, and the closing of linkage periods.

The database itself keeps a guarantee from falling below zero. Triggers of the migration keep a closed period
from taking entitlements and from being opened again.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
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
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.linkage.models import LinkagePeriod, Mechanism

SCOPE_KEY = (
    "scope_key = mechanism || CASE WHEN lot_id IS NOT NULL THEN ':lot:' || CAST(lot_id AS VARCHAR) "
    "ELSE ':period:' || CAST(period_id AS VARCHAR) END"
)


class Direction(LabelledEnum):
    """A guarantee is posted when money falls short, and reduced when a credit replaces it."""

    POSTED = "posted", N_("保底补足")
    REDUCED = "reduced", N_("保底冲减")


class GuaranteePosting(Base):
    """One change of the guarantee standing for a household in a scope, and what it was computed from. Append-only.

    The postings of a household in a scope form one chain: each names the position and the standing of the one before
    it by a foreign key, so that no two workers continue from the same place and the standing is never below zero.
    POSTED: amount = due - credited - standing before. REDUCED: `credited_fen` is the credit of `pool_id` that replaces
    the guarantee, and the amount is at most that credit.
    """

    __tablename__ = "guarantee_posting"
    __table_args__ = (
        CheckConstraint("(lot_id IS NULL) <> (period_id IS NULL)", name="one_scope"),
        CheckConstraint(SCOPE_KEY, name="scope_key"),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("standing_before_fen >= 0 AND standing_after_fen >= 0", name="not_negative"),
        CheckConstraint(
            "standing_after_fen = standing_before_fen "
            "+ CASE WHEN direction = 'posted' THEN amount_fen ELSE -amount_fen END",
            name="standing",
        ),
        CheckConstraint(
            "direction = 'reduced' OR "
            "(due_fen IS NOT NULL AND pool_id IS NULL AND amount_fen = due_fen - credited_fen - standing_before_fen)",
            name="posted",
        ),
        CheckConstraint(
            "direction = 'posted' OR "
            "(due_fen IS NULL AND pool_id IS NOT NULL AND amount_fen <= credited_fen)",
            name="reduced",
        ),
        CheckConstraint(
            "(position = 1 AND previous_position IS NULL AND standing_before_fen = 0) "
            "OR (position > 1 AND previous_position IS NOT NULL AND previous_position = position - 1)",
            name="position",
        ),
        UniqueConstraint("scope_key", "household_id", "position"),
        UniqueConstraint(
            "scope_key",
            "household_id",
            "position",
            "standing_after_fen",
            name="uq_guarantee_posting_standing",
        ),
        ForeignKeyConstraint(
            ("scope_key", "household_id", "previous_position", "standing_before_fen"),
            (
                "guarantee_posting.scope_key",
                "guarantee_posting.household_id",
                "guarantee_posting.position",
                "guarantee_posting.standing_after_fen",
            ),
            name="fk_guarantee_posting_previous",
        ),
        Index("ix_guarantee_posting_pool", "pool_id"),
        Index("ix_guarantee_posting_period", "period_id", "household_id"),
        Index("ix_guarantee_posting_lot", "lot_id", "household_id"),
        Index("ix_guarantee_posting_household", "household_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    scope_key: Mapped[str] = mapped_column(String(60))
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
    period_id: Mapped[int | None] = mapped_column(ForeignKey("linkage_period.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    position: Mapped[int]
    previous_position: Mapped[int | None]
    direction: Mapped[Direction] = mapped_column(code_of(Direction, "direction"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    due_fen: Mapped[int | None] = mapped_column(BigInteger)
    credited_fen: Mapped[int] = mapped_column(BigInteger)
    standing_before_fen: Mapped[int] = mapped_column(BigInteger)
    standing_after_fen: Mapped[int] = mapped_column(BigInteger)
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("linkage_pool.id"))
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), index=True)
    rule_version: Mapped[int]
    posted_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class ClosingState(LabelledEnum):
    """One person prepares the closing of a period, another confirms it."""

    PREPARED = "prepared", N_("待另一人确认")
    CONFIRMED = "confirmed", N_("已关账")
    CANCELLED = "cancelled", N_("已撤回")


class PeriodClosing(Base):
    """The closing of a linkage period: the figures as they were prepared, and the two people who stand for them.

    `figures_hash` is the SHA-256 of every row of the figures; closing is confirmed only while they are still the same.
    A period has one closing that is not cancelled.
    """

    __tablename__ = "period_closing"
    __table_args__ = (
        CheckConstraint("confirmed_by <> prepared_by", name="two_people"),
        CheckConstraint(
            "(state = 'confirmed') = (confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL)",
            name="confirmed",
        ),
        CheckConstraint("top_up_fen >= 0 AND households >= 0", name="not_negative"),
        Index(
            "uq_period_closing_live",
            "period_id",
            unique=True,
            sqlite_where=text("state <> 'cancelled'"),
            postgresql_where=text("state <> 'cancelled'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("Z"))
    period_id: Mapped[int] = mapped_column(ForeignKey("linkage_period.id"), index=True)
    state: Mapped[ClosingState] = mapped_column(code_of(ClosingState, "state"), default=ClosingState.PREPARED)
    as_of_entitlement_id: Mapped[int]
    figures_hash: Mapped[str] = mapped_column(String(64))
    households: Mapped[int]
    due_fen: Mapped[int] = mapped_column(BigInteger)
    credited_fen: Mapped[int] = mapped_column(BigInteger)
    standing_fen: Mapped[int] = mapped_column(BigInteger)
    top_up_fen: Mapped[int] = mapped_column(BigInteger)
    village_fen: Mapped[int] = mapped_column(BigInteger)
    prepared_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    prepared_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    period: Mapped[LinkagePeriod] = relationship()
    preparer: Mapped[User] = relationship(foreign_keys=[prepared_by])
    confirmer: Mapped[User | None] = relationship(foreign_keys=[confirmed_by])
