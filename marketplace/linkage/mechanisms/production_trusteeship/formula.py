"""The arithmetic of production trusteeship: guaranteed grams, proceeds, bonus, service fee, and what is left.

Pure integers, each formula rounded once. With the area in hundredths of a mu:

    guaranteed = half_up(area * guaranteed_g_per_mu / 100)                grams
    proceeds   = half_up(max(actual, guaranteed) * price / 1000)
    bonus      = floor(over * price * share_bp / (1000 * 10000))          over = max(0, actual - guaranteed)
    gross      = proceeds + bonus                                         the entitlement
    fee        = max(0, half_up(area * fee_fen_per_mu / 100) - half_up(area * subsidy_fen_per_mu / 100))
    net        = gross - fee                                              may be negative, and is never clipped

The fee is a charge of its own, which the household pays; it never lowers the entitlement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from marketplace.core.money import BASIS, half_up
from marketplace.linkage.mechanisms.seam import Computed, Details, Terms

RULE_VERSION = 1
CMU_PER_MU = 100
MASS_UNIT_G = 1000


@dataclass(frozen=True)
class Season:
    """What one season comes to: grams, and fen."""

    guaranteed_g: int
    proceeds_fen: int
    over_g: int
    bonus_fen: int
    full_fee_fen: int
    subsidy_fen: int

    @property
    def gross_fen(self) -> int:
        """What the household is entitled to."""
        return self.proceeds_fen + self.bonus_fen

    @property
    def fee_fen(self) -> int:
        """What the household pays for the service; a subsidy above the fee is not paid out."""
        return max(0, self.full_fee_fen - self.subsidy_fen)

    @property
    def net_fen(self) -> int:
        """What is left of the gross after the fee; negative when the fee is more."""
        return self.gross_fen - self.fee_fen


def season_of(actual_g: int, terms: Terms) -> Season:
    """What `actual_g` reaped under `terms` comes to."""
    area, price = terms["area_cmu"], terms["price_fen_per_kg"]
    guaranteed_g = half_up(area * terms["guaranteed_g_per_mu"], CMU_PER_MU)
    over_g = max(0, actual_g - guaranteed_g)
    return Season(
        guaranteed_g=guaranteed_g,
        proceeds_fen=half_up(max(actual_g, guaranteed_g) * price, MASS_UNIT_G),
        over_g=over_g,
        bonus_fen=over_g * price * terms["bonus_share_bp"] // (MASS_UNIT_G * BASIS),
        full_fee_fen=half_up(area * terms["fee_fen_per_mu"], CMU_PER_MU),
        subsidy_fen=half_up(area * terms["subsidy_fen_per_mu"], CMU_PER_MU),
    )


def entitlement(details: Details, terms: Terms, *, rule_version: int = RULE_VERSION) -> Computed:
    """The gross of a season, due the agreement's days after the yield was recorded.

    `details`: season ("2026-2"), recorded_on (ISO), actual_g. The inputs also hold the fee and the net. Raises
    ValueError for an unknown rule version.
    """
    if rule_version != RULE_VERSION:
        raise ValueError(f"production trusteeship has no rule version {rule_version}")
    season = season_of(details["actual_g"], terms)
    return Computed(
        amount_fen=season.gross_fen,
        due_on=date.fromisoformat(details["recorded_on"]) + timedelta(days=terms["due_days"]),
        inputs={
            "details": dict(details),
            "terms": dict(terms),
            "guaranteed_g": season.guaranteed_g,
            "proceeds_fen": season.proceeds_fen,
            "over_g": season.over_g,
            "bonus_fen": season.bonus_fen,
            "full_fee_fen": season.full_fee_fen,
            "subsidy_fen": season.subsidy_fen,
            "charge_fen": season.fee_fen,
            "net_fen": season.net_fen,
        },
        rule_version=rule_version,
    )
