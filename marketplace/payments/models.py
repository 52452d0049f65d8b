"""Money in, and what it became: payments, gateway notices, bank statements, settlements, pools and credits.

The ledger holds the postings; these rows hold what each posting was computed from, so that anyone can compute it again
to the same fen.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.references import REFERENCES_AT_ONCE
from marketplace.ledger.models import Entry
from marketplace.linkage.models import Attribution, LinkagePeriod, Lot, Mechanism
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.payments.gateways.protocol import EventKind
from marketplace.registry.models import Household


class PaymentMethod(LabelledEnum):
    """How the money comes."""

    CARD = "card", N_("在线支付")
    BANK_TRANSFER = "bank_transfer", N_("对公转账")
    VOUCHER = "voucher", N_("提货券")


class PaymentState(LabelledEnum):
    """A payment is asked for, then paid or not."""

    OPEN = "open", N_("待付款")
    PAID = "paid", N_("已到账")
    EXPIRED = "expired", N_("已超时")
    CANCELLED = "cancelled", N_("已取消")


OPEN_CARD = text("state = 'open' AND part_id IS NULL")


class Payment(Base):
    """Money asked of a buyer: a staff order is paid by card, a canteen part by bank transfer after acceptance. What
    vouchers pay of a staff order is a payment of its own."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid"),
        CheckConstraint("method <> 'bank_transfer' OR remittance_code IS NOT NULL", name="remittance_code"),
        Index("ix_payment_order", "order_id"),
        UniqueConstraint("part_id"),  # a part is billed once
        Index(  # an order is asked for by one card payment at a time
            "uq_payment_open_card",
            "order_id",
            unique=True,
            sqlite_where=OPEN_CARD,
            postgresql_where=OPEN_CARD,
        ),
        Index("ix_payment_state", "state", "due_on"),
        Index("uq_payment_amount", "id", "amount_fen", unique=True),  # what shares of refunds refer to
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("Y"))
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"))
    part_id: Mapped[int | None] = mapped_column(ForeignKey("order_part.id"))
    method: Mapped[PaymentMethod] = mapped_column(code_of(PaymentMethod, "method"))
    state: Mapped[PaymentState] = mapped_column(code_of(PaymentState, "state"), default=PaymentState.OPEN)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    provider_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    provider_payment_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    redirect_url: Mapped[str] = mapped_column(Text, default="")
    remittance_code: Mapped[str | None] = mapped_column(String(12), unique=True)
    due_on: Mapped[date | None]
    expires_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    paid_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    order: Mapped[Order] = relationship()
    part: Mapped[OrderPart | None] = relationship()


class NoticeOutcome(LabelledEnum):
    """What became of a gateway's notice."""

    WAITING = "waiting", N_("待处理")
    APPLIED = "applied", N_("已处理")
    REPEATED = "repeated", N_("重复通知")
    IGNORED = "ignored", N_("与订单无关")
    QUEUED = "queued", N_("待人工处理")
    RESOLVED = "resolved", N_("人工已处理")


class GatewayNotice(Base):
    """A message with a good signature: stored first, applied once. `event_id` is the provider's; what the message
    means is read when it comes and kept beside the bytes it came in."""

    __tablename__ = "gateway_notice"
    __table_args__ = (
        Index("ix_gateway_notice_outcome", "outcome", "id"),
        Index("ix_gateway_notice_payment_ref", "payment_ref"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[EventKind] = mapped_column(code_of(EventKind, "kind"))
    raw_type: Mapped[str] = mapped_column(String(80))
    reference: Mapped[str] = mapped_column(String(40))
    provider_ref: Mapped[str | None] = mapped_column(String(120))
    payment_ref: Mapped[str | None] = mapped_column(String(120))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    failure: Mapped[str] = mapped_column(String(60), default="")
    occurred_at: Mapped[datetime] = mapped_column(UtcInstant)
    payload: Mapped[str] = mapped_column(Text)
    outcome: Mapped[NoticeOutcome] = mapped_column(
        code_of(NoticeOutcome, "outcome"), default=NoticeOutcome.WAITING
    )
    reason: Mapped[str] = mapped_column(String(300), default="")
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    received_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    applied_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class BankStatement(Base):
    """An imported statement file; the same file is the same statement.

    `lines_done` of its `lines_total` are taken in; `trouble` is why it stopped by itself (a message and its params).
    """

    __tablename__ = "bank_statement"
    __table_args__ = (
        CheckConstraint("lines_done >= 0 AND lines_done <= lines_total", name="lines_done"),
        CheckConstraint("stopped_at IS NULL OR lines_done < lines_total", name="stopped"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("K"))
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    file_name: Mapped[str] = mapped_column(String(200))
    lines_total: Mapped[int]
    lines_done: Mapped[int]
    lines_matched: Mapped[int]
    stopped_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    trouble: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    imported_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    imported_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    @property
    def is_open(self) -> bool:
        """Whether a worker goes on with it."""
        return self.lines_done < self.lines_total and self.stopped_at is None


class BankLineState(LabelledEnum):
    """A line is matched, or waits for a person; it is never dropped."""

    MATCHED = "matched", N_("已匹配")
    QUEUED = "queued", N_("待人工处理")
    RESOLVED = "resolved", N_("人工已处理")


class QueueReason(LabelledEnum):
    """Why a person must look."""

    NO_CODE = "no_code", N_("附言中没有汇款码")
    UNKNOWN_CODE = "unknown_code", N_("汇款码不存在")
    SEVERAL_CODES = "several_codes", N_("几个汇款码的应付合计与到账金额不符")
    WRONG_AMOUNT = "wrong_amount", N_("金额与应付不符")
    ALREADY_PAID = "already_paid", N_("这笔应付已经付清")
    CANCELLED = "cancelled", N_("订单已取消")


class BankLine(Base):
    """One credit on a statement. The bank's serial number is its global key.

    `expected_fen` is what its remittance codes asked for when it came, where that was another sum.
    """

    __tablename__ = "bank_line"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(state = 'queued') = (reason IS NOT NULL AND resolved_at IS NULL)", name="queued"),
        Index("ix_bank_line_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("W"))
    statement_id: Mapped[int] = mapped_column(ForeignKey("bank_statement.id"), index=True)
    row: Mapped[int]
    serial_no: Mapped[str] = mapped_column(String(60), unique=True)
    booked_on: Mapped[date]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    payer_name: Mapped[str] = mapped_column(String(120))
    remark: Mapped[str] = mapped_column(String(200))
    expected_fen: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[BankLineState] = mapped_column(code_of(BankLineState, "state"))
    reason: Mapped[QueueReason | None] = mapped_column(code_of(QueueReason, "reason"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"), index=True)
    resolution: Mapped[str] = mapped_column(String(300), default="")
    resolved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    payment: Mapped[Payment | None] = relationship()
    matches: Mapped[list[BankLineMatch]] = relationship(order_by="BankLineMatch.id", viewonly=True)


class BankLineMatch(Base):
    """What a credit paid: a bill or late interest, each whole and once. A line may pay several. Append-only."""

    __tablename__ = "bank_line_match"
    __table_args__ = (
        UniqueConstraint("payment_id"),
        UniqueConstraint("interest_id"),
        CheckConstraint("(payment_id IS NULL) <> (interest_id IS NULL)", name="one_claim"),
        CheckConstraint("amount_fen > 0", name="amount"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("bank_line.id"), index=True)
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    interest_id: Mapped[int | None] = mapped_column(ForeignKey("late_interest.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)


class Settlement(Base):
    """An accepted and paid line, settled once: its id is the line's. Append-only."""

    __tablename__ = "settlement"
    __table_args__ = (
        CheckConstraint("net_fen > 0 AND pool_fen >= 0 AND pool_fen <= net_fen", name="amounts"),
        {"info": APPEND_ONLY},
    )

    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), primary_key=True, autoincrement=False)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    net_fen: Mapped[int] = mapped_column(BigInteger)
    pool_fen: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), unique=True)
    rule_version: Mapped[int]
    settled_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    line: Mapped[OrderLine] = relationship()
    entry: Mapped[Entry] = relationship()


class LinkagePool(Base):
    """The part of a settled line that one mechanism shares out in one scope: a lot (DIRECT) or the linkage period of
    the day it settled (ALLOCATED). Append-only.

    With no weights in scope yet it waits in the cooperative's unallocated account until its PoolDistribution.
    """

    __tablename__ = "linkage_pool"
    __table_args__ = (
        CheckConstraint("lot_id IS NULL OR period_id IS NULL", name="one_scope"),
        CheckConstraint("pool_fen > 0", name="pool"),
        Index("ix_linkage_pool_line", "line_id"),
        Index(
            "ix_linkage_pool_waiting", "id", sqlite_where=text("waiting"), postgresql_where=text("waiting")
        ),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("settlement.line_id"))
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    attribution: Mapped[Attribution] = mapped_column(code_of(Attribution, "attribution"))
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
    period_id: Mapped[int | None] = mapped_column(ForeignKey("linkage_period.id"))
    rate_bp: Mapped[int]
    pool_fen: Mapped[int] = mapped_column(BigInteger)
    waiting: Mapped[bool]
    settled_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    settlement: Mapped[Settlement] = relationship()
    lot: Mapped[Lot | None] = relationship()
    period: Mapped[LinkagePeriod | None] = relationship()


class PoolDistribution(Base):
    """The one sharing-out of a pool: at settlement, or later when evidence arrived. Append-only; unique per pool.

    `as_of_entitlement_id` is the last entitlement that counted, so that the weights can be read again as they were.
    """

    __tablename__ = "pool_distribution"
    __table_args__ = (CheckConstraint("weight_total_fen > 0", name="weights"), {"info": APPEND_ONLY})

    pool_id: Mapped[int] = mapped_column(ForeignKey("linkage_pool.id"), primary_key=True, autoincrement=False)
    period_id: Mapped[int | None] = mapped_column(ForeignKey("linkage_period.id"))
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), index=True)
    as_of_entitlement_id: Mapped[int]
    weight_total_fen: Mapped[int] = mapped_column(BigInteger)
    rule_version: Mapped[int]
    distributed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    pool: Mapped[LinkagePool] = relationship()


class Credit(Base):
    """What one household got of one pool, and the weight it was computed from. Append-only."""

    __tablename__ = "credit"
    __table_args__ = (
        UniqueConstraint("pool_id", "household_id"),
        CheckConstraint("amount_fen > 0 AND weight_fen > 0", name="positive"),
        Index("ix_credit_household", "household_id", "id"),
        Index("ix_credit_line", "line_id"),
        Index("ix_credit_cooperative", "cooperative_id", "id"),
        Index("uq_credit_amount", "id", "amount_fen", unique=True),  # what reversals refer to
        {"info": APPEND_ONLY | REFERENCES_AT_ONCE},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("I"))
    pool_id: Mapped[int] = mapped_column(ForeignKey("linkage_pool.id"))
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    weight_fen: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    credited_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    household: Mapped[Household] = relationship()
    pool: Mapped[LinkagePool] = relationship()
    line: Mapped[OrderLine] = relationship()
