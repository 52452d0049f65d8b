"""What moves a deposit: one entry a move, and the row that keeps it. For rules.py, which holds the deposit.

received    clearing -> deposit held
set off     deposit held -> receivable: the bill shrinks, or is paid when nothing is left of it
restored    receivable -> deposit held: more came off a bill than was left to pay
returned    deposit held -> clearing
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.payments.deposits.models import Deposit, DepositMove, DepositMoveKind
from marketplace.payments.models import Payment, PaymentMethod

K = DepositMoveKind
KINDS = {
    K.RECEIVED: EntryKind.DEPOSIT_RECEIVED,
    K.SET_OFF: EntryKind.DEPOSIT_SET_OFF,
    K.RESTORED: EntryKind.DEPOSIT_RESTORED,
    K.RETURNED: EntryKind.DEPOSIT_RETURNED,
}


def post_move(
    session: Session,
    deposit: Deposit,
    kind: DepositMoveKind,
    amount_fen: int,
    *,
    at: datetime | None = None,
    payment: Payment | None = None,
    pays: bool = False,
) -> Entry:
    """Post one move of a deposit that is held, and keep it. `pays`: the bill is paid by it, nothing is left of it."""
    held = AccountKey.deposit_held(deposit.cooperative_id, deposit.buyer_unit_id)
    clearing = AccountKey.clearing(PaymentMethod.BANK_TRANSFER.value)
    owed = AccountKey.buyer_receivable(deposit.buyer_unit_id)
    debit, credit = {
        K.RECEIVED: (clearing, held),
        K.SET_OFF: (held, owed),
        K.RESTORED: (owed, held),
        K.RETURNED: (held, clearing),
    }[kind]
    before = select(func.count()).where(DepositMove.deposit_id == deposit.id)
    place = (session.scalar(before) or 0) + 1
    entry = post_entry(
        session,
        EntryDraft(
            kind=KINDS[kind],
            idempotency_key=f"deposit:{deposit.public_no}:{place}",
            occurred_at=at or now(),
            transfers=(TransferDraft(debit, credit, amount_fen),),
            cooperative_id=deposit.cooperative_id,
            subject=("payment", payment.id) if payment and pays else ("deposit", deposit.id),
        ),
    )
    session.add(
        DepositMove(
            deposit_id=deposit.id,
            kind=kind,
            payment_id=payment.id if payment else None,
            amount_fen=amount_fen,
            entry_id=entry.id,
        )
    )
    session.flush()
    return entry


def restore_set_off(session: Session, payment: Payment, amount_fen: int) -> None:
    """Make an open bill, which is held, large enough to take `amount_fen` off it: what a deposit has paid of it goes
    back to the deposit first, so that nobody is owed more than it paid."""
    missing_fen = amount_fen - payment.amount_fen
    if missing_fen <= 0:
        return
    moved = select(DepositMove.deposit_id).where(
        DepositMove.payment_id == payment.id, DepositMove.kind == K.SET_OFF
    )
    deposit = session.scalar(
        select(Deposit)
        .where(Deposit.id.in_(moved))
        .with_for_update(of=Deposit)
        .execution_options(populate_existing=True)
    )
    if deposit is None:
        return
    restored_fen = min(missing_fen, deposit.used_fen)
    deposit.used_fen -= restored_fen
    payment.amount_fen += restored_fen
    post_move(session, deposit, K.RESTORED, restored_fen, payment=payment)
