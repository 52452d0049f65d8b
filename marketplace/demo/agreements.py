"""What is agreed on produce and land: contracts with advances, leases, and the rent of each linkage year."""

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
from marketplace.linkage.mechanisms.contract_farming.advances import record_advance
from marketplace.linkage.models import Agreement, AgreementVersion, Mechanism
from marketplace.linkage.rules import open_period, record_parcel_year, sign_agreement
from marketplace.registry.models import Household, Region

GUARANTEE_DAYS = 30
PREMIUM_FEN = 10  # a kilogram, on top of floor or market
DAYS_IN_YEAR = 365
WITHOUT_AGREEMENT = 19  # of so many households one has not signed anything yet
RENT_FEN = (38_000, 42_000, 45_000, 50_000, 60_000)  # a mu and year
RENT_DAYS, LATE_RENT_DAYS = 5, 45  # after the turn of the linkage year the rent is recorded
RENT_LATE = 1  # the cooperative at this place records its rent late
RENT_MISSING = 2  # and the one at this place has not recorded this year's at all
CAP_BP, BONUS_BP = 3_000, 2_000
QUOTAS_G = (40_000, 60_000, 90_000)
ADVANCES_FEN = (30_000, 50_000, 80_000)
STEP_FEN = 4_000  # a mu and year more from the turn of the year on
JIN_PER_MU = (320, 360, 400)


class Fields:
    """The agreements of one cooperative: who delivers what, and whose land it farms."""

    def __init__(self, world: World, seller: Seller, goods: Sequence[Good]) -> None:
        self.world = world
        self.seller = seller
        self.contracts: dict[str, list[Agreement]] = {good.content.commodity: [] for good in goods}
        self.leases: list[Agreement] = []
        self._advanced: list[Agreement] = []
        self._rented: set[tuple[str, date]] = set()
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
        """Plan the signing on the day `on`, what is paid ahead, and the rent of each linkage year."""
        world, at = self.world, self.world.timeline.at
        at(at_hour(on, 8), partial(self.open_year, world.turned_on))
        at(at_hour(on, 9, 30), self.sign)
        at(at_hour(on + timedelta(days=1), 10), partial(self.record_rent, world.turned_on))
        new_year = date(world.turn_on.year, 1, 8)
        if on < new_year < world.turn_on:
            at(at_hour(new_year, 10), partial(self.record_rent, world.turned_on))
        at(at_hour(on + timedelta(days=9), 15), self.advance)
        at(at_hour(world.turn_on - timedelta(days=12), 8), partial(self.open_year, world.turn_on))
        if self.seller.place != RENT_MISSING:
            days = LATE_RENT_DAYS if self.seller.place == RENT_LATE else RENT_DAYS
            at(at_hour(world.turn_on + timedelta(days=days), 10), partial(self.record_rent, world.turn_on))

    def sign(self) -> None:
        """Sign with the households that take part: produce with nearly all, land with some."""
        households = acknowledged(self.world, self.seller)
        commodities = list(self.contracts)
        each = 2 if len(households) < 3 * len(commodities) else 1
        for place, household in enumerate(households):
            if place % WITHOUT_AGREEMENT == WITHOUT_AGREEMENT - 1:
                continue
            for step in range(len(commodities) if place == 0 else each):
                self._contract(household, commodities[(place + step) % len(commodities)], place)
            if place % 10 in (0, 3, 7):
                self._lease(household, place)

    def _contract(self, household: Household, commodity: str, place: int) -> None:
        file = keep_paper(self.world, self.seller.clerking, "订单收购协议") if household.user_id else None
        agreement = sign_agreement(
            self.world.session,
            self.seller.clerking,
            household=household,
            mechanism=Mechanism.CONTRACT_FARMING,
            valid_from=clock.today(),
            valid_to=date(clock.today().year + 3, 12, 31),
            terms=self._terms[commodity] | self._further(place),
            file=file,
        )
        self.contracts[commodity].append(agreement)
        if place % 4 == 2:
            self._advanced.append(agreement)

    def _further(self, place: int) -> dict[str, int]:
        """What some contracts agree besides: a quota with a bonus above it, advances and how fast they are repaid."""
        quota = {"quota_g": QUOTAS_G[place % len(QUOTAS_G)], "bonus_share_bp": BONUS_BP}
        return (quota if place % 5 in (0, 1) else {}) | ({"cap_bp": CAP_BP} if place % 4 == 2 else {})

    def advance(self) -> None:
        """Give what the contracts promise ahead of the harvest, once a household."""
        given: set[int] = set()
        for number, agreement in enumerate(self._advanced, start=1):
            if agreement.household_id not in given:
                given.add(agreement.household_id)
                record_advance(
                    self.world.session,
                    self.seller.clerking,
                    agreement=agreement,
                    receipt_no=f"YF{number:04d}",
                    amount_fen=self.world.random.choice(ADVANCES_FEN),
                    given_on=clock.today(),
                )

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
                "days_in_year": DAYS_IN_YEAR,
                **self._rent(place),
            },
            file=file,
        )
        self.leases.append(agreement)

    def _rent(self, place: int) -> dict[str, object]:
        """The rent of a lease: in grain, in steps, or the same in every year."""
        if place % 10 == 7:
            return {"jin_per_mu": self.world.random.choice(JIN_PER_MU)}
        rate_fen = self.world.random.choice(RENT_FEN)
        step = {"from_on": self.world.turn_on.isoformat(), "rate_fen_per_mu": rate_fen + STEP_FEN}
        return {"rate_fen_per_mu": rate_fen} | ({"steps": [step]} if place % 10 == 3 else {})

    def open_year(self, starts_on: date) -> None:
        """Open the linkage period of the year from this day on."""
        open_period(
            self.world.session, self.seller.clerking, starts_on=starts_on, ends_on=_year_after(starts_on)
        )

    def record_rent(self, starts_on: date) -> None:
        """Record the rent of every parcel for what has begun of that linkage year, as far as it is leased."""
        for lease in self.leases:
            version = lease.versions[-1]
            for first, after in _spans(version, starts_on):
                for parcel in version.terms["parcels"]:
                    if first <= clock.today() and (parcel["parcel_no"], first) not in self._rented:
                        self._rented.add((parcel["parcel_no"], first))
                        record_parcel_year(
                            self.world.session,
                            self.seller.clerking,
                            agreement=lease,
                            parcel_no=parcel["parcel_no"],
                            starts_on=first,
                            ends_on=after,
                        )
        self.world.sweep_soon()


def _spans(version: AgreementVersion, starts_on: date) -> list[tuple[date, date]]:
    """The days of a linkage year that are leased; a rent in grain is at each calendar year's price."""
    first, after = max(starts_on, version.valid_from), _year_after(starts_on)
    new_year = date(after.year, 1, 1)
    if "jin_per_mu" in version.terms and first < new_year < after:
        return [(first, new_year), (new_year, after)]
    return [(first, after)]


def _year_after(day: date) -> date:
    return day.replace(year=day.year + 1)
