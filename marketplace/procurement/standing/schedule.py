"""The days of a schedule and the instants of a window, as pure arithmetic on local days and wall times.

A schedule knows days of the calendar, never lengths of time: a day is a day when the clock was put forward in it, and a
week is a week over the end of the year.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from marketplace.core.clock import SHANGHAI

MINUTES_OF_DAY = 24 * 60


@dataclass(frozen=True)
class Schedule:
    """`weekdays` (0 is Monday) of every `every_weeks`-th week from that of `starts_on`, until `ends_on` (included)."""

    weekdays: frozenset[int]
    every_weeks: int
    starts_on: date
    ends_on: date

    @property
    def mask(self) -> int:
        """The weekdays as the bits of a number, Monday the lowest."""
        return sum(1 << weekday for weekday in self.weekdays)

    def days(self, is_closed: Callable[[date], bool]) -> list[date]:
        """Its days in order, without those that are closed."""
        first_monday = self.starts_on - timedelta(days=self.starts_on.weekday())
        found = []
        for ahead in range((self.ends_on - self.starts_on).days + 1):
            day = self.starts_on + timedelta(days=ahead)
            week = (day - first_monday).days // 7
            if day.weekday() in self.weekdays and week % self.every_weeks == 0 and not is_closed(day):
                found.append(day)
        return found


def weekdays_of(mask: int) -> frozenset[int]:
    """The weekdays of a number of bits."""
    return frozenset(weekday for weekday in range(7) if mask & 1 << weekday)


def instant_of(day: date, minute: int) -> datetime:
    """The UTC instant at `minute` (0 to 1440) of the clock on the wall, on a day in China."""
    day, minute = day + timedelta(days=minute // MINUTES_OF_DAY), minute % MINUTES_OF_DAY
    return datetime.combine(day, time(minute // 60, minute % 60), SHANGHAI).astimezone(UTC)


def cutoff_of(day: date, *, days_before: int, minute: int) -> datetime:
    """The UTC instant until which the window of a day can be changed."""
    return instant_of(day - timedelta(days=days_before), minute)


def clock_words(minute: int) -> str:
    """A minute of the day as people read it: 510 -> "08:30"."""
    return f"{minute // 60:02d}:{minute % 60:02d}"
