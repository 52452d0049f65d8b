"""Reading refunds: who may see them, what waits, and how much of each line may still be asked back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderKind, OrderLine, OrderPart
from marketplace.ordering.queries import order_by_no, orders_visible_to
from marketplace.ordering.states import PartState
from marketplace.payments.models import BankLine, BankLineMatch, Payment, PaymentMethod, PaymentState
from marketplace.payments.refunds.models import (
    CreditAddition,
    CreditReversal,
    Refund,
    RefundedLine,
    RefundLine,
    RefundShare,
    RefundState,
)
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task

BEFORE_SHIPPING = frozenset({PartState.PLACED, PartState.CONFIRMED})
PAID_STATES = BEFORE_SHIPPING | {PartState.SHIPPED, PartState.RECEIVED, PartState.ACCEPTED}
FOR_LISTS = (
    joinedload(Refund.order).lazyload(Order.parts),
    joinedload(Refund.part).options(lazyload(OrderPart.lines), lazyload(OrderPart.order)),
)


def may_ask(actor: Actor, order: Order) -> bool:
    """Whether the actor may ask money back for an order: its buyer, or the orderer and the receiver of the unit."""
    if order.kind is OrderKind.PERSONAL:
        return order.buyer_user_id == actor.user_id and actor.can(Permission.BUY_PERSONALLY)
    own = order.buyer_unit_id == actor.buyer_unit_id
    return own and (actor.can(Permission.RECEIVE_FOR_UNIT) or actor.can(Permission.ORDER_FOR_UNIT))


def is_refundable(part: OrderPart) -> bool:
    """Whether money of a part can be asked back now: it was paid, or accepted on credit."""
    if part.order.buyer_unit_id is not None:
        return part.state is PartState.ACCEPTED
    return part.paid_at is not None and part.state in PAID_STATES


def part_to_refund(session: Session, actor: Actor, order_no: str, part_no: str) -> OrderPart:
    """A part of an order of the actor's, to ask money back for. Raises NotFound."""
    order = order_by_no(session, actor, order_no)
    found = next((part for part in order.parts if part.public_no == part_no), None)
    if found is None or not may_ask(actor, order):
        raise NotFound
    return found


def refunds_visible_to(actor: Actor) -> Select[Refund]:
    """Refunds, newest first: a cooperative's of its goods, a buyer's of its orders, all for the cashier, and for an
    auditor those of the jurisdiction."""
    query = select(Refund).order_by(Refund.id.desc()).options(*FOR_LISTS)
    if actor.can(Permission.MATCH_BANK_LINES):
        return query
    if actor.can(Permission.READ_AUDIT):
        return query.where(Refund.cooperative_id.in_(cooperatives_within(actor)))
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(Refund.cooperative_id == actor.cooperative_id)
    orders = orders_visible_to(actor).order_by(None).with_only_columns(Order.id)
    return query.where(Refund.order_id.in_(orders))


def refund_counts(session: Session, actor: Actor) -> dict[RefundState, int]:
    """How many refunds the actor may see stand in each state; states without any are left out."""
    seen = refunds_visible_to(actor).order_by(None).subquery().c
    rows = session.execute(select(seen.state, func.count()).group_by(seen.state))
    return {state: int(count) for state, count in rows}


def refund_by_no(session: Session, actor: Actor, number: str) -> Refund:
    """A refund the actor may see. Raises NotFound."""
    refund = session.scalar(refunds_visible_to(actor).where(Refund.public_no == number))
    if refund is None:
        raise NotFound
    return refund


def refunds_of_order(session: Session, order_id: int) -> Sequence[Refund]:
    """Every refund asked for an order, the first one first."""
    return session.scalars(select(Refund).where(Refund.order_id == order_id).order_by(Refund.id)).all()


def refunds_in_state(actor: Actor, state: RefundState | None) -> Select[Refund]:
    """The visible refunds in a state, what waits longest first; all of them newest first."""
    query = refunds_visible_to(actor)
    if state is None:
        return query
    return query.where(Refund.state == state).order_by(None).order_by(Refund.id)


def refunds_by_hand() -> Select[Refund]:
    """Money that a person has to send back: bank transfers, what the card channel refused, and what vouchers paid;
    oldest first."""
    transfer = (Refund.state == RefundState.AGREED) & (Refund.method == PaymentMethod.BANK_TRANSFER)
    to_unit = select(RefundShare.refund_id).where(
        RefundShare.buyer_unit_id.is_not(None), RefundShare.returned_at.is_(None)
    )
    return (
        select(Refund)
        .where(or_(transfer, Refund.state == RefundState.FAILED, Refund.id.in_(to_unit)))
        .order_by(Refund.id)
        .options(*FOR_LISTS, joinedload(Refund.payment))
    )


def is_by_hand(refund: Refund) -> bool:
    """Whether a person has to send the buyer's share of a refund now."""
    if refund.state is RefundState.AGREED:
        return refund.method is PaymentMethod.BANK_TRANSFER
    return refund.state is RefundState.FAILED


def waits_for_transfer(refund: Refund) -> bool:
    """Whether a person has to send back any share of a refund now, the buyer's or that of vouchers."""
    share = refund.of_vouchers
    return is_by_hand(refund) or (share is not None and share.returned_at is None)


def refund_by_hand(session: Session, number: str) -> Refund:
    """One of `refunds_by_hand`. Raises NotFound."""
    refund = session.scalar(refunds_by_hand().where(Refund.public_no == number))
    if refund is None:
        raise NotFound
    return refund


def payers_of(session: Session, payment_ids: Collection[int]) -> dict[int, BankLine]:
    """The bank line that paid each of these payments: where the money came from, and goes back to."""
    query = (
        select(BankLineMatch.payment_id, BankLine)
        .join(BankLine, BankLine.id == BankLineMatch.line_id)
        .where(BankLineMatch.payment_id.in_(payment_ids))
    )
    return {payment_id: line for payment_id, line in session.execute(query).all() if payment_id}


def refunds_to_send(session: Session, *, limit: int) -> Sequence[tuple[int, str, int, str]]:
    """Card refunds that wait for the gateway, oldest first: (id, payment at the provider, fen, our number)."""
    query = (
        select(
            Refund.id,
            Payment.provider_payment_ref,
            Refund.own_fen,
            Refund.public_no,
        )
        .join(Payment, Payment.id == Refund.payment_id)
        .where(
            Refund.state == RefundState.AGREED,
            Refund.method == PaymentMethod.CARD,
            Payment.provider_payment_ref.is_not(None),
        )
        .order_by(Refund.id)
        .limit(limit)
    )
    rows = session.execute(query).all()
    return [(key, ref, fen, number) for key, ref, fen, number in rows if ref is not None]


def payment_behind(session: Session, part: OrderPart) -> Payment | None:
    """The payment that paid for a part, or is awaited for it: its own, or that of its whole order."""
    query = select(Payment).where(
        Payment.order_id == part.order_id,
        or_(Payment.part_id == part.id, Payment.part_id.is_(None)),
        Payment.state.in_((PaymentState.OPEN, PaymentState.PAID)),
    )
    return session.scalar(query.order_by(Payment.state == PaymentState.OPEN, Payment.id).limit(1))


@dataclass(frozen=True)
class Refundable:
    """A line with the units that were given back, are being asked back, and may still be asked back."""

    line: OrderLine
    refunded: int
    asked: int

    @property
    def left(self) -> int:
        """What may still be asked back."""
        return self.line.quantity - self.refunded - self.asked


def refundable_lines(session: Session, part: OrderPart) -> list[Refundable]:
    """The lines of a part, in their order."""
    ids = [line.id for line in part.lines]
    refunded = dict(
        session.execute(
            select(RefundedLine.line_id, func.max(RefundedLine.after_quantity))
            .where(RefundedLine.line_id.in_(ids))
            .group_by(RefundedLine.line_id)
        ).all()
    )
    asked = dict(
        session.execute(
            select(RefundLine.line_id, func.sum(RefundLine.quantity))
            .join(Refund, Refund.id == RefundLine.refund_id)
            .where(RefundLine.line_id.in_(ids), Refund.state == RefundState.ASKED)
            .group_by(RefundLine.line_id)
        ).all()
    )
    return [Refundable(line, refunded.get(line.id, 0), int(asked.get(line.id, 0))) for line in part.lines]


def changed_fen(session: Session, cooperative_id: int) -> int:
    """What refunds and corrections changed of the credits of a cooperative, in fen; mostly negative."""
    given = select(func.sum(CreditAddition.amount_fen)).where(CreditAddition.cooperative_id == cooperative_id)
    taken = select(func.sum(CreditReversal.amount_fen)).where(CreditReversal.cooperative_id == cooperative_id)
    return int(session.scalar(given) or 0) - int(session.scalar(taken) or 0)


def _count(session: Session, query: Select[Refund]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: requests to decide at a cooperative, money to send back for the cashier."""
    if actor.can(Permission.FULFIL_ORDERS) and actor.cooperative_id is not None:
        count = _count(session, refunds_in_state(actor, RefundState.ASKED))
        task = Task(NN_("%(count)s 笔退款申请待处理"), count, "refunds.requests")
    elif actor.can(Permission.MATCH_BANK_LINES):
        task = Task(
            NN_("%(count)s 笔退款待转回买方"), _count(session, refunds_by_hand()), "refunds.transfers"
        )
    else:
        return []
    return [task] if task.count else []
