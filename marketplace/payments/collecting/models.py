"""Cooperatives' accounts with the provider, what was transferred to them of each order part, and what was taken back.

The database holds what must hold, whoever writes: one transfer of a part is under way at a time, and what was
transferred of it, less what was taken back, never exceeds what its settled lines and its freight gave the cooperative
(a trigger). Reversals of a transfer, and what is withheld for one, are chains as in refunds/models.py.
"""

from __future__ import annotations

from datetime import datetime

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
from marketplace.core.labels import N_, LabelledEnum
from marketplace.ordering.models import OrderPart
from marketplace.payments.gateways.connect import AccountStatus
from marketplace.payments.models import Payment
from marketplace.registry.models import Cooperative

IS_PLANNED = text("state = 'planned'")


class ProviderAccount(Base):
    """A cooperative's account with the provider; one a cooperative.

    `noticed_at` is set while the provider said that something changed and was not asked since; `asked_at` is when the
    question was put whose answer stands here. Messages only say that it is time to ask, so their order is no matter.
    """

    __tablename__ = "provider_account"
    __table_args__ = (
        CheckConstraint("(status = 'opening') = (provider_ref IS NULL)", name="opened"),
        CheckConstraint("(provider_ref IS NULL) = (asked_at IS NULL)", name="asked"),
        Index("ix_provider_account_status", "status", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("SK"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), unique=True)
    provider_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    status: Mapped[AccountStatus] = mapped_column(
        code_of(AccountStatus, "status"), default=AccountStatus.OPENING
    )
    wanted: Mapped[list[str]] = mapped_column(JSON, default=list)
    due_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    reason: Mapped[str] = mapped_column(String(120), default="")
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    noticed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    asked_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    cooperative: Mapped[Cooperative] = relationship()


class TransferState(LabelledEnum):
    """Posted and on its way, or done. A transfer that is wholly withheld is done at once."""

    PLANNED = "planned", N_("待划付")
    DONE = "done", N_("已划付")


class CooperativeTransfer(Base):
    """What one order part gives its cooperative: `amount_fen` to its account, `withheld_fen` kept for money that could
    not be taken back from it. `left_fen` was due too and stays with the platform, because the cooperative owes as much.

    The key is stored before the provider is called and renewed after a clear refusal alone.
    """

    __tablename__ = "cooperative_transfer"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0 AND withheld_fen >= 0 AND left_fen >= 0", name="amounts"),
        CheckConstraint("amount_fen + withheld_fen > 0", name="something"),
        CheckConstraint("(amount_fen > 0) = (entry_id IS NOT NULL)", name="posted"),
        CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done"),
        CheckConstraint(
            "(state = 'done' AND amount_fen > 0) = (provider_ref IS NOT NULL)", name="done_by_provider"
        ),
        UniqueConstraint("entry_id"),
        Index("uq_cooperative_transfer_amount", "id", "amount_fen", unique=True),  # what reversals refer to
        Index(
            "uq_cooperative_transfer_under_way",
            "part_id",
            unique=True,
            sqlite_where=IS_PLANNED,
            postgresql_where=IS_PLANNED,
        ),
        Index("ix_cooperative_transfer_part", "part_id", "id"),
        Index("ix_cooperative_transfer_cooperative", "cooperative_id", "id"),
        Index("ix_cooperative_transfer_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("HF"))
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("provider_account.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    withheld_fen: Mapped[int] = mapped_column(BigInteger)
    left_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[TransferState] = mapped_column(
        code_of(TransferState, "state"), default=TransferState.PLANNED
    )
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    attempt: Mapped[int] = mapped_column(default=1)
    keyed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    next_try_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    failure: Mapped[str] = mapped_column(String(120), default="")
    provider_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("entry.id"))
    planned_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    done_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    part: Mapped[OrderPart] = relationship()
    payment: Mapped[Payment] = relationship()
    cooperative: Mapped[Cooperative] = relationship()
    account: Mapped[ProviderAccount] = relationship()
    reversals: Mapped[list[TransferReversal]] = relationship(order_by="TransferReversal.id", viewonly=True)


class ReversalState(LabelledEnum):
    """Asked for, taken back, or refused: then it is withheld from the next transfers."""

    PLANNED = "planned", N_("待收回")
    DONE = "done", N_("已收回")
    REFUSED = "refused", N_("收回未成，从以后的划付中扣")


class TransferReversal(Base):
    """A part of a transfer to be taken back, because the buyer got money back; a chain per transfer, in fen."""

    __tablename__ = "transfer_reversal"
    __table_args__ = (
        UniqueConstraint("transfer_id", "before_fen"),
        UniqueConstraint("transfer_id", "after_fen"),
        ForeignKeyConstraint(
            ["transfer_id", "transfer_fen"], ["cooperative_transfer.id", "cooperative_transfer.amount_fen"]
        ),
        ForeignKeyConstraint(
            ["transfer_id", "follows_fen"], ["transfer_reversal.transfer_id", "transfer_reversal.after_fen"]
        ),
        CheckConstraint("amount_fen > 0 AND before_fen >= 0", name="positive"),
        CheckConstraint("after_fen = before_fen + amount_fen", name="counts_up"),
        CheckConstraint("after_fen <= transfer_fen", name="not_more_than_transferred"),
        CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name="chain",
        ),
        CheckConstraint(
            "(state = 'done') = (provider_ref IS NOT NULL)"
            " AND (state = 'done') = (entry_id IS NOT NULL) AND (state = 'done') = (done_at IS NOT NULL)",
            name="done",
        ),
        CheckConstraint("(state = 'refused') = (failure <> '')", name="refused"),
        UniqueConstraint("entry_id"),
        Index("uq_transfer_reversal_amount", "id", "amount_fen", unique=True),  # what withholdings refer to
        Index("ix_transfer_reversal_cooperative", "cooperative_id", "state", "id"),
        Index("ix_transfer_reversal_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("HS"))
    transfer_id: Mapped[int]
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    transfer_fen: Mapped[int] = mapped_column(BigInteger)
    before_fen: Mapped[int] = mapped_column(BigInteger)
    follows_fen: Mapped[int | None] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    after_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[ReversalState] = mapped_column(
        code_of(ReversalState, "state"), default=ReversalState.PLANNED
    )
    failure: Mapped[str] = mapped_column(String(120), default="")
    provider_ref: Mapped[str | None] = mapped_column(String(120), unique=True)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("entry.id"))
    planned_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    done_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    transfer: Mapped[CooperativeTransfer] = relationship(
        primaryjoin="CooperativeTransfer.id == foreign(TransferReversal.transfer_id)", viewonly=True
    )
    cooperative: Mapped[Cooperative] = relationship()


class TransferWithholding(Base):
    """What a later transfer kept for a reversal that was refused; a chain per reversal, in fen. Append-only."""

    __tablename__ = "transfer_withholding"
    __table_args__ = (
        UniqueConstraint("reversal_id", "before_fen"),
        UniqueConstraint("reversal_id", "after_fen"),
        UniqueConstraint("transfer_id", "reversal_id"),
        ForeignKeyConstraint(
            ["reversal_id", "reversal_fen"], ["transfer_reversal.id", "transfer_reversal.amount_fen"]
        ),
        ForeignKeyConstraint(
            ["reversal_id", "follows_fen"],
            ["transfer_withholding.reversal_id", "transfer_withholding.after_fen"],
        ),
        CheckConstraint("amount_fen > 0 AND before_fen >= 0", name="positive"),
        CheckConstraint("after_fen = before_fen + amount_fen", name="counts_up"),
        CheckConstraint("after_fen <= reversal_fen", name="not_more_than_refused"),
        CheckConstraint(
            "(before_fen = 0) = (follows_fen IS NULL) AND (follows_fen IS NULL OR follows_fen = before_fen)",
            name="chain",
        ),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reversal_id: Mapped[int]
    reversal_fen: Mapped[int] = mapped_column(BigInteger)
    transfer_id: Mapped[int] = mapped_column(ForeignKey("cooperative_transfer.id"))
    before_fen: Mapped[int] = mapped_column(BigInteger)
    follows_fen: Mapped[int | None] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    after_fen: Mapped[int] = mapped_column(BigInteger)
    withheld_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
