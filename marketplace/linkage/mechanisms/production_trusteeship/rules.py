"""Recording what a season gave, and charging its service fee."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import (
    add_charge,
    evidence_under,
    grant_entitlement,
    keep_evidence,
    require_own,
    version_for,
)
from marketplace.linkage.mechanisms.production_trusteeship.mechanism import (
    entitlement,
    record_details,
)
from marketplace.linkage.mechanisms.production_trusteeship.models import MOST_G, HalfYear, YieldRecord
from marketplace.linkage.mechanisms.seam import Computed
from marketplace.linkage.models import Agreement, ChargeKind, Evidence, Lot, Mechanism

MOST_TONNES = MOST_G // 1_000_000
REAPED_LATE_DAYS = 92  # early rice comes in until August, navel oranges until March


def yield_key(agreement_no: str, season: str) -> str:
    """The global key of a yield record: the agreement's public number and the season."""
    return f"yield:{agreement_no}:{season}"


def season_code(year: int, half: HalfYear) -> str:
    """The year and its half, e.g. "2026-2"."""
    return f"{year:04d}-{half.value}"


def season_on(day: date) -> tuple[int, HalfYear]:
    """The season that a day lies in."""
    return day.year, HalfYear.FIRST if day.month <= 6 else HalfYear.SECOND


def record_yield(
    session: Session,
    actor: Actor,
    *,
    agreement: Agreement,
    lot: Lot,
    year: int,
    half: HalfYear,
    actual_g: int,
    recorded_on: date,
    file: StoredFile | None = None,
) -> Evidence:
    """Record what the plots of `agreement` gave in a season, brought into `lot`, what it entitles to, and the fee.

    `actual_g` in grams, 0 for a crop that failed. The lot receives what was reaped, never the guaranteed grams; the
    service fee becomes a charge, once a season. Raises Refused (field named) for a day, season or weight that cannot
    be, or a lot of another commodity; Conflict when the season is recorded already; NotFound for somebody else's
    agreement or lot. Then nothing has changed.
    """
    require_own(actor, agreement, lot)
    if not 0 <= actual_g <= MOST_G:
        message = N_("产量不能小于零，也不能超过 %(most)s 吨，请核对单位是否为千克")
        raise Refused("actual_g", message, field="actual_g", most=MOST_TONNES)
    version = version_for(
        session, agreement, Mechanism.PRODUCTION_TRUSTEESHIP, recorded_on, field="recorded_on"
    )
    _check_season(year, half, recorded_on)
    _check_commodity(version.terms["commodity"], lot)
    record = YieldRecord(lot_id=lot.id, season=season_code(year, half), actual_g=actual_g)
    details = record_details(record, recorded_on)
    evidence = keep_evidence(
        session,
        actor,
        version=version,
        mechanism=Mechanism.PRODUCTION_TRUSTEESHIP,
        key=_unused_key(session, agreement, record.season),
        occurred_on=recorded_on,
        content={**details, "lot": lot.public_no, "agreement": agreement.public_no},
        file=file,
    )
    record.id = evidence.id
    session.add(record)
    computed = entitlement(details, version.terms)
    grant_entitlement(session, evidence, agreement, computed, lot_id=lot.id)
    _charge_fee(session, evidence, agreement, computed, recorded_on)
    _receive(session, lot, actual_g)
    _tell(session, actor, evidence, record, agreement, lot, computed)
    return evidence


def _check_season(year: int, half: HalfYear, recorded_on: date) -> None:
    if not 2014 <= year <= recorded_on.year:
        raise Refused("season", N_("产季的年份不合理，请核对"), field="year")
    starts_on = date(year, 1, 1) if half is HalfYear.FIRST else date(year, 7, 1)
    ends_on = date(year, 7, 1) if half is HalfYear.FIRST else date(year + 1, 1, 1)
    if not starts_on <= recorded_on < ends_on + timedelta(days=REAPED_LATE_DAYS):
        raise Refused(
            "season",
            N_("这个产季的产量要在 %(first)s 到 %(last)s 之间记录，请核对年份和日期"),
            field="year",
            first=starts_on.isoformat(),
            last=(ends_on + timedelta(days=REAPED_LATE_DAYS - 1)).isoformat(),
        )


def _check_commodity(agreed: str, lot: Lot) -> None:
    if agreed != lot.commodity:
        raise Refused(
            "wrong_commodity",
            N_("协议约定托管“%(agreed)s”，而这个批次是“%(lot)s”"),
            field="lot_no",
            agreed=agreed,
            lot=lot.commodity,
        )


def _unused_key(session: Session, agreement: Agreement, season: str) -> str:
    """The global key of the season. Raises Conflict, saying when it was recorded, when it is taken."""
    key = yield_key(agreement.public_no, season)
    first = evidence_under(session, key)
    if first is None:
        return key
    raise Conflict(
        "season_recorded",
        N_("产季 %(season)s 的产量已在 %(day)s 记录，服务费一季只收一次，没有重复记录"),
        field="year",
        season=season,
        day=first.occurred_on.isoformat(),
    )


def _charge_fee(
    session: Session, evidence: Evidence, agreement: Agreement, computed: Computed, charged_on: date
) -> None:
    """The fee of the season as a charge; where the subsidy covers it all, none is made."""
    names = ("full_fee_fen", "subsidy_fen", "charge_fen")
    if computed.inputs["charge_fen"]:
        add_charge(
            session,
            evidence,
            agreement,
            kind=ChargeKind.SERVICE_FEE,
            amount_fen=computed.inputs["charge_fen"],
            charged_on=charged_on,
            inputs={"season": computed.inputs["details"]["season"]}
            | {name: computed.inputs[name] for name in names}
            | {"area_cmu": computed.inputs["terms"]["area_cmu"]},
        )


def _receive(session: Session, lot: Lot, actual_g: int) -> None:
    session.execute(
        update(Lot)
        .where(Lot.id == lot.id)
        .values(received_g=Lot.received_g + actual_g)
        .execution_options(synchronize_session=False)
    )
    session.refresh(lot, ["received_g", "committed_g", "promised_g"])


def _tell(
    session: Session,
    actor: Actor,
    evidence: Evidence,
    record: YieldRecord,
    agreement: Agreement,
    lot: Lot,
    computed: Computed,
) -> None:
    record_trail(
        session,
        actor,
        "linkage.record_yield",
        subject=("evidence", evidence.public_no),
        household_id=agreement.household_id,
        season=record.season,
        lot=lot.public_no,
        actual_g=record.actual_g,
        amount_fen=computed.amount_fen,
        charge_fen=computed.inputs["charge_fen"],
    )
