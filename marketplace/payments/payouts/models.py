"""Where household money goes: bank accounts, payout batches, the payouts in them, and the files read on the way.

The ledger holds the postings; a payout says which account it went to and what the bank answered. A payout's public
number is the reference the bank gives back.
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
from marketplace.identity.models import StoredFile
from marketplace.registry.models import Cooperative, Household, Region

STANDING = text("replaced_at IS NULL")
UNDER_WAY = text("state IN ('prepared', 'sent', 'unknown')")


class HouseholdBankAccount(Base):
    """The account a household is paid to. A new row replaces the old one; nothing else of a row ever changes.

    The number is sealed (context "household_bank_account.number:<public_no>"); pages show its last four digits.
    """

    __tablename__ = "household_bank_account"
    __table_args__ = (
        CheckConstraint("length(last_four) = 4", name="last_four"),
        Index(  # a household is paid to one account at a time
            "uq_household_bank_account_standing",
            "household_id",
            unique=True,
            sqlite_where=STANDING,
            postgresql_where=STANDING,
        ),
        Index(  # and an account is one household's
            "uq_household_bank_account_number",
            "number_index",
            unique=True,
            sqlite_where=STANDING,
            postgresql_where=STANDING,
        ),
        Index("ix_household_bank_account_household", "household_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("BA"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    number_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    number_index: Mapped[bytes] = mapped_column(LargeBinary(32))
    last_four: Mapped[str] = mapped_column(String(4))
    holder_name: Mapped[str] = mapped_column(String(60))
    bank_name: Mapped[str] = mapped_column(String(80))
    valid_from: Mapped[date]
    replaced_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    household: Mapped[Household] = relationship()


class BatchState(LabelledEnum):
    """A batch is prepared by one person, approved by another, sent as a file, and answered by the bank."""

    PREPARED = "prepared", N_("待复核")
    APPROVED = "approved", N_("已复核，正在生成文件")
    SENT = "sent", N_("等银行回盘")
    FINISHED = "finished", N_("已办结")
    CANCELLED = "cancelled", N_("已撤销")


class PayoutBatch(Base):
    """Payouts of one cooperative, or of all cooperatives of one county, over a minimum and up to a business day.

    `layout` is the description of the bank's file as it was when the batch was prepared (see files.py).
    """

    __tablename__ = "payout_batch"
    __table_args__ = (
        CheckConstraint("(cooperative_id IS NULL) <> (county_code IS NULL)", name="one_scope"),
        CheckConstraint("minimum_fen > 0 AND total_fen >= 0 AND payouts_count >= 0", name="amounts"),
        CheckConstraint("approved_by <> prepared_by", name="two_people"),
        CheckConstraint(
            "(state IN ('approved', 'sent', 'finished'))"
            " = (approved_at IS NOT NULL AND approved_by IS NOT NULL AND prepared_by IS NOT NULL)",
            name="approved",
        ),
        CheckConstraint(
            "(state IN ('sent', 'finished')) = (file_id IS NOT NULL AND sent_at IS NOT NULL)", name="sent"
        ),
        Index("ix_payout_batch_cooperative", "cooperative_id", "id"),
        Index("ix_payout_batch_county", "county_code", "id"),
        Index("ix_payout_batch_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PB"))
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("cooperative.id"))
    county_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    state: Mapped[BatchState] = mapped_column(code_of(BatchState, "state"), default=BatchState.PREPARED)
    minimum_fen: Mapped[int] = mapped_column(BigInteger)
    up_to_on: Mapped[date]
    layout: Mapped[dict[str, Any]] = mapped_column(JSON)
    payouts_count: Mapped[int] = mapped_column(default=0)
    total_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    prepared_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    prepared_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    approved_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    sent_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    finished_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    cooperative: Mapped[Cooperative | None] = relationship()
    county: Mapped[Region | None] = relationship()
    file: Mapped[StoredFile | None] = relationship()


class PayoutState(LabelledEnum):
    """From the list to the household's account. SENT means posted: the money left the household's balance."""

    PREPARED = "prepared", N_("待复核")
    SENT = "sent", N_("已提交银行")
    PAID = "paid", N_("已到账")
    FAILED = "failed", N_("发放失败")
    UNKNOWN = "unknown", N_("银行结果不明")
    CANCELLED = "cancelled", N_("未发放")


class FailKind(LabelledEnum):
    """Whose turn it is after a failure."""

    ACCOUNT = "account", N_("收款账号有误，更正后重发")
    BANK = "bank", N_("银行原因，可直接重发")


class DropReason(LabelledEnum):
    """Why a prepared payout was not sent."""

    CANCELLED = "cancelled", N_("本批已撤销")
    BALANCE = "balance", N_("余额已低于起发金额")
    ACCOUNT = "account", N_("收款账号已更换，进入下一批")


class Payout(Base):
    """Money of one household from one cooperative, to one account. At most one under way at a time."""

    __tablename__ = "payout"
    __table_args__ = (
        CheckConstraint("amount_fen > 0 AND amount_fen <= prepared_fen", name="amount"),
        CheckConstraint(
            "(state IN ('sent', 'paid', 'failed', 'unknown')) = (sent_entry_id IS NOT NULL)", name="sent"
        ),
        CheckConstraint(
            "(state IN ('paid', 'failed')) = (answer_entry_id IS NOT NULL AND answered_at IS NOT NULL)",
            name="answered",
        ),
        CheckConstraint("(state = 'failed') = (fail_kind IS NOT NULL AND fail_reason <> '')", name="failed"),
        CheckConstraint("(state = 'cancelled') = (drop_reason IS NOT NULL)", name="dropped"),
        UniqueConstraint("batch_id", "household_id", "cooperative_id"),
        UniqueConstraint("sent_entry_id"),
        UniqueConstraint("answer_entry_id"),
        Index(
            "uq_payout_under_way",
            "household_id",
            "cooperative_id",
            unique=True,
            sqlite_where=UNDER_WAY,
            postgresql_where=UNDER_WAY,
        ),
        Index("ix_payout_household", "household_id", "id"),
        Index("ix_payout_account", "account_id", "state"),
        Index("ix_payout_state", "state", "cooperative_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(
        String(16), unique=True, default=lambda: public_no("PO", length=13)
    )
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("household_bank_account.id"))
    prepared_fen: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[PayoutState] = mapped_column(code_of(PayoutState, "state"), default=PayoutState.PREPARED)
    fail_kind: Mapped[FailKind | None] = mapped_column(code_of(FailKind, "fail_kind"))
    fail_reason: Mapped[str] = mapped_column(String(120), default="")
    drop_reason: Mapped[DropReason | None] = mapped_column(code_of(DropReason, "drop_reason"))
    sent_entry_id: Mapped[int | None] = mapped_column(ForeignKey("entry.id"))
    answer_entry_id: Mapped[int | None] = mapped_column(ForeignKey("entry.id"))
    answered_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    batch: Mapped[PayoutBatch] = relationship()
    household: Mapped[Household] = relationship()
    cooperative: Mapped[Cooperative] = relationship()
    account: Mapped[HouseholdBankAccount] = relationship()


class SheetState(LabelledEnum):
    """A sheet is looked at first and taken once."""

    CHECKED = "checked", N_("已检查，待确认")
    TAKEN = "taken", N_("已办理")


class PayoutResult(Base):
    """A result file of the bank for a batch; the same file is the same result. `findings` are kept once it is taken."""

    __tablename__ = "payout_result"
    __table_args__ = (
        UniqueConstraint("batch_id", "content_hash"),
        CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name="taken"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PR"))
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"))
    content_hash: Mapped[str] = mapped_column(String(64))
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    file_name: Mapped[str] = mapped_column(String(200))
    state: Mapped[SheetState] = mapped_column(code_of(SheetState, "state"), default=SheetState.CHECKED)
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_paid: Mapped[int] = mapped_column(default=0)
    rows_failed: Mapped[int] = mapped_column(default=0)
    rows_unknown: Mapped[int] = mapped_column(default=0)
    rows_unchanged: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    imported_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    imported_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    batch: Mapped[PayoutBatch] = relationship()
    file: Mapped[StoredFile] = relationship()


class AccountSheet(Base):
    """A sheet of household accounts; the same file of the same organisation is the same sheet."""

    __tablename__ = "account_sheet"
    __table_args__ = (
        UniqueConstraint("organisation_id", "content_hash"),
        CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name="taken"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("AS"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    content_hash: Mapped[str] = mapped_column(String(64))
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    file_name: Mapped[str] = mapped_column(String(200))
    state: Mapped[SheetState] = mapped_column(code_of(SheetState, "state"), default=SheetState.CHECKED)
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_new: Mapped[int] = mapped_column(default=0)
    rows_unchanged: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    imported_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    imported_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    file: Mapped[StoredFile] = relationship()
