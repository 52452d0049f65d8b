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
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.ordering.models import Order, OrderPart
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
        Index("uq_voucher_terms", "id", "cooperative_id", "face_fen", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("TV"))
    batch_id: Mapped[int]
    cooperative_id: Mapped[int]
    face_fen: Mapped[int] = mapped_column(BigInteger)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    state: Mapped[VoucherState] = mapped_column(code_of(VoucherState, "state"), default=VoucherState.ISSUED)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"), index=True)
    used_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    redeemed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    redeemed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    set_off_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    batch: Mapped[VoucherBatch] = relationship(
        primaryjoin="Voucher.batch_id == VoucherBatch.id", foreign_keys="Voucher.batch_id", lazy="joined"
    )
    order: Mapped[Order | None] = relationship()


LIVE = text("released_at IS NULL")


class VoucherSpend(Base):
    """What a voucher pays of one part of a staff order: promised when its code is entered, paid by `payment_id` as soon
    as the order is paid in full, or let go when the order is called off before.

    The spends of a part form a chain, so that together they never pay more than it costs, and are of vouchers that one
    unit bought, so that it is clear where a refund goes. A voucher has one spend that was not let go.
    """

    __tablename__ = "voucher_spend"
    __table_args__ = (
        ForeignKeyConstraint(
            ["voucher_id", "cooperative_id", "face_fen"],
            ["voucher.id", "voucher.cooperative_id", "voucher.face_fen"],
            name="fk_voucher_spend_voucher",
        ),
        ForeignKeyConstraint(
            ["part_id", "cooperative_id", "part_fen"],
            ["order_part.id", "order_part.cooperative_id", "order_part.total_fen"],
            name="fk_voucher_spend_part",
        ),
        ForeignKeyConstraint(
            ["part_id", "follows_fen", "buyer_unit_id"],
            ["voucher_spend.part_id", "voucher_spend.after_fen", "voucher_spend.buyer_unit_id"],
            name="fk_voucher_spend_follows",
        ),
        UniqueConstraint("part_id", "before_fen"),
        UniqueConstraint("part_id", "after_fen", "buyer_unit_id", name="uq_voucher_spend_chain"),
        Index("uq_voucher_spend_live", "voucher_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        CheckConstraint("amount_fen > 0 AND amount_fen <= face_fen", name="amount"),
        CheckConstraint("after_fen = before_fen + amount_fen AND after_fen <= part_fen", name="within"),
        CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name="chain",
        ),
        CheckConstraint("before_fen >= 0", name="not_negative"),
        CheckConstraint("released_at IS NULL OR payment_id IS NULL", name="one_end"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    voucher_id: Mapped[int]
    part_id: Mapped[int]
    cooperative_id: Mapped[int]
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    face_fen: Mapped[int] = mapped_column(BigInteger)
    part_fen: Mapped[int] = mapped_column(BigInteger)
    before_fen: Mapped[int] = mapped_column(BigInteger)
    follows_fen: Mapped[int | None] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    after_fen: Mapped[int] = mapped_column(BigInteger)
    spent_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    spent_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"), index=True)
    released_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    voucher: Mapped[Voucher] = relationship(
        primaryjoin="VoucherSpend.voucher_id == Voucher.id", foreign_keys="VoucherSpend.voucher_id"
    )
    part: Mapped[OrderPart] = relationship(
        primaryjoin="VoucherSpend.part_id == OrderPart.id", foreign_keys="VoucherSpend.part_id"
    )


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
