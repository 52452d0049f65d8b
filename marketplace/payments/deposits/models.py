"""Deposits on orders before the harvest: what was asked, what came, and every fen that left again.

The ledger holds the postings; each move names its entry. What was set off and what went back together never exceed what
came in, in the row itself.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.payments.models import Payment
from marketplace.procurement.forward.models import ForwardOrder


class DepositState(LabelledEnum):
    """A deposit is asked for, then paid or not asked for any more."""

    OPEN = "open", N_("待付款")
    PAID = "paid", N_("已到账")
    CANCELLED = "cancelled", N_("已取消")


class Deposit(Base):
    """The deposit of one order before the harvest, by bank transfer under a remittance code of its own."""

    __tablename__ = "deposit"
    __table_args__ = (
        UniqueConstraint("forward_id"),
        UniqueConstraint("bank_line_id"),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid"),
        CheckConstraint("used_fen >= 0 AND returned_fen >= 0", name="not_negative"),
        CheckConstraint("used_fen + returned_fen <= amount_fen", name="within"),
        CheckConstraint("state = 'paid' OR used_fen + returned_fen = 0", name="only_what_came"),
        Index("ix_deposit_state", "state", "id"),
        Index("ix_deposit_unit", "buyer_unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("DJ"))
    forward_id: Mapped[int] = mapped_column(ForeignKey("forward_order.id"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    state: Mapped[DepositState] = mapped_column(code_of(DepositState, "state"), default=DepositState.OPEN)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    used_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    returned_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    remittance_code: Mapped[str] = mapped_column(String(12), unique=True)
    due_on: Mapped[date]
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    paid_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    bank_line_id: Mapped[int | None] = mapped_column(ForeignKey("bank_line.id"))

    forward: Mapped[ForwardOrder] = relationship(lazy="joined", innerjoin=True)
    moves: Mapped[list[DepositMove]] = relationship(order_by="DepositMove.id")
    going_back: Mapped[DepositReturn | None] = relationship(back_populates="deposit")

    @property
    def left_fen(self) -> int:
        """What is still held."""
        paid = self.amount_fen if self.state is DepositState.PAID else 0
        return paid - self.used_fen - self.returned_fen


class DepositMoveKind(LabelledEnum):
    """What moved a deposit's money."""

    RECEIVED = "received", N_("订金到账")
    SET_OFF = "set_off", N_("抵扣货款")
    RESTORED = "restored", N_("抵扣退回")
    RETURNED = "returned", N_("退还单位")


class DepositMove(Base):
    """Money into a deposit, or out of it, with the entry that posted it. Append-only.

    What is set off is set off against a bill; it is restored when more is taken off that bill than was left to pay.
    """

    __tablename__ = "deposit_move"
    __table_args__ = (
        UniqueConstraint("entry_id"),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(kind IN ('set_off', 'restored')) = (payment_id IS NOT NULL)", name="bill"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    deposit_id: Mapped[int] = mapped_column(ForeignKey("deposit.id"), index=True)
    kind: Mapped[DepositMoveKind] = mapped_column(code_of(DepositMoveKind, "kind"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"), index=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    moved_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    payment: Mapped[Payment | None] = relationship()


class DepositReturn(Base):
    """What is left of a deposit goes back to its unit, once: posted when due, sent under the bank's serial no."""

    __tablename__ = "deposit_return"
    __table_args__ = (
        UniqueConstraint("deposit_id"),
        UniqueConstraint("serial_no"),
        CheckConstraint("amount_fen > 0 AND reason <> ''", name="amount"),
        CheckConstraint("(serial_no IS NULL) = (returned_at IS NULL)", name="returned"),
        Index("ix_deposit_return_waiting", "returned_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("DT"))
    deposit_id: Mapped[int] = mapped_column(ForeignKey("deposit.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(300))
    decided_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    serial_no: Mapped[str | None] = mapped_column(String(60))
    returned_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    returned_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    deposit: Mapped[Deposit] = relationship(back_populates="going_back", lazy="joined", innerjoin=True)
