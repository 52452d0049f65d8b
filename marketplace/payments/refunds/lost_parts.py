"""A part that was never shipped and whose payment was lost in a dispute: called off as a refund that nobody decides.

The buyer's bank has given the buyer its money already. What is left of the part goes the way of every refund: the
lines are worth nothing any more, what was lost returns to the cooperative that bore it, what vouchers paid goes back to
their unit, and the goods are free.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import move_part
from marketplace.ordering.states import PartEvent
from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.models import Payment
from marketplace.payments.refunds.models import Refund, RefundLine
from marketplace.payments.refunds.posting import post_refund
from marketplace.payments.refunds.ways import send_back

LOST = N_("付款争议败诉，货款已由买方的银行退回")


def refund_lost_part(
    session: Session, dispute: PaymentDispute, part: OrderPart, payment: Payment, *, lost_fen: int
) -> Refund:
    """Call a part off whose money a lost dispute took, `lost_fen` of it. `payment` and the part are held."""
    refund = Refund(
        order_id=part.order_id,
        part_id=part.id,
        cooperative_id=part.cooperative_id,
        idempotency_key=f"dispute:{dispute.public_no}:{part.public_no}",
        dispute_id=dispute.id,
        amount_fen=part.total_fen,
        freight_fen=part.freight_fen,
        reason=LOST,
        asked_by=part.order.buyer_user_id,
        asked_at=dispute.opened_at,
        decided_at=now(),
        lines=[
            RefundLine(
                line_id=line.id,
                quantity=line.quantity,
                unit_price_fen=line.unit_price_fen,
                amount_fen=line.net_fen,
            )
            for line in part.lines
        ],
    )
    send_back(session, refund, payment, lost_fen=lost_fen)
    session.add(refund)
    session.flush()
    post_refund(session, SYSTEM, refund, payment)
    move_part(session, SYSTEM, part, PartEvent.DECLINE, note=LOST, system=True)
    record_trail(
        session,
        SYSTEM,
        "payments.refund_lost_part",
        subject=("refund", refund.public_no),
        cooperative_id=refund.cooperative_id,
        amount_fen=refund.total_fen,
    )
    return refund
