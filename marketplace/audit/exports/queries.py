"""The rows of the exports, of the cooperatives in the actor's jurisdiction over the days [since, until].

Each query has its key as its first column, so that it can be read in portions.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.clock import end_of, start_of
from marketplace.identity.actors import Actor
from marketplace.ledger.models import Entry
from marketplace.ordering.models import Order, OrderLine
from marketplace.payments.models import Credit, LinkagePool, Settlement
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.registry.models import Cooperative, Household, Region

Movement = type[Credit] | type[CreditAddition] | type[CreditReversal]


def _moved_at(model: Movement) -> Any:
    return model.reversed_at if model is CreditReversal else model.credited_at  # type: ignore[union-attr]


def _within(model: Any, at: Any, actor: Actor, since: date, until: date) -> tuple[ColumnElement[bool], ...]:
    return (
        model.cooperative_id.in_(cooperatives_within(actor)),
        at >= start_of(since),
        at < end_of(until),
    )


def movements(model: Movement, actor: Actor, since: date, until: date) -> Select[Any]:
    """Credits, additions to them, or what was taken back of them: one row each, with whose, from what, by which entry.

    Rows: id, number (of the credit or addition), at, household and head, village, cooperative, mechanism, attribution,
    order, line, goods, fen (negative for what was taken back), reason, entry.
    """
    share = aliased(Credit) if model is CreditReversal else model
    is_reversal, at = model is CreditReversal, _moved_at(model)
    addition = aliased(CreditAddition)
    number = func.coalesce(share.public_no, addition.public_no) if is_reversal else model.public_no  # type: ignore[union-attr]
    query = (
        select(
            model.id,
            number.label("number"),
            at.label("at"),
            Household.public_no.label("household_no"),
            Household.head_name,
            Region.name.label("village"),
            Cooperative.name.label("cooperative"),
            model.mechanism,
            LinkagePool.attribution,
            Order.public_no.label("order_no"),
            OrderLine.public_no.label("line_no"),
            OrderLine.title,
            (-model.amount_fen if is_reversal else model.amount_fen).label("fen"),
            (CreditReversal.reason if is_reversal else literal("")).label("reason"),
            Entry.public_no.label("entry_no"),
        )
        .join(Household, Household.id == model.household_id)
        .join(Region, Region.code == Household.village_code)
        .join(Cooperative, Cooperative.id == model.cooperative_id)
        .join(LinkagePool, LinkagePool.id == model.pool_id)
        .join(OrderLine, OrderLine.id == model.line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Entry, Entry.id == model.entry_id)
        .where(*_within(model, at, actor, since, until))
    )
    if is_reversal:
        query = query.outerjoin(share, share.id == CreditReversal.credit_id)
        query = query.outerjoin(addition, addition.id == CreditReversal.addition_id)
    return query


def settled_lines(actor: Actor, since: date, until: date) -> Select[Any]:
    """Settled lines: id, line, at, order, cooperative, goods, quantity, unit, price, net and linkage fen, entry."""
    return (
        select(
            Settlement.line_id,
            OrderLine.public_no.label("line_no"),
            Settlement.settled_at.label("at"),
            Order.public_no.label("order_no"),
            Cooperative.name.label("cooperative"),
            OrderLine.title,
            OrderLine.quantity,
            OrderLine.unit_name,
            OrderLine.unit_price_fen,
            Settlement.net_fen,
            Settlement.pool_fen,
            Entry.public_no.label("entry_no"),
        )
        .join(OrderLine, OrderLine.id == Settlement.line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Cooperative, Cooperative.id == Settlement.cooperative_id)
        .join(Entry, Entry.id == Settlement.entry_id)
        .where(*_within(Settlement, Settlement.settled_at, actor, since, until))
    )


MOVEMENTS: tuple[Movement, ...] = (Credit, CreditAddition, CreditReversal)


def count_movements(session: Session, actor: Actor, since: date, until: date) -> int:
    """How many rows the three `movements` have together."""
    return sum(
        session.scalar(
            select(func.count())
            .select_from(model)
            .where(*_within(model, _moved_at(model), actor, since, until))
        )
        or 0
        for model in MOVEMENTS
    )


def count_settled(session: Session, actor: Actor, since: date, until: date) -> int:
    """How many rows `settled_lines` has."""
    own = _within(Settlement, Settlement.settled_at, actor, since, until)
    return session.scalar(select(func.count()).select_from(Settlement).where(*own)) or 0
