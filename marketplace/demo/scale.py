"""How large a demo is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How many of each; the cooperatives and listings are the first of the written content."""

    cooperatives: int
    households: int
    listings: int
    orders: int
    units: int
    staff: int
    households_with_account: int


SCALES = {
    "tiny": Scale(
        cooperatives=2, households=12, listings=8, orders=25, units=2, staff=3, households_with_account=2
    ),
    "small": Scale(
        cooperatives=8,
        households=300,
        listings=60,
        orders=400,
        units=12,
        staff=24,
        households_with_account=12,
    ),
}
