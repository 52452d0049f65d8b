"""Reading disputes, and whether one stands in the way of a refund."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_, NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order
from marketplace.payments.disputes.models import DisputeLoss, PaymentDispute
from marketplace.payments.gateways.disputes import DisputeStatus
from marketplace.payments.models import Payment
from marketplace.web.tasks import Task

REASONS = {
    "fraudulent": N_("持卡人否认这笔交易"),
    "product_not_received": N_("没有收到商品"),
    "product_unacceptable": N_("商品与描述不符"),
    "duplicate": N_("重复扣款"),
    "credit_not_processed": N_("应退未退"),
}
OTHER_REASON = N_("其他原因")
INQUIRED = (DisputeStatus.INQUIRY, DisputeStatus.CLOSED)  # nothing is held
UNDECIDED = (DisputeStatus.NEEDS_ANSWER, DisputeStatus.UNDER_REVIEW)


def disputes() -> Select[PaymentDispute]:
    """Every dispute: what needs an answer first, by its last day."""
    order = joinedload(PaymentDispute.payment).joinedload(Payment.order).lazyload(Order.parts)
    rank = case((PaymentDispute.wants_answer, 0), else_=1)
    return (
        select(PaymentDispute).options(order).order_by(rank, PaymentDispute.due_at, PaymentDispute.id.desc())
    )


def dispute_by_no(session: Session, number: str) -> PaymentDispute:
    """A dispute. Raises NotFound."""
    found = session.scalar(select(PaymentDispute).where(PaymentDispute.public_no == number))
    if found is None:
        raise NotFound
    return found


def disputes_of_order(session: Session, order_id: int) -> list[PaymentDispute]:
    """The disputes of an order's payments, the first one first; inquiries concern the cashier alone."""
    query = select(PaymentDispute).join(Payment, Payment.id == PaymentDispute.payment_id)
    of_order = query.where(Payment.order_id == order_id, PaymentDispute.state.not_in(INQUIRED))
    return list(session.scalars(of_order.order_by(PaymentDispute.id)))


def undecided_payments(session: Session, payment_ids: Collection[int]) -> set[int]:
    """Those of these payments whose buyer's bank has not decided yet."""
    query = select(PaymentDispute.payment_id).where(
        PaymentDispute.payment_id.in_(payment_ids), PaymentDispute.state.in_(UNDECIDED)
    )
    return set(session.scalars(query)) if payment_ids else set()


def undecided_orders(session: Session, order_ids: Collection[int]) -> set[int]:
    """Those of these orders one of whose payments is disputed and undecided."""
    query = (
        select(Payment.order_id)
        .join(PaymentDispute, PaymentDispute.payment_id == Payment.id)
        .where(Payment.order_id.in_(order_ids), PaymentDispute.state.in_(UNDECIDED))
    )
    return set(session.scalars(query)) if order_ids else set()


def lost_of_part(session: Session, part_id: int) -> int:
    """What lost disputes took of the money of a part, in fen."""
    query = select(func.coalesce(func.sum(DisputeLoss.amount_fen), 0)).where(DisputeLoss.part_id == part_id)
    return int(session.scalar(query) or 0)


def require_undisputed(session: Session, payment_id: int) -> None:
    """Raise Conflict while a dispute of a payment is undecided: nobody knows yet whose its money is. What a lost one
    took does not go back a second time; that stands in refunds/ways.py."""
    if undecided_payments(session, [payment_id]):
        raise Conflict("disputed", N_("买方已向银行提出争议，银行裁定之前不能退款"))


def reason_words(code: str) -> str:
    """A provider's reason in words; the message to be translated."""
    return REASONS.get(code, OTHER_REASON)


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Disputes that need evidence from the cashier."""
    if not actor.can(Permission.MATCH_BANK_LINES):
        return []
    count = session.scalar(select(func.count()).where(PaymentDispute.wants_answer)) or 0
    return [Task(NN_("%(count)s 笔付款争议待提交证据"), count, "disputes.index")] if count else []
