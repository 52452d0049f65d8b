"""What a provider says of its balance: each movement of money with its fee."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marketplace.core.labels import N_, LabelledEnum


class MoveKind(LabelledEnum):
    """Why money moved at the provider."""

    CHARGE = "charge", N_("收款")
    REFUND = "refund", N_("退款")
    DISPUTE = "dispute", N_("争议扣款")
    DISPUTE_REVERSAL = "dispute_reversal", N_("争议款退回")
    TRANSFER = "transfer", N_("划给合作社")
    PAYOUT = "payout", N_("提现到银行")
    OTHER = "other", N_("其他")


@dataclass(frozen=True, slots=True)
class BalanceMove:
    """One movement. `amount_fen` is positive when money came in; `fee_fen` is what the provider kept besides.

    `ref` is the provider's number of the movement, `source_ref` of what caused it, `payment_ref` of the
    payment behind it.
    """

    ref: str
    kind: MoveKind
    source_ref: str
    payment_ref: str | None
    amount_fen: int
    fee_fen: int
    occurred_at: datetime
