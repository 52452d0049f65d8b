"""What was rejected at the inspection becomes a refund that is agreed to, so that settlement, recomputation and checks
know one notion of what a line is worth.

Called where the part is billed (payments/rules.py), and for a paid personal order where the rejection ends
(answers.py). The buyer asked by rejecting, who ended the rejection decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderPart
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.refunds.models import Refund, RefundLine, RefundState
from marketplace.payments.refunds.posting import post_refund
from marketplace.payments.refunds.queries import refundable_lines
from marketplace.payments.refunds.ways import send_back
from marketplace.procurement.receiving.models import Inspection, RejectionOutcome
from marketplace.procurement.receiving.queries import TAKES_GOODS_OFF, lines_off_of


def ended_rejections(session: Session, part_ids: Collection[int]) -> list[Inspection]:
    """The rejections that take money off one of these parts and were not refunded yet, the first round first."""
    query = (
        select(Inspection)
        .join(RejectionOutcome, RejectionOutcome.inspection_id == Inspection.id)
        .outerjoin(Refund, Refund.inspection_id == Inspection.id)
        .where(
            Inspection.part_id.in_(part_ids),
            RejectionOutcome.outcome.in_(TAKES_GOODS_OFF),
            Refund.id.is_(None),
        )
        .order_by(Inspection.id)
    )
    return list(session.scalars(query)) if part_ids else []


def refund_rejection(session: Session, actor: Actor, inspection: Inspection, payment: Payment) -> Refund:
    """The refund of what `inspection` rejected for good, agreed and posted: off an open bill, or out of what was paid.

    `payment` and the part are held. Raises Conflict when units of the same goods were given back before, so that more
    would go back than was bought.
    """
    outcome, part = inspection.outcome, inspection.part
    if outcome is None or inspection.inspected_by is None:
        raise ValueError("only a rejection that has ended takes money off")
    off = lines_off_of(session, inspection)
    _require_left(session, part, off)
    lines = [
        RefundLine(
            line_id=line.line_id,
            quantity=off[line.line_id],
            unit_price_fen=line.unit_price_fen,
            amount_fen=off[line.line_id] * line.unit_price_fen,
        )
        for line in inspection.lines
        if line.line_id in off
    ]
    amount_fen = sum(line.amount_fen for line in lines)
    refund = Refund(
        order_id=part.order_id,
        part_id=part.id,
        cooperative_id=part.cooperative_id,
        idempotency_key=f"rejection:{inspection.public_no}",
        inspection_id=inspection.id,
        amount_fen=amount_fen,
        freight_fen=0,
        reason="；".join(line.words for line in inspection.lines if line.line_id in off)[:300],
        asked_by=inspection.inspected_by,
        asked_at=inspection.inspected_at,
        decided_by=outcome.decided_by,
        decided_at=outcome.decided_at,
        note=outcome.reason,
        lines=lines,
    )
    if payment.state is PaymentState.OPEN:
        refund.state = RefundState.REDUCED
        reduce_payment(payment, amount_fen)
    else:
        send_back(session, refund, payment)
    session.add(refund)
    session.flush()
    post_refund(session, actor, refund, payment)
    record_trail(
        session,
        actor,
        "payments.refund_rejection",
        subject=("refund", refund.public_no),
        cooperative_id=refund.cooperative_id,
        buyer_unit_id=part.order.buyer_unit_id,
        amount_fen=amount_fen,
    )
    return refund


def _require_left(session: Session, part: OrderPart, off: Mapping[int, int]) -> None:
    """Units for which money went back, or is asked back, before they were inspected are not refunded again."""
    left = {one.line.id: one.left for one in refundable_lines(session, part)}
    if any(units > left[line_id] for line_id, units in off.items()):
        raise Conflict(
            "refunded_before", N_("这批货里有商品已经退款或正在申请退款，请先处理退款申请再答复拒收")
        )


def reduce_payment(payment: Payment, amount_fen: int) -> None:
    """The unit owes less. Nothing is asked any more when nothing is left to pay."""
    if amount_fen < payment.amount_fen:
        payment.amount_fen -= amount_fen
    else:
        payment.state = PaymentState.CANCELLED
