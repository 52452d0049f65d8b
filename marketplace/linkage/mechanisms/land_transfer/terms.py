"""What a land transfer fixes: the right, the parcels, and the rent: at one rate, in steps, or indexed to grain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any

from marketplace.core.errors import Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import format_yuan
from marketplace.core.quantity import format_mu
from marketplace.linkage.mechanisms.seam import Described, Terms, integer_term, only_known, text_term

MOST_FEN_PER_MU = 1_000_000
MOST_JIN_PER_MU = 3_000  # more grain than a mu of the best paddy bears in a year
MOST_PARCELS = 50
MOST_STEPS = 20
MOST_CMU = 100_000
BASES = (360, 365, 366)
PARCEL_FORM = r"36\d{17}"
CERTIFICATE_FORM = r"[0-9A-Za-z\u4e00-\u9fff()（）〔〕\-]{6,40}"


class Term(LabelledEnum):
    """What such an agreement fixes."""

    CERTIFICATE = "right_certificate_no", N_("土地承包经营权证号")
    PARCELS = "parcels", N_("地块")
    RATE = "rate_fen_per_mu", N_("年租金")
    BASIS = "days_in_year", N_("每年按天数折算")
    PARCEL_NO = "parcel_no", N_("地块代码")
    AREA = "area_cmu", N_("面积")
    STEPS = "steps", N_("租金调整")
    FROM_ON = "from_on", N_("从哪天起")
    JIN = "jin_per_mu", N_("每亩年租折稻谷")


AGREED = (Term.CERTIFICATE, Term.PARCELS, Term.RATE, Term.BASIS, Term.STEPS, Term.JIN)


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: certificate of the right, parcels with their area, rent a mu and year, days a year.

    The rent is `rate_fen_per_mu` (with `steps` where it changes from a day on), or `jin_per_mu` of grain at the price
    of the year. A parcel is named by its 19-digit national code (GB/T 35958), so that two agreements mean the same
    ground. Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in AGREED])
    days_in_year = integer_term(raw, Term.BASIS, least=min(BASES), most=max(BASES))
    if days_in_year not in BASES:
        raise Refused("term_form", N_("每年按 360、365 或 366 天折算"), field="days_in_year")
    return {
        "right_certificate_no": text_term(
            raw,
            Term.CERTIFICATE,
            pattern=CERTIFICATE_FORM,
            hint=N_("权证号是 6 到 40 位数字、字母或汉字，请照证书填写"),
        ),
        "parcels": _parcels(raw.get("parcels")),
        **_rent(raw),
        "days_in_year": days_in_year,
    }


def _rent(raw: Mapping[str, object]) -> dict[str, Any]:
    steps = raw.get("steps") or []
    if raw.get("jin_per_mu") is not None:
        if raw.get("rate_fen_per_mu") is not None or steps:
            message = N_("租金要么按元，要么折稻谷，只能填一种")
            raise Refused("two_rents", message, field="jin_per_mu")
        return {"jin_per_mu": integer_term(raw, Term.JIN, least=1, most=MOST_JIN_PER_MU)}
    rate = {"rate_fen_per_mu": integer_term(raw, Term.RATE, least=1, most=MOST_FEN_PER_MU)}
    return rate | ({"steps": _steps(steps)} if steps else {})


def _steps(raw: object) -> list[dict[str, Any]]:
    if not isinstance(raw, list | tuple) or len(raw) > MOST_STEPS:
        message = N_("一份协议最多调整 %(most)s 次租金")
        raise Refused("too_many_steps", message, field="steps", most=MOST_STEPS)
    steps = [_step(one) for one in raw]
    if any(later["from_on"] <= sooner["from_on"] for sooner, later in pairwise(steps)):
        raise Refused("step_order", N_("租金调整要按日期先后填，同一天只能调整一次"), field="steps")
    return steps


def _step(raw: object) -> dict[str, Any]:
    values = raw if isinstance(raw, Mapping) else {}
    only_known(values, ["from_on", "rate_fen_per_mu"])
    from_on = values.get("from_on")
    try:
        day = from_on if isinstance(from_on, date) else date.fromisoformat(str(from_on))
        rate = integer_term(values, Term.RATE, least=1, most=MOST_FEN_PER_MU)
    except ValueError:
        raise Refused("step_day", N_("请填写租金从哪天起调整"), field="steps") from None
    except Refused as error:
        raise Refused(error.code, error.message, field="steps", **error.params) from None
    return {"from_on": day.isoformat(), "rate_fen_per_mu": rate}


def _parcels(raw: object) -> list[dict[str, Any]]:
    if not isinstance(raw, list | tuple) or not raw:
        raise Refused("no_parcels", N_("请至少填写一块地"), field="parcels")
    if len(raw) > MOST_PARCELS:
        raise Refused(
            "too_many_parcels", N_("一份协议最多 %(most)s 块地"), field="parcels", most=MOST_PARCELS
        )
    parcels = [_parcel(one) for one in raw]
    seen: set[str] = set()
    for parcel in parcels:
        if parcel["parcel_no"] in seen:
            raise Refused("parcel_twice", N_("地块 %(no)s 填了两次"), field="parcels", no=parcel["parcel_no"])
        seen.add(parcel["parcel_no"])
    return parcels


def _parcel(raw: object) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise Refused("no_parcels", N_("请至少填写一块地"), field="parcels")
    only_known(raw, ["parcel_no", "area_cmu"])
    hint = N_("地块代码是 19 位数字，以 36 开头，印在权证的地块一栏")
    try:
        return {
            "parcel_no": text_term(raw, Term.PARCEL_NO, pattern=PARCEL_FORM, hint=hint),
            "area_cmu": integer_term(raw, Term.AREA, least=1, most=MOST_CMU),
        }
    except Refused as error:
        raise Refused(error.code, error.message, field="parcels", **error.params) from None


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them, a line a parcel."""
    basis = {"days": terms["days_in_year"]}
    parcels = [
        Described(
            Term.PARCELS.label,
            N_("%(no)s，%(mu)s 亩"),
            {"no": parcel["parcel_no"], "mu": format_mu(parcel["area_cmu"])},
        )
        for parcel in terms["parcels"]
    ]
    return [
        Described(Term.CERTIFICATE.label, "%(text)s", {"text": terms["right_certificate_no"]}),
        *parcels,
        *_describe_rent(terms),
        Described(Term.BASIS.label, N_("%(days)s 天"), basis),
    ]


def _describe_rent(terms: Terms) -> list[Described]:
    if "jin_per_mu" in terms:
        jin = {"jin": terms["jin_per_mu"]}
        return [Described(Term.JIN.label, N_("%(jin)s 斤，按当年登记的稻谷价格折成钱"), jin)]
    per_mu = N_("每亩 %(yuan)s 元")
    lines = [Described(Term.RATE.label, per_mu, {"yuan": format_yuan(terms["rate_fen_per_mu"])})]
    for step in terms.get("steps", ()):
        params = {"day": step["from_on"], "yuan": format_yuan(step["rate_fen_per_mu"])}
        lines.append(Described(Term.STEPS.label, N_("从 %(day)s 起每亩 %(yuan)s 元"), params))
    return lines
