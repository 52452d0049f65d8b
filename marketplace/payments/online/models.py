"""The provider's pages opened for a payment: one after another, never two at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.labels import N_, LabelledEnum
from marketplace.payments.gateways.protocol import OnlineMethod
from marketplace.payments.models import Payment

IS_OPEN = text("state = 'open'")


class AttemptState(LabelledEnum):
    """Where an attempt stands. CLOSING is left by the buyer and may still be payable until the provider ended it."""

    OPEN = "open", N_("进行中")
    CLOSING = "closing", N_("正在关闭")
    CLOSED = "closed", N_("已关闭")
    PAID = "paid", N_("已付款")


class PaymentAttempt(Base):
    """One page (or code to scan) of the provider for one payment, by the means the buyer chose.

    The row is stored before the provider is asked, so that a retry sends the same request under the same key.
    `failure` is the provider's code of the last try on it that did not succeed.
    """

    __tablename__ = "payment_attempt"
    __table_args__ = (
        UniqueConstraint("payment_id", "number"),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("(state IN ('closed', 'paid')) = (ended_at IS NOT NULL)", name="ended"),
        Index(
            "uq_payment_attempt_open",
            "payment_id",
            unique=True,
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        ),
        Index("ix_payment_attempt_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    number: Mapped[int]
    method: Mapped[OnlineMethod] = mapped_column(code_of(OnlineMethod, "method"))
    locale: Mapped[str] = mapped_column(String(10))
    state: Mapped[AttemptState] = mapped_column(code_of(AttemptState, "state"), default=AttemptState.OPEN)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    provider_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    redirect_url: Mapped[str] = mapped_column(Text, default="")
    qr_text: Mapped[str] = mapped_column(Text, default="")
    failure: Mapped[str] = mapped_column(String(60), default="")
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    payment: Mapped[Payment] = relationship()
