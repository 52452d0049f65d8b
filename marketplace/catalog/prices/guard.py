"""The arithmetic of the price guard: medians, and a price against its reference. Integers only, nothing else.

Prices are compared per kilogram without rounding: `unit * 1000 * 10000` against `reference * grams * (10000 + rate)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import BASIS, half_up

GRAMS = 1_000


class Verdict(LabelledEnum):
    """How a price stands to its reference."""

    NONE = "none", N_("没有参考价")
    FITS = "fits", N_("在合理范围")
    LOW = "low", N_("明显偏低")
    ABOVE = "above", N_("超过上限")


@dataclass(frozen=True)
class Bounds:
    """How far a price may lie from the reference, in basis points of it."""

    above_bp: int
    below_bp: int


def median_of(prices: Sequence[int]) -> int:
    """The middle price; of an even number the mean of the two in the middle, rounded half up. Raises ValueError for
    none."""
    if not prices:
        raise ValueError("no prices")
    ordered, middle = sorted(prices), len(prices) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return half_up(ordered[middle - 1] + ordered[middle], 2)


def per_kg_fen(unit_fen: int, net_mass_g: int) -> int:
    """Fen per kilogram, rounded half up, for showing."""
    return half_up(unit_fen * GRAMS, net_mass_g)


def verdict_of(
    dearest_fen: int, cheapest_fen: int, net_mass_g: int, reference_fen: int | None, bounds: Bounds
) -> Verdict:
    """How the tiers of an offer, from the dearest to the cheapest unit price, stand to a reference per kilogram."""
    if reference_fen is None:
        return Verdict.NONE
    whole = reference_fen * net_mass_g
    if dearest_fen * GRAMS * BASIS > whole * (BASIS + bounds.above_bp):
        return Verdict.ABOVE
    if cheapest_fen * GRAMS * BASIS < whole * (BASIS - bounds.below_bp):
        return Verdict.LOW
    return Verdict.FITS


def most_unit_fen(net_mass_g: int, reference_fen: int, bounds: Bounds) -> int:
    """The highest unit price that is not above the bound."""
    return reference_fen * net_mass_g * (BASIS + bounds.above_bp) // (GRAMS * BASIS)


def excess_bp(unit_fen: int, net_mass_g: int, reference_fen: int) -> int:
    """How far a unit price lies above (or, negative, below) its reference: basis points of it, rounded half up."""
    whole = reference_fen * net_mass_g
    return half_up((unit_fen * GRAMS - whole) * BASIS, whole)
