"""A school with a standing order at a cooperative: Mondays and Thursdays at eight, open until four o'clock of the day
before. The clock is at Monday, 2026-06-01, ten o'clock; the first window still open is Thursday, the 4th.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ordering.models import Order
from marketplace.procurement.standing.models import (
    DayCapacity,
    DeliveryWindow,
    PriceRule,
    StandingChange,
    StandingOrder,
    WindowState,
)
from marketplace.procurement.standing.plans import LineWish, Plan, Slot
from marketplace.procurement.standing.queries import windows_of
from marketplace.procurement.standing.rules import approve_standing, confirm_standing, open_standing_order
from marketplace.procurement.standing.schedule import Schedule
from marketplace.registry.models import BuyerUnit, Cooperative
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import DELIVERY, PRICE_FEN, Offer, offer

MONDAY, THURSDAY = 0, 3
NEXT = date(2026, 6, 4)
LATER = date(2026, 6, 8)
MANY_FEN = 100_000_000


def schedule(**changes: Any) -> Schedule:
    given = {
        "weekdays": frozenset({MONDAY, THURSDAY}),
        "every_weeks": 1,
        "starts_on": date(2026, 6, 1),
        "ends_on": date(2026, 6, 18),
    }
    return Schedule(**{**given, **changes})


def refusal(session: Session, act: Callable[[], object]) -> DomainError:
    """The refusal of `act`, undone as a request undoes it."""
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


@dataclass
class School:
    """A unit with its people, a cooperative with a clerk and two listings (50.00 yuan a bottle)."""

    session: Session
    unit: BuyerUnit = field(default_factory=BuyerUnitFactory)
    cooperative: Cooperative = field(default_factory=CooperativeFactory)

    def __post_init__(self) -> None:
        self.orderer, self.approver, self.receiver = (
            actor_at(self.unit, role) for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER)
        )
        self.clerk: Actor = actor_at(self.cooperative, Role.COOPERATIVE_CLERK)
        self.oil: Offer = offer(self.session, self.cooperative, units=200)
        self.tea: Offer = offer(self.session, self.cooperative, units=200)

    def wish(self, offered: Offer | None = None, quantity: int = 5, **changes: Any) -> LineWish:
        given = {"price_rule": PriceRule.CEILING, "price_fen": PRICE_FEN}
        number = (offered or self.oil).listing.public_no
        return LineWish(number, quantity, **{**given, **changes})

    def plan(self, lines: Sequence[LineWish] | None = None, **changes: Any) -> Plan:
        given = {
            "name": "每周两次的油",
            "lines": [self.wish()] if lines is None else lines,
            "schedule": schedule(),
            "slot": Slot(8 * 60, 10 * 60),
            "cutoff_days": 1,
            "cutoff_min": 16 * 60,
            "delivery": DELIVERY,
        }
        return Plan(**{**given, **changes})

    def opened(self, plan: Plan | None = None, *, key: str = "the-key-of-a-standing-order") -> StandingOrder:
        return open_standing_order(
            self.session,
            self.orderer,
            cooperative=self.cooperative,
            plan=plan or self.plan(),
            idempotency_key=key,
        )

    def approved(
        self, plan: Plan | None = None, *, up_to_fen: int = MANY_FEN, up_to_windows: int = 100, **more: str
    ) -> StandingOrder:
        standing = self.opened(plan, **more)
        return approve_standing(
            self.session, self.approver, standing, up_to_fen=up_to_fen, up_to_windows=up_to_windows
        )

    def running(self, plan: Plan | None = None, *, capacity: int = 50, **more: Any) -> StandingOrder:
        standing = self.approved(plan, **more)
        room = {line.listing_id: capacity for line in standing.lines}
        return confirm_standing(self.session, self.clerk, standing, capacity=room)

    def window(self, standing: StandingOrder, day: date = NEXT) -> DeliveryWindow:
        found = self.session.scalar(windows_of(standing).where(DeliveryWindow.planned_on == day))
        assert found is not None
        return found

    def states(self, standing: StandingOrder) -> dict[date, WindowState]:
        self.session.expire_all()
        return {one.planned_on: one.state for one in self.session.scalars(windows_of(standing))}

    def promised(self, offered: Offer | None = None) -> dict[date, int]:
        """Units promised by day, none left out."""
        self.session.expire_all()
        query = select(DayCapacity.day, DayCapacity.promised_units).where(
            DayCapacity.listing_id == (offered or self.oil).listing.id
        )
        return dict(self.session.execute(query.order_by(DayCapacity.day)).all())

    def counts(self) -> tuple[int, ...]:
        """How many standing orders, changes and orders there are: what a refusal leaves as it was."""
        return tuple(
            self.session.scalar(select(func.count()).select_from(model)) or 0
            for model in (StandingOrder, StandingChange, Order)
        )
