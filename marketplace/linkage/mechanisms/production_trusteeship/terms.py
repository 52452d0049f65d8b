"""What a trusteeship agreement fixes, and how people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import BASIS, format_yuan
from marketplace.core.quantity import format_kg, format_mu
from marketplace.linkage.mechanisms.seam import Described, Terms, integer_term, only_known, text_term

MOST_CMU = 100_000
MOST_FEN_PER_MU = 1_000_000
MOST_G_PER_MU = 10_000_000
MOST_FEN_PER_KG = 1_000_000
MOST_DUE_DAYS = 365


class Term(LabelledEnum):
    """What such an agreement fixes."""

    COMMODITY = "commodity", N_("托管品种")
    AREA = "area_cmu", N_("托管面积")
    FEE = "fee_fen_per_mu", N_("每季服务费")
    SUBSIDY = "subsidy_fen_per_mu", N_("服务费补贴")
    GUARANTEED = "guaranteed_g_per_mu", N_("保底产量")
    PRICE = "price_fen_per_kg", N_("结算价")
    BONUS_SHARE = "bonus_share_bp", N_("超产奖励")
    DUE_DAYS = "due_days", N_("兑付期限")


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: area, fee and subsidy a mu and season, guaranteed yield a mu, price, bonus, days.

    Fee, subsidy and guaranteed yield are of one season; the bonus is a share of the price of what exceeds the
    guarantee. Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in Term])
    kept: dict[str, Any] = {
        "commodity": text_term(raw, Term.COMMODITY, pattern=r".{1,60}", hint=N_("托管品种最多 60 个字")),
        "area_cmu": integer_term(raw, Term.AREA, least=1, most=MOST_CMU),
        "fee_fen_per_mu": integer_term(raw, Term.FEE, least=0, most=MOST_FEN_PER_MU),
        "subsidy_fen_per_mu": integer_term(raw, Term.SUBSIDY, least=0, most=MOST_FEN_PER_MU),
        "guaranteed_g_per_mu": integer_term(raw, Term.GUARANTEED, least=0, most=MOST_G_PER_MU),
        "price_fen_per_kg": integer_term(raw, Term.PRICE, least=1, most=MOST_FEN_PER_KG),
        "bonus_share_bp": integer_term(raw, Term.BONUS_SHARE, least=0, most=BASIS),
        "due_days": integer_term(raw, Term.DUE_DAYS, least=0, most=MOST_DUE_DAYS),
    }
    if kept["subsidy_fen_per_mu"] > kept["fee_fen_per_mu"]:
        message = N_("补贴不能超过服务费，请核对每亩金额")
        raise Refused("subsidy_above_fee", message, field=Term.SUBSIDY.value)
    return kept


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them."""
    per_mu = N_("每亩 %(yuan)s 元")
    guaranteed = {"kg": format_kg(terms["guaranteed_g_per_mu"])}
    lines = [
        Described(Term.COMMODITY.label, "%(text)s", {"text": terms["commodity"]}),
        Described(Term.AREA.label, N_("%(mu)s 亩"), {"mu": format_mu(terms["area_cmu"])}),
        Described(Term.FEE.label, per_mu, {"yuan": format_yuan(terms["fee_fen_per_mu"])}),
    ]
    if terms["subsidy_fen_per_mu"]:
        lines.append(
            Described(Term.SUBSIDY.label, per_mu, {"yuan": format_yuan(terms["subsidy_fen_per_mu"])})
        )
    return [
        *lines,
        Described(Term.GUARANTEED.label, N_("每亩 %(kg)s 千克"), guaranteed),
        Described(Term.PRICE.label, N_("%(yuan)s 元/千克"), {"yuan": format_yuan(terms["price_fen_per_kg"])}),
        Described(Term.BONUS_SHARE.label, *bonus_words(terms["bonus_share_bp"])),
        Described(Term.DUE_DAYS.label, N_("记产后 %(days)s 天"), {"days": terms["due_days"]}),
    ]


def bonus_words(share_bp: int) -> tuple[str, dict[str, Any]]:
    """How the bonus is agreed."""
    if not share_bp:
        return N_("没有约定"), {}
    percent = f"{share_bp // 100}.{share_bp % 100:02d}".rstrip("0").rstrip(".")
    return N_("超过保底产量的部分，按价款的 %(percent)s%% 另加"), {"percent": percent}
