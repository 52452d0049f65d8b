"""What a provider says of a dispute: a payer has asked the bank for the money back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marketplace.core.labels import N_, LabelledEnum


class DisputeStatus(LabelledEnum):
    """How far the bank is. The order is the order of time: a later one is never followed by an earlier one.

    A bank may only inquire first, which takes no money: the inquiry is closed, or becomes a dispute.
    """

    INQUIRY = "inquiry", N_("银行查询中，未扣款")
    NEEDS_ANSWER = "needs_answer", N_("待提交证据")
    UNDER_REVIEW = "under_review", N_("银行审理中")
    CLOSED = "closed", N_("查询已了结，未扣款")
    WON = "won", N_("已胜诉")
    LOST = "lost", N_("已败诉")


@dataclass(frozen=True, slots=True)
class DisputeTold:
    """One dispute as a message or an answer of the provider has it; `reason` is the provider's code."""

    ref: str
    payment_ref: str | None
    amount_fen: int
    reason: str
    status: DisputeStatus
    due_at: datetime | None
    opened_at: datetime
