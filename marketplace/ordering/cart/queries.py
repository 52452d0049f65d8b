"""Reading carts."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from marketplace.identity.actors import Actor
from marketplace.ordering.models import CartLine, OrderKind


def cart_of(session: Session, actor: Actor, kind: OrderKind) -> list[CartLine]:
    """The lines of the actor's cart in the order they were put in."""
    query = (
        select(CartLine)
        .where(CartLine.user_id == actor.user_id, CartLine.kind == kind)
        .order_by(CartLine.id)
        .options(selectinload(CartLine.seen_version))
    )
    return list(session.scalars(query).unique())


def cart_count(session: Session, actor: Actor, kind: OrderKind) -> int:
    """How many listings are in the cart."""
    query = (
        select(func.count())
        .select_from(CartLine)
        .where(CartLine.user_id == actor.user_id, CartLine.kind == kind)
    )
    return session.scalar(query) or 0
