"""Land transfer as the rest of the room sees it: its terms, its claim on parcels, and what a parcel-year entitles to.

The arithmetic is in `formula`, what a transfer fixes in `terms`, the prices of grain in `grain`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from operator import itemgetter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.core.quantity import format_mu
from marketplace.linkage.mechanisms.land_transfer.formula import entitlement
from marketplace.linkage.mechanisms.land_transfer.models import (
    GrainPrice,
    ParcelTransfer,
    ParcelYear,
    ParcelYearPrice,
)
from marketplace.linkage.mechanisms.land_transfer.terms import Term, describe_terms, validate_terms
from marketplace.linkage.mechanisms.seam import Described
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Evidence,
    IncomeClass,
    LinkagePeriod,
)
from marketplace.linkage.spans import FOREVER, add_span, cut_span, overlapping_span

__all__ = [
    "attributions",
    "claim",
    "describe_terms",
    "details_of",
    "entitlement",
    "explain",
    "income_class",
    "recorded_until",
    "release",
    "summarise",
    "validate_terms",
]

attributions: tuple[Attribution, ...] = (Attribution.ALLOCATED,)
income_class = IncomeClass.PROPERTY


def summarise(inputs: Mapping[str, Any]) -> Described:
    """The parcel and the days."""
    details = inputs["details"]
    params = {"no": details["parcel_no"], "mu": format_mu(details["area_cmu"]), "days": inputs["days"]}
    return Described(N_("租金"), N_("地块 %(no)s，%(mu)s 亩 %(days)s 天"), params)


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """The area, the rent and the days that made the amount."""
    details, terms = inputs["details"], inputs["terms"]
    rate = inputs.get("rate_fen_per_mu", terms.get("rate_fen_per_mu"))
    days = {"days": inputs["days"], "days_in_year": terms["days_in_year"]}
    return [
        Described(Term.PARCEL_NO.label, "%(text)s", {"text": details["parcel_no"]}),
        Described(Term.AREA.label, N_("%(mu)s 亩"), {"mu": format_mu(details["area_cmu"])}),
        *_explain_grain(details, terms),
        Described(Term.RATE.label, N_("每亩 %(yuan)s 元"), {"yuan": format_yuan(rate)}),
        Described(N_("天数"), N_("%(days)s 天（一年按 %(days_in_year)s 天）"), days),
    ]


def _explain_grain(details: Mapping[str, Any], terms: Mapping[str, Any]) -> list[Described]:
    """The grain and its price that made the rate, where the rent is in grain."""
    if "jin_per_mu" not in terms:
        return []
    price = {"yuan": format_yuan(details["grain_fen_per_kg"]), "year": details["starts_on"][:4]}
    return [
        Described(Term.JIN.label, N_("%(jin)s 斤"), {"jin": terms["jin_per_mu"]}),
        Described(N_("稻谷价格"), N_("%(year)s 年每千克 %(yuan)s 元"), price),
    ]


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the parcel-years say, and the price of grain they were computed with, by evidence id."""
    rows = session.execute(
        select(ParcelYear, LinkagePeriod.ends_on, GrainPrice.fen_per_kg)
        .join(LinkagePeriod, LinkagePeriod.id == ParcelYear.period_id)
        .outerjoin(ParcelYearPrice, ParcelYearPrice.id == ParcelYear.id)
        .outerjoin(GrainPrice, GrainPrice.id == ParcelYearPrice.grain_price_id)
        .where(ParcelYear.id.in_(evidence_ids))
    )
    return {year.id: year_details(year, ends_on, price) for year, ends_on, price in rows}


def year_details(
    year: ParcelYear, period_ends_on: date, grain_fen_per_kg: int | None = None
) -> dict[str, Any]:
    """A parcel-year as `entitlement` takes it, with the price of grain when its rent is in grain."""
    grain = {} if grain_fen_per_kg is None else {"grain_fen_per_kg": grain_fen_per_kg}
    return {
        "parcel_no": year.parcel_no,
        "area_cmu": year.area_cmu,
        "starts_on": year.starts_on.isoformat(),
        "ends_on": year.ends_on.isoformat(),
        "period_ends_on": period_ends_on.isoformat(),
        **grain,
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
