"""Stakes in the cooperatives with the resolution on their surplus, and the rents of village assets."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial

from sqlalchemy import select

from marketplace.core import clock
from marketplace.demo.content import FURTHER_TERMS
from marketplace.demo.entry import Seller
from marketplace.demo.households import acknowledged
from marketplace.demo.papers import keep_paper
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.mechanisms.share_cooperation.decisions import Decision
from marketplace.linkage.mechanisms.share_cooperation.distribution import dealings_in
from marketplace.linkage.mechanisms.share_cooperation.models import StakeSource
from marketplace.linkage.mechanisms.share_cooperation.rules import adopt_resolution
from marketplace.linkage.models import Agreement, LinkagePeriod, Mechanism
from marketplace.linkage.rules import record_asset_rent, sign_agreement

STAKES_FEN = (100_000, 150_000, 200_000)
SOURCES = (StakeSource.FISCAL_FUND, StakeSource.OWN_MONEY, StakeSource.LAND_RIGHT)
MEETING_DAYS = 18  # after the turn of the linkage year the members meet
MEMBERS, PRESENT, FOR = 60, 52, 49
BASE_BP, PATRONAGE_BP = 300, 6_000
RENT_DAYS = (20, 110, 210, 305)  # days of the demo's year on which a rent comes in
RENT_FEN = 24_000  # a household and receipt, about
RETAIN_BP = 2_000
MOST_ON_ROSTER = 8


class Stakes:
    """The stakes in one cooperative."""

    def __init__(self, world: World, seller: Seller) -> None:
        self.world = world
        self.seller = seller
        self._signed: list[Agreement] = []

    def plan(self, on: date) -> None:
        """Plan the signing on the day `on`, and the general meeting after the turn of the linkage year."""
        if Mechanism.SHARE_COOPERATION not in FURTHER_TERMS.get(self.seller.key, {}):
            return
        meets_on = self.world.turn_on + timedelta(days=MEETING_DAYS + self.seller.place)
        self.world.timeline.at(at_hour(on, 10, 30), self.sign)
        self.world.timeline.at(at_hour(meets_on, 10), self.adopt)

    def sign(self) -> None:
        """Issue certificates to every third household."""
        for place, household in enumerate(acknowledged(self.world, self.seller)):
            if place % 3 == 2:
                stake_fen = self.world.random.choice(STAKES_FEN)
                agreement = sign_agreement(
                    self.world.session,
                    self.seller.clerking,
                    household=household,
                    mechanism=Mechanism.SHARE_COOPERATION,
                    valid_from=clock.today(),
                    valid_to=None,
                    terms={
                        "certificate_no": f"GQ-{self.seller.place + 1:02d}-{place + 1:03d}",
                        "stake_fen": stake_fen,
                        "source": SOURCES[place % len(SOURCES)].value,
                        "shares": stake_fen // 50_000,
                    },
                )
                self._signed.append(agreement)

    def adopt(self) -> None:
        """The members share out the surplus of the year that is over."""
        world, seller = self.world, self.seller
        period = period_of(world, seller, world.turned_on)
        staked_fen = sum(agreement.versions[-1].terms["stake_fen"] for agreement in self._signed)
        dealt_fen = sum(dealings_in(world.session, period).values())
        adopt_resolution(
            world.session,
            seller.clerking,
            period=period,
            decision=Decision(
                resolution_no=f"成员大会〔{world.turn_on.year}〕{seller.place + 1}号",
                meeting_on=clock.today(),
                surplus_fen=staked_fen * 3 // 10,
                patronage_bp=PATRONAGE_BP,
                base_bp=BASE_BP,
                capital_fen=staked_fen * 2,
                dealings_fen=max(100, dealt_fen * 3 // 2),
                members_total=MEMBERS,
                members_present=PRESENT,
                votes_for=FOR,
            ),
            file=keep_paper(world, seller.clerking, "成员大会决议"),
        )
        world.sweep_soon()


class Assets:
    """What a village has let to one cooperative, and its rents."""

    def __init__(self, world: World, seller: Seller) -> None:
        self.world = world
        self.seller = seller
        self.asset_no = f"ZC{seller.home.code}"
        self._roster = 0

    def plan(self, on: date) -> None:
        """Plan the signing on the day `on` and the rents of the year."""
        if Mechanism.ASSET_LEASE not in FURTHER_TERMS.get(self.seller.key, {}):
            return
        self.world.timeline.at(at_hour(on, 10, 50), self.sign)
        for number, day in enumerate(RENT_DAYS, start=1):
            received = at_hour(self.world.day(day), 11, self.seller.place)
            self.world.timeline.at(received, partial(self.receive, f"SJ{number:03d}"))

    def sign(self) -> None:
        """The roster of the village's resolution: households of the home village, by shares."""
        home = [
            household
            for household in acknowledged(self.world, self.seller)
            if household.village_code == self.seller.home.code
        ]
        for place, household in enumerate(home[:MOST_ON_ROSTER]):
            sign_agreement(
                self.world.session,
                self.seller.clerking,
                household=household,
                mechanism=Mechanism.ASSET_LEASE,
                valid_from=clock.today(),
                valid_to=date(clock.today().year + 5, 12, 31),
                terms={
                    "asset_no": self.asset_no,
                    "lease_no": f"ZL-{self.seller.place + 1:02d}",
                    "resolution_no": f"村民会议〔{clock.today().year}〕3号",
                    "plan_weight": 1 + place % 3,
                    "retain_bp": RETAIN_BP,
                },
            )
        self._roster = len(home[:MOST_ON_ROSTER])

    def receive(self, receipt_no: str) -> None:
        """A rent came in."""
        if self._roster:
            record_asset_rent(
                self.world.session,
                self.seller.clerking,
                asset_no=self.asset_no,
                receipt_no=receipt_no,
                rent_fen=RENT_FEN * self._roster,
                received_on=clock.today(),
                village_code=self.seller.home.code,
            )
            self.world.sweep_soon()


def period_of(world: World, seller: Seller, starts_on: date) -> LinkagePeriod:
    """The linkage period of a cooperative that began on a day."""
    query = select(LinkagePeriod).where(
        LinkagePeriod.cooperative_id == seller.cooperative.id, LinkagePeriod.starts_on == starts_on
    )
    return world.session.scalars(query).one()
