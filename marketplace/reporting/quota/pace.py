"""The arithmetic of a quota: percentage, remainder, forecast at the present pace. Integers; rounded half up, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from marketplace.core.money import BASIS, half_up


def days_of(year: int, on: date) -> tuple[int, int]:
    """How many days of `year` are over at the end of the day `on`, and how many it has."""
    first, after = date(year, 1, 1), date(year + 1, 1, 1)
    in_year = (after - first).days
    return max(0, min(in_year, (on - first).days + 1)), in_year


@dataclass(frozen=True)
class Pace:
    """What was filed and what counts so far, in fen, on day `days_elapsed` of `days_in_year`."""

    base_fen: int
    reserve_fen: int
    counted_fen: int
    days_elapsed: int
    days_in_year: int

    @property
    def percent_bp(self) -> int:
        """What counts as a share of the ingredient spend filed: 123,456.78 of 1,000,000.00 is 1235, read 12.35 %."""
        return half_up(self.counted_fen * BASIS, self.base_fen)

    @property
    def done_bp(self) -> int:
        """What counts as a share of the reserve."""
        return half_up(self.counted_fen * BASIS, self.reserve_fen)

    @property
    def remaining_fen(self) -> int:
        """What is still to be bought for the reserve; nothing once it is reached."""
        return max(0, self.reserve_fen - self.counted_fen)

    @property
    def expected_fen(self) -> int:
        """What would count by now if the reserve were bought evenly over the year."""
        return half_up(self.reserve_fen * self.days_elapsed, self.days_in_year)

    @property
    def forecast_fen(self) -> int:
        """What will count by the end of the year at the present pace; nothing before the year begins."""
        return half_up(self.counted_fen * self.days_in_year, self.days_elapsed) if self.days_elapsed else 0

    @property
    def forecast_bp(self) -> int:
        """The forecast as a share of the ingredient spend filed."""
        return half_up(self.forecast_fen * BASIS, self.base_fen)

    @property
    def is_behind(self) -> bool:
        """Whether the present pace does not reach the reserve."""
        return self.counted_fen * self.days_in_year < self.reserve_fen * self.days_elapsed

    @property
    def points_behind(self) -> int:
        """By how many whole percent of the reserve it is behind the even pace, rounded up; 0 when it is not."""
        missing = self.reserve_fen * self.days_elapsed - self.counted_fen * self.days_in_year
        whole = self.reserve_fen * self.days_in_year
        return -(-100 * missing // whole) if missing > 0 else 0
