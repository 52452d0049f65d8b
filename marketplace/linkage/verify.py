"""Checks of what evidence moved along with it: working days, and the shares of village rents."""

from __future__ import annotations

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt, AssetRentShare
from marketplace.linkage.mechanisms.employment.models import Attendance, LabourDay, LabourSpan
from marketplace.linkage.models import Entitlement, Evidence
from marketplace.registry.models import HouseholdMember


def _labour_days_add_up(session: Session) -> Answer:
    """A person's day holds the minutes of its attendances, or the times noted for pieces."""
    noted = func.coalesce(Attendance.ends_minute - Attendance.starts_minute, 0)
    minutes = case((Attendance.minutes.is_not(None), Attendance.minutes), else_=noted)
    summed = func.coalesce(func.sum(case((Attendance.id.is_not(None), minutes), else_=0)), 0)
    query = (
        select(
            HouseholdMember.public_no.label("person"),
            LabourDay.worked_on.label("day"),
            LabourDay.minutes.label("kept"),
            summed.label("summed"),
        )
        .join(HouseholdMember, HouseholdMember.id == LabourDay.person_id)
        .outerjoin(
            Attendance,
            (Attendance.person_id == LabourDay.person_id) & (Attendance.worked_on == LabourDay.worked_on),
        )
        .group_by(HouseholdMember.public_no, LabourDay.person_id, LabourDay.worked_on, LabourDay.minutes)
        .having(LabourDay.minutes != summed)
        .order_by(LabourDay.worked_on, LabourDay.person_id)
    )
    message = N_("人员 %(person)s 在 %(day)s 记了 %(kept)s 分钟，考勤合计是 %(summed)s 分钟")
    return count_of(session, LabourDay), rows_found(session, "labour_days", message, query)


def _spans_are_as_noted(session: Session) -> Answer:
    """Every attendance with times has its span in the person's day, with the same times."""
    query = (
        select(Evidence.public_no.label("evidence"))
        .join(Attendance, Attendance.id == Evidence.id)
        .outerjoin(LabourSpan, LabourSpan.evidence_id == Attendance.id)
        .where(
            Attendance.starts_minute.is_not(None),
            or_(
                LabourSpan.evidence_id.is_(None),
                LabourSpan.starts_minute != Attendance.starts_minute,
                LabourSpan.ends_minute != Attendance.ends_minute,
                LabourSpan.person_id != Attendance.person_id,
                LabourSpan.worked_on != Attendance.worked_on,
            ),
        )
        .order_by(Evidence.id)
    )
    message = N_("考勤 %(evidence)s 的起止时间没有占住当天的时段")
    return count_of(session, LabourSpan), rows_found(session, "labour_spans", message, query)


def _rents_are_shared_whole(session: Session) -> Answer:
    """What the village keeps of a rent and what its households are entitled to make the rent."""
    shared = func.sum(Entitlement.amount_fen)
    query = (
        select(
            AssetRentReceipt.public_no.label("receipt"),
            AssetRentReceipt.rent_fen.label("rent_fen"),
            (AssetRentReceipt.retained_fen + shared).label("shared_fen"),
        )
        .join(AssetRentShare, AssetRentShare.receipt_id == AssetRentReceipt.id)
        .join(Entitlement, Entitlement.evidence_id == AssetRentShare.id)
        .group_by(
            AssetRentReceipt.id,
            AssetRentReceipt.public_no,
            AssetRentReceipt.rent_fen,
            AssetRentReceipt.retained_fen,
        )
        .having(AssetRentReceipt.retained_fen + shared != AssetRentReceipt.rent_fen)
        .order_by(AssetRentReceipt.id)
    )
    message = N_("资产租金 %(receipt)s 收到 %(rent_fen)s 分，留存加分给农户是 %(shared_fen)s 分")
    return count_of(session, AssetRentReceipt), rows_found(session, "asset_rents", message, query)


CHECKS: tuple[Check, ...] = (
    Check("labour_days", N_("每人每天的工时等于考勤之和，不超过 16 小时"), _labour_days_add_up),
    Check("labour_spans", N_("记了起止时间的考勤都占住当天的时段"), _spans_are_as_noted),
    Check("asset_rents", N_("每笔资产租金都分完，一分不差"), _rents_are_shared_whole),
)
