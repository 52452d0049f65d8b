"""A unit with its duties and an order that waits for approval, for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, User
from marketplace.ordering.models import Order, OrderKind, PartChange
from marketplace.ordering.rules import place_order
from marketplace.ordering.states import PartState
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import DELIVERY, Offer, buy, offer


class Canteen:
    """A unit with an order over two cooperatives that waits for approval."""

    def __init__(self, session: Session) -> None:
        self.unit = BuyerUnitFactory()
        self.orderer, self.approver, self.receiver, self.payer = (
            actor_at(self.unit, role)
            for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER)
        )
        self.both = actor_at(self.unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
        self.offers: list[Offer] = [offer(session, CooperativeFactory()) for _ in range(2)]
        self.order: Order = self.placed_by(session, self.orderer)

    def placed_by(self, session: Session, orderer: Actor, *, key: str = "a-canteen-s-order") -> Order:
        lines = [(one, 3) for one in self.offers]
        return buy(session, orderer, *lines, kind=OrderKind.CANTEEN, key=key)

    def ordered(self, session: Session, units: int, *, key: str, deliver_on: date | None = None) -> Order:
        """An order for units of the first offer (50.00 yuan each) by the orderer."""
        return place_order(
            session,
            self.orderer,
            kind=OrderKind.CANTEEN,
            idempotency_key=key,
            lines=[(self.offers[0].listing.public_no, units)],
            delivery=DELIVERY,
            deliver_on=deliver_on,
        )

    def colleague(self, *roles: Role) -> tuple[User, Actor]:
        """A further person of the unit, as an account and as a rule sees it."""
        user = user_of(self.unit, *(roles or (Role.UNIT_APPROVER,)))
        return user, actor_of(user)

    def is_untouched(self, session: Session) -> bool:
        session.expire_all()
        moved = session.scalar(
            select(func.count()).select_from(PartChange).where(PartChange.event.is_not(None))
        )
        waiting = {part.state for part in self.order.parts} == {PartState.AWAITING_APPROVAL}
        return waiting and moved == 0 and (self.order.approved_by, self.order.rejection_reason) == (None, "")


def refusal(session: Session, act: Callable[[], object]) -> DomainError:
    """What a rule answers that refuses; whatever it began is undone."""
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    return refused.value
