"""What the provider's messages about accounts and transfers mean here: stored first like all, applied once, in any
order."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.payments.collecting.account_rules import note_change
from marketplace.payments.collecting.models import CooperativeTransfer, TransferReversal, TransferState
from marketplace.payments.collecting.sending import keep_transfer
from marketplace.payments.gateways.connect import MoneyMoved
from marketplace.payments.gateways.protocol import EventKind
from marketplace.payments.models import GatewayNotice, NoticeOutcome

UNKNOWN_TRANSFER = N_("通道划出了一笔款项，但台账里没有这笔划付，请核对")
OTHER_AMOUNT = N_("通道划出的金额与台账记录的划付不同，请核对")
TAKEN_BACK = N_("通道收回了一笔划付，台账里没有或金额不符，请核对并登记")

Result = tuple[NoticeOutcome, str]


def apply_account(session: Session, notice: GatewayNotice) -> Result:
    """An account changed: it is asked about at the next round."""
    if notice.provider_ref is None or note_change(session, notice.provider_ref) is None:
        return NoticeOutcome.IGNORED, ""
    return NoticeOutcome.APPLIED, ""


def apply_transferred(session: Session, notice: GatewayNotice) -> Result:
    """A transfer was made: ours is done, also when the answer to our call was lost."""
    transfer = session.scalar(
        select(CooperativeTransfer).where(CooperativeTransfer.public_no == notice.reference)
    )
    if transfer is None or notice.provider_ref is None:
        return NoticeOutcome.QUEUED, UNKNOWN_TRANSFER
    if notice.amount_fen != transfer.amount_fen:
        return NoticeOutcome.QUEUED, OTHER_AMOUNT
    was_planned = transfer.state is TransferState.PLANNED
    moved = MoneyMoved(notice.provider_ref, notice.amount_fen, notice.occurred_at)
    transfer = keep_transfer(session, transfer.id, transfer.idempotency_key, moved)
    if transfer.provider_ref != notice.provider_ref:
        return NoticeOutcome.QUEUED, UNKNOWN_TRANSFER  # a second one under our number
    return NoticeOutcome.APPLIED if was_planned else NoticeOutcome.REPEATED, ""


def apply_reversed(session: Session, notice: GatewayNotice) -> Result:
    """Money of a transfer went back: explained while it is no more than we asked for."""
    asked = (
        select(func.coalesce(func.sum(TransferReversal.amount_fen), 0))
        .join(CooperativeTransfer, CooperativeTransfer.id == TransferReversal.transfer_id)
        .where(CooperativeTransfer.provider_ref == notice.provider_ref)
    )
    if notice.amount_fen > (session.scalar(asked) or 0):
        return NoticeOutcome.QUEUED, TAKEN_BACK
    return NoticeOutcome.APPLIED, ""


APPLIED_BY = {
    EventKind.ACCOUNT: apply_account,
    EventKind.TRANSFERRED: apply_transferred,
    EventKind.TRANSFER_REVERSED: apply_reversed,
}
