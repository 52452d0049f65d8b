"""The money of refunds goes back: by card through the gateway, by bank transfer through the cashier's hands.

The gateway is called with the refund's public number as the key and with no transaction open. A crash between the call
and its record is made good by the next run: the same key gives the same refund.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.trail import record_trail
from marketplace.payments.by_hand import keep_returned, require_serial, serial_taken
from marketplace.payments.disputes.queries import require_undisputed
from marketplace.payments.gateways.protocol import (
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
    RefundMade,
    RefundState as ProviderState,
)
from marketplace.payments.models import GatewayNotice, Payment, PaymentMethod
from marketplace.payments.refunds.models import Refund, RefundShare, RefundState
from marketplace.payments.refunds.queries import is_by_hand, refunds_to_send

BATCH = 20
RETURNED_BEFORE = N_("这笔退款已经登记为退回")
CHANNEL_REFUSED = N_("付款通道没有接受这笔退款，请核实后由人工退回")


def send_refunds(session: Session, gateway: PaymentGateway, *, limit: int = BATCH) -> int:
    """Send card refunds that wait; returns how many were answered. Ends the caller's transaction before it calls."""
    waiting = refunds_to_send(session, limit=limit)
    session.rollback()
    answers = {key: _ask(gateway, ref, fen, number) for key, ref, fen, number in waiting}
    for key, answer in answers.items():
        if answer is not None:
            keep_answer(session, key, answer)
    session.flush()
    return sum(answer is not None for answer in answers.values())


def _ask(gateway: PaymentGateway, ref: str, fen: int, number: str) -> RefundMade | GatewayRefused | None:
    """The gateway's answer, None when it did not answer: then the same is asked again later."""
    try:
        return gateway.refund(ref, fen, number)
    except GatewayRefused as refusal:
        return refusal
    except GatewayUnavailable:
        return None


def keep_answer(session: Session, refund_id: int, answer: RefundMade | GatewayRefused) -> None:
    """Keep what the gateway answered about a refund that is to be sent; one that was answered before stays."""
    refund = session.get_one(Refund, refund_id, with_for_update={"of": Refund}, populate_existing=True)
    if refund.state is not RefundState.AGREED:
        return  # another worker was told the same
    if isinstance(answer, GatewayRefused):
        refund.state, refund.failure = RefundState.FAILED, f"{answer.code} {answer.detail}".strip()[:300]
        _note(session, SYSTEM, "payments.refund_failed", refund)
        return
    refund.provider_refund_ref = answer.refund_ref
    if answer.state is ProviderState.FAILED:
        refund.state, refund.failure = RefundState.FAILED, CHANNEL_REFUSED
    elif answer.state is ProviderState.PENDING:
        refund.state = RefundState.SENT
    else:
        refund.state, refund.returned_at = RefundState.RETURNED, now()
        _note(session, SYSTEM, "payments.refund_returned", refund)


def match_refund_notice(session: Session, notice: GatewayNotice, payment: Payment) -> bool:
    """Whether a notice of money given back is explained by our own refunds of the payment.

    The notice speaks of all that was given back so far. What was on its way has arrived when it covers all of it.
    """
    ours = session.scalars(
        select(Refund)
        .where(
            Refund.payment_id == payment.id,
            Refund.method == PaymentMethod.CARD,
            Refund.state.in_((RefundState.AGREED, RefundState.SENT, RefundState.RETURNED)),
        )
        .order_by(Refund.id)
        .with_for_update(of=Refund)
    ).all()
    if notice.amount_fen > sum(refund.own_fen for refund in ours):
        return False
    told = [refund for refund in ours if refund.state is not RefundState.AGREED]
    if notice.amount_fen >= sum(refund.own_fen for refund in told):
        for refund in told:
            if refund.state is RefundState.SENT:
                refund.state, refund.returned_at = RefundState.RETURNED, notice.occurred_at
    return True


def mark_returned(session: Session, actor: Actor, refund: Refund, *, serial_no: str) -> Refund:
    """The cashier has transferred to the buyer what a refund gives back: done, once, under the bank's serial number.

    Raises NotFound when it is not the cashier's to send, Refused without a number, Conflict when the number stands for
    another refund, when this one was sent meanwhile, or while the buyer's bank decides on a dispute of its payment.
    """
    serial = require_serial(actor, serial_no)
    payment = session.get_one(Payment, refund.payment_id) if refund.payment_id else None
    if payment is not None:
        session.refresh(payment, with_for_update=True)
    session.refresh(refund, with_for_update={"of": Refund})
    if refund.state is RefundState.RETURNED:
        raise Conflict("returned", RETURNED_BEFORE)
    if not is_by_hand(refund):
        raise NotFound
    if payment is not None:
        require_undisputed(session, payment.id)
    _require_free(session, serial)
    keep_returned(session, actor, refund, serial=serial, state=RefundState.RETURNED)
    _note(session, actor, "payments.refund_returned", refund, refund.own_fen)
    return refund


def mark_unit_returned(session: Session, actor: Actor, refund: Refund, *, serial_no: str) -> Refund:
    """The cashier has transferred to a unit what its vouchers paid of a refund: done, once, under a serial number of
    its own. A refund of vouchers alone has come to its end with it.

    Raises NotFound when vouchers paid nothing, Refused without a number, Conflict when the number stands for another
    transfer or this one was made meanwhile.
    """
    serial = require_serial(actor, serial_no)
    session.refresh(refund, with_for_update={"of": Refund})
    share = refund.of_vouchers
    if share is None:
        raise NotFound
    session.refresh(share, with_for_update={"of": RefundShare})
    if share.returned_at is not None:
        raise Conflict("returned", RETURNED_BEFORE)
    _require_free(session, serial)
    keep_returned(session, actor, share, serial=serial)
    if refund.method is PaymentMethod.VOUCHER:
        refund.state, refund.returned_at = RefundState.RETURNED, share.returned_at
        session.flush()
    _note(session, actor, "payments.refund_returned", refund, share.amount_fen)
    return refund


def _require_free(session: Session, serial: str) -> None:
    """Of one refund two transfers may be made: each has a number that no other refund has."""
    taken = select(Refund.id).where(Refund.serial_no == serial)
    if session.scalar(taken.union(select(RefundShare.id).where(RefundShare.serial_no == serial)).limit(1)):
        raise serial_taken(serial)


def _note(session: Session, actor: Actor, action: str, refund: Refund, amount_fen: int | None = None) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("refund", refund.public_no),
        cooperative_id=refund.cooperative_id,
        amount_fen=refund.own_fen if amount_fen is None else amount_fen,
    )
