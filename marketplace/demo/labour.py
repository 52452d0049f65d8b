"""Work for the cooperatives: who may work, days at the harvest of a lot, and days that belong to the whole year."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from functools import partial

from marketplace.core import clock
from marketplace.demo.entry import Seller
from marketplace.demo.households import acknowledged
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.mechanisms.employment.days import Work
from marketplace.linkage.mechanisms.employment.rules import Mark
from marketplace.linkage.models import Agreement, Lot, Mechanism
from marketplace.linkage.rules import record_attendance_sheet, sign_agreement
from marketplace.registry.models import HouseholdMember
from marketplace.registry.rules import HEAD

WORKERS = (0, 4)  # of six households these send somebody
GROWN_UP = (HEAD, "配偶")
HOUR_FEN = (1_500, 1_600, 1_800)
PACKING, BOX_FEN = "装箱", 60
PAYMENT_DAYS = 30
MONTHLY_DAY, EVERY_DAYS = 12, 28
MINUTES = (180, 240, 300, 360)
MOST_MINUTES = 600  # a day, well below what the law of nature and the database allow


class Labour:
    """The labour agreements of one cooperative and the days worked under them."""

    def __init__(self, world: World, seller: Seller) -> None:
        self.world = world
        self.seller = seller
        self._workers: list[tuple[Agreement, HouseholdMember]] = []
        self._next = 0
        self._lots = 0
        self._worked: dict[tuple[int, date], int] = defaultdict(int)

    def plan(self, on: date) -> None:
        """Plan the signing on the day `on` and, every four weeks, a day of work for no lot in particular."""
        at = self.world.timeline.at
        at(at_hour(on, 9, 50), self.sign)
        day = on + timedelta(days=MONTHLY_DAY)
        while day <= self.world.last_on:
            at(at_hour(day, 17, 30), partial(self.work, None, 2))
            day += timedelta(days=EVERY_DAYS)

    def sign(self) -> None:
        """Sign with some households: by the hour, and by the box when packing."""
        for place, household in enumerate(acknowledged(self.world, self.seller)):
            if place % 6 not in WORKERS:
                continue
            people = [one for one in household.members if one.relation in GROWN_UP]
            agreement = sign_agreement(
                self.world.session,
                self.seller.clerking,
                household=household,
                mechanism=Mechanism.EMPLOYMENT,
                valid_from=clock.today(),
                valid_to=date(clock.today().year + 3, 12, 31),
                terms={
                    "persons": [one.public_no for one in people],
                    "rate_fen_per_hour": self.world.random.choice(HOUR_FEN),
                    "piece_rates": [{"kind": PACKING, "rate_fen": BOX_FEN}],
                    "payment_days": PAYMENT_DAYS,
                },
            )
            self._workers += [(agreement, one) for one in people]

    def help_with(self, lot: Lot) -> None:
        """Plan a day of work for every second lot, two days after it was opened."""
        self._lots += 1
        if self._lots % 2 == 1:
            at = at_hour(clock.today() + timedelta(days=2), 17)
            self.world.timeline.at(at, partial(self.work, lot, 3))

    def work(self, lot: Lot | None, count: int) -> None:
        """Record the day's sheet of a few people; one of them packed by the box when it is for a lot."""
        marks = [
            Mark(agreement, person, self._work(place, lot))
            for place, (agreement, person) in enumerate(self._free(count))
        ]
        if not marks:
            return
        for mark in marks:
            self._worked[mark.person.id, clock.today()] += mark.work.counted_minutes
        record_attendance_sheet(
            self.world.session, self.seller.clerking, worked_on=clock.today(), marks=marks, lot=lot
        )
        self.world.sweep_soon()

    def _work(self, place: int, lot: Lot | None) -> Work:
        if place == 2 and lot is not None:
            return Work(piece_kind=PACKING, pieces=self.world.random.randrange(40, 120))
        return Work(minutes=self.world.random.choice(MINUTES))

    def _free(self, count: int) -> list[tuple[Agreement, HouseholdMember]]:
        """The next few in turn who can still work today."""
        found: list[tuple[Agreement, HouseholdMember]] = []
        for _try in self._workers:
            agreement, person = self._workers[self._next % len(self._workers)]
            self._next += 1
            is_free = self._worked[person.id, clock.today()] + MINUTES[-1] <= MOST_MINUTES
            if is_free and agreement.household_id not in self.world.gone:
                found.append((agreement, person))
            if len(found) == count:
                break
        return found
