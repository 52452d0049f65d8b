"""Invoices as they were uploaded: over accepted parts of one unit, checked by its payer, corrected by red letters.

A number is in use once among all cooperatives, and a part is invoiced once. What was returned counts no more: its
number and its parts are free again.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import StoredFile
from marketplace.ordering.models import OrderPart
from marketplace.registry.models import BuyerUnit, Cooperative


class InvoiceKind(LabelledEnum):
    """An invoice over goods, or the red letter that takes a part of one back after a refund."""

    GOODS = "goods", N_("发票")
    RED_LETTER = "red_letter", N_("红字发票")


class InvoiceState(LabelledEnum):
    """Where an invoice stands with the unit's payer."""

    UPLOADED = "uploaded", N_("待付款人核对")
    CONFIRMED = "confirmed", N_("已核对")
    RETURNED = "returned", N_("已退回")


IN_USE = text("state <> 'returned'")
LIVE = text("live")


class Invoice(Base):
    """One invoice. `number` is digits alone: 20 of an electronic one, else the code of 10 or 12 and the 8 after it.

    `amount_fen` is positive on a red letter too. The idempotency key makes a repeated submit the same invoice.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("uploaded_by", "idempotency_key"),
        Index("uq_invoice_number", "number", unique=True, sqlite_where=IN_USE, postgresql_where=IN_USE),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("length(number) IN (18, 20)", name="number"),
        CheckConstraint("(kind = 'red_letter') = (original_id IS NOT NULL)", name="original"),
        CheckConstraint("original_id <> id", name="another"),
        CheckConstraint("(state = 'uploaded') = (checked_at IS NULL)", name="checked"),
        CheckConstraint("(checked_at IS NULL) = (checked_by IS NULL)", name="checked_by_somebody"),
        CheckConstraint("checked_by <> uploaded_by", name="separate_duties"),
        CheckConstraint("(state = 'returned') = (return_reason <> '')", name="returned_with_reason"),
        Index("ix_invoice_cooperative", "cooperative_id", "state", "id"),
        Index("ix_invoice_unit", "buyer_unit_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("FP"))
    kind: Mapped[InvoiceKind] = mapped_column(code_of(InvoiceKind, "kind"), default=InvoiceKind.GOODS)
    state: Mapped[InvoiceState] = mapped_column(code_of(InvoiceState, "state"), default=InvoiceState.UPLOADED)
    original_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"), index=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    number: Mapped[str] = mapped_column(String(20))
    issued_on: Mapped[date]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    uploaded_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    checked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    return_reason: Mapped[str] = mapped_column(String(300), default="")

    cooperative: Mapped[Cooperative] = relationship()
    buyer_unit: Mapped[BuyerUnit] = relationship()
    file: Mapped[StoredFile] = relationship()
    original: Mapped[Invoice | None] = relationship(remote_side="Invoice.id", back_populates="red_letters")
    red_letters: Mapped[list[Invoice]] = relationship(order_by="Invoice.id", back_populates="original")
    parts: Mapped[list[InvoicePart]] = relationship(order_by="InvoicePart.part_id")


class InvoicePart(Base):
    """A part that an invoice is over, and its net when the invoice was uploaded. `live` while the invoice counts."""

    __tablename__ = "invoice_part"
    __table_args__ = (
        UniqueConstraint("invoice_id", "part_id"),
        Index("uq_invoice_part_live", "part_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        CheckConstraint("amount_fen > 0", name="amount"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"))
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"), index=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    live: Mapped[bool] = mapped_column(default=True)

    part: Mapped[OrderPart] = relationship()
