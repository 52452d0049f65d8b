"""By which way the money of an agreed refund goes back: as it came; what vouchers paid goes back to who bought them.

Of a part that was paid in both ways, the buyer's own money goes back first.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.ordering.models import OrderPart
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.payments.vouchers.spending import paid_with_vouchers

GONE_BACK = (RefundState.AGREED, RefundState.SENT, RefundState.FAILED, RefundState.RETURNED)


def send_back(session: Session, refund: Refund, payment: Payment) -> None:
    """Agree to send a refund back, of a part whose payment has come and is held: by its channel, or by the cashier's
    hands as soon as vouchers paid any of it."""
    with session.no_autoflush:  # the row is whole again only with its state
        refund.voucher_fen = _voucher_fen(session, refund, payment)
    refund.method = PaymentMethod.BANK_TRANSFER if refund.voucher_fen else payment.method
    refund.state, refund.payment_id = RefundState.AGREED, payment.id


def _voucher_fen(session: Session, refund: Refund, payment: Payment) -> int:
    part = session.get_one(OrderPart, refund.part_id)
    by_vouchers = paid_with_vouchers(session, part)
    if not by_vouchers:
        return 0
    paid_fen = part.total_fen if payment.part_id is None else payment.amount_fen
    before = select(func.coalesce(func.sum(Refund.amount_fen - Refund.voucher_fen), 0)).where(
        Refund.part_id == part.id, Refund.state.in_(GONE_BACK)
    )
    own_left_fen = paid_fen - by_vouchers - (session.scalar(before) or 0)
    return max(0, refund.amount_fen - own_left_fen)
