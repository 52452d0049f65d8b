"""What a contract fixes: the produce and its price always; quota, bonus and repayment of advances where agreed.

The later terms are kept only where the contract has them, so that one without them reads as it always did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import BASIS, format_yuan
from marketplace.core.quantity import format_kg
from marketplace.linkage.mechanisms.seam import Described, Terms, integer_term, only_known, text_term

MOST_FEN_PER_KG = 1_000_000
MOST_GUARANTEE_DAYS = 365
MOST_QUOTA_G = 1_000_000_000  # a thousand tonnes: no household grows more


class Term(LabelledEnum):
    """What such an agreement fixes."""

    COMMODITY = "commodity", N_("收购品种")
    FLOOR_PRICE = "floor_price_fen_per_kg", N_("保底价")
    PREMIUM = "premium_fen_per_kg", N_("加价")
    GUARANTEE_DAYS = "guarantee_days", N_("保底兑付期限")
    CAP = "cap_bp", N_("每次最多抵扣货款")
    QUOTA = "quota_g", N_("每年约定交货量")
    BONUS_SHARE = "bonus_share_bp", N_("超量奖励")


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: commodity, floor price and premium in fen per kg, days until the guarantee is due.

    Where agreed also: the share of a slip's value that may repay advances (`cap_bp`), the grams a year above which a
    bonus is paid (`quota_g`) and its share of the price (`bonus_share_bp`). Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in Term])
    kept: dict[str, Any] = {
        "commodity": text_term(raw, Term.COMMODITY, pattern=r".{1,60}", hint=N_("收购品种最多 60 个字")),
        "floor_price_fen_per_kg": integer_term(raw, Term.FLOOR_PRICE, least=1, most=MOST_FEN_PER_KG),
        "premium_fen_per_kg": integer_term(raw, Term.PREMIUM, least=0, most=MOST_FEN_PER_KG),
        "guarantee_days": integer_term(raw, Term.GUARANTEE_DAYS, least=0, most=MOST_GUARANTEE_DAYS),
    }
    later = {
        Term.CAP: _agreed(raw, Term.CAP, most=BASIS),
        Term.QUOTA: _agreed(raw, Term.QUOTA, most=MOST_QUOTA_G),
        Term.BONUS_SHARE: _agreed(raw, Term.BONUS_SHARE, most=BASIS),
    }
    if bool(later[Term.QUOTA]) != bool(later[Term.BONUS_SHARE]):
        missing = Term.BONUS_SHARE if later[Term.QUOTA] else Term.QUOTA
        message = N_("约定交货量和超量奖励要一起填，没有超量奖励就都不填")
        raise Refused("quota_alone", message, field=missing.value)
    return kept | {term.value: value for term, value in later.items() if value}


def _agreed(raw: Mapping[str, object], term: Term, *, most: int) -> int:
    """The integer `term`, zero when the contract has none."""
    return 0 if raw.get(term) is None else integer_term(raw, term, least=0, most=most)


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them."""
    per_kg = N_("%(yuan)s 元/千克")
    lines = [
        Described(Term.COMMODITY.label, "%(text)s", {"text": terms["commodity"]}),
        Described(Term.FLOOR_PRICE.label, per_kg, {"yuan": format_yuan(terms["floor_price_fen_per_kg"])}),
        Described(Term.PREMIUM.label, per_kg, {"yuan": format_yuan(terms["premium_fen_per_kg"])}),
        Described(Term.GUARANTEE_DAYS.label, N_("过磅后 %(days)s 天"), {"days": terms["guarantee_days"]}),
    ]
    if "quota_g" in terms:
        quota = {"kg": format_kg(terms["quota_g"])}
        bonus = {"percent": percent(terms["bonus_share_bp"])}
        lines.append(Described(Term.QUOTA.label, N_("%(kg)s 千克"), quota))
        lines.append(Described(Term.BONUS_SHARE.label, N_("超出部分按单价的 %(percent)s%% 奖励"), bonus))
    if "cap_bp" in terms:
        cap = {"percent": percent(terms["cap_bp"])}
        lines.append(Described(Term.CAP.label, N_("每张过磅单货款的 %(percent)s%%，用来归还预付款"), cap))
    return lines


def percent(rate_bp: int) -> str:
    """A rate in basis points as a percentage without trailing zeros: 1250 -> "12.5"."""
    return f"{rate_bp // 100}.{rate_bp % 100:02d}".rstrip("0").rstrip(".")
