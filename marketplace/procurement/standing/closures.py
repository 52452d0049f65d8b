"""The days on which a unit takes no deliveries: outside its terms, in its holidays, on public holidays.

Public holidays are data of this room, as announced (see data/README.md); terms and holidays are what the unit says.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType

from marketplace.core.labels import N_, LabelledEnum
from marketplace.procurement.standing.models import SpanKind, UnitSpan

ANNOUNCED = "announced"
FILE = Path(__file__).resolve().parent / "data" / "public_holidays.csv"


class PublicHoliday(LabelledEnum):
    """The festivals and memorial days on which everybody is off."""

    NEW_YEAR = "new_year", N_("元旦")
    SPRING_FESTIVAL = "spring_festival", N_("春节")
    QINGMING = "qingming", N_("清明节")
    LABOUR_DAY = "labour_day", N_("劳动节")
    DRAGON_BOAT = "dragon_boat", N_("端午节")
    MID_AUTUMN = "mid_autumn", N_("中秋节")
    NATIONAL_DAY = "national_day", N_("国庆节")


@cache
def public_holidays() -> Mapping[date, PublicHoliday]:
    """Which public holiday a day is."""
    return MappingProxyType({day: holiday for day, holiday, _basis in _rows()})


@cache
def assumed_years() -> frozenset[int]:
    """The years whose arrangement is not known: only the statutory days of them are kept."""
    return frozenset(day.year for day, _holiday, basis in _rows() if basis != ANNOUNCED)


@cache
def _rows() -> tuple[tuple[date, PublicHoliday, str], ...]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            (date.fromisoformat(row["day"]), PublicHoliday(row["holiday"]), row["basis"])
            for row in csv.DictReader(file)
        )


def closed_days(spans: Sequence[UnitSpan], *, skips_public_holidays: bool) -> Callable[[date], bool]:
    """Whether a day is closed for a unit with these `spans`. One without terms has no days outside of them."""
    terms = [span for span in spans if span.kind is SpanKind.TERM]
    holidays = [span for span in spans if span.kind is SpanKind.HOLIDAY]

    def is_closed(day: date) -> bool:
        if skips_public_holidays and day in public_holidays():
            return True
        if terms and not any(term.starts_on <= day <= term.ends_on for term in terms):
            return True
        return any(holiday.starts_on <= day <= holiday.ends_on for holiday in holidays)

    return is_closed
