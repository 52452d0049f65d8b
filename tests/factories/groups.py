"""Group purchases: an office with colleagues, and a shared basket they fill."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Organisation, Role
from marketplace.procurement.group_purchases.models import GroupMember, GroupPurchase, Paying
from marketplace.procurement.group_purchases.rules import Plan, open_group, put_share
from tests.factories.identity import UserFactory
from tests.factories.trade import DELIVERY, Offer

HOURS_OPEN = 48


def colleague(body: Organisation, *roles: Role) -> Actor:
    """Somebody of a body who buys for himself, unless other roles are named."""
    return actor_of(UserFactory(organisation=body, granted=roles or (Role.STAFF_BUYER,)))


def plan_for(paying: Paying = Paying.EACH, *, hours: float = HOURS_OPEN, name: str = "端午拼单") -> Plan:
    """A plan that ends so many hours from now."""
    return Plan(name, now() + timedelta(hours=hours), paying, DELIVERY)


def basket(
    session: Session, organiser: Actor, *, paying: Paying = Paying.EACH, key: str = "a-basket-s-key-0"
) -> GroupPurchase:
    """A group purchase that is open for two days."""
    return open_group(session, organiser, plan=plan_for(paying), idempotency_key=key)


def want(
    session: Session, actor: Actor, group: GroupPurchase, offered: Offer, units: int, *, name: str = "小周"
) -> GroupMember:
    """Somebody's wish for units of an offer."""
    return put_share(session, actor, group, listing=offered.listing, quantity=units, name=name)
