"""The days of a schedule, over the end of a year, a leap day, the end of a term and a clock that is put forward."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from marketplace.procurement.standing.closures import (
    PublicHoliday,
    assumed_years,
    closed_days,
    public_holidays,
)
from marketplace.procurement.standing.models import SpanKind, UnitSpan
from marketplace.procurement.standing.schedule import (
    Schedule,
    clock_words,
    cutoff_of,
    instant_of,
    weekdays_of,
)
from tests.conftest import HeldClock
from tests.procurement.standing_world import School, schedule


def always_open(_day: date) -> bool:
    return False


def span(kind: SpanKind, starts_on: date, ends_on: date) -> UnitSpan:
    return UnitSpan(kind=kind, name="", starts_on=starts_on, ends_on=ends_on)


def test_every_second_week_stays_every_second_week_over_the_end_of_the_year() -> None:
    plan = Schedule(frozenset({0, 3}), 2, date(2026, 12, 16), date(2027, 1, 31))
    assert plan.days(always_open) == [
        date(2026, 12, 17),
        date(2026, 12, 28),
        date(2026, 12, 31),
        date(2027, 1, 11),
        date(2027, 1, 14),
        date(2027, 1, 25),
        date(2027, 1, 28),
    ]


def test_the_leap_day_is_a_day_like_any_other() -> None:
    daily = Schedule(frozenset(range(7)), 1, date(2028, 2, 28), date(2028, 3, 1))
    assert daily.days(always_open) == [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]
    tuesdays = Schedule(frozenset({1}), 1, date(2028, 2, 29), date(2028, 3, 7))
    assert tuesdays.days(always_open) == [date(2028, 2, 29), date(2028, 3, 7)]


def test_both_ends_of_a_schedule_belong_to_it() -> None:
    plan = Schedule(frozenset({0}), 1, date(2026, 6, 1), date(2026, 6, 8))
    assert plan.days(always_open) == [date(2026, 6, 1), date(2026, 6, 8)]


def test_outside_of_the_terms_nothing_comes() -> None:
    """The last day of a term has its delivery, the day after has none."""
    spans = [
        span(SpanKind.TERM, date(2026, 9, 1), date(2027, 1, 15)),
        span(SpanKind.TERM, date(2027, 2, 22), date(2027, 7, 2)),
        span(SpanKind.HOLIDAY, date(2026, 11, 9), date(2026, 11, 10)),
    ]
    closed = closed_days(spans, skips_public_holidays=False)
    assert [closed(day) for day in (date(2027, 1, 15), date(2027, 1, 16), date(2027, 2, 21))] == [
        False,
        True,
        True,
    ]
    assert [closed(date(2026, 11, day)) for day in (8, 9, 10, 11)] == [False, True, True, False]


def test_public_holidays_are_data_and_can_be_worked_through() -> None:
    assert public_holidays()[date(2026, 10, 1)] is PublicHoliday.NATIONAL_DAY
    assert public_holidays()[date(2027, 2, 6)] is PublicHoliday.SPRING_FESTIVAL
    assert {day.year for day in public_holidays()} == {2026, 2027}
    assert assumed_years() == {2027}
    assert closed_days([], skips_public_holidays=True)(date(2026, 10, 1))
    assert not closed_days([], skips_public_holidays=False)(date(2026, 10, 1))


def test_a_wall_clock_that_is_put_forward_moves_the_instant_not_the_time_of_day() -> None:
    """Shanghai last had summer time from 1986 to 1991; on 14 April 1991 the clock went from two to three."""
    before, after = date(1991, 4, 13), date(1991, 4, 14)
    assert instant_of(before, 480) == datetime(1991, 4, 13, 0, 0, tzinfo=UTC)
    assert instant_of(after, 480) == datetime(1991, 4, 13, 23, 0, tzinfo=UTC)
    assert instant_of(after, 480) - cutoff_of(after, days_before=1, minute=480) == timedelta(hours=23)


@pytest.mark.parametrize(
    ("day", "minute", "instant"),
    [
        (date(2026, 12, 31), 1440, datetime(2026, 12, 31, 16, 0, tzinfo=UTC)),
        (date(2027, 1, 1), 0, datetime(2026, 12, 31, 16, 0, tzinfo=UTC)),
        (date(2028, 2, 29), 510, datetime(2028, 2, 29, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_minute_of_the_day_is_an_instant(day: date, minute: int, instant: datetime) -> None:
    assert instant_of(day, minute) == instant


def test_the_cut_off_of_new_year_s_day_lies_in_the_old_year() -> None:
    assert cutoff_of(date(2027, 1, 1), days_before=2, minute=960) == datetime(2026, 12, 30, 8, 0, tzinfo=UTC)


def test_weekdays_are_kept_as_bits() -> None:
    plan = Schedule(frozenset({0, 6}), 1, date(2026, 6, 1), date(2026, 6, 7))
    assert (plan.mask, weekdays_of(plan.mask)) == (65, frozenset({0, 6}))
    assert (clock_words(0), clock_words(510), clock_words(1440)) == ("00:00", "08:30", "24:00")


def test_the_windows_of_a_unit_leave_its_holidays_out(session: Session, clock: HeldClock) -> None:
    school = School(session)
    holiday = span(SpanKind.HOLIDAY, date(2026, 6, 8), date(2026, 6, 11))
    holiday.buyer_unit_id, holiday.added_by, holiday.name = school.unit.id, school.orderer.user_id, "考试"
    session.add(holiday)
    plan = school.plan(schedule=schedule(weekdays=frozenset({0, 3, 4}), ends_on=date(2026, 6, 22)))
    assert list(school.states(school.opened(plan))) == [  # the 19th is the Dragon Boat Festival
        date(2026, 6, 4),
        date(2026, 6, 5),
        date(2026, 6, 12),
        date(2026, 6, 15),
        date(2026, 6, 18),
        date(2026, 6, 22),
    ]
