"""Compliance certificates (合格证): what a cooperative promises of a lot. History: a new one follows, none is changed.

A certificate says the name and quantity of the goods, their producer and origin, the day, and the promise (domain.md,
section 3). What it says is kept as it was issued. The quantity is what the lot had received by then; when more was
weighed in, a further certificate is issued.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.linkage.models import Lot

TOKEN_LENGTH = 26  # of 5 random bits each: 130 bits cannot be guessed


class LotCertificate(Base):
    """One certificate of a lot. Append-only; `token` is what its QR code leads to, `mass_g` grams."""

    __tablename__ = "lot_certificate"
    __table_args__ = (
        UniqueConstraint("lot_id", "version"),
        CheckConstraint("version > 0 AND mass_g > 0", name="positive"),
        CheckConstraint("goods <> '' AND producer <> '' AND origin <> '' AND promise <> ''", name="complete"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("HG"))
    token: Mapped[str] = mapped_column(
        String(32), unique=True, default=lambda: public_no("T", length=TOKEN_LENGTH)
    )
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    version: Mapped[int]
    goods: Mapped[str] = mapped_column(String(60))
    mass_g: Mapped[int] = mapped_column(BigInteger)
    producer: Mapped[str] = mapped_column(String(120))
    origin: Mapped[str] = mapped_column(String(200))
    harvested_on: Mapped[date]
    promise: Mapped[str] = mapped_column(String(300))
    issued_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    issued_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    lot: Mapped[Lot] = relationship(lazy="joined")
