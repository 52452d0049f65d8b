"""The days on which goods can leave and arrive. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

LOOKED_AHEAD = 60  # days


def weekdays_of(mask: int) -> list[int]:
    """The weekdays of a number of bits, Monday 0."""
    return [weekday for weekday in range(7) if mask & 1 << weekday]


def mask_of(weekdays: Iterable[int]) -> int:
    """The weekdays as the bits of a number, Monday the lowest."""
    return sum(1 << weekday for weekday in sorted(set(weekdays)))


def leaves(day: date, ordered_on: date, *, weekdays: int, lead_days: int) -> bool:
    """Whether goods ordered on a day can leave on another."""
    return day >= ordered_on + timedelta(days=lead_days) and bool(weekdays & 1 << day.weekday())


def first_day(ordered_on: date, plans: Sequence[tuple[int, int]], *, not_before: date) -> date | None:
    """The first day on which goods of all `plans` (weekdays, lead days) can leave together; None when there is none
    within LOOKED_AHEAD days."""
    for ahead in range(LOOKED_AHEAD):
        day = not_before + timedelta(days=ahead)
        if all(leaves(day, ordered_on, weekdays=weekdays, lead_days=lead) for weekdays, lead in plans):
            return day
    return None


def arrival(leaves_on: date, days: tuple[int, int]) -> tuple[date, date]:
    """The first and the last day on which goods that leave on a day arrive, given the days it takes."""
    return leaves_on + timedelta(days=days[0]), leaves_on + timedelta(days=days[1])
