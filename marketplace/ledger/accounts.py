"""The chart of accounts: kinds, who owns an account of each kind, and the key by which an account is found.

Pure values; the rows are in models.py. Every account that belongs to a cooperative's business has the cooperative in
its key, so that the ledger can be divided by cooperative. A household has one account with each cooperative.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

from marketplace.core.labels import N_, LabelledEnum


class AccountKind(LabelledEnum):
    """What an account holds."""

    CLEARING = "clearing", N_("收款渠道在途")
    BUYER_RECEIVABLE = "buyer_receivable", N_("应收采购单位")
    ORDER_ESCROW = "order_escrow", N_("订单货款（待结算）")
    COOPERATIVE_PAYABLE = "cooperative_payable", N_("应付合作社")
    COOPERATIVE_UNALLOCATED = "cooperative_unallocated", N_("待分配联结资金")
    VILLAGE_PAYABLE = "village_payable", N_("应付村集体")
    HOUSEHOLD_PAYABLE = "household_payable", N_("应付农户")
    PAYOUT_CLEARING = "payout_clearing", N_("发放在途")
    BANK = "bank", N_("银行存款")
    FEES = "fees", N_("渠道手续费")
    DEPOSIT_HELD = "deposit_held", N_("预订订金")
    VOUCHERS_HELD = "vouchers_held", N_("未用的提货券")


K = AccountKind
OWNERS: dict[AccountKind, frozenset[str]] = {
    K.CLEARING: frozenset({"channel"}),
    K.BUYER_RECEIVABLE: frozenset({"buyer_unit_id"}),
    K.ORDER_ESCROW: frozenset({"cooperative_id"}),
    K.COOPERATIVE_PAYABLE: frozenset({"cooperative_id"}),
    K.COOPERATIVE_UNALLOCATED: frozenset({"cooperative_id"}),
    K.VILLAGE_PAYABLE: frozenset({"cooperative_id", "village_code"}),
    K.HOUSEHOLD_PAYABLE: frozenset({"cooperative_id", "household_id"}),
    K.PAYOUT_CLEARING: frozenset({"cooperative_id"}),
    K.BANK: frozenset(),
    K.FEES: frozenset({"channel"}),
    K.DEPOSIT_HELD: frozenset({"cooperative_id", "buyer_unit_id"}),
    K.VOUCHERS_HELD: frozenset({"cooperative_id", "buyer_unit_id"}),
}
DEBIT_NORMAL = frozenset({K.CLEARING, K.BUYER_RECEIVABLE, K.BANK, K.FEES})
# What is held for somebody: more can never be taken out than was put in. A cooperative's own payable may go below
# zero, because it bears guarantees and the relief of refunds before its next sale.
NEVER_NEGATIVE = frozenset(
    {
        K.ORDER_ESCROW,
        K.COOPERATIVE_UNALLOCATED,
        K.VILLAGE_PAYABLE,
        K.HOUSEHOLD_PAYABLE,
        K.PAYOUT_CLEARING,
        K.DEPOSIT_HELD,
        K.VOUCHERS_HELD,
    }
)
_SHORT = {
    "cooperative_id": "coop",
    "buyer_unit_id": "unit",
    "household_id": "household",
    "village_code": "village",
}
KEPT_KEYS = (
    50_000  # keys of households kept at hand: checked and spelled out once, however often they are credited
)


@dataclass(frozen=True)
class AccountKey:
    """Names one account; make it with its constructors. Equal keys are the same account."""

    kind: AccountKind
    cooperative_id: int | None = None
    buyer_unit_id: int | None = None
    household_id: int | None = None
    village_code: str | None = None
    channel: str | None = None

    def __post_init__(self) -> None:
        if frozenset(self.owners) != OWNERS[self.kind]:
            raise ValueError(f"an account of kind {self.kind} is not owned by {sorted(self.owners)}")
        if self.channel is not None and not self.channel.isidentifier():
            raise ValueError(f"not the code of a channel: {self.channel!r}")

    @classmethod
    def clearing(cls, channel: str) -> AccountKey:
        """Money taken in by a channel ("card", "bank_transfer") and not yet on the bank account."""
        return cls(AccountKind.CLEARING, channel=channel)

    @classmethod
    def buyer_receivable(cls, buyer_unit_id: int) -> AccountKey:
        """What a unit has accepted on credit and not paid."""
        return cls(AccountKind.BUYER_RECEIVABLE, buyer_unit_id=buyer_unit_id)

    @classmethod
    def escrow(cls, cooperative_id: int) -> AccountKey:
        """Order money held until the line settles."""
        return cls(AccountKind.ORDER_ESCROW, cooperative_id=cooperative_id)

    @classmethod
    def cooperative_payable(cls, cooperative_id: int) -> AccountKey:
        """What is owed to the cooperative itself. May be below zero."""
        return cls(AccountKind.COOPERATIVE_PAYABLE, cooperative_id=cooperative_id)

    @classmethod
    def unallocated(cls, cooperative_id: int) -> AccountKey:
        """Pools that wait for evidence."""
        return cls(AccountKind.COOPERATIVE_UNALLOCATED, cooperative_id=cooperative_id)

    @classmethod
    def village_payable(cls, village_code: str, cooperative_id: int) -> AccountKey:
        """The first hop of an asset lease: rent owed to the village collective."""
        return cls(AccountKind.VILLAGE_PAYABLE, cooperative_id=cooperative_id, village_code=village_code)

    @classmethod
    @lru_cache(maxsize=KEPT_KEYS)
    def household_payable(cls, cooperative_id: int, household_id: int) -> AccountKey:
        """What a cooperative's sales owe one household."""
        return cls(AccountKind.HOUSEHOLD_PAYABLE, cooperative_id=cooperative_id, household_id=household_id)

    @classmethod
    def payout_clearing(cls, cooperative_id: int) -> AccountKey:
        """Payouts sent to the bank and not yet answered."""
        return cls(AccountKind.PAYOUT_CLEARING, cooperative_id=cooperative_id)

    @classmethod
    def bank(cls) -> AccountKey:
        """The platform's bank account."""
        return cls(AccountKind.BANK)

    @classmethod
    def fees(cls, channel: str) -> AccountKey:
        """What a channel charges, passed through."""
        return cls(AccountKind.FEES, channel=channel)

    @classmethod
    def deposit_held(cls, cooperative_id: int, buyer_unit_id: int) -> AccountKey:
        """What a unit paid ahead on goods of a cooperative, and was neither set off nor returned."""
        return cls(AccountKind.DEPOSIT_HELD, cooperative_id=cooperative_id, buyer_unit_id=buyer_unit_id)

    @classmethod
    def vouchers_held(cls, cooperative_id: int, buyer_unit_id: int) -> AccountKey:
        """What a unit paid for vouchers of a cooperative, and was neither used nor returned."""
        return cls(AccountKind.VOUCHERS_HELD, cooperative_id=cooperative_id, buyer_unit_id=buyer_unit_id)

    @property
    def owners(self) -> dict[str, int | str]:
        """The owner columns that are set, by column name."""
        values = {name: getattr(self, name) for name in OWNER_COLUMNS}
        return {name: value for name, value in values.items() if value is not None}

    @cached_property
    def text(self) -> str:
        """The account's unique key in the database, e.g. "household_payable:coop=3:household=12"."""
        return ":".join(
            [self.kind.value, *(f"{_SHORT.get(name, name)}={value}" for name, value in self.owners.items())]
        )

    @property
    def sign(self) -> int:
        """+1 when debits raise the balance (an asset or a cost), -1 when credits do (what is owed)."""
        return 1 if self.kind in DEBIT_NORMAL else -1


OWNER_COLUMNS = tuple(field.name for field in fields(AccountKey) if field.name != "kind")
