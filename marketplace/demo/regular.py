"""The first canteen's standing orders: one that runs, with a delivery skipped and one changed, and one that waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from marketplace.core.clock import today
from marketplace.demo.entry import Seller
from marketplace.demo.founding import Canteen
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.ordering.rules import Delivery
from marketplace.procurement.standing.models import PriceRule, SpanKind, StandingOrder
from marketplace.procurement.standing.plans import LineWish, Plan, Slot
from marketplace.procurement.standing.queries import listings_for_sale, windows_of
from marketplace.procurement.standing.rules import approve_standing, confirm_standing, open_standing_order
from marketplace.procurement.standing.schedule import Schedule
from marketplace.procurement.standing.windows import change_window, skip_window
from marketplace.procurement.standing.year_rules import add_span
from marketplace.registry.models import Cooperative

UNITS = 3
TERM_DAYS = 120


class Regular:
    """Plays the standing orders of a canteen in the last days of the year; all their deliveries are still to come."""

    def __init__(self, world: World, sellers: Sequence[Seller], canteens: Sequence[Canteen]) -> None:
        self.world = world
        self.seller = sellers[0]
        self.canteen = canteens[0]
        self.running: StandingOrder | None = None

    def plan(self) -> None:
        """Plan the two days on which they are opened and changed."""
        last_on = self.world.last_on
        self.world.timeline.at(at_hour(last_on - timedelta(days=3), 9, 20), self.agree)
        self.world.timeline.at(at_hour(last_on, 9, 20), self.change)

    def agree(self) -> None:
        """The canteen enters its term, opens a standing order, approves it, and the cooperative confirms."""
        session, cooperative = self.world.session, self.seller.row
        if cooperative is None or self.seller.manager is None or not self._wishes(cooperative, 1):
            return
        add_span(
            session,
            self.canteen.acting("orderer"),
            kind=SpanKind.TERM,
            name="本学期",
            starts_on=today() - timedelta(days=30),
            ends_on=today() + timedelta(days=TERM_DAYS),
        )
        running = self._opened(cooperative, "每周两次的食材", frozenset({1, 4}), 2, days=42)
        approve_standing(
            session, self.canteen.acting("approver"), running, up_to_fen=3_000_000, up_to_windows=20
        )
        room = {line.listing_id: 10 * line.quantity for line in running.lines}
        confirm_standing(session, actor_of(self.seller.manager), running, capacity=room)
        self.running = running

    def change(self) -> None:
        """One delivery is skipped, one changed, and a colleague has opened another standing order."""
        if self.running is None:
            return
        session, orderer = self.world.session, self.canteen.acting("orderer")
        skipped, changed = list(session.scalars(windows_of(self.running).limit(4)))[2:4]
        skip_window(session, orderer, skipped, reason="全体师生外出研学")
        change_window(
            session,
            orderer,
            changed,
            quantities={self.running.lines[0].listing_id: 2 * UNITS},
            deliver_on=changed.deliver_on,
            slot=Slot(changed.slot_from_min, changed.slot_to_min),
            reason="有接待任务，多要一份",
        )
        self._opened(self.running.cooperative, "每两周一次的水果", frozenset({2}), 1, days=70, every_weeks=2)

    def _opened(
        self,
        cooperative: Cooperative,
        name: str,
        weekdays: frozenset[int],
        kinds: int,
        *,
        days: int,
        every_weeks: int = 1,
    ) -> StandingOrder:
        unit, starts_on = self.canteen.unit, today() + timedelta(days=10)
        schedule = Schedule(weekdays, every_weeks, starts_on, starts_on + timedelta(days=days))
        delivery = Delivery(unit.contact_name, unit.contact_phone, unit.address)
        return open_standing_order(
            self.world.session,
            self.canteen.acting("orderer"),
            cooperative=cooperative,
            plan=Plan(
                name, self._wishes(cooperative, kinds), schedule, Slot(480, 570), 2, 960, delivery=delivery
            ),
            idempotency_key=f"demo-standing-{unit.public_no}-{kinds}",
        )

    def _wishes(self, cooperative: Cooperative, kinds: int) -> list[LineWish]:
        listings = listings_for_sale(self.world.session, cooperative)[:kinds]
        return [
            LineWish(one.public_no, UNITS, PriceRule.CEILING, one.current_version.tiers[0].unit_price_fen)
            for one in listings
            if one.current_version is not None
        ]
