"""Reading an offer as it is typed: price tiers in yuan, linkage shares in percent, and a mass in kilograms."""

from __future__ import annotations

from collections.abc import Mapping

from marketplace.catalog.forms import TIER_ROWS
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan
from marketplace.core.quantity import parse_decimal, parse_kg
from marketplace.linkage.models import Mechanism


def read_tiers(typed: Mapping[str, str]) -> list[tuple[int, int]]:
    """(least quantity, unit price in fen) of the filled rows `tier-N-quantity`, `tier-N-price`. Raises Refused."""
    tiers: list[tuple[int, int]] = []
    for row in range(TIER_ROWS):
        quantity, price = (
            typed.get(f"tier-{row}-quantity", "").strip(),
            typed.get(f"tier-{row}-price", "").strip(),
        )
        if not quantity and not price:
            continue
        if not quantity.isascii() or not quantity.isdigit() or len(quantity) > 6:
            raise Refused("tier_quantity", N_("第 %(row)s 档的起订数量须是整数"), field="tiers", row=row + 1)
        try:
            tiers.append((int(quantity), parse_yuan(price)))
        except ValueError:
            raise Refused(
                "tier_price", N_("第 %(row)s 档的单价须是金额，最多两位小数"), field="tiers", row=row + 1
            ) from None
    return tiers


def read_terms(typed: Mapping[str, str]) -> dict[Mechanism, int]:
    """Basis points by mechanism of the filled fields `term-<mechanism>` (percent, two decimals). Raises Refused."""
    terms: dict[Mechanism, int] = {}
    for mechanism in Mechanism:
        text = typed.get(f"term-{mechanism.value}", "").strip().rstrip("%％")
        if not text:
            continue
        try:
            terms[mechanism] = parse_decimal(text, places=2)
        except ValueError:
            raise Refused(
                "term_percent",
                N_("“%(mechanism)s”的比例须是百分数，最多两位小数，例如 8.5"),
                field="terms",
                mechanism=mechanism,
            ) from None
    return {mechanism: rate for mechanism, rate in terms.items() if rate}


def read_mass(text: str, field: str) -> int:
    """Grams of a mass in kilograms. Raises Refused for `field`."""
    try:
        return parse_kg(text)
    except ValueError:
        raise Refused("mass_form", N_("请填写千克数，最多三位小数，例如 2.5"), field=field) from None
