"""The arithmetic of rent: the rate of a day, and the rent of a parcel for some days.

Pure integers. Version 1 knows one rate; version 2 adds steps and grain. Both stay valid: what was computed by one is
computed again by the same.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from marketplace.core.money import half_up
from marketplace.core.quantity import GRAMS_PER_JIN, GRAMS_PER_KG
from marketplace.linkage.mechanisms.seam import Computed, Details, Terms

ONE_RATE, STEPS_OR_GRAIN = 1, 2
CMU_PER_MU = 100


def rule_version_for(terms: Terms) -> int:
    """By which version rents under `terms` are computed from now on: the plain one unless steps or grain are agreed."""
    return STEPS_OR_GRAIN if "steps" in terms or "jin_per_mu" in terms else ONE_RATE


def grain_rate(jin_per_mu: int, grain_fen_per_kg: int) -> int:
    """Fen a mu and year for so many jin of grain: half_up(jin_per_mu * 500 * grain_fen_per_kg / 1000)."""
    return half_up(jin_per_mu * GRAMS_PER_JIN * grain_fen_per_kg, GRAMS_PER_KG)


def stepped_rate(terms: Terms, day: date) -> int:
    """Fen a mu and year on `day`: the last step begun by then, else the first rate."""
    rate: int = terms["rate_fen_per_mu"]
    for step in terms.get("steps", ()):
        if date.fromisoformat(step["from_on"]) <= day:
            rate = step["rate_fen_per_mu"]
    return rate


def changes_between(terms: Terms, starts_on: date, ends_on: date) -> date | None:
    """The first day after `starts_on` and before `ends_on` from which another rate holds; None when one rate does.

    A grain price holds for a calendar year.
    """
    if "jin_per_mu" in terms:
        next_year = date(starts_on.year + 1, 1, 1)
        return next_year if next_year < ends_on else None
    days = [date.fromisoformat(step["from_on"]) for step in terms.get("steps", ())]
    return min((day for day in days if starts_on < day < ends_on), default=None)


def entitlement(details: Details, terms: Terms, *, rule_version: int = ONE_RATE) -> Computed:
    """half_up(cmu * rate_fen_per_mu * days / (100 * days_in_year)), due when the linkage period closes.

    `details`: parcel_no, area_cmu, starts_on, ends_on (excluded), period_ends_on, dates in ISO form; under a rent in
    grain also grain_fen_per_kg, the price of the year. Raises ValueError for an unknown rule version.
    """
    if rule_version not in (ONE_RATE, STEPS_OR_GRAIN):
        raise ValueError(f"land transfer has no rule version {rule_version}")
    starts_on = date.fromisoformat(details["starts_on"])
    days = (date.fromisoformat(details["ends_on"]) - starts_on).days
    names: tuple[str, ...] = ("rate_fen_per_mu", "days_in_year")
    rate = terms.get("rate_fen_per_mu", 0)
    more: dict[str, Any] = {}
    if rule_version == STEPS_OR_GRAIN:
        names = (*names, "steps", "jin_per_mu")
        rate = (
            grain_rate(terms["jin_per_mu"], details["grain_fen_per_kg"])
            if "jin_per_mu" in terms
            else stepped_rate(terms, starts_on)
        )
        more = {"rate_fen_per_mu": rate}
    return Computed(
        amount_fen=half_up(details["area_cmu"] * rate * days, CMU_PER_MU * terms["days_in_year"]),
        due_on=date.fromisoformat(details["period_ends_on"]),
        inputs={
            "details": dict(details),
            "terms": {name: terms[name] for name in names if name in terms},
            "days": days,
            **more,
        },
        rule_version=rule_version,
    )
