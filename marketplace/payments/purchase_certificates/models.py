"""Purchase certificates as they were issued, the lines each stands for, and withdrawals. All three are history.

A line stands on one valid certificate at most, whoever issues and however many at once: the first certificate of a line
is unique, and a later one names the withdrawn one that it replaces, which only one may do.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
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
from marketplace.identity.models import User
from marketplace.ordering.models import OrderKind, OrderLine
from marketplace.registry.models import BuyerUnit

TOKEN_LENGTH = 26  # of 5 random bits each: 130 bits cannot be guessed
FIRST = text("replaces_id IS NULL")


class PurchaseCertificate(Base):
    """What a unit completed over the days [since_on, until_on], canteen and union purchases apart. Append-only.

    `figures` are as `queries.CertificateFigures` keeps them; `token` is what the QR code leads to.
    """

    __tablename__ = "purchase_certificate"
    __table_args__ = (
        UniqueConstraint("buyer_unit_id", "idempotency_key"),
        CheckConstraint("kind IN ('canteen', 'union')", name="of_unit"),
        CheckConstraint("until_on >= since_on", name="span"),
        CheckConstraint("net_fen > 0", name="net"),
        Index("ix_purchase_certificate_unit", "buyer_unit_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PZ"))
    token: Mapped[str] = mapped_column(String(32), unique=True)
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    kind: Mapped[OrderKind] = mapped_column(code_of(OrderKind, "kind"))
    since_on: Mapped[date]
    until_on: Mapped[date]
    net_fen: Mapped[int] = mapped_column(BigInteger)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    content_hash: Mapped[str] = mapped_column(String(64))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    issued_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    issued_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    buyer_unit: Mapped[BuyerUnit] = relationship(lazy="joined")
    issuer: Mapped[User] = relationship(lazy="joined")
    lines: Mapped[list[CertifiedLine]] = relationship(
        order_by="CertifiedLine.line_id", back_populates="certificate"
    )
    withdrawal: Mapped[CertificateWithdrawal | None] = relationship(
        back_populates="certificate", lazy="joined", viewonly=True
    )


class CertifiedLine(Base):
    """A line that a certificate stands for, at its net after refunds. Append-only."""

    __tablename__ = "certified_line"
    __table_args__ = (
        Index("uq_certified_line_first", "line_id", unique=True, sqlite_where=FIRST, postgresql_where=FIRST),
        UniqueConstraint("replaces_id", "line_id"),
        ForeignKeyConstraint(
            ["replaces_id", "line_id"], ["certified_line.certificate_id", "certified_line.line_id"]
        ),
        CheckConstraint("net_fen > 0", name="net"),
        CheckConstraint("replaces_id <> certificate_id", name="another"),
        {"info": APPEND_ONLY},
    )

    certificate_id: Mapped[int] = mapped_column(ForeignKey("purchase_certificate.id"), primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), primary_key=True)
    replaces_id: Mapped[int | None] = mapped_column(
        ForeignKey("purchase_certificate_withdrawal.certificate_id"), index=True
    )
    net_fen: Mapped[int] = mapped_column(BigInteger)

    certificate: Mapped[PurchaseCertificate] = relationship(back_populates="lines")
    line: Mapped[OrderLine] = relationship()

    @property
    def units(self) -> int:
        """The units behind the net: those bought less those refused or given back."""
        return self.net_fen // self.line.unit_price_fen


class CertificateWithdrawal(Base):
    """A certificate that no longer counts, and why: a refund, or the unit's own word. Append-only; one each."""

    __tablename__ = "purchase_certificate_withdrawal"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"), {"info": APPEND_ONLY})

    certificate_id: Mapped[int] = mapped_column(
        ForeignKey("purchase_certificate.id"), primary_key=True, autoincrement=False
    )
    reason: Mapped[str] = mapped_column(String(300))
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    withdrawn_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    certificate: Mapped[PurchaseCertificate] = relationship(back_populates="withdrawal", viewonly=True)
