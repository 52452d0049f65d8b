"""What a provider does for a platform that collects: accounts of cooperatives, and transfers of money to them.

Beside the payment channel, because not every deployment collects and no bank does. Amounts are fen of CNY.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marketplace.core.labels import N_, LabelledEnum


class AccountStatus(LabelledEnum):
    """Where a cooperative's account stands. OPENING is ours alone: asked for, not yet answered."""

    OPENING = "opening", N_("正在开户")
    DETAILS_WANTED = "details_wanted", N_("待补资料")
    UNDER_REVIEW = "under_review", N_("审核中")
    READY = "ready", N_("可以收款")
    RESTRICTED = "restricted", N_("受限")


@dataclass(frozen=True, slots=True)
class AccountTold:
    """One account as the provider has it. `wanted` are the provider's codes of what is to be handed in, by `due_at`
    where there is a last day; `reason` is its code for a restriction."""

    ref: str
    status: AccountStatus
    wanted: tuple[str, ...] = ()
    due_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Money of one order part for one account. `reference` is our public number and comes back in every message;
    `group` ties the transfers of one order together. Store all of it before the first call."""

    account_ref: str
    amount_fen: int
    group: str
    reference: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """What the provider moved: a transfer or a reversal of one."""

    ref: str
    amount_fen: int
    moved_at: datetime
