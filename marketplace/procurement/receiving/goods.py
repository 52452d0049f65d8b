"""Pure arithmetic of deliveries: days to inspect, and the lots of a line of which units were replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

SATURDAY = 5
MOST_DAYS = 15


def working_days_after(day: date, count: int) -> date:
    """The day `count` working days after `day`. Saturdays and Sundays do not count; public holidays do, because
    they are moved by decree each year and goods that spoil cannot wait for them."""
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < SATURDAY
    return day


def lots_after_replacement(
    drawn: Sequence[tuple[int, int]], replaced: Mapping[int, int], *, off_g: int = 0
) -> list[tuple[int, int]]:
    """The lots of a line as (lot id, weight) once grams of other lots took the place of rejected units.

    `drawn` are the lots of the order as (lot id, grams), `replaced` grams by lot id. The replaced grams left each lot
    of the order in proportion, and so did the `off_g` grams that were rejected with them and not replaced: of Q grams
    drawn, R replaced and D taken off a lot keeps (Q - R - D) / Q. Weights are grams x Q, so that nothing is rounded;
    without a replacement they are the grams themselves.
    """
    drawn_g, replaced_g = sum(mass_g for _, mass_g in drawn), sum(replaced.values())
    if not replaced_g:
        return list(drawn)
    weights = {lot_id: mass_g * (drawn_g - replaced_g - off_g) for lot_id, mass_g in drawn}
    for lot_id, mass_g in replaced.items():
        weights[lot_id] = weights.get(lot_id, 0) + mass_g * drawn_g
    return sorted((lot_id, weight) for lot_id, weight in weights.items() if weight)
