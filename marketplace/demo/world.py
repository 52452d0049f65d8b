"""What the makers of the demo share: the session, the year, the random stream, and who is there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from sqlalchemy.orm import Session

from marketplace.core import clock
from marketplace.core.crypto import DataKey
from marketplace.core.files import FileStore
from marketplace.demo.accounts import PASSWORD
from marketplace.demo.people import People
from marketplace.demo.scale import Scale
from marketplace.demo.timeline import Timeline, at_hour
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Organisation, Role, User
from marketplace.identity.passwords import Passwords
from marketplace.identity.rules import register_user
from marketplace.registry.reviews.rules import Outcomes

YEAR_DAYS = 364
TURN_DAY = 214  # the linkage year turns on the first of the month on or after this day of the demo's year
SWEEP_DAYS = 3  # the work of the jobs is done in steps of so many days
BEFORE_DAYS = 90  # what must be there before the first sale is prepared in so many days


@dataclass(frozen=True)
class Tools:
    """What the rules need besides a session."""

    data_key: DataKey
    files: FileStore
    passwords: Passwords
    outcomes: Outcomes
    webhook_secret: str


@dataclass
class World:
    """One demo being made: the year from `first_on` to `last_on`, which is yesterday, and the `present` after it."""

    session: Session
    tools: Tools
    scale: Scale
    random: Random
    present: datetime = field(default_factory=clock.now)
    operator: User | None = None
    officials: dict[str, User] = field(default_factory=dict)
    colleagues: dict[str, User] = field(default_factory=dict)
    offices: dict[str, Organisation] = field(default_factory=dict)
    sweep: Callable[[], object] = lambda: None
    gone: set[int] = field(
        default_factory=set
    )  # households found ineligible: nothing more is recorded for them

    def __post_init__(self) -> None:
        self.last_on: date = clock.business_day(self.present) - timedelta(days=1)
        self.first_on: date = self.last_on - timedelta(days=YEAR_DAYS)
        self.turn_on: date = _first_of_month(self.day(TURN_DAY))
        self.timeline = Timeline(until=self.present)
        self.people = People(self.random, today=self.last_on)

    def day(self, offset: int) -> date:
        """The day so many days after the first day of the year; before it for a negative offset."""
        return self.first_on + timedelta(days=offset)

    @property
    def turned_on(self) -> date:
        """The first day of the linkage year that is over by now; the one under way begins on `turn_on`."""
        return self.turn_on.replace(year=self.turn_on.year - 1)

    def later(self, instant: datetime, days: int, *, from_hour: int = 9, to_hour: int = 17) -> datetime:
        """A moment in working hours so many days later, and later than `instant` in any case."""
        hour, minute = self.random.randrange(from_hour, to_hour), self.random.randrange(60)
        wanted = at_hour(clock.business_day(instant) + timedelta(days=days), hour, minute)
        return wanted if wanted > instant else instant + timedelta(minutes=20 + minute)

    def sweep_soon(self) -> None:
        """Have `sweep`, which does the work of the jobs, run one evening soon, or in a few minutes when it is late."""
        now, minutes = clock.now(), timedelta(minutes=5)
        today = clock.business_day(now)
        evening = at_hour(today + timedelta(days=-today.toordinal() % SWEEP_DAYS), 18)
        self.timeline.once("sweep", evening if evening > now else now + minutes, self._sweep)

    def _sweep(self) -> None:
        self.sweep()

    def account(
        self, login_name: str, name: str, *roles: Role, organisation: Organisation | None = None
    ) -> User:
        """Open an account under the demo's password."""
        return register_user(
            self.session,
            self.tools.passwords,
            login_name=login_name,
            display_name=name,
            password=PASSWORD,
            roles=roles,
            organisation=organisation,
        )

    @property
    def operating(self) -> Actor:
        """The operator as an actor."""
        assert self.operator is not None
        return actor_of(self.operator)


def _first_of_month(day: date) -> date:
    """The first of a month on or after a day."""
    return day if day.day == 1 else (day.replace(day=1) + timedelta(days=31)).replace(day=1)
