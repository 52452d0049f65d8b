"""What the provider's balance said, each comparison that was made, and each difference with how it was explained."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.payments.gateways.balance import MoveKind
from marketplace.payments.models import BankLine

IS_UNSETTLED = text("state IN ('open', 'proposed')")


class Channel(LabelledEnum):
    """What is compared with the ledger."""

    CARD = "card", N_("在线支付通道")
    BANK_TRANSFER = "bank_transfer", N_("银行对账单")


class ChannelMove(Base):
    """A movement on the provider's balance as it was listed. Append-only."""

    __tablename__ = "channel_move"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0 OR fee_fen <> 0", name="moves"),
        Index("ix_channel_move_payment_ref", "payment_ref"),
        Index("ix_channel_move_occurred_at", "occurred_at"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[MoveKind] = mapped_column(code_of(MoveKind, "kind"))
    source_ref: Mapped[str] = mapped_column(String(120))
    payment_ref: Mapped[str | None] = mapped_column(String(120))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    fee_fen: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime] = mapped_column(UtcInstant)
    fetched_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class PayoutArrival(Base):
    """A payout of the provider as it came to the bank: the movement, and the credit on the statement. Append-only.

    Found by the exact sum, or by a person, who may also take a credit of another sum with a note; then the difference
    is one of the day's.
    """

    __tablename__ = "payout_arrival"
    __table_args__ = (
        CheckConstraint("payout_fen > 0 AND line_fen > 0", name="amounts"),
        CheckConstraint("payout_fen = line_fen OR (note <> '' AND matched_by IS NOT NULL)", name="differs"),
        UniqueConstraint("move_id"),
        UniqueConstraint("line_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    move_id: Mapped[int] = mapped_column(ForeignKey("channel_move.id"))
    line_id: Mapped[int] = mapped_column(ForeignKey("bank_line.id"))
    payout_fen: Mapped[int] = mapped_column(BigInteger)
    line_fen: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(String(300), default="")
    matched_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    matched_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    move: Mapped[ChannelMove] = relationship()
    line: Mapped[BankLine] = relationship()


class ReconciliationRun(Base):
    """One comparison as of the end of a business day, all in fen. Append-only.

    What the channel holds is what the ledger holds, plus what is on its way, plus what differs.
    """

    __tablename__ = "reconciliation_run"
    __table_args__ = (
        CheckConstraint("channel_fen = ledger_fen + in_transit_fen + difference_fen", name="adds_up"),
        CheckConstraint("day_count >= 0 AND fees_fen >= 0", name="counts"),
        Index("ix_reconciliation_run_day", "channel", "day", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("DZ"))
    channel: Mapped[Channel] = mapped_column(code_of(Channel, "channel"))
    day: Mapped[date]
    day_count: Mapped[int]
    day_fen: Mapped[int] = mapped_column(BigInteger)
    fees_fen: Mapped[int] = mapped_column(BigInteger)
    channel_fen: Mapped[int] = mapped_column(BigInteger)
    ledger_fen: Mapped[int] = mapped_column(BigInteger)
    in_transit_fen: Mapped[int] = mapped_column(BigInteger)
    difference_fen: Mapped[int] = mapped_column(BigInteger)
    ran_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    ran_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class ItemKind(LabelledEnum):
    """How the two sides differ."""

    NOT_IN_LEDGER = "not_in_ledger", N_("通道有，台账没有")
    NOT_AT_CHANNEL = "not_at_channel", N_("台账有，通道没有")
    AMOUNT_DIFFERS = "amount_differs", N_("金额不符")


class ItemState(LabelledEnum):
    """A difference is explained by one person and confirmed by another, or it goes away by itself."""

    OPEN = "open", N_("待查明")
    PROPOSED = "proposed", N_("待复核")
    RESOLVED = "resolved", N_("已查明")
    CLEARED = "cleared", N_("已对平")


class ReconciliationItem(Base):
    """One thing on which channel and ledger differ; `key` names it ("payment:…", "move:…", "deposit:…")."""

    __tablename__ = "reconciliation_item"
    __table_args__ = (
        CheckConstraint("channel_fen <> ledger_fen", name="differs"),
        CheckConstraint("(proposed_by IS NULL) = (proposed_at IS NULL)", name="proposed_at"),
        CheckConstraint("state NOT IN ('proposed', 'resolved') OR proposed_by IS NOT NULL", name="proposed"),
        CheckConstraint("proposed_by IS NULL OR explanation <> ''", name="explained"),
        CheckConstraint("(state = 'resolved') = (resolved_by IS NOT NULL)", name="resolved"),
        CheckConstraint("resolved_by <> proposed_by", name="two_people"),
        CheckConstraint("(state IN ('resolved', 'cleared')) = (ended_at IS NOT NULL)", name="ended"),
        Index(
            "uq_reconciliation_item_key",
            "channel",
            "key",
            unique=True,
            sqlite_where=IS_UNSETTLED,
            postgresql_where=IS_UNSETTLED,
        ),
        Index("ix_reconciliation_item_state", "state", "found_on", "id"),
        Index("ix_reconciliation_item_channel", "channel", "key", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CY"))
    channel: Mapped[Channel] = mapped_column(code_of(Channel, "channel"))
    key: Mapped[str] = mapped_column(String(140))
    kind: Mapped[ItemKind] = mapped_column(code_of(ItemKind, "kind"))
    state: Mapped[ItemState] = mapped_column(code_of(ItemState, "state"), default=ItemState.OPEN)
    channel_fen: Mapped[int] = mapped_column(BigInteger)
    ledger_fen: Mapped[int] = mapped_column(BigInteger)
    found_on: Mapped[date]
    found_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    explanation: Mapped[str] = mapped_column(String(300), default="")
    proposed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    proposed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    resolved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    proposer: Mapped[User | None] = relationship(foreign_keys=[proposed_by])
    resolver: Mapped[User | None] = relationship(foreign_keys=[resolved_by])

    @property
    def difference_fen(self) -> int:
        """How much more the channel has than the ledger."""
        return self.channel_fen - self.ledger_fen
