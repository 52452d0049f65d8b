"""What a stake agreement fixes, and how people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import format_yuan
from marketplace.linkage.mechanisms.seam import Described, Terms, integer_term, only_known, text_term
from marketplace.linkage.mechanisms.share_cooperation.models import StakeSource

MOST_FEN = 100_000_000_000
MOST_SHARES = 1_000_000
CERTIFICATE_FORM = r"[0-9A-Za-z\u4e00-\u9fff()（）〔〕\-]{1,40}"


class Term(LabelledEnum):
    """What such an agreement fixes."""

    CERTIFICATE = "certificate_no", N_("股权证号")
    STAKE = "stake_fen", N_("入股金额")
    SOURCE = "source", N_("股份来源")
    SHARES = "shares", N_("股数")


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: number of the certificate, stake in fen, its source, number of shares if stated.

    Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in Term])
    source = raw.get(Term.SOURCE)
    if not isinstance(source, str) or StakeSource.known(source) is None:
        raise Refused("term_missing", N_("请填写“%(term)s”"), field=Term.SOURCE.value, term=Term.SOURCE)
    kept = {
        "certificate_no": text_term(
            raw,
            Term.CERTIFICATE,
            pattern=CERTIFICATE_FORM,
            hint=N_("股权证号最多 40 个字，只能有数字、字母、汉字、括号和横线，请照证书填写"),
        ),
        "stake_fen": integer_term(raw, Term.STAKE, least=1, most=MOST_FEN),
        "source": StakeSource(source).value,
    }
    if raw.get(Term.SHARES) is not None:
        kept["shares"] = integer_term(raw, Term.SHARES, least=1, most=MOST_SHARES)
    return kept


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them."""
    lines = [
        Described(Term.CERTIFICATE.label, "%(text)s", {"text": terms["certificate_no"]}),
        Described(Term.STAKE.label, N_("%(yuan)s 元"), {"yuan": format_yuan(terms["stake_fen"])}),
        Described(Term.SOURCE.label, StakeSource(terms["source"]).label),
    ]
    if "shares" in terms:
        lines.append(Described(Term.SHARES.label, N_("%(count)s 股"), {"count": terms["shares"]}))
    return lines
