"""Time that is over: card payments nobody made, and orders nobody began to pay for."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.identity.actors import SYSTEM
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.rules import move_part
from marketplace.ordering.states import PartEvent, PartState
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.rules import CARD_MINUTES

BATCH = 200
GRACE = timedelta(minutes=5)  # for a notice that is late


def overdue_card_payments(session: Session) -> list[Payment]:
    """Open card payments whose time is over by the grace, the longest waiting first."""
    query = (
        select(Payment)
        .where(
            Payment.method == PaymentMethod.CARD,
            Payment.state == PaymentState.OPEN,
            Payment.expires_at < now() - GRACE,
        )
        .order_by(Payment.expires_at)
        .limit(BATCH)
    )
    return list(session.scalars(query))


def expire_unasked_orders(session: Session) -> int:
    """Call off personal orders nobody began to pay for within the time of a card payment; returns how many parts."""
    asked = select(Payment.id).where(Payment.order_id == Order.id, Payment.state == PaymentState.OPEN)
    parts = session.scalars(
        select(OrderPart)
        .join(Order, Order.id == OrderPart.order_id)
        .where(
            OrderPart.state == PartState.AWAITING_PAYMENT,
            Order.kind == OrderKind.PERSONAL,
            Order.placed_at < now() - timedelta(minutes=CARD_MINUTES) - GRACE,
            ~asked.exists(),
        )
        .order_by(OrderPart.id)
        .limit(BATCH)
        .with_for_update(of=OrderPart, skip_locked=True)
        .execution_options(populate_existing=True)
    ).unique()
    expired = [move_part(session, SYSTEM, part, PartEvent.EXPIRE, system=True) for part in parts]
    return len(expired)
