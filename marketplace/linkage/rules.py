"""Agreements, lots and linkage periods. Recording evidence is each mechanism's own rule, named here for all rooms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import own_cooperative_id, require_own
from marketplace.linkage.mechanisms.asset_lease.rules import record_asset_rent
from marketplace.linkage.mechanisms.contract_farming.rules import record_weigh_slip
from marketplace.linkage.mechanisms.employment.rules import record_attendance, record_attendance_sheet
from marketplace.linkage.mechanisms.land_transfer.rules import record_parcel_year
from marketplace.linkage.mechanisms.table import module_of
from marketplace.linkage.models import (
    Agreement,
    AgreementState,
    AgreementVersion,
    LinkagePeriod,
    Lot,
    Mechanism,
)
from marketplace.linkage.spans import add_span, overlapping_span
from marketplace.registry.models import Enrolment, EnrolmentState, Household, Region, RegionLevel
from marketplace.registry.queries import is_beneficiary

__all__ = [
    "amend_agreement",
    "end_agreement",
    "open_lot",
    "open_period",
    "record_asset_rent",
    "record_attendance",
    "record_attendance_sheet",
    "record_parcel_year",
    "record_weigh_slip",
    "sign_agreement",
]

FIRST_DAY = date(2014, 1, 1)  # registration of poor households began in 2014
MOST_YEARS = 70  # the longest term a right to forest land is let for (Rural Land Contracting Law, article 21)
MOST_PERIOD_DAYS = 366
UNACKNOWLEDGED = {
    EnrolmentState.PROPOSED: N_("该户还没有确认加入，请等农户本人或村里确认后再签协议"),
    EnrolmentState.DECLINED: N_("该户没有认可加入合作社，不能签协议"),
    EnrolmentState.ENDED: N_("该户已退出合作社，不能再签协议"),
}


def sign_agreement(
    session: Session,
    actor: Actor,
    *,
    household: Household,
    mechanism: Mechanism,
    valid_from: date,
    valid_to: date | None,
    terms: Mapping[str, object],
    file: StoredFile | None = None,
) -> Agreement:
    """Agree with a household on one mechanism over [valid_from, valid_to); `terms` as the mechanism takes them.

    Raises Refused when the household has not acknowledged its enrolment with the actor's cooperative, is no
    beneficiary on the first day, or a term is wrong (field named); Conflict when what the terms claim is held by
    another agreement. Then nothing has changed.
    """
    cooperative_id = own_cooperative_id(actor)
    _require_enrolled(session, cooperative_id, household)
    _check_dates(valid_from, valid_to)
    if not is_beneficiary(session, household.id, valid_on=valid_from):
        message = N_("该户在 %(day)s 不属于帮扶对象，不能签联结协议")
        raise Refused("not_beneficiary", message, field="valid_from", day=valid_from.isoformat())
    module = module_of(mechanism)
    kept = module.validate_terms(terms)
    agreement = Agreement(
        cooperative_id=cooperative_id, household_id=household.id, household=household, mechanism=mechanism
    )
    version = AgreementVersion(
        version=1, valid_from=valid_from, valid_to=valid_to, terms=kept, **_signed_file(actor, file)
    )
    agreement.versions.append(version)
    session.add(agreement)
    session.flush()
    module.claim(session, agreement, version)
    _tell(session, actor, agreement, "linkage.sign_agreement", valid_from=valid_from.isoformat())
    return agreement


def amend_agreement(
    session: Session,
    actor: Actor,
    agreement: Agreement,
    *,
    valid_from: date,
    valid_to: date | None,
    terms: Mapping[str, object],
    file: StoredFile | None = None,
) -> AgreementVersion:
    """Change the terms of an active agreement from a day on, by a new version that holds instead of the one before.

    The day lies after the first day of the version before and after everything recorded. Raises Refused, Conflict and
    NotFound as signing does.
    """
    require_own(actor, agreement)
    _require_active(agreement)
    _check_dates(valid_from, valid_to)
    before = agreement.versions[-1]
    if valid_from <= before.valid_from:
        message = N_("变更须从 %(day)s 之后开始，各版本的有效期不能重叠")
        raise Refused("version_overlaps", message, field="valid_from", day=before.valid_from.isoformat())
    _refuse_recorded(session, agreement, valid_from, field="valid_from")
    module = module_of(agreement.mechanism)
    version = AgreementVersion(
        version=before.version + 1,
        valid_from=valid_from,
        valid_to=valid_to,
        terms=module.validate_terms(terms),
        **_signed_file(actor, file),
    )
    agreement.versions.append(version)
    session.flush()
    module.claim(session, agreement, version)
    _tell(session, actor, agreement, "linkage.amend_agreement", version=version.version)
    return version


def end_agreement(session: Session, actor: Actor, agreement: Agreement, *, ended_on: date) -> Agreement:
    """End an active agreement: from `ended_on` on, at the latest tomorrow, it no longer holds.

    Raises Refused when that is before its first day or before something recorded under it.
    """
    require_own(actor, agreement)
    _require_active(agreement)
    if ended_on > today() + timedelta(days=1):
        raise Refused("future_day", N_("日期不能晚于今天"), field="ended_on")
    first = agreement.versions[0].valid_from
    if ended_on < first:
        message = N_("协议从 %(day)s 起生效，不能在这之前终止")
        raise Refused("before_agreement", message, field="ended_on", day=first.isoformat())
    _refuse_recorded(session, agreement, ended_on, field="ended_on")
    agreement.state = AgreementState.ENDED
    agreement.ended_on = ended_on
    session.flush()
    module_of(agreement.mechanism).release(session, agreement, ends_on=ended_on)
    _tell(session, actor, agreement, "linkage.end_agreement", ended_on=ended_on.isoformat())
    return agreement


def _require_enrolled(session: Session, cooperative_id: int, household: Household) -> None:
    """Lock the enrolment, so that two agreements of one household are signed one after the other."""
    enrolment = session.scalar(
        select(Enrolment)
        .where(Enrolment.cooperative_id == cooperative_id, Enrolment.household_id == household.id)
        .with_for_update(of=Enrolment)
    )
    if enrolment is None:
        raise Refused("not_enrolled", N_("该户还没有加入合作社，请先登记加入"))
    if enrolment.state is not EnrolmentState.ACKNOWLEDGED:
        raise Refused("not_acknowledged", UNACKNOWLEDGED[enrolment.state])


def _require_active(agreement: Agreement) -> None:
    if agreement.state is not AgreementState.ACTIVE:
        raise Refused("ended", N_("这份协议已终止，不能再变更"))


def _check_dates(valid_from: date, valid_to: date | None) -> None:
    if valid_from < FIRST_DAY or valid_from > today() + timedelta(days=366):
        raise Refused("valid_from", N_("生效日期不合理，请核对年份"), field="valid_from")
    if valid_to is not None and valid_to <= valid_from:
        raise Refused("valid_to", N_("到期日期须晚于生效日期"), field="valid_to")
    if valid_to is not None and valid_to.year - valid_from.year > MOST_YEARS:
        message = N_("期限不能超过 %(most)s 年，请核对年份")
        raise Refused("valid_to", message, field="valid_to", most=MOST_YEARS)


def _refuse_recorded(session: Session, agreement: Agreement, day: date, *, field: str) -> None:
    until = module_of(agreement.mechanism).recorded_until(session, agreement)
    if until is not None and day < until:
        message = N_("这份协议已有记录到 %(day)s，请选这之后的日期")
        last = until - timedelta(days=1)
        raise Refused("recorded_later", message, field=field, day=last.isoformat())


def _signed_file(actor: Actor, file: StoredFile | None) -> dict[str, int | str | None]:
    return {
        "file_id": file.id if file else None,
        "file_hash": file.address if file else None,
        "recorded_by": actor.user_id,
    }


def _tell(session: Session, actor: Actor, agreement: Agreement, action: str, **detail: Any) -> None:
    session.flush()
    record_trail(
        session,
        actor,
        action,
        subject=("agreement", agreement.public_no),
        household_id=agreement.household_id,
        mechanism=agreement.mechanism.value,
        **detail,
    )


def open_lot(
    session: Session,
    actor: Actor,
    *,
    lot_no: str,
    commodity: str,
    village_code: str,
    harvested_on: date,
    yield_bp: int = BASIS,
) -> Lot:
    """Open a lot for produce received together; `yield_bp` is what processing leaves of it, in basis points.

    Raises Refused for a number in use, an unknown village, a day in the future or a yield outside 0.01 % to 100 %.
    """
    cooperative_id = own_cooperative_id(actor)
    lot_no, commodity = lot_no.strip(), commodity.strip()
    if not 0 < len(lot_no) <= 40:
        raise Refused("lot_no", N_("请填写批次号，最多 40 个字"), field="lot_no")
    if not 0 < len(commodity) <= 60:
        raise Refused("commodity", N_("请填写品种，最多 60 个字"), field="commodity")
    if not FIRST_DAY <= harvested_on <= today():
        raise Refused("harvested_on", N_("采收日期不能晚于今天，请核对年份"), field="harvested_on")
    if not 0 < yield_bp <= BASIS:
        raise Refused("yield", N_("出品率须大于零，最高是百分之百"), field="yield_bp")
    village = session.get(Region, village_code)
    if village is None or village.level is not RegionLevel.VILLAGE:
        raise Refused("unknown_village", N_("没有找到这个村，请从列表中选择"), field="village_code")
    if session.scalar(select(Lot.id).where(Lot.cooperative_id == cooperative_id, Lot.lot_no == lot_no)):
        raise Refused("lot_no_taken", N_("批次号 %(lot_no)s 已用过，请换一个"), field="lot_no", lot_no=lot_no)
    lot = Lot(
        cooperative_id=cooperative_id,
        lot_no=lot_no,
        commodity=commodity,
        village_code=village_code,
        harvested_on=harvested_on,
        yield_bp=yield_bp,
    )
    session.add(lot)
    session.flush()
    record_trail(session, actor, "linkage.open_lot", subject=("lot", lot.public_no), lot_no=lot_no)
    return lot


def open_period(session: Session, actor: Actor, *, starts_on: date, ends_on: date) -> LinkagePeriod:
    """Open a linkage period over [starts_on, ends_on), at most a year.

    Raises Refused for days that make no period, Conflict when it shares a day with another of the cooperative.
    """
    cooperative_id = own_cooperative_id(actor)
    if starts_on < FIRST_DAY or starts_on > today() + timedelta(days=MOST_PERIOD_DAYS):
        raise Refused("starts_on", N_("开始日期不合理，请核对年份"), field="starts_on")
    if not 0 < (ends_on - starts_on).days <= MOST_PERIOD_DAYS:
        message = N_("结束日期须不早于开始日期，并且联结期最长一年")
        raise Refused("ends_on", message, field="ends_on")
    key = LinkagePeriod.cooperative_id
    other = overlapping_span(session, key, cooperative_id, starts_on=starts_on, ends_on=ends_on)
    if other is not None:
        raise Conflict(
            "period_overlaps",
            N_("与 %(first)s 到 %(last)s 的联结期重叠，请改日期"),
            field="starts_on",
            first=other.starts_on.isoformat(),
            last=(other.ends_on - timedelta(days=1)).isoformat(),
        )
    period = LinkagePeriod(cooperative_id=cooperative_id, starts_on=starts_on, ends_on=ends_on)
    add_span(session, key, period)
    record_trail(
        session,
        actor,
        "linkage.open_period",
        subject=("linkage_period", period.public_no),
        starts_on=starts_on.isoformat(),
        ends_on=ends_on.isoformat(),
    )
    return period
