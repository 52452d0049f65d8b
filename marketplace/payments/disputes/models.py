"""Disputes of payments on line."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    and_,
    or_,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.ledger.models import Entry
from marketplace.ordering.models import OrderPart
from marketplace.payments.gateways.disputes import DisputeStatus
from marketplace.payments.models import Payment


class PaymentDispute(Base):
    """One dispute; its money is held on an account of its own until the bank has decided. An inquiry holds none."""

    __tablename__ = "payment_dispute"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(state IN ('closed', 'won', 'lost')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("(answered_by IS NULL) = (answered_at IS NULL)", name="answered"),
        Index("ix_payment_dispute_state", "state", "due_at"),
        Index("ix_payment_dispute_payment_id", "payment_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("ZY"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    provider_ref: Mapped[str] = mapped_column(String(120), unique=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(60))
    state: Mapped[DisputeStatus] = mapped_column(code_of(DisputeStatus, "state"))
    due_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    opened_at: Mapped[datetime] = mapped_column(UtcInstant)
    evidence: Mapped[str] = mapped_column(Text, default="")
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    answered_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    payment: Mapped[Payment] = relationship()
    losses: Mapped[list[DisputeLoss]] = relationship(order_by="DisputeLoss.part_id", viewonly=True)

    @hybrid_property
    def wants_answer(self) -> bool:
        """Whether the bank waits for evidence."""
        inquires = self.state is DisputeStatus.INQUIRY and self.answered_at is None
        return inquires or self.state is DisputeStatus.NEEDS_ANSWER

    @wants_answer.inplace.expression
    @classmethod
    def _wants_answer(cls) -> ColumnElement[bool]:
        inquires = and_(cls.state == DisputeStatus.INQUIRY, cls.answered_at.is_(None))
        return or_(inquires, cls.state == DisputeStatus.NEEDS_ANSWER)


class DisputeLoss(Base):
    """What the cooperative of one part bears of a lost dispute. Append-only; together they are its amount."""

    __tablename__ = "dispute_loss"
    __table_args__ = (
        UniqueConstraint("dispute_id", "part_id"),
        CheckConstraint("amount_fen > 0", name="amount"),
        Index("ix_dispute_loss_part_id", "part_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dispute_id: Mapped[int] = mapped_column(ForeignKey("payment_dispute.id"))
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), unique=True)
    lost_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    part: Mapped[OrderPart] = relationship()
    entry: Mapped[Entry] = relationship()
