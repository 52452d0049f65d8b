"""Recording parcel-years: the rent of a parcel for a span of days."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import grant_entitlement, keep_evidence, require_own, version_for
from marketplace.linkage.mechanisms.land_transfer.formula import (
    changes_between,
    entitlement,
    rule_version_for,
)
from marketplace.linkage.mechanisms.land_transfer.grain import grain_price_for
from marketplace.linkage.mechanisms.land_transfer.mechanism import year_details
from marketplace.linkage.mechanisms.land_transfer.models import ParcelYear, ParcelYearPrice, RentedSpan
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Evidence,
    LinkagePeriod,
    Mechanism,
    PeriodState,
)
from marketplace.linkage.queries import period_on, version_on
from marketplace.linkage.spans import add_span, overlapping_span

MOST_DAYS = 366


def parcel_year_key(parcel_no: str, starts_on: date) -> str:
    """The global key of a parcel-year: the parcel's national code and the first day paid for."""
    return f"parcel_year:{parcel_no}:{starts_on.isoformat()}"


def record_parcel_year(
    session: Session,
    actor: Actor,
    *,
    agreement: Agreement,
    parcel_no: str,
    starts_on: date,
    ends_on: date,
    file: StoredFile | None = None,
) -> Evidence:
    """Record the rent of one parcel of `agreement` for the days [starts_on, ends_on), and what it entitles to.

    The days lie in one open linkage period and under one version of the agreement, at one rate. Raises Refused (field
    named) when they do not, or when the rent is in grain and the price of the year is missing; Conflict when a day of
    the parcel is paid for already, by whatever agreement; NotFound for somebody else's agreement. Then nothing has
    changed.
    """
    require_own(actor, agreement)
    if not 0 < (ends_on - starts_on).days <= MOST_DAYS:
        message = N_("结束日期须晚于开始日期，并且一次不超过 %(most)s 天")
        raise Refused("rent_days", message, field="ends_on", most=MOST_DAYS)
    version = version_for(session, agreement, Mechanism.LAND_TRANSFER, starts_on, field="starts_on")
    _refuse_other_version(agreement, version, ends_on)
    _refuse_other_rate(version, starts_on, ends_on)
    period = _open_period(session, agreement, starts_on, ends_on)
    year = ParcelYear(
        period_id=period.id,
        parcel_no=parcel_no,
        right_certificate_no=version.terms["right_certificate_no"],
        area_cmu=_agreed_area(version, parcel_no),
        starts_on=starts_on,
        ends_on=ends_on,
    )
    _refuse_paid(session, year)
    in_grain = "jin_per_mu" in version.terms
    price = grain_price_for(session, parcel_no, starts_on.year) if in_grain else None
    details = year_details(year, period.ends_on, price.fen_per_kg if price else None)
    evidence = keep_evidence(
        session,
        actor,
        version=version,
        mechanism=Mechanism.LAND_TRANSFER,
        key=parcel_year_key(parcel_no, starts_on),
        occurred_on=starts_on,
        content={**details, "agreement": agreement.public_no, "certificate": year.right_certificate_no},
        file=file,
    )
    year.id = evidence.id
    session.add(year)
    span = RentedSpan(evidence_id=evidence.id, parcel_no=parcel_no, starts_on=starts_on, ends_on=ends_on)
    add_span(session, RentedSpan.parcel_no, span)
    if price is not None:
        session.add(ParcelYearPrice(id=year.id, grain_price_id=price.id))
    computed = entitlement(details, version.terms, rule_version=rule_version_for(version.terms))
    grant_entitlement(session, evidence, agreement, computed, period_id=period.id)
    record_trail(
        session,
        actor,
        "linkage.record_parcel_year",
        subject=("evidence", evidence.public_no),
        household_id=agreement.household_id,
        parcel_no=parcel_no,
        starts_on=starts_on.isoformat(),
        ends_on=ends_on.isoformat(),
        amount_fen=computed.amount_fen,
    )
    return evidence


def _refuse_other_version(agreement: Agreement, version: AgreementVersion, ends_on: date) -> None:
    at_end = version_on(agreement, ends_on - timedelta(days=1))
    if at_end is None:
        raise Refused("after_agreement", N_("协议在这段时间内到期或终止，请把结束日期提前"), field="ends_on")
    if at_end is not version:
        raise Refused(
            "terms_changed",
            N_("协议从 %(day)s 起变更过，请以这天为界分成两条记录"),
            field="ends_on",
            day=at_end.valid_from.isoformat(),
        )


def _refuse_other_rate(version: AgreementVersion, starts_on: date, ends_on: date) -> None:
    changed_on = changes_between(version.terms, starts_on, ends_on)
    if changed_on is not None:
        message = N_("租金从 %(day)s 起是另一个标准，请以这天为界分成两条记录")
        raise Refused("rate_changes", message, field="ends_on", day=changed_on.isoformat())


def _open_period(session: Session, agreement: Agreement, starts_on: date, ends_on: date) -> LinkagePeriod:
    period = period_on(session, agreement.cooperative_id, starts_on)
    if period is None:
        message = N_("%(day)s 还没有联结期，请先开设一个联结期")
        raise Refused("no_period", message, field="starts_on", day=starts_on.isoformat())
    if ends_on > period.ends_on:
        message = N_("这段时间超出了联结期（到 %(day)s 为止），请按联结期分开记录")
        last = period.ends_on - timedelta(days=1)
        raise Refused("beyond_period", message, field="ends_on", day=last.isoformat())
    if period.state is PeriodState.CLOSED:
        message = N_("%(day)s 所在的联结期已关账，不能再补记")
        raise Refused("closed_period", message, field="starts_on", day=starts_on.isoformat())
    return period


def _agreed_area(version: AgreementVersion, parcel_no: str) -> int:
    for parcel in version.terms["parcels"]:
        if parcel["parcel_no"] == parcel_no:
            area: int = parcel["area_cmu"]
            return area
    raise Refused("unknown_parcel", N_("地块 %(no)s 不在这份协议里"), field="parcel_no", no=parcel_no)


def _refuse_paid(session: Session, year: ParcelYear) -> None:
    paid = overlapping_span(
        session, RentedSpan.parcel_no, year.parcel_no, starts_on=year.starts_on, ends_on=year.ends_on
    )
    if paid is not None:
        raise Conflict(
            "days_paid",
            N_("地块 %(no)s 从 %(first)s 到 %(last)s 的租金已记录，日期不能重叠"),
            field="starts_on",
            no=year.parcel_no,
            first=paid.starts_on.isoformat(),
            last=(paid.ends_on - timedelta(days=1)).isoformat(),
        )
