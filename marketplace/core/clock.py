"""The time, in one place.

Instants are UTC and aware (`*_at`); business days are dates in Asia/Shanghai (`*_on`). The tests and the demo set
the clock; nothing else may.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST_DAY, LAST_DAY = (
    date(1, 1, 2),
    date(9999, 12, 30),
)  # what people type may lie on the calendar's very edge
_set_instant: ContextVar[datetime | None] = ContextVar("set_instant", default=None)


def now() -> datetime:
    """The present instant, UTC."""
    return _set_instant.get() or datetime.now(UTC)


def today() -> date:
    """The present business day in China."""
    return business_day(now())


def business_day(at: datetime) -> date:
    """The Asia/Shanghai date of the instant `at`."""
    return at.astimezone(SHANGHAI).date()


def start_of(day: date) -> datetime:
    """The UTC instant at which the business day begins, as near as there is one at the edge of the calendar."""
    return datetime.combine(max(day, FIRST_DAY), time.min, SHANGHAI).astimezone(UTC)


def end_of(day: date) -> datetime:
    """The UTC instant at which the business day ends (exclusive)."""
    return start_of(min(day, LAST_DAY) + timedelta(days=1))


@contextmanager
def set_to(at: datetime) -> Iterator[None]:
    """Hold the clock at `at` (aware) inside the block. For tests and the demo."""
    if at.tzinfo is None:
        raise ValueError("a naive time cannot set the clock")
    token = _set_instant.set(at.astimezone(UTC))
    try:
        yield
    finally:
        _set_instant.reset(token)
