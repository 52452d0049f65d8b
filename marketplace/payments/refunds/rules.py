"""Refunds: a buyer asks with a reason, the cooperative agrees or declines with one.

What follows from agreeing:

    the unit has not paid yet     escrow -> receivable; the transfer asked of it shrinks
    paid, the line not settled    escrow -> clearing of the channel it was paid through; the line settles less
    paid and settled              household payable -> cooperative payable (Webster's shares of the pools), relief for
                                  what was paid out, cooperative payable -> clearing

Goods that were delivered do not go back to their lots; a part that was never shipped is called off whole, its freight
goes back too, and its goods are free again. Sending the money is in sending.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.ordering.rules import move_part, required_reason
from marketplace.ordering.states import PartEvent
from marketplace.payments.deposits.posting import restore_set_off
from marketplace.payments.disputes.queries import require_undisputed
from marketplace.payments.models import Payment, PaymentState
from marketplace.payments.refunds.models import Refund, RefundFile, RefundLine, RefundState
from marketplace.payments.refunds.posting import post_refund
from marketplace.payments.refunds.queries import (
    BEFORE_SHIPPING,
    is_refundable,
    may_ask,
    payment_behind,
    refundable_lines,
)
from marketplace.payments.refunds.rejections import reduce_payment
from marketplace.payments.refunds.ways import send_back
from marketplace.payments.rules import bill_accepted_parts, hold_payment


def ask_refund(
    session: Session,
    actor: Actor,
    *,
    part: OrderPart,
    quantities: Mapping[str, int],
    reason: str,
    idempotency_key: str,
    photos: Sequence[StoredFile] = (),
) -> Refund:
    """Ask money back for units (by line number) of a part, with `photos` that show why. The same key of the same
    person gives the first refund.

    Raises NotFound for somebody else's order, Conflict when nothing of the part was paid or accepted, Refused without a
    reason, without a unit, or for more units than were bought and not yet asked back.
    """
    if not may_ask(actor, part.order) or actor.user_id is None:
        raise NotFound
    first = _refund_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    note = required_reason(reason, N_("请写明退款的原因"))
    session.refresh(part, with_for_update={"of": OrderPart})
    if not is_refundable(part):
        raise Conflict("not_refundable", N_("这笔订单还没有付款或验收，不能申请退款"))
    lines = _lines_asked(session, part, quantities)
    refund = Refund(
        order_id=part.order_id,
        part_id=part.id,
        cooperative_id=part.cooperative_id,
        idempotency_key=idempotency_key,
        amount_fen=sum(line.amount_fen for line in lines),
        freight_fen=part.freight_fen if part.state in BEFORE_SHIPPING else 0,
        reason=note,
        asked_by=actor.user_id,
        lines=lines,
        files=[RefundFile(file=photo) for photo in photos],
    )
    try:
        with session.begin_nested():
            session.add(refund)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = _refund_under_key(session, actor, idempotency_key)
        if first is None:
            raise
        return first
    _note(session, actor, "payments.ask_refund", refund)
    return refund


def _refund_under_key(session: Session, actor: Actor, key: str) -> Refund | None:
    query = select(Refund).where(Refund.asked_by == actor.user_id, Refund.idempotency_key == key)
    return session.scalar(query)


def _lines_asked(session: Session, part: OrderPart, quantities: Mapping[str, int]) -> list[RefundLine]:
    """The lines of a request. Raises NotFound for a line of another part, Refused for quantities that cannot be."""
    refundable = {one.line.public_no: one for one in refundable_lines(session, part)}
    if not quantities.keys() <= refundable.keys():
        raise NotFound
    if any(quantity < 0 for quantity in quantities.values()):
        raise Refused("quantity", N_("退款数量不能小于 0"), field="quantity")
    wanted = {number: quantity for number, quantity in quantities.items() if quantity}
    if not wanted:
        raise Refused("nothing_asked", N_("请至少填写一种商品的退款数量"), field="quantity")
    for number, quantity in wanted.items():
        one = refundable[number]
        if quantity > one.left:
            raise Refused(
                "too_many",
                N_("“%(title)s”最多还能申请退 %(left)s %(unit)s"),
                field=number,
                title=one.line.title,
                left=one.left,
                unit=one.line.unit_name,
            )
    if part.state in BEFORE_SHIPPING and any(
        wanted.get(number, 0) < one.line.quantity for number, one in refundable.items()
    ):
        raise Refused("whole_part", N_("还没有发货的订单只能整单退款，请填写全部数量"), field="quantity")
    return [_refund_line(refundable[number].line, quantity) for number, quantity in wanted.items()]


def _refund_line(line: OrderLine, quantity: int) -> RefundLine:
    return RefundLine(
        line_id=line.id,
        quantity=quantity,
        unit_price_fen=line.unit_price_fen,
        amount_fen=quantity * line.unit_price_fen,
    )


def decline_refund(session: Session, actor: Actor, refund: Refund, *, reason: str) -> Refund:
    """The cooperative does not agree, and says why. Raises NotFound for another's, Conflict when it was decided."""
    _require_own(actor, refund)
    note = required_reason(reason, N_("请写明不同意退款的理由，买方会看到"))
    _hold_asked(session, refund)
    _decide(actor, refund, note)
    refund.state = RefundState.DECLINED
    session.flush()
    _note(session, actor, "payments.decline_refund", refund)
    return refund


def agree_refund(session: Session, actor: Actor, refund: Refund, *, note: str = "") -> Refund:
    """The cooperative agrees: everything is posted now, the money is sent by a job or by the cashier.

    Raises NotFound for another cooperative's, Conflict when it was decided, when the bill is not written yet, when the
    goods were shipped after they were asked to be called off, while a dispute of the payment is undecided, or when less
    is left of what was paid.
    """
    _require_own(actor, refund)
    part = refund.part
    payment = _payment_held(session, part)
    _hold_asked(session, refund)
    if not is_refundable(part):
        raise Conflict("not_refundable", N_("这笔订单还没有付款或验收，不能申请退款"))
    require_undisputed(session, payment.id)
    _decide(actor, refund, note.strip()[:300])
    if part.state not in BEFORE_SHIPPING:
        refund.freight_fen = 0  # the goods were carried meanwhile
    if payment.state is PaymentState.OPEN:
        refund.state = RefundState.REDUCED
        restore_set_off(session, payment, refund.amount_fen)
        reduce_payment(payment, refund.amount_fen)
    else:
        send_back(session, refund, payment)
    session.flush()
    post_refund(session, actor, refund, payment)
    if part.state in BEFORE_SHIPPING:
        _call_off(session, actor, refund)
    _note(session, actor, "payments.agree_refund", refund)
    return refund


def _require_own(actor: Actor, refund: Refund) -> None:
    if actor.cooperative_id != refund.cooperative_id:
        raise NotFound
    actor.require(Permission.FULFIL_ORDERS)


def _hold_asked(session: Session, refund: Refund) -> None:
    """Read a refund anew, held against a second decision. Raises Conflict when there is one."""
    session.refresh(refund, with_for_update={"of": Refund})
    if refund.state is not RefundState.ASKED:
        raise Conflict("decided", N_("这笔退款申请已经处理过，请刷新后查看"))


def _decide(actor: Actor, refund: Refund, note: str) -> None:
    refund.decided_by, refund.decided_at, refund.note = actor.user_id, now(), note


def _payment_held(session: Session, part: OrderPart) -> Payment:
    """The payment behind a part, and the parts, held. Raises Conflict when there is none, or not yet."""
    payment = payment_behind(session, part)
    if payment is None and part.order.buyer_unit_id is not None:
        bill_accepted_parts(session)
        payment = payment_behind(session, part)
    if payment is None:
        raise Conflict("not_billed", N_("这笔货款还在记账，请一分钟后再试"))
    return hold_payment(session, payment)


def _call_off(session: Session, actor: Actor, refund: Refund) -> None:
    """A part that was never shipped is called off: its goods are free again. Raises Conflict unless it is whole."""
    whole = refund.amount_fen == refund.part.total_fen
    if not whole:
        raise Conflict("whole_part", N_("还没有发货的订单只能整单退款，请填写全部数量"))
    move_part(session, actor, refund.part, PartEvent.DECLINE, note=refund.reason, system=True)


def _note(session: Session, actor: Actor, action: str, refund: Refund) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("refund", refund.public_no),
        cooperative_id=refund.cooperative_id,
        buyer_unit_id=refund.order.buyer_unit_id,
        amount_fen=refund.total_fen,
    )
