"""Batches of pick-up vouchers, the vouchers, and the money that goes back to a union.

A batch is asked for by one person and approved by another, paid by bank transfer, and printed once. Of a code only a
keyed hash is kept. What was used and what went back together never exceed what came in, in the row itself.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.ordering.models import Order
from marketplace.registry.models import BuyerUnit, Cooperative

MOST_VOUCHERS = 500
MOST_FACE_FEN = 500_000


class BatchState(LabelledEnum):
    """Where a batch stands."""

    AWAITING = "awaiting", N_("待审批")
    OPEN = "open", N_("待付款")
    PAID = "paid", N_("已到账，待制券")
    ISSUED = "issued", N_("已制券")
    CLOSED = "closed", N_("已到期结清")
    CANCELLED = "cancelled", N_("已取消")


class VoucherBatch(Base):
    """So many vouchers of one face value, good at one cooperative until the end of a day."""

    __tablename__ = "voucher_batch"
    __table_args__ = (
        UniqueConstraint("ordered_by", "idempotency_key"),
        UniqueConstraint("bank_line_id"),
        CheckConstraint(f"count BETWEEN 1 AND {MOST_VOUCHERS}", name="count"),
        CheckConstraint(f"face_fen BETWEEN 1 AND {MOST_FACE_FEN}", name="face"),
        CheckConstraint("total_fen = count * face_fen", name="total"),
        CheckConstraint("approved_by IS NULL OR approved_by <> ordered_by", name="separate_duties"),
        CheckConstraint("approved_by IS NOT NULL OR state IN ('awaiting', 'cancelled')", name="approved"),
        CheckConstraint("(state IN ('paid', 'issued', 'closed')) = (paid_at IS NOT NULL)", name="paid"),
        CheckConstraint("used_fen >= 0 AND returned_fen >= 0", name="not_negative"),
        CheckConstraint("used_fen + returned_fen <= total_fen", name="within"),
        CheckConstraint("paid_at IS NOT NULL OR used_fen + returned_fen = 0", name="only_what_came"),
        Index("ix_voucher_batch_unit", "buyer_unit_id", "id"),
        Index("ix_voucher_batch_cooperative", "cooperative_id", "id"),
        Index("ix_voucher_batch_due", "state", "valid_until"),
        Index("uq_voucher_batch_terms", "id", "cooperative_id", "face_fen", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("TQ"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    count: Mapped[int]
    face_fen: Mapped[int] = mapped_column(BigInteger)
    total_fen: Mapped[int] = mapped_column(BigInteger)
    used_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    returned_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    valid_until: Mapped[date]
    state: Mapped[BatchState] = mapped_column(code_of(BatchState, "state"), default=BatchState.AWAITING)
    remittance_code: Mapped[str] = mapped_column(String(12), unique=True)
    idempotency_key: Mapped[str] = mapped_column(String(64))
    ordered_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    ordered_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    paid_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    bank_line_id: Mapped[int | None] = mapped_column(ForeignKey("bank_line.id"))
    issued_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    unit: Mapped[BuyerUnit] = relationship(lazy="joined", innerjoin=True)
    cooperative: Mapped[Cooperative] = relationship(lazy="joined", innerjoin=True)
    orderer: Mapped[User] = relationship(foreign_keys=[ordered_by])

    @property
    def left_fen(self) -> int:
        """What is still held."""
        return (self.total_fen if self.paid_at else 0) - self.used_fen - self.returned_fen


class VoucherState(LabelledEnum):
    """A voucher is good until it is redeemed or lapses."""

    ISSUED = "issued", N_("可使用")
    REDEEMED = "redeemed", N_("已使用")
    LAPSED = "lapsed", N_("已过期")


class Voucher(Base):
    """One voucher. Its order is what it was redeemed for; `used_fen` what of its value paid that order's bill."""

    __tablename__ = "voucher"
    __table_args__ = (
        ForeignKeyConstraint(
            ["batch_id", "cooperative_id", "face_fen"],
            ["voucher_batch.id", "voucher_batch.cooperative_id", "voucher_batch.face_fen"],
            name="fk_voucher_terms",
        ),
        CheckConstraint("(state = 'redeemed') = (order_id IS NOT NULL)", name="order"),
        CheckConstraint("(state = 'redeemed') = (redeemed_at IS NOT NULL)", name="redeemed"),
        CheckConstraint("used_fen >= 0 AND used_fen <= face_fen", name="used"),
        CheckConstraint("state = 'redeemed' OR used_fen = 0", name="used_when_redeemed"),
        CheckConstraint("(used_fen = 0) = (set_off_at IS NULL)", name="set_off"),
        Index("ix_voucher_batch_id", "batch_id", "state"),
        Index("ix_voucher_waiting", "state", "set_off_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("TV"))
    batch_id: Mapped[int]
    cooperative_id: Mapped[int]
    face_fen: Mapped[int] = mapped_column(BigInteger)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    state: Mapped[VoucherState] = mapped_column(code_of(VoucherState, "state"), default=VoucherState.ISSUED)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"), unique=True)
    used_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    redeemed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    redeemed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    set_off_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    batch: Mapped[VoucherBatch] = relationship(
        primaryjoin="Voucher.batch_id == VoucherBatch.id", foreign_keys="Voucher.batch_id", lazy="joined"
    )
    order: Mapped[Order | None] = relationship()


class VoucherReturn(Base):
    """What was not used of a batch that is over goes back to its unit, once, under the bank's serial number."""

    __tablename__ = "voucher_return"
    __table_args__ = (
        UniqueConstraint("batch_id"),
        UniqueConstraint("serial_no"),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(serial_no IS NULL) = (returned_at IS NULL)", name="returned"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("TH"))
    batch_id: Mapped[int] = mapped_column(ForeignKey("voucher_batch.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    decided_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    serial_no: Mapped[str | None] = mapped_column(String(60))
    returned_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    returned_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    batch: Mapped[VoucherBatch] = relationship(lazy="joined", innerjoin=True)
