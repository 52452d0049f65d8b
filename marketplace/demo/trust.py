"""Plots that a cooperative tends for households: what each season gave, and the fee the households pay for it."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial

from marketplace.core import clock
from marketplace.demo.content import TRUSTED
from marketplace.demo.entry import Seller
from marketplace.demo.goods import Good
from marketplace.demo.households import acknowledged
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.mechanisms.production_trusteeship.rules import record_yield, season_on
from marketplace.linkage.models import Agreement, Lot, Mechanism
from marketplace.linkage.rules import sign_agreement

OWNERS = (1, 3)  # of five households these leave a plot to the cooperative
FAILED = 2  # the crop of the agreement at this place failed, and no yield was guaranteed
G_PER_MU = 60_000
FEE_FEN, SUBSIDY_FEN = 9_000, 2_000  # a mu and season
BONUS_BP = 2_000
DUE_DAYS = 30
PLOTS_A_LOT = 2
STEP_G = 100


class Trust:
    """The trusteeship agreements of one cooperative over one commodity; none where it tends nothing."""

    def __init__(self, world: World, seller: Seller, goods: list[Good]) -> None:
        self.world = world
        self.seller = seller
        self.commodity = TRUSTED.get(seller.key)
        self._price_fen = next(
            (good.floor_price_fen_per_kg for good in goods if good.content.commodity == self.commodity), None
        )
        self._plots: list[Agreement] = []
        self._brought: set[tuple[int, object]] = set()

    def plan(self, on: date) -> None:
        """Plan the signing on the day `on`."""
        if self._price_fen is not None:
            self.world.timeline.at(at_hour(on, 10, 10), self.sign)

    def sign(self) -> None:
        """Sign with some households for the years to come."""
        for place, household in enumerate(acknowledged(self.world, self.seller)):
            if place % 5 not in OWNERS:
                continue
            is_failing = len(self._plots) == FAILED
            agreement = sign_agreement(
                self.world.session,
                self.seller.clerking,
                household=household,
                mechanism=Mechanism.PRODUCTION_TRUSTEESHIP,
                valid_from=clock.today(),
                valid_to=date(clock.today().year + 3, 12, 31),
                terms={
                    "commodity": self.commodity,
                    "area_cmu": self.world.random.randrange(40, 120, 10),
                    "fee_fen_per_mu": FEE_FEN,
                    "subsidy_fen_per_mu": SUBSIDY_FEN,
                    "guaranteed_g_per_mu": 0 if is_failing else G_PER_MU,
                    "price_fen_per_kg": self._price_fen,
                    "bonus_share_bp": BONUS_BP,
                    "due_days": DUE_DAYS,
                },
            )
            self._plots.append(agreement)

    def bring_into(self, lot: Lot) -> None:
        """Plan that the yield of the next plots of the season comes into a lot, the day after it was opened."""
        if lot.commodity == self.commodity and self._price_fen is not None:
            at = at_hour(clock.today() + timedelta(days=1), 16)
            self.world.timeline.at(at, partial(self.reap, lot))

    def reap(self, lot: Lot) -> None:
        """Record what plots gave that have not been reaped this season."""
        season = year, half = season_on(clock.today())
        free = [
            (place, plot)
            for place, plot in enumerate(self._plots)
            if (plot.id, season) not in self._brought and plot.household_id not in self.world.gone
        ]
        for place, plot in free[:PLOTS_A_LOT]:
            self._brought.add((plot.id, season))
            terms = plot.versions[-1].terms
            expected_g = terms["guaranteed_g_per_mu"] * terms["area_cmu"] // 100
            share = self.world.random.randrange(80, 130)
            record_yield(
                self.world.session,
                self.seller.clerking,
                agreement=plot,
                lot=lot,
                year=year,
                half=half,
                actual_g=0 if place == FAILED else expected_g * share // 100 // STEP_G * STEP_G,
                recorded_on=clock.today(),
            )
        self.world.sweep_soon()
