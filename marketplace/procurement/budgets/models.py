"""Budgets of a unit by year and purpose. What has been granted, and each order that takes of it, is one row of a chain.

A row says what was granted by then and what had been used `before` and `after` it; `after` never passes the grant. Rows
of a line are numbered without gaps, and an order's row must carry the grant of the row before it, so two orders at one
moment cannot both take the last of a line, and only a row with a reason changes a grant. Used is worked out afresh from
the orders themselves (queries.py): what was cancelled, rejected, declined or returned takes nothing, and refunds are
kept as releases.
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
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.identity.models import User


class BudgetLine(Base):
    """What a unit sets aside for one purpose in one year."""

    __tablename__ = "budget_line"
    __table_args__ = (
        UniqueConstraint("unit_id", "year", "purpose"),
        CheckConstraint("year >= 2015 AND year <= 2100", name="year"),
        CheckConstraint("purpose <> ''", name="purpose"),
        Index("uq_budget_line_of_unit", "id", "unit_id", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("YS"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    year: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(60))
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class BudgetEntry(Base):
    """A grant, its change, or an order that takes of it: see the module. Append-only."""

    __tablename__ = "budget_entry"
    __table_args__ = (
        UniqueConstraint("line_id", "sequence"),
        UniqueConstraint("line_id", "sequence", "granted_fen"),
        UniqueConstraint("order_id"),
        ForeignKeyConstraint(["line_id", "unit_id"], ["budget_line.id", "budget_line.unit_id"]),
        ForeignKeyConstraint(
            ["order_id", "unit_id", "ordered_by"],
            ["customer_order.id", "customer_order.buyer_unit_id", "customer_order.buyer_user_id"],
        ),
        ForeignKeyConstraint(
            ["line_id", "follows_sequence", "follows_fen"],
            ["budget_entry.line_id", "budget_entry.sequence", "budget_entry.granted_fen"],
        ),
        CheckConstraint(
            "sequence >= 1 AND (sequence = 1) = (follows_sequence IS NULL)"
            " AND (follows_sequence IS NULL) = (follows_fen IS NULL)"
            " AND (follows_sequence IS NULL OR follows_sequence = sequence - 1)",
            name="chain",
        ),
        CheckConstraint(
            "(order_id IS NULL) = (taken_fen = 0) AND (order_id IS NULL) = (ordered_by IS NULL)"
            " AND (order_id IS NULL) = (reason <> '')",
            name="grant_or_order",
        ),
        CheckConstraint("order_id IS NULL OR granted_fen = follows_fen", name="orders_change_no_grant"),
        CheckConstraint("taken_fen >= 0 AND used_before_fen >= 0 AND granted_fen >= 0", name="positive"),
        CheckConstraint("used_after_fen = used_before_fen + taken_fen", name="counts_up"),
        CheckConstraint("used_after_fen <= granted_fen", name="not_more_than_granted"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int]
    unit_id: Mapped[int]
    sequence: Mapped[int]
    follows_sequence: Mapped[int | None]
    follows_fen: Mapped[int | None] = mapped_column(BigInteger)
    granted_fen: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int | None]
    ordered_by: Mapped[int | None]
    taken_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    used_before_fen: Mapped[int] = mapped_column(BigInteger)
    used_after_fen: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(300), default="")
    entered_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    entered_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    line: Mapped[BudgetLine] = relationship(
        primaryjoin="foreign(BudgetEntry.line_id) == BudgetLine.id", viewonly=True
    )
    enterer: Mapped[User] = relationship()


class BudgetRelease(Base):
    """What an agreed refund gives back to the budget of a part's order, in fen. Append-only."""

    __tablename__ = "budget_release"
    __table_args__ = (
        UniqueConstraint("refund_no"),
        CheckConstraint("released_fen > 0", name="released"),
        Index("ix_budget_release_part", "part_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"))
    refund_no: Mapped[str] = mapped_column(String(16))
    released_fen: Mapped[int] = mapped_column(BigInteger)
    released_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
