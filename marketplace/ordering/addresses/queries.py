"""Reading one's own addresses."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.ordering.addresses.models import SavedAddress


def addresses_of(session: Session, actor: Actor) -> list[SavedAddress]:
    """The actor's addresses, the default first, then the newest; at most `rules.MOST`."""
    query = select(SavedAddress).where(SavedAddress.user_id == actor.user_id)
    return list(session.scalars(query.order_by(SavedAddress.is_default.desc(), SavedAddress.id.desc())))


def address_by_no(session: Session, actor: Actor, number: str) -> SavedAddress:
    """One of the actor's addresses. Raises NotFound."""
    query = select(SavedAddress).where(
        SavedAddress.user_id == actor.user_id, SavedAddress.public_no == number
    )
    found = session.scalar(query)
    if found is None:
        raise NotFound
    return found
