"""What moves the money of vouchers: paid in, set off against the bill of what was picked up or spent on a staff order,
and what is left returned to the union.

paid        clearing -> vouchers held
set off     vouchers held -> receivable: the bill is paid
spent       vouchers held -> escrow: their part of a staff order is paid
returned    vouchers held -> clearing
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.vouchers.models import Voucher, VoucherBatch, VoucherSpend


def _post(
    session: Session,
    batch: VoucherBatch,
    kind: EntryKind,
    key: str,
    transfer: TransferDraft,
    subject: tuple[str, int],
    at: datetime | None = None,
) -> None:
    post_entry(
        session,
        EntryDraft(
            kind=kind,
            idempotency_key=key,
            occurred_at=at or now(),
            transfers=(transfer,),
            cooperative_id=batch.cooperative_id,
            subject=subject,
        ),
    )


def _held(batch: VoucherBatch) -> AccountKey:
    return AccountKey.vouchers_held(batch.cooperative_id, batch.buyer_unit_id)


def post_paid(session: Session, batch: VoucherBatch, *, at: datetime) -> None:
    """The money of a batch has come."""
    clearing = AccountKey.clearing(PaymentMethod.BANK_TRANSFER.value)
    transfer = TransferDraft(clearing, _held(batch), batch.total_fen)
    key = f"vouchers:{batch.public_no}:paid"
    _post(session, batch, EntryKind.VOUCHERS_PAID, key, transfer, ("voucher_batch", batch.id), at)


def post_set_off(session: Session, voucher: Voucher, payment: Payment) -> None:
    """A voucher pays the bill of what was picked up with it."""
    batch = voucher.batch
    transfer = TransferDraft(
        _held(batch), AccountKey.buyer_receivable(batch.buyer_unit_id), payment.amount_fen
    )
    key = f"voucher:{voucher.public_no}:set_off"
    _post(session, batch, EntryKind.VOUCHER_SET_OFF, key, transfer, ("payment", payment.id))


def post_spent(session: Session, spend: VoucherSpend, payment: Payment) -> None:
    """A voucher pays its part of a staff order."""
    batch = spend.voucher.batch
    transfer = TransferDraft(_held(batch), AccountKey.escrow(spend.cooperative_id), spend.amount_fen)
    key = f"voucher:{spend.voucher.public_no}:spent:{spend.id}"
    _post(session, batch, EntryKind.VOUCHER_SET_OFF, key, transfer, ("payment", payment.id), payment.paid_at)


def post_returned(session: Session, batch: VoucherBatch, amount_fen: int) -> None:
    """What was not used goes back to the union."""
    clearing = AccountKey.clearing(PaymentMethod.BANK_TRANSFER.value)
    transfer = TransferDraft(_held(batch), clearing, amount_fen)
    key = f"vouchers:{batch.public_no}:returned"
    _post(session, batch, EntryKind.VOUCHERS_RETURNED, key, transfer, ("voucher_batch", batch.id))
