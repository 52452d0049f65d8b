"""Freight in the demo: every second cooperative charges it, the others deliver free. The days on which goods leave,
which all but the last have named; and addresses that staff keep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from marketplace.demo.entry import Seller
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.ordering.addresses.rules import Place, save_address
from marketplace.ordering.dispatch.rules import write_dispatch_plan
from marketplace.ordering.freight.rules import Rate, write_freight_sheet

SHEET_DAY = -14
RATES = (Rate("36", 800, 200, 2, 4), Rate("", 1_200, 500, 3, 7))
FREE_FROM_FEN = 99_00
WEEKDAYS = ((0, 1, 2, 3, 4), (1, 4), (0, 2, 4), range(7))  # from Monday


def address_of(user: User, place: int, county_code: str) -> Place:
    """Where a member of the staff has things sent."""
    return Place(user.display_name, f"1390000{9000 + place}", f"演示路 {place + 1} 号", county_code)


class Carriers:
    """Writes the sheets before the first sale, and keeps an address for each of the staff."""

    def __init__(self, world: World, sellers: Sequence[Seller], staff: Sequence[User]) -> None:
        self.world = world
        self.sellers = sellers
        self.staff = staff

    def plan(self) -> None:
        """Plan all three."""
        day = self.world.day(SHEET_DAY)
        for place, seller in enumerate(self.sellers[::2]):
            self.world.timeline.at(at_hour(day, 11, place), partial(self._write, seller))
        for place, seller in enumerate(self.sellers[:-1] or self.sellers):
            weekdays = WEEKDAYS[place % len(WEEKDAYS)]
            self.world.timeline.at(at_hour(day, 11, 30 + place), partial(self._name_days, seller, weekdays))
        self.world.timeline.at(at_hour(day, 12, 0), self._keep_addresses)

    def _write(self, seller: Seller) -> None:
        write_freight_sheet(
            self.world.session,
            seller.acting,
            rates=(Rate(seller.county_code, 400, 100, 1, 2), *RATES),
            free_from_fen=FREE_FROM_FEN,
        )

    def _name_days(self, seller: Seller, weekdays: Sequence[int]) -> None:
        write_dispatch_plan(self.world.session, seller.acting, weekdays=weekdays, lead_days=len(weekdays) % 3)

    def _keep_addresses(self) -> None:
        county = self.sellers[0].county_code
        for place, user in enumerate(self.staff):
            save_address(self.world.session, actor_of(user), address_of(user, place, county))
