"""The rows of the books: every line ordered, and every delivery inspected, of those the reader sees."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, contains_eager, joinedload, lazyload

from marketplace.core.clock import end_of, start_of
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.ordering.queries import parts_visible_to
from marketplace.payments.counted import refunded_by_line
from marketplace.procurement.receiving.models import Inspection, InspectionLine


def ordered_lines(actor: Actor, since: date, until: date) -> Select[Any]:
    """(line, fen refunded of it) of the parts the actor sees that were ordered over the days [since, until]."""
    refunded = refunded_by_line()
    parts = parts_visible_to(actor).order_by(None).with_only_columns(OrderPart.id)
    return (
        select(OrderLine, func.coalesce(refunded.c.refunded_fen, 0))
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .outerjoin(refunded, refunded.c.line_id == OrderLine.id)
        .where(OrderPart.id.in_(parts), Order.placed_at >= start_of(since), Order.placed_at < end_of(until))
        .order_by(OrderLine.id)
        .options(
            contains_eager(OrderLine.part).options(
                lazyload(OrderPart.lines), contains_eager(OrderPart.order).lazyload(Order.parts)
            ),
            lazyload(OrderLine.lots),
        )
    )


def count_ordered(session: Session, actor: Actor, since: date, until: date) -> int:
    """How many rows `ordered_lines` has."""
    query = ordered_lines(actor, since, until).order_by(None)
    return session.scalar(query.with_only_columns(func.count(OrderLine.id))) or 0


def count_inspected(session: Session, actor: Actor, since: date, until: date) -> int:
    """How many rows `inspected_lines` has."""
    query = inspected_lines(actor, since, until).order_by(None)
    return session.scalar(query.with_only_columns(func.count(InspectionLine.id))) or 0


def inspected_lines(actor: Actor, since: date, until: date) -> Select[InspectionLine]:
    """What was found of each line of the parts the actor sees that were inspected over the days [since, until]."""
    parts = parts_visible_to(actor).order_by(None).with_only_columns(OrderPart.id)
    return (
        select(InspectionLine)
        .join(Inspection, Inspection.id == InspectionLine.inspection_id)
        .where(
            Inspection.part_id.in_(parts),
            Inspection.inspected_at >= start_of(since),
            Inspection.inspected_at < end_of(until),
        )
        .order_by(Inspection.id, InspectionLine.line_id)
        .options(
            contains_eager(InspectionLine.inspection).options(
                lazyload(Inspection.lines),
                joinedload(Inspection.inspector),
                joinedload(Inspection.part).options(
                    lazyload(OrderPart.lines), joinedload(OrderPart.order).lazyload(Order.parts)
                ),
            ),
            joinedload(InspectionLine.line).lazyload(OrderLine.lots),
        )
    )
