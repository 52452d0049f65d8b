"""Late interest as a claim of its own: posted when the late money came, paid by a transfer of its own or waived.

A claim keeps what it was computed from: the sums owed night by night, the rate frozen in the order, and both days.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.payments.models import Payment
from marketplace.registry.models import BuyerUnit, Cooperative


class InterestState(LabelledEnum):
    """A claim is open, then paid, or waived by the cooperative."""

    OPEN = "open", N_("待付利息")
    PAID = "paid", N_("利息已付")
    WAIVED = "waived", N_("合作社已免收")


class LateInterest(Base):
    """What a unit owes a cooperative for paying one bill late. One a bill; the bill itself is paid without it.

    `fen_days` is the sum over its spans of fen times nights, and the database holds the formula over it.
    """

    __tablename__ = "late_interest"
    __table_args__ = (
        UniqueConstraint("payment_id"),
        CheckConstraint("days_late > 0 AND fen_days > 0 AND amount_fen > 0", name="positive"),
        CheckConstraint("amount_fen = (2 * fen_days * late_rate_bp + 10000) / 20000", name="formula"),
        CheckConstraint("paid_on > due_on", name="late"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid"),
        Index("ix_late_interest_cooperative", "cooperative_id", "state", "id"),
        Index("ix_late_interest_unit", "buyer_unit_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("LX"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    due_on: Mapped[date]
    paid_on: Mapped[date]
    days_late: Mapped[int]
    late_rate_bp: Mapped[int]
    fen_days: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    remittance_code: Mapped[str] = mapped_column(String(12), unique=True)
    state: Mapped[InterestState] = mapped_column(code_of(InterestState, "state"), default=InterestState.OPEN)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"), unique=True)
    claimed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    paid_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    payment: Mapped[Payment] = relationship()
    cooperative: Mapped[Cooperative] = relationship()
    buyer_unit: Mapped[BuyerUnit] = relationship()
    spans: Mapped[list[InterestSpan]] = relationship(order_by="InterestSpan.starts_on")


class InterestSpan(Base):
    """A sum that was owed over some nights of a late bill. Append-only."""

    __tablename__ = "interest_span"
    __table_args__ = (
        UniqueConstraint("interest_id", "starts_on"),
        CheckConstraint("days > 0 AND owed_fen > 0", name="positive"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    interest_id: Mapped[int] = mapped_column(ForeignKey("late_interest.id"))
    starts_on: Mapped[date]
    days: Mapped[int]
    owed_fen: Mapped[int] = mapped_column(BigInteger)

    @property
    def from_on(self) -> date:
        """The first day that costs interest: the one after the night of `starts_on`."""
        return self.starts_on + timedelta(days=1)

    @property
    def until_on(self) -> date:
        """The last day that costs interest; of the last span, the day on which the money came."""
        return self.starts_on + timedelta(days=self.days)


class InterestWaiver(Base):
    """A cooperative asks no interest on one bill, and says why. One a bill, before the interest was paid. Append-only.

    `entry_id` takes back what was posted; it is empty when the bill had not been paid yet and nothing was.
    """

    __tablename__ = "interest_waiver"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"), {"info": APPEND_ONLY})

    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(300))
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("entry.id"), unique=True)
    waived_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    waived_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
