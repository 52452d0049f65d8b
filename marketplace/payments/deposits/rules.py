"""A deposit's life: asked for when the cooperative has confirmed, taken in, set off against the bills of deliveries,
the oldest first, and what is left given back when nothing more can come.

Everything but taking in is a sweep, safe to repeat and to run from two workers: each holds the row it moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import mark_paid
from marketplace.ordering.states import PartState
from marketplace.payments.by_hand import keep_returned, require_serial, settle_line_as
from marketplace.payments.deposits.models import Deposit, DepositMoveKind, DepositReturn, DepositState
from marketplace.payments.deposits.posting import post_move
from marketplace.payments.gateways.remittance_codes import new_code
from marketplace.payments.models import BankLine, Payment, PaymentState, QueueReason
from marketplace.payments.rules import hold_payment
from marketplace.procurement.forward.models import ForwardDelivery, ForwardOrder, ForwardState
from marketplace.procurement.forward.rules import mark_deposit_paid

DAYS_TO_PAY = 10
BATCH = 100
OVER = (ForwardState.DONE, ForwardState.ENDED)
AT_REST = (PartState.ACCEPTED, PartState.RETURNED, PartState.CANCELLED)
K = DepositMoveKind


def ask_deposits(session: Session) -> int:
    """Ask for the deposits of orders that were confirmed, and no more for those that were called off since; returns how
    many were asked for."""
    confirmed = session.scalars(
        select(ForwardOrder)
        .outerjoin(Deposit, Deposit.forward_id == ForwardOrder.id)
        .where(ForwardOrder.state == ForwardState.CONFIRMED, Deposit.id.is_(None))
        .order_by(ForwardOrder.id)
        .limit(BATCH)
        .with_for_update(of=ForwardOrder, skip_locked=True)
    ).all()
    done = set(
        session.scalars(
            select(Deposit.forward_id).where(Deposit.forward_id.in_([one.id for one in confirmed]))
        )
    )
    fresh = [one for one in confirmed if one.id not in done]
    session.add_all(
        Deposit(
            forward_id=one.id,
            buyer_unit_id=one.buyer_unit_id,
            cooperative_id=one.cooperative_id,
            amount_fen=one.deposit_fen,
            remittance_code=new_code(),
            due_on=today() + timedelta(days=DAYS_TO_PAY),
        )
        for one in fresh
    )
    called_off = session.scalars(
        select(Deposit)
        .join(ForwardOrder, ForwardOrder.id == Deposit.forward_id)
        .where(Deposit.state == DepositState.OPEN, ForwardOrder.state == ForwardState.ENDED)
        .with_for_update(of=Deposit, skip_locked=True)
    )
    for deposit in called_off:
        deposit.state = DepositState.CANCELLED
    session.flush()
    return len(fresh)


def take_deposit(session: Session, deposit: Deposit, *, paid_at: datetime, line: BankLine) -> Deposit:
    """The money of an open deposit has come, exactly. Raises Conflict when it is not awaited any more."""
    session.refresh(deposit, with_for_update={"of": Deposit})
    if deposit.state is not DepositState.OPEN:
        raise Conflict("deposit_not_open", N_("这笔订金已经到账，或预订已终止"))
    mark_deposit_paid(session, deposit.forward)
    deposit.state, deposit.paid_at, deposit.bank_line_id = DepositState.PAID, paid_at, line.id
    post_move(session, deposit, K.RECEIVED, deposit.amount_fen, at=paid_at)
    _note(session, SYSTEM, "payments.deposit_received", deposit, deposit.amount_fen)
    return deposit


def deposit_named(session: Session, codes: Sequence[str]) -> Deposit | None:
    """The one deposit that the codes in a remark name, held; None when they name none or several."""
    query = select(Deposit).where(Deposit.remittance_code.in_(codes)).order_by(Deposit.id)
    found = session.scalars(query.with_for_update(of=Deposit)).all() if codes else []
    return found[0] if len(found) == 1 else None


def why_not(deposit: Deposit, amount_fen: int) -> QueueReason | None:
    """Why a person must look at money that names a deposit; None when it is exactly what is awaited."""
    if deposit.state is DepositState.PAID:
        return QueueReason.ALREADY_PAID
    if deposit.state is not DepositState.OPEN or deposit.forward.state is not ForwardState.CONFIRMED:
        return QueueReason.CANCELLED
    return None if deposit.amount_fen == amount_fen else QueueReason.WRONG_AMOUNT


def match_deposit(session: Session, actor: Actor, deposit: Deposit, line: BankLine, *, note: str) -> Deposit:
    """A person says that a queued bank line of the same amount is this deposit. Raises as `settle_line_as`, Conflict
    when it is not awaited any more."""
    settle_line_as(session, actor, line, amount_fen=deposit.amount_fen, note=note)
    return take_deposit(session, deposit, paid_at=now(), line=line)


def set_off_deposits(session: Session) -> int:
    """Set deposits off against the open bills of their deliveries, the oldest bill first; returns how many bills."""
    rows = session.execute(
        select(Payment.id, Deposit.id)
        .join(ForwardDelivery, ForwardDelivery.order_id == Payment.order_id)
        .join(Deposit, Deposit.forward_id == ForwardDelivery.forward_id)
        .where(
            Payment.state == PaymentState.OPEN,
            Payment.part_id.is_not(None),
            Deposit.state == DepositState.PAID,
            Deposit.used_fen + Deposit.returned_fen < Deposit.amount_fen,
        )
        .order_by(Payment.opened_at, Payment.id)
        .limit(BATCH)
    ).all()
    return sum(
        _set_off(session, session.get_one(Payment, payment_id), session.get_one(Deposit, deposit_id))
        for payment_id, deposit_id in rows
    )


def _set_off(session: Session, payment: Payment, deposit: Deposit) -> bool:
    """Set one deposit off against one bill. The payment and its parts are held first, then the deposit."""
    hold_payment(session, payment)
    session.refresh(deposit, with_for_update={"of": Deposit})
    amount_fen = min(deposit.left_fen, payment.amount_fen)
    if payment.state is not PaymentState.OPEN or amount_fen <= 0 or payment.part is None:
        return False
    deposit.used_fen += amount_fen
    if amount_fen < payment.amount_fen:
        payment.amount_fen -= amount_fen
        post_move(session, deposit, K.SET_OFF, amount_fen, payment=payment)
    else:
        payment.state, payment.paid_at = PaymentState.PAID, now()
        post_move(session, deposit, K.SET_OFF, amount_fen, payment=payment, pays=True)
        mark_paid(session, SYSTEM, payment.part, at=payment.paid_at)
    _note(session, SYSTEM, "payments.deposit_set_off", deposit, amount_fen)
    return True


def return_deposits(session: Session) -> int:
    """Give back what is left of deposits under which nothing more can come; returns how many."""
    due = session.scalars(
        select(Deposit)
        .join(ForwardOrder, ForwardOrder.id == Deposit.forward_id)
        .where(
            Deposit.state == DepositState.PAID,
            Deposit.used_fen + Deposit.returned_fen < Deposit.amount_fen,
            ForwardOrder.state.in_(OVER),
            ~_delivery_pending(),
            ~exists().where(DepositReturn.deposit_id == Deposit.id),
        )
        .order_by(Deposit.id)
        .limit(BATCH)
        .with_for_update(of=Deposit, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for deposit in due:
        left_fen, forward = deposit.left_fen, deposit.forward
        deposit.returned_fen += left_fen
        session.add(
            DepositReturn(
                deposit_id=deposit.id, amount_fen=left_fen, reason=forward.reason or forward.state.label
            )
        )
        post_move(session, deposit, K.RETURNED, left_fen)
        _note(session, SYSTEM, "payments.deposit_returned", deposit, left_fen)
    return len(due)


def _delivery_pending() -> ColumnElement[bool]:
    """Whether a delivery is still under way, was not billed yet, or has a bill that is not paid."""
    return (
        select(ForwardDelivery.id)
        .join(OrderPart, OrderPart.order_id == ForwardDelivery.order_id)
        .outerjoin(Payment, Payment.part_id == OrderPart.id)
        .where(
            ForwardDelivery.forward_id == Deposit.forward_id,
            or_(
                OrderPart.state.not_in(AT_REST),
                (OrderPart.state == PartState.ACCEPTED)
                & or_(Payment.id.is_(None), Payment.state == PaymentState.OPEN),
            ),
        )
        .correlate(Deposit)
        .exists()
    )


def mark_deposit_returned(
    session: Session, actor: Actor, going_back: DepositReturn, *, serial_no: str
) -> DepositReturn:
    """The cashier has transferred it: done, once, under the bank's serial number. Raises Refused without a number,
    Conflict when it was done or the number stands for another."""
    serial = require_serial(actor, serial_no)
    session.refresh(going_back, with_for_update={"of": DepositReturn})
    if going_back.returned_at is not None:
        raise Conflict("returned", N_("这笔订金已经登记为退回"))
    keep_returned(session, actor, going_back, serial=serial)
    _note(session, actor, "payments.deposit_sent_back", going_back.deposit, going_back.amount_fen)
    return going_back


def _note(session: Session, actor: Actor, action: str, deposit: Deposit, amount_fen: int) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("deposit", deposit.public_no),
        cooperative_id=deposit.cooperative_id,
        buyer_unit_id=deposit.buyer_unit_id,
        amount_fen=amount_fen,
    )
    session.flush()
