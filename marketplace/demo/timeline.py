"""The order in which the demo's year happens: deeds wait for their instant, the clock stands at it while they are done.

What is planned for after the end stays undone, which is how orders, reviews and bills come to wait for somebody today.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from itertools import count

from marketplace.core import clock

Deed = Callable[[], object]


def at_hour(day: date, hour: int, minute: int = 0) -> datetime:
    """The instant of a time of day in China."""
    return datetime.combine(day, time(hour, minute), clock.SHANGHAI)


class Timeline:
    """Deeds up to and including the instant `until`, in the order of their instants, then as they were planned."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        self.done = 0
        self._waiting: list[tuple[datetime, int, Deed]] = []
        self._serial = count()
        self._once: set[tuple[str, datetime]] = set()

    def at(self, instant: datetime, deed: Deed) -> None:
        """Plan a deed; a deed may plan further ones. After the end it is forgotten."""
        if instant <= self.until:
            heapq.heappush(self._waiting, (instant, next(self._serial), deed))

    def weekly(self, first_on: date, deed: Deed, *, hour: int, minute: int = 0) -> None:
        """Plan a deed for every seventh day from `first_on` on."""
        day = first_on
        while (instant := at_hour(day, hour, minute)) <= self.until:
            self.at(instant, deed)
            day += timedelta(days=7)

    def once(self, name: str, instant: datetime, deed: Deed) -> None:
        """Plan a deed of that name unless it is planned for that instant already."""
        if (name, instant) not in self._once:
            self._once.add((name, instant))
            self.at(instant, deed)

    def play(self, tell: Callable[[date], None] = lambda _day: None) -> None:
        """Do everything that was planned. `tell` hears of each day on which something is done."""
        last: date | None = None
        while self._waiting:
            instant, _, deed = heapq.heappop(self._waiting)
            day = clock.business_day(instant)
            if day != last:
                tell(day)
                last = day
            with clock.set_to(instant):
                deed()
            self.done += 1
