"""Money in, looked at the day after: the channel's balance and the bank compared, one fen too much, one dispute."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select

from marketplace.core import clock
from marketplace.demo.collecting import moves_of_platform
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.models import Role, User
from marketplace.ordering.models import OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.disputes.rules import take_dispute
from marketplace.payments.gateways.balance import BalanceMove, MoveKind
from marketplace.payments.gateways.disputes import DisputeStatus, DisputeTold
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.reconciliation.rules import reconcile_bank, reconcile_card
from marketplace.payments.refunds.models import Refund, RefundState

SECOND_OPERATOR = "operator2"  # a difference is explained by one and confirmed by another
FEE_BP = 60
DAYS_TO_ANSWER = 7


def compare_yesterday(world: World) -> User:
    """A second operator, the day's comparison of both channels, and a dispute that waits for evidence; the operator."""
    with clock.set_to(at_hour(world.last_on, 18)):
        platform = world.operator.organisation if world.operator else None
        second = world.account(SECOND_OPERATOR, world.people.name(), Role.OPERATOR, organisation=platform)
        day = world.last_on - timedelta(days=1)
        moves = _moves(world)
        last = max((place for place, move in enumerate(moves) if move.payment_ref), default=None)
        if last is not None:  # the one fen that somebody has to explain
            moves[last] = replace(moves[last], amount_fen=moves[last].amount_fen + 1)
        reconcile_card(world.session, day, moves)
        reconcile_bank(world.session, day)
        _dispute(world)
    return second


def _moves(world: World) -> list[BalanceMove]:
    """The channel's list, made from what was paid on line, given back and transferred before today."""
    numbers, until = count(1), clock.start_of(world.last_on)
    charges = select(Payment).where(
        Payment.method == PaymentMethod.CARD, Payment.state == PaymentState.PAID, Payment.paid_at < until
    )
    moves = [
        _move(
            paid.paid_at, MoveKind.CHARGE, paid, paid.amount_fen, (paid.amount_fen * FEE_BP + 5_000) // 10_000
        )
        for paid in world.session.scalars(charges)
        if paid.paid_at
    ]
    returned = select(Refund).where(
        Refund.method == PaymentMethod.CARD, Refund.state == RefundState.RETURNED, Refund.returned_at < until
    )
    moves += [
        _move(refund.returned_at, MoveKind.REFUND, refund.payment, -refund.own_fen, 0)
        for refund in world.session.scalars(returned)
        if refund.returned_at and refund.payment
    ]
    moves += moves_of_platform(world, until)
    moves.sort(
        key=lambda move: (move.occurred_at, move.payment_ref is None, move.source_ref, move.amount_fen)
    )
    return [replace(move, ref=f"txn_demo{next(numbers):06d}") for move in moves]


def _move(at: datetime, kind: MoveKind, payment: Payment, amount_fen: int, fee_fen: int) -> BalanceMove:
    ref = payment.provider_payment_ref or payment.public_no
    return BalanceMove("", kind, f"{kind.value}_{payment.public_no}", ref, amount_fen, fee_fen, at)


def _dispute(world: World) -> None:
    """The buyer of the last order that was sent and not received says that nothing came."""
    on_its_way = select(OrderPart.order_id).where(OrderPart.state == PartState.SHIPPED)
    query = select(Payment).where(
        Payment.method == PaymentMethod.CARD,
        Payment.state == PaymentState.PAID,
        Payment.order_id.in_(on_its_way),
    )
    payment = world.session.scalar(query.order_by(Payment.id.desc()).limit(1))
    if payment is None:
        return
    at = clock.now()
    told = DisputeTold(
        ref="dp_demo000001",
        payment_ref=payment.provider_payment_ref,
        amount_fen=payment.amount_fen,
        reason="product_not_received",
        status=DisputeStatus.NEEDS_ANSWER,
        due_at=at + timedelta(days=DAYS_TO_ANSWER),
        opened_at=at,
    )
    take_dispute(world.session, payment, told)
