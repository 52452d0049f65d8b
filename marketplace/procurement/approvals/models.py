"""Who approves what: chains of steps by amount, limits, deputies by the day, and the decisions taken.

Chains and limits are versions: an order is approved by the chain that stood when it was placed. A deputyship has a row
for each of its days, keyed by whom it stands for and the day, so two can never overlap, whoever writes; a decision in
somebody's name refers to that very day. That nobody decides on an own order, nor twice on one, is a matter of keys and
checks here as much as of the rules.
"""

from __future__ import annotations

from datetime import date, datetime

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


class ApprovalChain(Base):
    """A version of a unit's chain. One without steps means that any one approver decides. Append-only."""

    __tablename__ = "approval_chain"
    __table_args__ = (
        UniqueConstraint("unit_id", "version"),
        CheckConstraint("version >= 1 AND reason <> ''", name="version"),
        Index("uq_approval_chain_of_unit", "id", "unit_id", unique=True),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    version: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    set_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    set_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    setter: Mapped[User] = relationship()
    steps: Mapped[list[ApprovalStep]] = relationship(order_by="ApprovalStep.position", lazy="selectin")


class ApprovalStep(Base):
    """A step of a chain, for orders of `from_fen` fen and more; the first is for every order. Append-only."""

    __tablename__ = "approval_step"
    __table_args__ = (
        UniqueConstraint("chain_id", "position"),
        UniqueConstraint("chain_id", "from_fen"),
        CheckConstraint("position >= 1 AND from_fen >= 0", name="positive"),
        CheckConstraint("(position = 1) = (from_fen = 0)", name="first_step_for_every_order"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    chain_id: Mapped[int] = mapped_column(ForeignKey("approval_chain.id"))
    position: Mapped[int]
    from_fen: Mapped[int] = mapped_column(BigInteger)

    approvers: Mapped[list[StepApprover]] = relationship(order_by="StepApprover.id", lazy="selectin")


class StepApprover(Base):
    """One of those who may take a step. Append-only."""

    __tablename__ = "step_approver"
    __table_args__ = (
        UniqueConstraint("chain_id", "position", "user_id"),
        ForeignKeyConstraint(["chain_id", "position"], ["approval_step.chain_id", "approval_step.position"]),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    chain_id: Mapped[int]
    position: Mapped[int]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))

    user: Mapped[User] = relationship(lazy="joined")


class ApproverLimit(Base):
    """Up to which amount an approver decides, from `set_at` on; no amount means without limit. Nobody sets an own one.
    Append-only: the newest row holds."""

    __tablename__ = "approver_limit"
    __table_args__ = (
        UniqueConstraint("unit_id", "user_id", "version"),
        CheckConstraint("set_by <> user_id", name="not_by_oneself"),
        CheckConstraint("limit_fen > 0", name="limit"),
        CheckConstraint("version >= 1 AND reason <> ''", name="version"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    version: Mapped[int]
    limit_fen: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(300))
    set_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    set_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class Deputyship(Base):
    """Who stands for an approver from one day to another, inclusive, and why. Ended early, it keeps the days before."""

    __tablename__ = "deputyship"
    __table_args__ = (
        CheckConstraint("approver_id <> deputy_id", name="not_of_oneself"),
        CheckConstraint("until_on >= from_on", name="days"),
        CheckConstraint("reason <> ''", name="reason"),
        Index("uq_deputyship_of", "id", "approver_id", "deputy_id", unique=True),
        Index("ix_deputyship_unit", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("DB"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    approver_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    deputy_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    from_on: Mapped[date]
    until_on: Mapped[date]
    reason: Mapped[str] = mapped_column(String(300))
    named_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    approver: Mapped[User] = relationship(foreign_keys=[approver_id], lazy="joined")
    deputy: Mapped[User] = relationship(foreign_keys=[deputy_id], lazy="joined")


class DeputyDay(Base):
    """One day of a deputyship: an approver has at most one deputy on a day."""

    __tablename__ = "deputy_day"
    __table_args__ = (
        ForeignKeyConstraint(
            ["deputyship_id", "approver_id", "deputy_id"],
            ["deputyship.id", "deputyship.approver_id", "deputyship.deputy_id"],
        ),
        Index("uq_deputy_day_of", "approver_id", "deputy_id", "on_day", unique=True),
        Index("ix_deputy_day_deputyship", "deputyship_id"),
        Index("ix_deputy_day_deputy", "deputy_id", "on_day"),
    )

    approver_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    on_day: Mapped[date] = mapped_column(primary_key=True)
    deputy_id: Mapped[int]
    deputyship_id: Mapped[int]


class ApprovalDecision(Base):
    """A step of an order's approval, taken: by whom, in whose name (`authority_id`), when, with a note. Append-only.

    `deputy_on` is the day of the deputyship when the two are not the same person. The step before stands in
    `follows_position`, so that none is left out.
    """

    __tablename__ = "approval_decision"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        UniqueConstraint("order_id", "decided_by"),
        UniqueConstraint("order_id", "authority_id"),
        ForeignKeyConstraint(
            ["order_id", "unit_id", "ordered_by"],
            ["customer_order.id", "customer_order.buyer_unit_id", "customer_order.buyer_user_id"],
        ),
        ForeignKeyConstraint(["chain_id", "unit_id"], ["approval_chain.id", "approval_chain.unit_id"]),
        ForeignKeyConstraint(
            ["chain_id", "position", "authority_id"],
            ["step_approver.chain_id", "step_approver.position", "step_approver.user_id"],
        ),
        ForeignKeyConstraint(
            ["authority_id", "decided_by", "deputy_on"],
            ["deputy_day.approver_id", "deputy_day.deputy_id", "deputy_day.on_day"],
        ),
        ForeignKeyConstraint(
            ["order_id", "follows_position"], ["approval_decision.order_id", "approval_decision.position"]
        ),
        CheckConstraint("decided_by <> ordered_by AND authority_id <> ordered_by", name="separate_duties"),
        CheckConstraint("(decided_by = authority_id) = (deputy_on IS NULL)", name="on_behalf"),
        CheckConstraint(
            "(position = 1) = (follows_position IS NULL)"
            " AND (follows_position IS NULL OR follows_position = position - 1)",
            name="chain",
        ),
        CheckConstraint("position >= 1", name="position"),
        CheckConstraint("approved OR note <> ''", name="rejected_with_reason"),
        Index("ix_approval_decision_deputy_day", "authority_id", "decided_by", "deputy_on"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]
    unit_id: Mapped[int]
    ordered_by: Mapped[int]
    chain_id: Mapped[int | None]
    position: Mapped[int]
    follows_position: Mapped[int | None]
    approved: Mapped[bool]
    decided_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    authority_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    deputy_on: Mapped[date | None]
    note: Mapped[str] = mapped_column(String(300), default="")
    decided_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    decider: Mapped[User] = relationship(foreign_keys=[decided_by], lazy="joined")
    authority: Mapped[User] = relationship(foreign_keys=[authority_id], lazy="joined")
