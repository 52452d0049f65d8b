"""The ledger's three tables: accounts, entries, transfers. All append-only.

An entry is one business event under one idempotency key. It holds transfers of a positive amount from the debit of one
account to the credit of another, so that it balances by construction. Rows are written by posting.py alone.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum as SqlEnum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.references import REFERENCES_AT_ONCE
from marketplace.ledger.accounts import OWNER_COLUMNS, OWNERS, AccountKey, AccountKind

BIG_KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only under INTEGER


class EntryKind(LabelledEnum):
    """The business event an entry records. The column has no check, so that a later kind needs no rebuild."""

    PAYMENT_RECEIVED = "payment_received", N_("收到货款")
    ACCEPTED_ON_CREDIT = "accepted_on_credit", N_("验收挂账")
    LATE_INTEREST = "late_interest", N_("逾期利息")
    LINE_SETTLED = "line_settled", N_("订单行结算")
    POOL_DISTRIBUTED = "pool_distributed", N_("联结资金分配")
    GUARANTEE = "guarantee", N_("保底补足")
    GUARANTEE_REDUCED = "guarantee_reduced", N_("保底冲减")
    REFUND = "refund", N_("退款")
    REVERSAL = "reversal", N_("冲销")
    RELIEF = "relief", N_("退款由合作社承担")
    PAYOUT_SENT = "payout_sent", N_("发放已提交")
    PAYOUT_CONFIRMED = "payout_confirmed", N_("发放到账")
    PAYOUT_FAILED = "payout_failed", N_("发放失败退回")
    CHARGE_COLLECTED = "charge_collected", N_("扣回垫款或服务费")
    VILLAGE_RENT = "village_rent", N_("村集体留存租金")
    POOL_REDISTRIBUTED = "pool_redistributed", N_("联结资金重新分配")
    ADJUSTMENT = "adjustment", N_("人工调整")
    DEPOSIT_RECEIVED = "deposit_received", N_("收到订金")
    DEPOSIT_SET_OFF = "deposit_set_off", N_("订金抵扣货款")
    DEPOSIT_RESTORED = "deposit_restored", N_("订金抵扣退回")
    DEPOSIT_RETURNED = "deposit_returned", N_("退还订金")
    VOUCHERS_PAID = "vouchers_paid", N_("收到购券款")
    VOUCHER_SET_OFF = "voucher_set_off", N_("提货券付款")
    FREIGHT = "freight", N_("运费归合作社")
    VOUCHERS_RETURNED = "vouchers_returned", N_("退还购券余款")
    DISPUTE_HELD = "dispute_held", N_("付款争议挂账")
    DISPUTE_WON = "dispute_won", N_("付款争议胜诉")
    DISPUTE_LOST = "dispute_lost", N_("付款争议损失")
    CHANNEL_FEE = "channel_fee", N_("渠道手续费")
    CHANNEL_PAYOUT = "channel_payout", N_("渠道提现到银行")
    TRANSFERRED = "transferred", N_("划付合作社")
    TRANSFER_REVERSED = "transfer_reversed", N_("收回划付")


def _owners_fit_kind(column: str) -> CheckConstraint:
    kinds = ", ".join(f"'{kind.value}'" for kind, columns in OWNERS.items() if column in columns)
    return CheckConstraint(f"(kind IN ({kinds})) = ({column} IS NOT NULL)", name=f"owner_{column}")


class Account(Base):
    """An account of the chart in accounts.py, created by its first posting. `key` is `AccountKey.text`."""

    __tablename__ = "account"
    __table_args__ = (
        *(_owners_fit_kind(column) for column in OWNER_COLUMNS),
        Index("ix_account_cooperative", "cooperative_id", "kind"),
        Index("ix_account_household", "household_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[AccountKind] = mapped_column(code_of(AccountKind, "kind"))
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("cooperative.id"))
    buyer_unit_id: Mapped[int | None] = mapped_column(ForeignKey("buyer_unit.id"))
    household_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"))
    village_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    channel: Mapped[str | None] = mapped_column(String(40))

    @property
    def account_key(self) -> AccountKey:
        """The key its columns say. Raises ValueError when they contradict its kind."""
        return AccountKey(self.kind, **{name: getattr(self, name) for name in OWNER_COLUMNS})


class Entry(Base):
    """One business event, about the row that `subject_kind` and `subject_id` name.

    `body` is its canonical JSON (see bodies.py); `salt` followed by `body` are the bytes that can be proved, and
    `body_hash` is their SHA-256.
    """

    __tablename__ = "entry"
    __table_args__ = (
        CheckConstraint("reverses_entry_id IS NULL OR reason <> ''", name="reversal_has_reason"),
        CheckConstraint("reverses_entry_id <> id", name="reverses_another"),
        Index("ix_entry_subject", "subject_kind", "subject_id"),
        Index("ix_entry_cooperative", "cooperative_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    public_no: Mapped[str] = mapped_column(String(24), unique=True)
    idempotency_key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[EntryKind] = mapped_column(
        SqlEnum(
            EntryKind,
            values_callable=lambda kinds: [kind.value for kind in kinds],
            native_enum=False,
            create_constraint=False,
            length=40,
        )
    )
    occurred_at: Mapped[datetime] = mapped_column(UtcInstant)
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant)
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("cooperative.id"))
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigInteger)
    actor_user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    reverses_entry_id: Mapped[int | None] = mapped_column(ForeignKey("entry.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))

    transfers: Mapped[list[Transfer]] = relationship(
        back_populates="entry", order_by="Transfer.position", viewonly=True, lazy="raise_on_sql"
    )


class Transfer(Base):
    """`amount_fen` from the debit of one account to the credit of another, at `position` 1, 2, ... of its entry.

    `cooperative_id` is the cooperative of its accounts, None where neither has one.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
        CheckConstraint("position >= 1", name="position"),
        UniqueConstraint("entry_id", "position"),
        Index("ix_transfer_debit_account", "debit_account_id", "id"),
        Index("ix_transfer_credit_account", "credit_account_id", "id"),
        {"info": APPEND_ONLY | REFERENCES_AT_ONCE},
    )

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    position: Mapped[int]
    debit_account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    credit_account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("cooperative.id"))

    entry: Mapped[Entry] = relationship(back_populates="transfers", viewonly=True, lazy="raise_on_sql")
    debit_account: Mapped[Account] = relationship(
        foreign_keys=[debit_account_id], viewonly=True, lazy="raise_on_sql"
    )
    credit_account: Mapped[Account] = relationship(
        foreign_keys=[credit_account_id], viewonly=True, lazy="raise_on_sql"
    )
