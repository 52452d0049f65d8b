"""Harvests: lots large enough for what will be ordered, filled slip by slip by the households under contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import count

from marketplace.catalog.lots.rules import assign_lot
from marketplace.core import clock
from marketplace.core.money import split_by_weights
from marketplace.demo.agreements import Fields
from marketplace.demo.goods import Good
from marketplace.demo.labour import Labour
from marketplace.demo.plan import PlannedOrder
from marketplace.demo.timeline import at_hour
from marketplace.demo.trust import Trust
from marketplace.demo.world import World
from marketplace.linkage.models import Agreement, Lot
from marketplace.linkage.rules import open_lot, record_weigh_slip

SPARE = {True: 106, False: 104}  # per cent of what will be ordered, of goods that keep and that do not
LEFT_UNITS = {True: 10, False: 1}  # and units left over of each lot
SHELF_FEN = 150_000  # the last lot of what is in season has goods of this value for the demo's visitors
GRADES = ("特级", "一级", "一级", "统货")
STEP_G = 100  # scales show a hundred grams


@dataclass(frozen=True)
class PlannedLot:
    """Grams of raw produce to be received for a good from the day `on`."""

    good: Good
    on: date
    raw_g: int


def plan_lots(world: World, goods: Sequence[Good], orders: Sequence[PlannedOrder]) -> list[PlannedLot]:
    """The lots of each good, which cover the orders sold from them and leave something on the shelf."""
    ordered: dict[tuple[int, int], int] = defaultdict(int)
    for planned in orders:
        for wanted in planned.wanted:
            lot = wanted.good.lot_on(clock.business_day(planned.at))
            assert lot is not None
            ordered[wanted.good.place, lot] += wanted.quantity * wanted.good.content.net_mass_g
    lots = []
    for good in goods:
        for place, on in enumerate(good.lot_days):
            is_last = place == len(good.lot_days) - 1 and good.lot_on(world.last_on) == place
            if not (good.keeps or is_last or ordered[good.place, place]):
                continue  # what does not keep is picked to order
            needed_g = ordered[good.place, place] * SPARE[good.keeps] // 100
            needed_g += LEFT_UNITS[good.keeps] * good.content.net_mass_g
            if is_last:
                needed_g += SHELF_FEN // good.price_fen * good.content.net_mass_g
            raw_g = needed_g * 10_000 // good.content.yield_bp
            lots.append(PlannedLot(good, on, (raw_g // STEP_G + 1) * STEP_G))
    return lots


class Harvest:
    """Opens lots and weighs produce into them."""

    def __init__(
        self,
        world: World,
        fields: Mapping[int, Fields],
        labour: Mapping[int, Labour],
        trusts: Mapping[int, Trust],
    ) -> None:
        self.world = world
        self.fields = fields
        self.labour = labour
        self.trusts = trusts
        self._slips = count(1)

    def plan(self, lots: Sequence[PlannedLot]) -> None:
        """Plan each lot, its slips on the same day and, of what keeps, the next."""
        for lot in lots:
            self.world.timeline.at(at_hour(lot.on, 7, 30), partial(self.bring_in, lot))

    def bring_in(self, planned: PlannedLot) -> None:
        """Open a lot for the good and plan the weighing."""
        good = planned.good
        lot = open_lot(
            self.world.session,
            good.seller.clerking,
            lot_no=f"{good.place:02d}-{planned.on:%y%m%d}",
            commodity=good.content.commodity,
            village_code=good.village_code,
            harvested_on=planned.on,
            yield_bp=good.content.yield_bp,
        )
        assign_lot(self.world.session, good.seller.acting, good.made, lot)
        place_of_seller = good.seller.place
        if place_of_seller in self.labour:
            self.labour[place_of_seller].help_with(lot)
        self.trusts[place_of_seller].bring_into(lot)
        contracts = self._contracts(good)
        chosen = sorted(
            self.world.random.sample(contracts, min(len(contracts), self.world.random.randrange(3, 6))),
            key=lambda agreement: agreement.id,
        )
        weights = [self.world.random.randrange(4, 13) for _ in chosen]
        price = self._market_price(good)
        for place, (agreement, steps) in enumerate(
            zip(chosen, split_by_weights(planned.raw_g // STEP_G, weights), strict=True)
        ):
            at = at_hour(
                planned.on + timedelta(days=place % 2 * good.keeps),
                8 + place,
                self.world.random.randrange(60),
            )
            if steps:
                self.world.timeline.at(at, partial(self.weigh, good, lot, agreement, steps * STEP_G, price))

    def _contracts(self, good: Good) -> list[Agreement]:
        """Who delivers for a good."""
        contracts = self.fields[good.seller.place].contracts[good.content.commodity]
        return [one for one in contracts if one.household_id not in self.world.gone]

    def _market_price(self, good: Good) -> int | None:
        """The day's market price in fen a kilogram, in steps of ten; for the cheapest grade often none is quoted."""
        farm_price = good.content.farm_price_fen_per_kg
        if farm_price == good.floor_price_fen_per_kg and self.world.random.random() < 0.5:
            return None
        return max(10, farm_price * self.world.random.randrange(94, 110) // 1000 * 10)

    def weigh(self, good: Good, lot: Lot, agreement: Agreement, net_g: int, price: int | None) -> None:
        """Record one slip, of a neighbour when the household does not meet the conditions any more."""
        clerk = good.seller.clerking
        if agreement.household_id in self.world.gone:
            agreement = self._contracts(good)[0]
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
            commodity=good.content.commodity,
            village_code=good.village_code,
            harvested_on=clock.today(),
            yield_bp=good.content.yield_bp,
        )
