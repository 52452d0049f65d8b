"""Agreeing to a rejection, whole or for what is not sent again, with the money in the same transaction.

A unit is billed for what it accepted: the bill is written here, less what was rejected. A person has paid, so the money
goes back through the channel it came by. Of a part that is returned whole a unit owes nothing and no bill is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.models import OrderPart
from marketplace.payments.disputes.queries import require_undisputed
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.refunds.queries import payment_behind
from marketplace.payments.refunds.rejections import refund_rejection
from marketplace.payments.rules import bill_accepted_parts, hold_payment
from marketplace.procurement.receiving.models import (
    Inspection,
    Outcome,
    RejectionOutcome,
    Replacement,
    Side,
)
from marketplace.procurement.receiving.queries import side_of
from marketplace.procurement.receiving.rejections import end_rejection, replace_goods


def agree_rejection(
    session: Session, actor: Actor, inspection: Inspection, *, reason: str = ""
) -> RejectionOutcome:
    """The cooperative agrees to a rejection, or the county decides for it: what was rejected is not paid for.

    Raises NotFound for who is neither, Conflict when the rejection has ended or the buyer's bank decides on a dispute
    of the payment, Refused without the reason that a contested one needs.
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


def replace_rejected(
    session: Session,
    actor: Actor,
    inspection: Inspection,
    *,
    units: Mapping[str, int],
    carrier: str,
    waybill_no: str = "",
) -> Replacement:
    """The cooperative sends `units` of what was rejected again, by line number, and the rest is not paid for: taken off
    a unit's bill when the part is accepted, given back at once to a person, who has paid. Raises as `replace_goods`."""
    part = inspection.part
    if side_of(actor, part) is not Side.COOPERATIVE:
        raise NotFound
    payment = _payment_held(session, part)
    replacement = replace_goods(
        session, actor, inspection, carrier=carrier, waybill_no=waybill_no, units=units
    )
    is_split = inspection.outcome is not None and inspection.outcome.outcome is Outcome.SPLIT
    if payment is not None and is_split:
        refund_rejection(session, actor, inspection, payment)
    return replacement


def _payment_held(session: Session, part: OrderPart) -> Payment | None:
    """The payment of a personal order, and the parts, held. None for a unit, which is billed on acceptance."""
    if part.order.buyer_unit_id is not None:
        return None
    payment = payment_behind(session, part)
    if payment is None or payment.state is not PaymentState.PAID:
        raise Conflict("not_paid", N_("这张订单还没有付款，不能办理"))
    hold_payment(session, payment)
    require_undisputed(session, payment.id)
    return payment
