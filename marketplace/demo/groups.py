"""A group purchase of an office that colleagues may still join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from marketplace.demo.goods import Good
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.ordering.rules import Delivery
from marketplace.procurement.group_purchases.models import Paying
from marketplace.procurement.group_purchases.rules import Plan, open_group, put_share

DAYS_OPEN = 5
MOST_KINDS = 2


class Groups:
    """Plans the group of the first member of staff, on the last day."""

    def __init__(self, world: World, staff: Sequence[User], goods: Sequence[Good]) -> None:
        self.world = world
        self.colleagues = [one for one in staff if one.organisation_id == staff[0].organisation_id]
        self.goods = goods

    def plan(self) -> None:
        """Plan it for the morning of the last day."""
        self.world.timeline.at(at_hour(self.world.last_on, 8, 30), self.open)

    def open(self) -> None:
        """Open it; each colleague puts something in."""
        session, organiser = self.world.session, self.colleagues[0]
        deadline = at_hour(self.world.last_on + timedelta(days=DAYS_OPEN), 17)
        delivery = Delivery(organiser.display_name, self.world.people.phone(), "机关大院传达室旁的快递架")
        plan = Plan("机关同事拼单", deadline, Paying.EACH, delivery)
        group = open_group(session, actor_of(organiser), plan=plan, idempotency_key="demo-group-purchase")
        listings = [good.listing for good in self.goods if good.listing is not None][:MOST_KINDS]
        for place, colleague in enumerate(self.colleagues):
            for listing in listings[: 1 + place % MOST_KINDS]:
                put_share(
                    session,
                    actor_of(colleague),
                    group,
                    listing=listing,
                    quantity=2 + place,
                    name=colleague.display_name,
                )
