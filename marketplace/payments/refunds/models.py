"""Refunds, what they take back of credits, and the shares that registry corrections give.

What must hold stands in the database: rows that count something up are a chain. Each row says what stood `before` and
what stands `after` it; the first begins at zero, each later one follows an earlier `after`, no two begin at the same
place, and `after` never passes what there is. So no sum of refunds exceeds what was bought, and no sum of reversals
exceeds the credit, whoever writes and however many at once.
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
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import StoredFile, User
from marketplace.ledger.models import Entry
from marketplace.linkage.models import Mechanism
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.payments.models import Credit, Payment, PaymentMethod
from marketplace.registry.models import BuyerUnit, Household

WAITING = text("buyer_unit_id IS NOT NULL AND returned_at IS NULL")


class RefundState(LabelledEnum):
    """Where a refund stands. What the unit had not paid yet is taken off its bill; paid money goes back."""

    ASKED = "asked", N_("待合作社处理")
    DECLINED = "declined", N_("合作社未同意")
    REDUCED = "reduced", N_("已从应付货款中扣除")
    AGREED = "agreed", N_("已同意，待退回")
    SENT = "sent", N_("已提交退回，等待到账")
    FAILED = "failed", N_("退回失败，待人工处理")
    RETURNED = "returned", N_("已退回")


class Refund(Base):
    """Money asked back for goods of one part. The buyer's idempotency key makes a repeated submit the same refund.

    `amount_fen` is what the goods cost; `freight_fen` comes on top where the part is called off before it was shipped.
    `voucher_fen` of both was paid with vouchers and goes back to the unit that bought them, `lost_fen` the buyer's bank
    took back itself, the rest goes to the buyer by `method`: state, failure and serial number are of that. A refund of
    vouchers alone has their method. `inspection_id` is set on what follows from a rejection at the inspection, one
    refund a rejection; `dispute_id` on what follows from a lost dispute, where nobody decides.
    """

    __tablename__ = "refund"
    __table_args__ = (
        UniqueConstraint("asked_by", "idempotency_key"),
        CheckConstraint("amount_fen > 0 AND freight_fen >= 0", name="amount"),
        CheckConstraint("(state = 'asked') = (decided_at IS NULL)", name="decided"),
        CheckConstraint(
            "(decided_at IS NULL) = (decided_by IS NULL) OR dispute_id IS NOT NULL",
            name="decided_by_somebody",
        ),
        CheckConstraint("decided_by <> asked_by", name="separate_duties"),
        CheckConstraint("state <> 'declined' OR note <> ''", name="declined_with_reason"),
        CheckConstraint("(state = 'returned') = (returned_at IS NOT NULL)", name="returned"),
        CheckConstraint(
            "state NOT IN ('agreed', 'sent', 'failed', 'returned') OR method IS NOT NULL", name="way"
        ),
        CheckConstraint("voucher_fen >= 0 AND voucher_fen <= amount_fen", name="voucher"),
        CheckConstraint("lost_fen >= 0 AND voucher_fen + lost_fen <= amount_fen + freight_fen", name="lost"),
        CheckConstraint("lost_fen = 0 OR dispute_id IS NOT NULL", name="lost_by_dispute"),
        CheckConstraint(
            "method <> 'voucher' OR voucher_fen = amount_fen + freight_fen - lost_fen", name="voucher_way"
        ),
        UniqueConstraint("dispute_id", "part_id"),
        Index("ix_refund_part", "part_id", "id"),
        Index("ix_refund_state", "state", "method", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("TK"))
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), index=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    idempotency_key: Mapped[str] = mapped_column(String(64))
    state: Mapped[RefundState] = mapped_column(code_of(RefundState, "state"), default=RefundState.ASKED)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    voucher_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    freight_fen: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    lost_fen: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    reason: Mapped[str] = mapped_column(String(300))
    asked_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    note: Mapped[str] = mapped_column(String(300), default="")
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"), index=True)
    inspection_id: Mapped[int | None] = mapped_column(ForeignKey("inspection.id"), unique=True)
    dispute_id: Mapped[int | None] = mapped_column(ForeignKey("payment_dispute.id"))
    method: Mapped[PaymentMethod | None] = mapped_column(code_of(PaymentMethod, "method"))
    provider_refund_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    failure: Mapped[str] = mapped_column(String(300), default="")
    serial_no: Mapped[str | None] = mapped_column(String(60), unique=True)
    returned_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    returned_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    order: Mapped[Order] = relationship()
    part: Mapped[OrderPart] = relationship()
    payment: Mapped[Payment | None] = relationship()
    asker: Mapped[User] = relationship(foreign_keys=[asked_by])
    decider: Mapped[User | None] = relationship(foreign_keys=[decided_by])
    lines: Mapped[list[RefundLine]] = relationship(order_by="RefundLine.line_id", lazy="selectin")
    files: Mapped[list[RefundFile]] = relationship(order_by="RefundFile.id")
    shares: Mapped[list[RefundShare]] = relationship(
        back_populates="refund", order_by="RefundShare.id", lazy="selectin"
    )

    @hybrid_property
    def total_fen(self) -> int:
        """What is given back: goods and freight."""
        return self.amount_fen + self.freight_fen

    @hybrid_property
    def own_fen(self) -> int:
        """What goes back to the buyer, by the refund's method."""
        return self.amount_fen + self.freight_fen - self.voucher_fen - self.lost_fen

    @property
    def of_vouchers(self) -> RefundShare | None:
        """The share that goes to the unit whose vouchers paid."""
        return next((share for share in self.shares if share.buyer_unit_id is not None), None)


class RefundShare(Base):
    """So much of a refund comes out of one payment, which brought `paid_fen`.

    The share of the buyer's own money is sent as the refund says. One with a `buyer_unit_id` was paid with vouchers of
    that unit: the cashier transfers it there, under a serial number of its own. `payment_fen` ties `paid_fen` to the
    payment; it is NULL for a unit's bill, of which a deposit may have paid a part.
    """

    __tablename__ = "refund_share"
    __table_args__ = (
        UniqueConstraint("refund_id", "payment_id"),
        UniqueConstraint("payment_id", "before_fen"),
        UniqueConstraint("payment_id", "after_fen", "paid_fen", name="uq_refund_share_chain"),
        ForeignKeyConstraint(
            ["payment_id", "follows_fen", "paid_fen"],
            ["refund_share.payment_id", "refund_share.after_fen", "refund_share.paid_fen"],
            name="fk_refund_share_follows",
        ),
        ForeignKeyConstraint(
            ["payment_id", "payment_fen"], ["payment.id", "payment.amount_fen"], name="fk_refund_share_paid"
        ),
        UniqueConstraint("serial_no"),
        CheckConstraint("amount_fen > 0 AND before_fen >= 0", name="positive"),
        CheckConstraint("after_fen = before_fen + amount_fen", name="counts_up"),
        CheckConstraint("after_fen <= paid_fen", name="not_more_than_paid"),
        CheckConstraint("payment_fen IS NULL OR payment_fen = paid_fen", name="paid"),
        CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name="chain",
        ),
        CheckConstraint("returned_at IS NULL OR buyer_unit_id IS NOT NULL", name="to_unit"),
        CheckConstraint("(returned_at IS NULL) = (serial_no IS NULL)", name="returned"),
        Index("ix_refund_share_waiting", "refund_id", sqlite_where=WAITING, postgresql_where=WAITING),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    payment_fen: Mapped[int | None] = mapped_column(BigInteger)
    paid_fen: Mapped[int] = mapped_column(BigInteger)
    before_fen: Mapped[int] = mapped_column(BigInteger)
    follows_fen: Mapped[int | None] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    after_fen: Mapped[int] = mapped_column(BigInteger)
    buyer_unit_id: Mapped[int | None] = mapped_column(ForeignKey("buyer_unit.id"))
    serial_no: Mapped[str | None] = mapped_column(String(60))
    returned_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    returned_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    refund: Mapped[Refund] = relationship(back_populates="shares")
    unit: Mapped[BuyerUnit | None] = relationship(lazy="joined")


class RefundLine(Base):
    """What is asked back of one order line: whole units at the price they were sold at. Append-only."""

    __tablename__ = "refund_line"
    __table_args__ = (
        UniqueConstraint("refund_id", "line_id"),
        CheckConstraint("quantity > 0 AND unit_price_fen > 0", name="positive"),
        CheckConstraint("amount_fen = quantity * unit_price_fen", name="amount"),
        Index("ix_refund_line_line", "line_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"))
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    quantity: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)

    line: Mapped[OrderLine] = relationship(lazy="joined")


class RefundFile(Base):
    """A photo that shows why money is asked back. Append-only."""

    __tablename__ = "refund_file"
    __table_args__ = (UniqueConstraint("refund_id", "file_id"), {"info": APPEND_ONLY})

    id: Mapped[int] = mapped_column(primary_key=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"))
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))

    file: Mapped[StoredFile] = relationship(lazy="joined")


class RefundedLine(Base):
    """What an agreed refund gave back of one line; a chain per line, in units. Append-only.

    `after_settlement` says whether the line had settled by then: before, the line settles less; after, shares of its
    pools are taken back.
    """

    __tablename__ = "refunded_line"
    __table_args__ = (
        UniqueConstraint("refund_id", "line_id"),
        UniqueConstraint("line_id", "before_quantity"),
        UniqueConstraint("line_id", "after_quantity"),
        ForeignKeyConstraint(
            ["line_id", "line_quantity", "unit_price_fen"],
            ["order_line.id", "order_line.quantity", "order_line.unit_price_fen"],
        ),
        ForeignKeyConstraint(
            ["line_id", "follows_quantity"], ["refunded_line.line_id", "refunded_line.after_quantity"]
        ),
        CheckConstraint("quantity > 0 AND before_quantity >= 0", name="positive"),
        CheckConstraint("after_quantity = before_quantity + quantity", name="counts_up"),
        CheckConstraint("after_quantity <= line_quantity", name="not_more_than_bought"),
        CheckConstraint(
            "(before_quantity = 0) = (follows_quantity IS NULL)"
            " AND (follows_quantity IS NULL OR follows_quantity = before_quantity)",
            name="chain",
        ),
        CheckConstraint("amount_fen = quantity * unit_price_fen", name="amount"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"))
    line_id: Mapped[int]
    line_quantity: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    before_quantity: Mapped[int]
    follows_quantity: Mapped[int | None]
    quantity: Mapped[int]
    after_quantity: Mapped[int]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    after_settlement: Mapped[bool]
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), index=True)
    refunded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    refund: Mapped[Refund] = relationship()
    entry: Mapped[Entry] = relationship()


class CreditAddition(Base):
    """What a registry correction gives a household of a pool that was shared out before. Append-only."""

    __tablename__ = "credit_addition"
    __table_args__ = (
        UniqueConstraint("entry_id", "pool_id", "household_id"),
        CheckConstraint("amount_fen > 0", name="positive"),
        Index("ix_credit_addition_pool", "pool_id"),
        Index("ix_credit_addition_household", "household_id", "id"),
        Index("ix_credit_addition_line", "line_id"),
        Index("uq_credit_addition_amount", "id", "amount_fen", unique=True),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("BJ"))
    pool_id: Mapped[int] = mapped_column(ForeignKey("linkage_pool.id"))
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    credited_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    household: Mapped[Household] = relationship()


class ReversalCause(LabelledEnum):
    """Why a part of a credit is taken back."""

    REFUND = "refund", N_("买方退款")
    CORRECTION = "correction", N_("登记更正")


class CreditReversal(Base):
    """A part of a credit, or of an addition to it, taken back; a chain per credit, in fen. Append-only.

    `relief_fen` of it was paid out already and is borne by the cooperative: cash is never taken back.
    """

    __tablename__ = "credit_reversal"
    __table_args__ = (
        UniqueConstraint("credit_id", "before_fen"),
        UniqueConstraint("credit_id", "after_fen"),
        UniqueConstraint("addition_id", "before_fen"),
        UniqueConstraint("addition_id", "after_fen"),
        ForeignKeyConstraint(["credit_id", "share_fen"], ["credit.id", "credit.amount_fen"]),
        ForeignKeyConstraint(
            ["addition_id", "share_fen"], ["credit_addition.id", "credit_addition.amount_fen"]
        ),
        ForeignKeyConstraint(
            ["credit_id", "follows_fen"], ["credit_reversal.credit_id", "credit_reversal.after_fen"]
        ),
        ForeignKeyConstraint(
            ["addition_id", "follows_fen"], ["credit_reversal.addition_id", "credit_reversal.after_fen"]
        ),
        CheckConstraint("(credit_id IS NULL) <> (addition_id IS NULL)", name="one_share"),
        CheckConstraint("amount_fen > 0 AND before_fen >= 0", name="positive"),
        CheckConstraint("after_fen = before_fen + amount_fen", name="counts_up"),
        CheckConstraint("after_fen <= share_fen", name="not_more_than_credited"),
        CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name="chain",
        ),
        CheckConstraint("relief_fen >= 0 AND relief_fen <= amount_fen", name="relief"),
        Index("ix_credit_reversal_pool", "pool_id", "id"),
        Index("ix_credit_reversal_household", "household_id", "id"),
        Index("ix_credit_reversal_line", "line_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    credit_id: Mapped[int | None]
    addition_id: Mapped[int | None]
    share_fen: Mapped[int] = mapped_column(BigInteger)
    before_fen: Mapped[int] = mapped_column(BigInteger)
    follows_fen: Mapped[int | None] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    after_fen: Mapped[int] = mapped_column(BigInteger)
    relief_fen: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[ReversalCause] = mapped_column(code_of(ReversalCause, "cause"))
    pool_id: Mapped[int] = mapped_column(ForeignKey("linkage_pool.id"))
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    reason: Mapped[str] = mapped_column(String(300))
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), index=True)
    reversed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    credit: Mapped[Credit | None] = relationship(
        primaryjoin="Credit.id == foreign(CreditReversal.credit_id)", viewonly=True
    )
    household: Mapped[Household] = relationship()
