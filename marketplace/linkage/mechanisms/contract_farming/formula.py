"""The arithmetic of a weigh slip: price, gross value, bonus above the quota, repayment of advances.

Pure integers. Version 1 knows the price alone; version 2 adds the bonus and the repayment. Both stay valid: what was
computed by one is computed again by the same.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from marketplace.core.money import BASIS, half_up
from marketplace.linkage.mechanisms.seam import Computed, Details, Terms

PRICE_ALONE, WITH_BONUS_AND_OFFSET = 1, 2
MASS_UNIT_G = 1000
LATER_TERMS = frozenset({"cap_bp", "quota_g", "bonus_share_bp"})


def rule_version_for(terms: Terms) -> int:
    """By which version slips under `terms` are computed from now on: the plain one unless a later term is agreed."""
    return WITH_BONUS_AND_OFFSET if LATER_TERMS & set(terms) else PRICE_ALONE


def price_fen_per_kg(terms: Terms, market_price_fen_per_kg: int | None) -> int:
    """The price of a slip: the higher of floor and market, and the premium on top."""
    floor: int = terms["floor_price_fen_per_kg"]
    premium: int = terms["premium_fen_per_kg"]
    return max(floor, market_price_fen_per_kg or 0) + premium


def gross_fen(details: Details, terms: Terms) -> int:
    """What the produce of a slip is worth: half_up(net_g * price / 1000)."""
    price = price_fen_per_kg(terms, details["market_price_fen_per_kg"])
    return half_up(details["net_g"] * price, MASS_UNIT_G)


def over_quota_g(net_g: int, before_g: int, quota_g: int) -> int:
    """The part of `net_g` that lies above the quota, `before_g` having been delivered before it."""
    return max(0, before_g + net_g - max(quota_g, before_g))


def bonus_fen(over_g: int, price: int, share_bp: int) -> int:
    """floor(over_g * price * share_bp / (1000 * 10000))."""
    return over_g * price * share_bp // (MASS_UNIT_G * BASIS)


def offset_fen(gross: int, outstanding_fen: int, cap_bp: int) -> int:
    """What a slip repays of the advances: min(outstanding, floor(gross * cap_bp / 10000)); never negative."""
    return max(0, min(outstanding_fen, gross * cap_bp // BASIS))


def entitlement(details: Details, terms: Terms, *, rule_version: int = PRICE_ALONE) -> Computed:
    """half_up(net_g * price / 1000) and the bonus above the quota, due the agreement's days after the weighing.

    `details`: slip_no, weighed_on (ISO), grade, net_g, market_price_fen_per_kg; before_g (the grams of the year before
    this slip) under a quota; outstanding_fen (advances not yet repaid) where the slip repays some. The repayment is a
    charge beside the entitlement and never lowers it. Raises ValueError for an unknown rule version.
    """
    if rule_version not in (PRICE_ALONE, WITH_BONUS_AND_OFFSET):
        raise ValueError(f"contract farming has no rule version {rule_version}")
    price = price_fen_per_kg(terms, details["market_price_fen_per_kg"])
    gross = gross_fen(details, terms)
    inputs: dict[str, Any] = {"details": dict(details), "terms": dict(terms), "price_fen_per_kg": price}
    bonus = 0
    if rule_version == WITH_BONUS_AND_OFFSET:
        over_g = (
            over_quota_g(details["net_g"], details["before_g"], terms["quota_g"]) if "quota_g" in terms else 0
        )
        bonus = bonus_fen(over_g, price, terms.get("bonus_share_bp", 0))
        charge = offset_fen(gross, details.get("outstanding_fen", 0), terms.get("cap_bp", 0))
        inputs |= {"gross_fen": gross, "over_g": over_g, "bonus_fen": bonus, "charge_fen": charge}
    return Computed(
        amount_fen=gross + bonus,
        due_on=date.fromisoformat(details["weighed_on"]) + timedelta(days=terms["guarantee_days"]),
        inputs=inputs,
        rule_version=rule_version,
    )
