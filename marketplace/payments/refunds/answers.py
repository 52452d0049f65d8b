"""Agreeing to a rejection, with the money in the same transaction.

A unit is billed for what it accepted: the bill is written here, less what was rejected. A person has paid, so the money
goes back through the channel it came by. Of a part that is returned whole a unit owes nothing and no bill is written.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.models import OrderPart
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.refunds.queries import payment_behind
from marketplace.payments.refunds.rejections import refund_rejection
from marketplace.payments.rules import bill_accepted_parts, hold_payment
from marketplace.procurement.receiving.models import Inspection, RejectionOutcome, Side
from marketplace.procurement.receiving.queries import side_of
from marketplace.procurement.receiving.rejections import end_rejection


def agree_rejection(
    session: Session, actor: Actor, inspection: Inspection, *, reason: str = ""
) -> RejectionOutcome:
    """The cooperative agrees to a rejection, or the county decides for it: what was rejected is not paid for.

    Raises NotFound for who is neither, Conflict when the rejection has ended, Refused without the reason that a
    contested one needs.
    """
    part = inspection.part
    if side_of(actor, part) not in (Side.COOPERATIVE, Side.MEDIATOR):
        raise NotFound
    payment = _payment_held(session, part)
    outcome = end_rejection(session, actor, inspection, reason=reason)
    if payment is not None:
        refund_rejection(session, actor, inspection, payment)
    else:
        bill_accepted_parts(session)
    return outcome


def _payment_held(session: Session, part: OrderPart) -> Payment | None:
    """The payment of a personal order, and the parts, held. None for a unit, which is billed on acceptance."""
    if part.order.buyer_unit_id is not None:
        return None
    payment = payment_behind(session, part)
    if payment is None or payment.state is not PaymentState.PAID:
        raise Conflict("not_paid", N_("这张订单还没有付款，不能办理"))
    return hold_payment(session, payment)
