"""Reading runs and differences, and naming what a difference is about."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.models import Payment
from marketplace.payments.reconciliation.models import (
    Channel,
    ItemState,
    ReconciliationItem,
    ReconciliationRun,
)
from marketplace.web.tasks import Task


def runs() -> Select[ReconciliationRun]:
    """Every comparison, the latest day first."""
    return select(ReconciliationRun).order_by(ReconciliationRun.day.desc(), ReconciliationRun.id.desc())


def latest_runs(session: Session) -> list[ReconciliationRun]:
    """The last comparison of each channel."""
    last = select(func.max(ReconciliationRun.id)).group_by(ReconciliationRun.channel)
    return list(session.scalars(select(ReconciliationRun).where(ReconciliationRun.id.in_(last))))


def items_of(state: ItemState | None) -> Select[ReconciliationItem]:
    """Differences, the oldest first; of one state when it is given."""
    people = (joinedload(ReconciliationItem.proposer), joinedload(ReconciliationItem.resolver))
    query = (
        select(ReconciliationItem)
        .options(*people)
        .order_by(ReconciliationItem.found_on, ReconciliationItem.id)
    )
    return query if state is None else query.where(ReconciliationItem.state == state)


def counts_of_items(session: Session) -> dict[ItemState, int]:
    """How many differences there are of each state."""
    query = select(ReconciliationItem.state, func.count()).group_by(ReconciliationItem.state)
    return {state: int(count) for state, count in session.execute(query)}


def orders_behind(session: Session, items: Collection[ReconciliationItem]) -> dict[int, Order]:
    """The order each difference is about, by the difference's id; none for what is no payment of an order."""
    refs = {item.key.split(":", 1)[1]: item.id for item in items if item.key.startswith("payment:")}
    if not refs:
        return {}
    ids = [int(ref) for ref in refs if ref.isdigit()]
    query = (
        select(Payment)
        .where(
            Payment.provider_payment_ref.in_(list(refs))
            | Payment.public_no.in_(list(refs))
            | Payment.id.in_(ids)
        )
        .options(
            joinedload(Payment.order).lazyload(Order.parts),
            joinedload(Payment.part).lazyload(OrderPart.lines),
        )
    )
    found: dict[int, Order] = {}
    by_key = {(item.channel, item.key.split(":", 1)[1]): item.id for item in items}
    for payment in session.scalars(query):
        for channel, name in (
            (Channel.CARD, payment.provider_payment_ref),
            (Channel.CARD, payment.public_no),
            (Channel.BANK_TRANSFER, str(payment.id)),
        ):
            item_id = by_key.get((channel, name or ""))
            if item_id is not None:
                found[item_id] = payment.order
    return found


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Differences that wait for the cashier."""
    if not actor.can(Permission.MATCH_BANK_LINES):
        return []
    waiting = select(func.count()).where(ReconciliationItem.state.in_((ItemState.OPEN, ItemState.PROPOSED)))
    count = session.scalar(waiting) or 0
    return [Task(NN_("%(count)s 笔对账差异待查明"), count, "reconciliation.items")] if count else []
