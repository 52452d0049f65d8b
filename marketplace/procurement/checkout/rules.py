"""Placing a unit's order: the day it is wanted, the budget it takes of, and that somebody can approve it.

Everything is checked and done in the caller's one transaction: where this refuses, nothing is placed, held or taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import Actor
from marketplace.ordering.dispatch.rules import require_delivers_on
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import Delivery, place_order
from marketplace.ordering.terms import PaymentTerms
from marketplace.procurement.approvals.queries import standing_ahead
from marketplace.procurement.budgets.queries import lacks_budget_line, line_by_no
from marketplace.procurement.budgets.rules import take_budget

FARTHEST_DAYS = 366


def place_unit_order(
    session: Session,
    actor: Actor,
    *,
    kind: OrderKind,
    idempotency_key: str,
    lines: Sequence[tuple[str, int]],
    delivery: Delivery,
    deliver_on: date,
    budget_no: str = "",
    seen: Mapping[str, tuple[int, int]] | None = None,
    terms: PaymentTerms | None = None,
) -> Order:
    """Place a unit's order for a delivery day and, where the unit keeps budgets for that year, of a budget line.

    The same key of the same person gives the first order. Raises as `place_order`; Refused for a day that is over, too
    far, or not one of a cooperative's, when a budget line is missing or has too little left, and when nobody is left
    who may approve the amount.
    """
    known = select(Order.id).where(
        Order.buyer_user_id == actor.user_id, Order.idempotency_key == idempotency_key
    )
    is_repeat = session.scalar(known) is not None
    if not is_repeat:
        _check_day(deliver_on)
    order = place_order(
        session,
        actor,
        kind=kind,
        idempotency_key=idempotency_key,
        lines=lines,
        delivery=delivery,
        seen=seen,
        terms=terms,
        deliver_on=deliver_on,
    )
    if is_repeat:
        return order
    require_delivers_on(session, {part.cooperative_id for part in order.parts}, deliver_on)
    _check_approvers(session, actor, order)
    if budget_no:
        take_budget(session, actor, line_by_no(session, actor, budget_no), order)
    elif lacks_budget_line(session, order):
        raise Refused("no_budget_line", N_("请选择这张采购单用哪一项预算"), field="budget")
    return order


def _check_day(deliver_on: date) -> None:
    if deliver_on < today():
        raise Refused("day_over", N_("送货日不能早于今天"), field="deliver_on")
    if deliver_on > today() + timedelta(days=FARTHEST_DAYS):
        raise Refused("day_far", N_("送货日最多在一年以内"), field="deliver_on")


def _check_approvers(session: Session, actor: Actor, order: Order) -> None:
    """Nothing waits for an approval that nobody can give."""
    short = standing_ahead(session, actor, order.total_fen).step_without_approver()
    if short is not None:
        raise Refused(
            "nobody_approves",
            N_(
                "合计 %(amount)s 元，第 %(step)s 步审批没有别人可以办理：审批人的限额不够，或只剩下单人自己。"
                "请减少数量分开下单，或先请审批人调整限额和步骤"
            ),
            amount=format_yuan(order.total_fen),
            step=short.position,
        )
