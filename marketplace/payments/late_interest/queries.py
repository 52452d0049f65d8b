"""Reading late interest: what runs on open bills by today, and the claims that either side sees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import business_day
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.late_interest.computing import (
    Span,
    days_late,
    fen_days_of,
    interest_fen,
    spans_owed,
)
from marketplace.payments.late_interest.models import InterestState, InterestWaiver, LateInterest
from marketplace.payments.models import Payment
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task

FOR_LISTS = (
    joinedload(LateInterest.buyer_unit),
    joinedload(LateInterest.cooperative),
    joinedload(LateInterest.payment).joinedload(Payment.order).lazyload(Order.parts),
)


@dataclass(frozen=True)
class Accrual:
    """The interest that a bill costs when it is paid on a day."""

    days: int
    spans: tuple[Span, ...]
    late_rate_bp: int
    amount_fen: int
    is_waived: bool = False

    @property
    def fen_days(self) -> int:
        """Fen times nights over its spans."""
        return fen_days_of(self.spans)


def accruals(session: Session, bills: Collection[Payment], *, on: date) -> dict[int, Accrual]:
    """What each late bill of a unit costs in interest when its money comes on `on`, by the id of the bill, in at most
    two statements. Bills in time have none; waived ones come with 0 fen."""
    late = [
        bill for bill in bills if bill.part_id is not None and bill.due_on is not None and bill.due_on < on
    ]
    if not late:
        return {}
    waived = set(
        session.scalars(
            select(InterestWaiver.payment_id).where(InterestWaiver.payment_id.in_([bill.id for bill in late]))
        )
    )
    reductions = _reductions(session, [bill.part_id for bill in late if bill.part_id])
    return {
        bill.id: _accrual(bill, on, reductions.get(bill.part_id, []), is_waived=bill.id in waived)
        for bill in late
    }


def _accrual(bill: Payment, on: date, reductions: Sequence[tuple[date, int]], *, is_waived: bool) -> Accrual:
    due_on, rate = bill.due_on or on, bill.order.late_rate_bp or 0
    spans = spans_owed(bill.amount_fen, due_on=due_on, paid_on=on, reductions=reductions)
    amount_fen = 0 if is_waived else interest_fen(fen_days_of(spans), rate)
    return Accrual(days_late(due_on, on), spans, rate, amount_fen, is_waived)


def _reductions(session: Session, part_ids: Collection[int]) -> dict[int | None, list[tuple[date, int]]]:
    """What refunds took off open bills, by part: (day, fen). What was rejected at the inspection was never owed."""
    query = select(Refund.part_id, Refund.decided_at, Refund.amount_fen).where(
        Refund.part_id.in_(part_ids),
        Refund.state == RefundState.REDUCED,
        Refund.inspection_id.is_(None),
    )
    found: dict[int | None, list[tuple[date, int]]] = {}
    for part_id, decided_at, fen in session.execute(query):
        if decided_at is not None:
            found.setdefault(part_id, []).append((business_day(decided_at), fen))
    return found


def interest_of(session: Session, payment_id: int) -> LateInterest | None:
    """The claim that a bill left behind, if it was late."""
    return session.scalar(select(LateInterest).where(LateInterest.payment_id == payment_id))


def waiver_of(session: Session, payment_id: int) -> InterestWaiver | None:
    """The cooperative's waiver of a bill's interest, if there is one."""
    return session.get(InterestWaiver, payment_id)


def interests_visible_to(actor: Actor) -> Select[LateInterest]:
    """Claims, newest first: of one's cooperative, of one's unit, all for the cashier, an auditor's jurisdiction's."""
    query = select(LateInterest).order_by(LateInterest.id.desc()).options(*FOR_LISTS)
    if actor.can(Permission.MATCH_BANK_LINES):
        return query
    if actor.can(Permission.READ_AUDIT):
        return query.where(LateInterest.cooperative_id.in_(cooperatives_within(actor)))
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(LateInterest.cooperative_id == actor.cooperative_id)
    if actor.buyer_unit_id is not None and actor.can(Permission.PAY_FOR_UNIT):
        return query.where(LateInterest.buyer_unit_id == actor.buyer_unit_id)
    return query.where(false())


def interests_in_state(actor: Actor, state: InterestState | None) -> Select[LateInterest]:
    """The visible claims in a state, or all."""
    query = interests_visible_to(actor)
    return query if state is None else query.where(LateInterest.state == state)


def interest_by_no(session: Session, actor: Actor, number: str) -> LateInterest:
    """A claim the actor may see. Raises NotFound."""
    found = session.scalar(interests_visible_to(actor).where(LateInterest.public_no == number))
    if found is None:
        raise NotFound
    return found


def bill_of_cooperative(session: Session, actor: Actor, payment_no: str) -> Payment:
    """A unit's bill for goods of the actor's cooperative. Raises NotFound."""
    query = (
        select(Payment)
        .join(OrderPart, OrderPart.id == Payment.part_id)
        .where(Payment.public_no == payment_no, OrderPart.cooperative_id == actor.cooperative_id)
    )
    found = session.scalar(query)
    if found is None:
        raise NotFound
    return found


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Interest that waits for the unit's transfer."""
    if not actor.can(Permission.PAY_FOR_UNIT) or actor.buyer_unit_id is None:
        return []
    waiting = interests_in_state(actor, InterestState.OPEN).order_by(None).with_only_columns(LateInterest.id)
    count = session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
    return [Task(NN_("%(count)s 笔逾期利息待转账"), count, "late_interest.index")] if count else []
