"""Late interest as arithmetic: which sums were owed over how many nights, and what a rate makes of them.

    interest = half_up(sum over spans of (owed fen x nights) x rate / 10000)

A bill is late by the nights from its last day to the day its money came. Each night counts the sum owed at midnight, so
that what a refund took off the bill meanwhile stops costing interest with the night after it was agreed. One rounding,
at the end. Source: State Council Decree 728 (revised as 802), domain.md sections 9 and 12. Pure; no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from marketplace.core.money import BASIS, half_up


@dataclass(frozen=True)
class Span:
    """`owed_fen` was owed over `days` nights, the first of them that of `starts_on`."""

    starts_on: date
    days: int
    owed_fen: int


def days_late(due_on: date, paid_on: date) -> int:
    """The days between the last day for paying and the day of the payment; 0 when it was in time."""
    return max(0, (paid_on - due_on).days)


def spans_owed(
    owed_fen: int, *, due_on: date, paid_on: date, reductions: Iterable[tuple[date, int]] = ()
) -> tuple[Span, ...]:
    """The sums owed night by night from `due_on` to `paid_on`, in order; none when nothing is late.

    `owed_fen` is what was owed in the end, `reductions` (day, fen) what was taken off the bill before. Raises
    ValueError for a negative sum.
    """
    later = sorted((day, fen) for day, fen in reductions if day > due_on)
    if owed_fen < 0 or any(fen < 0 for _, fen in later):
        raise ValueError("what is owed and what is taken off cannot be negative")
    spans: list[Span] = []
    start, sum_fen = due_on, owed_fen + sum(fen for _, fen in later)
    for day, fen in [*later, (paid_on, 0)]:
        end = min(day, paid_on)
        if end > start and sum_fen:
            spans.append(Span(start, (end - start).days, sum_fen))
        start, sum_fen = max(start, end), sum_fen - fen
    return tuple(spans)


def fen_days_of(spans: Sequence[Span]) -> int:
    """Fen times nights, summed."""
    return sum(span.owed_fen * span.days for span in spans)


def interest_fen(fen_days: int, late_rate_bp: int) -> int:
    """The interest on so many fen-nights at a rate a day, rounded once. Raises ValueError for a negative number."""
    if fen_days < 0 or late_rate_bp < 0:
        raise ValueError("late interest has no negative sums, days or rates")
    return half_up(fen_days * late_rate_bp, BASIS)


def late_interest(amount_fen: int, days: int, late_rate_bp: int) -> int:
    """The interest on one sum: half_up(amount x days x rate / 10000). Raises ValueError for a negative number."""
    if amount_fen < 0 or days < 0:
        raise ValueError("late interest has no negative sums, days or rates")
    return interest_fen(amount_fen * days, late_rate_bp)
