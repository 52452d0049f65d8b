"""Land transfer as the rest of the room sees it: its terms, its claim on parcels, and what a parcel-year entitles to.

Rent that steps by year is a new version of the agreement from that year on; rent indexed to grain comes later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from operator import itemgetter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import format_yuan, half_up
from marketplace.core.quantity import format_mu
from marketplace.linkage.mechanisms.land_transfer.models import ParcelTransfer, ParcelYear
from marketplace.linkage.mechanisms.seam import (
    Computed,
    Described,
    Details,
    Terms,
    integer_term,
    only_known,
    text_term,
)
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Evidence,
    IncomeClass,
    LinkagePeriod,
)
from marketplace.linkage.spans import FOREVER, add_span, cut_span, overlapping_span

attributions: tuple[Attribution, ...] = (Attribution.ALLOCATED,)
income_class = IncomeClass.PROPERTY
RULE_VERSION = 1
MOST_FEN_PER_MU = 1_000_000
MOST_PARCELS = 50
MOST_CMU = 100_000
CMU_PER_MU = 100
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


AGREED = (Term.CERTIFICATE, Term.PARCELS, Term.RATE, Term.BASIS)


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: certificate of the right, parcels with their area, rent a mu and year, days a year.

    A parcel is named by its 19-digit national code (GB/T 35958), so that two agreements mean the same ground. Raises
    Refused naming the field.
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
        "rate_fen_per_mu": integer_term(raw, Term.RATE, least=1, most=MOST_FEN_PER_MU),
        "days_in_year": days_in_year,
    }


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
    rate = {"yuan": format_yuan(terms["rate_fen_per_mu"])}
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
        Described(Term.RATE.label, N_("每亩 %(yuan)s 元"), rate),
        Described(Term.BASIS.label, N_("%(days)s 天"), basis),
    ]


def entitlement(details: Details, terms: Terms, *, rule_version: int = RULE_VERSION) -> Computed:
    """half_up(cmu * rate_fen_per_mu * days / (100 * days_in_year)), due when the linkage period closes.

    `details`: parcel_no, area_cmu, starts_on, ends_on (excluded), period_ends_on, dates in ISO form. Raises ValueError
    for an unknown rule version.
    """
    if rule_version != RULE_VERSION:
        raise ValueError(f"land transfer has no rule version {rule_version}")
    days = (date.fromisoformat(details["ends_on"]) - date.fromisoformat(details["starts_on"])).days
    rent = details["area_cmu"] * terms["rate_fen_per_mu"] * days
    return Computed(
        amount_fen=half_up(rent, CMU_PER_MU * terms["days_in_year"]),
        due_on=date.fromisoformat(details["period_ends_on"]),
        inputs={
            "details": dict(details),
            "terms": {"rate_fen_per_mu": terms["rate_fen_per_mu"], "days_in_year": terms["days_in_year"]},
            "days": days,
        },
        rule_version=rule_version,
    )


def summarise(inputs: Mapping[str, Any]) -> Described:
    """The parcel and the days."""
    details = inputs["details"]
    params = {"no": details["parcel_no"], "mu": format_mu(details["area_cmu"]), "days": inputs["days"]}
    return Described(N_("租金"), N_("地块 %(no)s，%(mu)s 亩 %(days)s 天"), params)


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """The area, the rent and the days that made the amount."""
    details, terms = inputs["details"], inputs["terms"]
    days = {"days": inputs["days"], "days_in_year": terms["days_in_year"]}
    return [
        Described(Term.PARCEL_NO.label, "%(text)s", {"text": details["parcel_no"]}),
        Described(Term.AREA.label, N_("%(mu)s 亩"), {"mu": format_mu(details["area_cmu"])}),
        Described(Term.RATE.label, N_("每亩 %(yuan)s 元"), {"yuan": format_yuan(terms["rate_fen_per_mu"])}),
        Described(N_("天数"), N_("%(days)s 天（一年按 %(days_in_year)s 天）"), days),
    ]


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the parcel-years say, by evidence id."""
    rows = session.execute(
        select(ParcelYear, LinkagePeriod.ends_on).join(LinkagePeriod).where(ParcelYear.id.in_(evidence_ids))
    )
    return {year.id: year_details(year, period_ends_on) for year, period_ends_on in rows.unique()}


def year_details(year: ParcelYear, period_ends_on: date) -> dict[str, Any]:
    """A parcel-year as `entitlement` takes it."""
    return {
        "parcel_no": year.parcel_no,
        "area_cmu": year.area_cmu,
        "starts_on": year.starts_on.isoformat(),
        "ends_on": year.ends_on.isoformat(),
        "period_ends_on": period_ends_on.isoformat(),
    }


def recorded_until(session: Session, agreement: Agreement) -> date | None:
    """The end of the last rent recorded under the agreement."""
    return session.scalar(
        select(func.max(ParcelYear.ends_on))
        .join(Evidence, Evidence.id == ParcelYear.id)
        .join(AgreementVersion)
        .where(AgreementVersion.agreement_id == agreement.id)
    )


def claim(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    """Hold the version's parcels from its first day on, in place of those of the version before.

    Raises Conflict when one of them is under another transfer on any of these days.
    """
    release(session, agreement, ends_on=version.valid_from)
    starts_on, ends_on = version.valid_from, version.valid_to or FOREVER
    key = ParcelTransfer.parcel_no
    for parcel in sorted(version.terms["parcels"], key=itemgetter("parcel_no")):
        taken = overlapping_span(session, key, parcel["parcel_no"], starts_on=starts_on, ends_on=ends_on)
        if taken is not None:
            raise Conflict(
                "parcel_taken",
                N_("地块 %(no)s 从 %(day)s 起已在另一份有效的流转协议中，同一块地同一天只能有一份"),
                field="parcels",
                no=parcel["parcel_no"],
                day=taken.starts_on.isoformat(),
            )
        span = ParcelTransfer(agreement_id=agreement.id, starts_on=starts_on, ends_on=ends_on, **parcel)
        add_span(session, key, span)


def release(session: Session, agreement: Agreement, *, ends_on: date) -> None:
    """Free the agreement's parcels from `ends_on` on."""
    held = select(ParcelTransfer).where(
        ParcelTransfer.agreement_id == agreement.id, ParcelTransfer.ends_on > ends_on
    )
    for span in session.scalars(held.order_by(ParcelTransfer.parcel_no, ParcelTransfer.starts_on)).all():
        cut_span(session, ParcelTransfer.parcel_no, span, ends_on=ends_on)
