"""Harvests: lots large enough for what will be ordered, filled slip by slip by the households under contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import count

from marketplace.catalog.rules import assign_lot
from marketplace.core import clock
from marketplace.core.money import split_by_weights
from marketplace.demo.agreements import Fields
from marketplace.demo.goods import Good
from marketplace.demo.plan import PlannedOrder
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.models import Agreement, Lot
from marketplace.linkage.rules import open_lot, record_weigh_slip

HARVEST_DAYS = (-24, 92, 188, 290)  # offsets in the year; each lot is sold until the next
SPARE = 125  # per cent of what will be ordered
SHELF_UNITS = 12  # left over of each lot
GRADES = ("特级", "一级", "一级", "统货")
STEP_G = 100  # scales show a hundred grams


@dataclass(frozen=True)
class PlannedLot:
    """Grams of raw produce to be received for a good from the day `on`."""

    good: Good
    on: date
    raw_g: int


def plan_lots(world: World, goods: Sequence[Good], orders: Sequence[PlannedOrder]) -> list[PlannedLot]:
    """A lot a season for each good, which covers its orders of that season and leaves something on the shelf."""
    ordered: Mapping[tuple[int, int], int] = _ordered_g(world, orders)
    lots = []
    for good in goods:
        for season, offset in enumerate(HARVEST_DAYS):
            needed_g = ordered.get((good.place, season), 0) * SPARE // 100 + SHELF_UNITS * good.net_mass_g
            raw_g = needed_g * 10_000 // good.yield_bp
            on = world.day(offset + world.random.randrange(-5, 5))
            lots.append(PlannedLot(good, on, -(-raw_g // STEP_G) * STEP_G))
    return lots


def _ordered_g(world: World, orders: Sequence[PlannedOrder]) -> Mapping[tuple[int, int], int]:
    """Grams by good and season; what is ordered near a harvest counts for the season before it."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    for planned in orders:
        offset = (clock.business_day(planned.at) - world.first_on).days
        season = max(
            place for place, begins in enumerate(HARVEST_DAYS) if place == 0 or begins + 12 <= offset
        )
        for wanted in planned.wanted:
            found[wanted.good.place, season] += wanted.quantity * wanted.good.net_mass_g
    return found


class Harvest:
    """Opens lots and weighs produce into them."""

    def __init__(self, world: World, fields: Mapping[int, Fields]) -> None:
        self.world = world
        self.fields = fields
        self._slips = count(1)

    def plan(self, lots: Sequence[PlannedLot]) -> None:
        """Plan each lot, its slips on the same day and the two after."""
        for lot in lots:
            self.world.timeline.at(at_hour(lot.on, 7, 30), partial(self.bring_in, lot))

    def bring_in(self, planned: PlannedLot) -> None:
        """Open a lot for the good and plan the weighing."""
        good = planned.good
        lot = open_lot(
            self.world.session,
            good.seller.clerking,
            lot_no=f"{good.place:02d}-{planned.on:%y%m%d}",
            commodity=good.commodity,
            village_code=good.village_code,
            harvested_on=planned.on,
            yield_bp=good.yield_bp,
        )
        assign_lot(self.world.session, good.seller.acting, good.made, lot)
        contracts = self.fields[good.seller.place].contracts[good.commodity]
        chosen = sorted(
            self.world.random.sample(contracts, min(len(contracts), self.world.random.randrange(3, 6))),
            key=lambda agreement: agreement.id,
        )
        weights = [self.world.random.randrange(4, 13) for _ in chosen]
        price = self._market_price(good)
        for place, (agreement, steps) in enumerate(
            zip(chosen, split_by_weights(planned.raw_g // STEP_G, weights), strict=True)
        ):
            at = at_hour(planned.on + timedelta(days=place % 2), 8 + place, self.world.random.randrange(60))
            if steps:
                self.world.timeline.at(at, partial(self.weigh, good, lot, agreement, steps * STEP_G, price))

    def _market_price(self, good: Good) -> int | None:
        """The day's market price in fen a kilogram, in steps of ten; not every market quotes one."""
        if self.world.random.random() < 0.4:
            return None
        return max(10, good.floor_price_fen_per_kg * self.world.random.randrange(92, 124) // 1000 * 10)

    def weigh(self, good: Good, lot: Lot, agreement: Agreement, net_g: int, price: int | None) -> None:
        """Record one slip."""
        clerk = good.seller.clerking
        record_weigh_slip(
            self.world.session,
            clerk,
            agreement=agreement,
            lot=lot,
            slip_no=f"GB{next(self._slips):06d}",
            weighed_on=clock.today(),
            grade=self.world.random.choice(GRADES),
            net_g=net_g,
            market_price_fen_per_kg=price,
            signatures=(agreement.household.head_name, clerk.name),
        )

    def open_empty_lot(self, good: Good) -> None:
        """A lot opened today that nothing has been weighed into yet."""
        open_lot(
            self.world.session,
            good.seller.clerking,
            lot_no=f"{good.place:02d}-{clock.today():%y%m%d}-新",
            commodity=good.commodity,
            village_code=good.village_code,
            harvested_on=clock.today(),
            yield_bp=good.yield_bp,
        )
