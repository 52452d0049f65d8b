"""Money in: asking for it, and what its arrival means for the ledger and the order.

A staff order is paid before the goods move, by card less what vouchers pay of it; a canteen's part is billed on
acceptance and paid by bank transfer under a remittance code. Money that fits nothing waits for a person; nothing is
dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, now
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ordering.models import Order, OrderKind, OrderPart, PaymentStart
from marketplace.ordering.rules import mark_paid, move_part
from marketplace.ordering.states import PartEvent, PartState
from marketplace.payments.gateways.protocol import CheckoutOpened
from marketplace.payments.gateways.remittance_codes import new_code
from marketplace.payments.late_interest.rules import claim_interest
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.online.attempts import end_attempts
from marketplace.payments.refunds.rejections import ended_rejections, refund_rejection
from marketplace.payments.vouchers.spending import pay_from_vouchers, promised_fen

CARD_MINUTES = 60
BATCH = 200


def ask_card_payment(session: Session, actor: Actor, *, order: Order) -> Payment:
    """The open card payment of an unpaid personal order: the one there is, or a new one.

    Raises NotFound for somebody else's order, Conflict when it is not waiting for payment or the time for it is over.
    """
    if order.buyer_user_id != actor.user_id or order.kind is not OrderKind.PERSONAL:
        raise NotFound
    actor.require(Permission.BUY_PERSONALLY)
    states = set(session.scalars(_parts_of(order).with_only_columns(OrderPart.state)))
    if states != {PartState.AWAITING_PAYMENT}:
        raise Conflict("not_payable", N_("这张订单现在不需要付款，请查看订单状态"))
    is_open = select(Payment).where(Payment.order_id == order.id, Payment.state == PaymentState.OPEN)
    payment = session.scalar(is_open)
    deadline = order.placed_at + timedelta(minutes=CARD_MINUTES)
    if (payment.expires_at if payment and payment.expires_at else deadline) <= now():
        raise Conflict("payment_time_over", N_("付款时间已过，订单即将自动取消，请重新下单"))
    if payment is None:
        payment = Payment(
            order_id=order.id,
            method=PaymentMethod.CARD,
            amount_fen=order.total_fen - sum(promised_fen(session, [order.id]).values()),
            expires_at=(now() + timedelta(minutes=CARD_MINUTES)).replace(microsecond=0),
        )
        session.add(payment)
        session.flush()
        record_trail(session, actor, "payments.ask", subject=("payment", payment.public_no))
    return payment


def _parts_of(order: Order) -> Select[OrderPart]:
    """The parts of an order as they are now, held against a second mover."""
    own = select(OrderPart).where(OrderPart.order_id == order.id).order_by(OrderPart.id)
    return own.with_for_update(of=OrderPart)


def keep_checkout(session: Session, payment_id: int, opened: CheckoutOpened) -> None:
    """Remember the provider's page of a payment: one UPDATE, made after the call, when no transaction was open."""
    session.execute(
        update(Payment)
        .where(Payment.id == payment_id, Payment.state == PaymentState.OPEN)
        .values(provider_ref=opened.provider_ref, redirect_url=opened.redirect_url)
    )


def bill_accepted_parts(session: Session) -> int:
    """Bill every accepted part of a unit's order that has no bill: receivable -> escrow, and a transfer to wait for.
    What was rejected at the inspection comes off at once, as a refund.

    A sweep, safe to repeat and to run from two workers (the ledger key is the part). Returns how many were billed.
    """
    billed = select(Payment.id).where(Payment.part_id == OrderPart.id).exists()
    parts = session.scalars(
        select(OrderPart)
        .join(Order, Order.id == OrderPart.order_id)
        .where(
            OrderPart.state == PartState.ACCEPTED,
            OrderPart.paid_at.is_(None),
            Order.buyer_unit_id.is_not(None),
            ~billed,
        )
        .order_by(OrderPart.id)
        .limit(BATCH)
        .with_for_update(of=OrderPart, skip_locked=True)
    ).unique()
    found = {part.id: part for part in parts}
    # Another worker may have billed some between the read and the lock: ask again, now that they are ours.
    done = set(session.scalars(select(Payment.part_id).where(Payment.part_id.in_(found)))) if found else set()
    pending = [part for key, part in found.items() if key not in done]
    post_entries(session, [_acceptance(part) for part in pending])
    bills = {
        part.id: Payment(
            order_id=part.order_id,
            part_id=part.id,
            method=PaymentMethod.BANK_TRANSFER,
            amount_fen=part.total_fen,
            remittance_code=new_code(),
            due_on=last_day_to_pay(part),
        )
        for part in pending
    }
    session.add_all(bills.values())
    session.flush()
    for inspection in ended_rejections(session, bills):
        refund_rejection(session, SYSTEM, inspection, bills[inspection.part_id])
    session.flush()
    return len(pending)


def last_day_to_pay(part: OrderPart) -> date:
    """The last day in time for the bill of an accepted part: the order's frozen days after the day of delivery or of
    acceptance, whichever the order starts from. Days of Asia/Shanghai. Raises ValueError for a personal order."""
    days, start = part.order.payment_days, part.order.payment_start
    begun_at = part.received_at if start is PaymentStart.DELIVERY else part.accepted_at
    if days is None or begun_at is None:
        raise ValueError("only an accepted part of a unit's order has a last day to pay")
    return business_day(begun_at) + timedelta(days=days)


def _acceptance(part: OrderPart) -> EntryDraft:
    unit_id, accepted_at = part.order.buyer_unit_id, part.accepted_at
    if unit_id is None or accepted_at is None:
        raise ValueError("only an accepted part of a unit's order is billed")
    transfer = TransferDraft(
        AccountKey.buyer_receivable(unit_id), AccountKey.escrow(part.cooperative_id), part.total_fen
    )
    return EntryDraft(
        kind=EntryKind.ACCEPTED_ON_CREDIT,
        idempotency_key=f"accept:part:{part.id}",
        occurred_at=accepted_at,
        transfers=(transfer,),
        cooperative_id=part.cooperative_id,
        subject=("order_part", part.id),
    )


def is_awaited(payment: Payment) -> bool:
    """Whether the money of a payment is still wanted: it is open, and for a card the order still waits for it."""
    if payment.state is not PaymentState.OPEN:
        return False
    if payment.method is PaymentMethod.BANK_TRANSFER:
        return True
    return all(part.state is PartState.AWAITING_PAYMENT for part in payment.order.parts)


def hold_payment(session: Session, payment: Payment) -> Payment:
    """Read a payment and its parts anew, held against a second mover: first the payment, then the parts."""
    session.refresh(payment, with_for_update=True)
    session.scalars(_parts_of(payment.order).execution_options(populate_existing=True)).unique().all()
    return payment


def apply_payment(
    session: Session,
    payment: Payment,
    *,
    paid_at: datetime,
    provider_payment_ref: str | None = None,
    provider_ref: str | None = None,
) -> Payment:
    """The money of an awaited payment has come: post it, mark its parts paid, and claim the interest of a late bill.

    `provider_ref` is the page it was paid at; every other page of it is to be closed.

    Raises Conflict when it is not awaited, because it came already or the order was called off.
    """
    hold_payment(session, payment)
    if not is_awaited(payment):
        raise Conflict("payment_not_open", N_("这笔付款已经处理过，或订单已取消"))
    payment.state, payment.paid_at = PaymentState.PAID, paid_at
    payment.provider_payment_ref = provider_payment_ref
    end_attempts(session, payment, paid_at_page=provider_ref)
    parts = payment.order.parts if payment.part is None else [payment.part]
    post_entries(session, _receipts(session, payment, parts, paid_at))
    if payment.part is None:
        pay_from_vouchers(session, payment.order, at=paid_at)
    for part in parts:
        mark_paid(session, SYSTEM, part, at=paid_at)
    if payment.part is not None:
        claim_interest(session, payment, paid_at=paid_at)
    record_trail(
        session,
        SYSTEM,
        "payments.received",
        subject=("payment", payment.public_no),
        buyer_unit_id=payment.order.buyer_unit_id,
        amount_fen=payment.amount_fen,
    )
    session.flush()
    return payment


def _receipts(
    session: Session, payment: Payment, parts: Sequence[OrderPart], paid_at: datetime
) -> list[EntryDraft]:
    """Each cooperative's share of the money: a bill as it stands now, or what vouchers do not pay of a staff order
    and its freight."""
    if payment.part is not None:
        return [_receipt(payment, payment.part, payment.amount_fen, paid_at)]
    by_vouchers = promised_fen(session, [payment.order_id])
    shares = [(part, part.total_fen + part.freight_fen - by_vouchers.get(part.id, 0)) for part in parts]
    return [_receipt(payment, part, fen, paid_at) for part, fen in shares if fen]


def _receipt(payment: Payment, part: OrderPart, amount_fen: int, paid_at: datetime) -> EntryDraft:
    """Into escrow, or against what the unit owes since its acceptance."""
    unit_id = part.order.buyer_unit_id
    owed = AccountKey.escrow(part.cooperative_id) if unit_id is None else AccountKey.buyer_receivable(unit_id)
    return EntryDraft(
        kind=EntryKind.PAYMENT_RECEIVED,
        idempotency_key=f"paid:{payment.public_no}:{part.public_no}",
        occurred_at=paid_at,
        transfers=(TransferDraft(AccountKey.clearing(payment.method.value), owed, amount_fen),),
        cooperative_id=part.cooperative_id,
        subject=("payment", payment.id),
    )


def expire_payment(session: Session, payment: Payment) -> Payment:
    """An open card payment was not made in time: its order is called off and the goods are free again."""
    hold_payment(session, payment)
    if payment.state is not PaymentState.OPEN:
        return payment
    payment.state = PaymentState.EXPIRED
    end_attempts(session, payment, paid_at_page=None)
    for part in payment.order.parts:
        if part.state is PartState.AWAITING_PAYMENT:
            move_part(session, SYSTEM, part, PartEvent.EXPIRE, system=True)
    session.flush()
    return payment


def cancel_payments(session: Session, order: Order) -> None:
    """Nothing is asked for an order any more that was called off. Money that comes all the same waits for a person."""
    asked = select(Payment).where(Payment.order_id == order.id, Payment.state == PaymentState.OPEN)
    for payment in session.scalars(asked.order_by(Payment.id).with_for_update()):
        payment.state = PaymentState.CANCELLED
        end_attempts(session, payment, paid_at_page=None)
    session.flush()
