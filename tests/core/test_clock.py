"""Instants are UTC, business days are China's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from marketplace.core import clock as core_clock
from marketplace.core.clock import SHANGHAI, business_day, end_of, set_to, start_of, today

EVENING = datetime(2026, 5, 31, 15, 59, 59, tzinfo=UTC)


def test_the_clock_tells_utc():
    shown = core_clock.now()
    assert shown.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - shown) < timedelta(seconds=5)


def test_a_business_day_ends_at_midnight_in_china():
    assert business_day(EVENING) == date(2026, 5, 31)
    assert business_day(EVENING + timedelta(seconds=1)) == date(2026, 6, 1)


def test_a_day_runs_from_its_start_to_the_next():
    assert start_of(date(2026, 6, 1)) == datetime(2026, 5, 31, 16, tzinfo=UTC)
    assert end_of(date(2026, 6, 1)) == start_of(date(2026, 6, 2))


def test_a_held_clock_stands_still_and_is_let_go():
    with set_to(datetime(2020, 4, 26, 8, tzinfo=SHANGHAI)):
        assert core_clock.now() == datetime(2020, 4, 26, tzinfo=UTC)
        assert core_clock.now().utcoffset() == timedelta(0)
        assert today() == date(2020, 4, 26)
    assert core_clock.now().year >= 2026


def test_a_clock_that_was_held_by_a_failed_block_is_let_go():
    with pytest.raises(RuntimeError), set_to(datetime(2020, 4, 26, tzinfo=UTC)):
        raise RuntimeError
    assert core_clock.now().year >= 2026


def test_a_naive_time_cannot_set_the_clock():
    with pytest.raises(ValueError), set_to(datetime(2026, 6, 1)):  # noqa: DTZ001 - what is refused
        pass


def test_a_day_at_the_edge_of_the_calendar_has_bounds_too():
    assert start_of(date.min) <= end_of(date.min) < start_of(date(2026, 6, 1))
    assert start_of(date(2026, 6, 1)) < start_of(date.max) <= end_of(date.max)
