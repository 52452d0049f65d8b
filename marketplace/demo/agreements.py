"""What cooperatives and households agree: contracts for produce, leases of land, and the rent recorded year by year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

from marketplace.core import clock
from marketplace.demo.entry import Seller
from marketplace.demo.goods import Good
from marketplace.demo.households import acknowledged
from marketplace.demo.papers import keep_paper
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.linkage.rules import open_period, record_parcel_year, sign_agreement
from marketplace.registry.models import Household, Region

GUARANTEE_DAYS = 30
PREMIUM_FEN = 10  # a kilogram, on top of floor or market
DAYS_IN_YEAR = 365
WITHOUT_AGREEMENT = 19  # of so many households one has not signed anything yet
RENT_FEN = (38_000, 42_000, 45_000, 50_000, 60_000)  # a mu and year
RENT_LATE = 1  # the cooperative at this place records its rent in summer
RENT_MISSING = 2  # and the one at this place has not recorded this year's at all


class Fields:
    """The agreements of one cooperative: who delivers what, and whose land it farms."""

    def __init__(self, world: World, seller: Seller, goods: Sequence[Good]) -> None:
        self.world = world
        self.seller = seller
        self.contracts: dict[str, list[Agreement]] = {good.content.commodity: [] for good in goods}
        self.leases: list[Agreement] = []
        self._terms = {
            good.content.commodity: {
                "commodity": good.content.commodity,
                "floor_price_fen_per_kg": good.floor_price_fen_per_kg,
                "premium_fen_per_kg": PREMIUM_FEN,
                "guarantee_days": GUARANTEE_DAYS,
            }
            for good in goods
        }

    def plan(self, on: date) -> None:
        """Plan the signing on the day `on`, and the rent of each calendar year."""
        self.world.timeline.at(at_hour(on, 9, 30), self.sign)
        for year in range(on.year, self.world.last_on.year + 1):
            recorded = max(date(year, 1, 6), on + timedelta(days=1))
            if self.seller.place == RENT_LATE and recorded.month == 1:
                recorded = date(year, 7, 20)
            self.world.timeline.at(at_hour(recorded, 8), partial(self.open_year, year))
            if self.seller.place != RENT_MISSING or year < self.world.last_on.year:
                self.world.timeline.at(at_hour(recorded, 10), partial(self.record_rent, year))

    def sign(self) -> None:
        """Sign with the households that take part: produce with nearly all, land with some."""
        households = acknowledged(self.world, self.seller)
        commodities = list(self.contracts)
        each = 2 if len(households) < 3 * len(commodities) else 1
        for place, household in enumerate(households):
            if place % WITHOUT_AGREEMENT == WITHOUT_AGREEMENT - 1:
                continue
            for step in range(len(commodities) if place == 0 else each):
                self._contract(household, commodities[(place + step) % len(commodities)])
            if place % 10 in (0, 3, 7):
                self._lease(household, place)

    def _contract(self, household: Household, commodity: str) -> None:
        file = keep_paper(self.world, self.seller.clerking, "订单收购协议") if household.user_id else None
        agreement = sign_agreement(
            self.world.session,
            self.seller.clerking,
            household=household,
            mechanism=Mechanism.CONTRACT_FARMING,
            valid_from=clock.today(),
            valid_to=date(clock.today().year + 3, 12, 31),
            terms=self._terms[commodity],
            file=file,
        )
        self.contracts[commodity].append(agreement)

    def _lease(self, household: Household, place: int) -> None:
        county = self.world.session.get_one(Region, household.county_code).name
        count = self.world.random.choice((1, 1, 2))
        file = keep_paper(self.world, self.seller.clerking, "土地流转合同") if household.user_id else None
        agreement = sign_agreement(
            self.world.session,
            self.seller.clerking,
            household=household,
            mechanism=Mechanism.LAND_TRANSFER,
            valid_from=clock.today(),
            valid_to=date(clock.today().year + 10, 12, 31),
            terms={
                "right_certificate_no": f"{county}农地承包权（2016）第{self.seller.place + 1:02d}{place + 1:04d}号",
                "parcels": [
                    {
                        "parcel_no": f"{household.village_code}{self.seller.place + 1:02d}{place + 1:03d}{number:02d}",
                        "area_cmu": self.world.random.randrange(30, 125, 5),
                    }
                    for number in range(1, count + 1)
                ],
                "rate_fen_per_mu": self.world.random.choice(RENT_FEN),
                "days_in_year": DAYS_IN_YEAR,
            },
            file=file,
        )
        self.leases.append(agreement)

    def open_year(self, year: int) -> None:
        """Open the linkage period of a calendar year."""
        open_period(
            self.world.session, self.seller.clerking, starts_on=date(year, 1, 1), ends_on=date(year + 1, 1, 1)
        )

    def record_rent(self, year: int) -> None:
        """Record the rent of every parcel for the part of the year in which it is leased."""
        for lease in self.leases:
            version = lease.versions[-1]
            for parcel in version.terms["parcels"]:
                record_parcel_year(
                    self.world.session,
                    self.seller.clerking,
                    agreement=lease,
                    parcel_no=parcel["parcel_no"],
                    starts_on=max(date(year, 1, 1), version.valid_from),
                    ends_on=date(year + 1, 1, 1),
                )
        self.world.sweep_soon()
