"""Reading late corrections."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.errors import NotFound
from marketplace.linkage.late_corrections.inputs import computed_from
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.mechanisms.seam import Computed
from marketplace.linkage.models import Entitlement, LinkagePeriod, PeriodState


def correction_of(session: Session, evidence_id: int) -> LateCorrection:
    """The late correction whose own evidence this is. Raises NotFound."""
    found = session.scalar(
        select(LateCorrection)
        .where(LateCorrection.evidence_id == evidence_id)
        .options(joinedload(LateCorrection.period), joinedload(LateCorrection.corrected))
    )
    if found is None:
        raise NotFound
    return found


def closed_period_on(session: Session, cooperative_id: int, day: date) -> LinkagePeriod | None:
    """The closed linkage period of a cooperative that holds `day`, whose evidence can only be corrected late."""
    return session.scalar(
        select(LinkagePeriod).where(
            LinkagePeriod.cooperative_id == cooperative_id,
            LinkagePeriod.starts_on <= day,
            LinkagePeriod.ends_on > day,
            LinkagePeriod.state == PeriodState.CLOSED,
        )
    )


def corrections_of_period(period_id: int) -> Select[LateCorrection]:
    """What was found too late for a closed period, the latest first."""
    return (
        select(LateCorrection)
        .where(LateCorrection.corrects_period_id == period_id)
        .options(
            joinedload(LateCorrection.agreement),
            joinedload(LateCorrection.evidence),
            joinedload(LateCorrection.corrected),
        )
        .order_by(LateCorrection.id.desc())
    )


def recompute_correction(session: Session, entitlement: Entitlement) -> Computed:
    """What an entitlement from a late correction must say, derived anew from what was recorded. Raises NotFound."""
    found = correction_of(session, entitlement.evidence_id)
    open_period = session.get_one(LinkagePeriod, entitlement.period_id)
    return computed_of(found, found.period, open_period)


def computed_of(correction: LateCorrection, closed: LinkagePeriod, open_period: LinkagePeriod) -> Computed:
    """What `correction` of the period `closed` entitles to in `open_period`."""
    corrected = correction.corrected
    return computed_from(
        amount_fen=correction.amount_fen,
        due_on=open_period.ends_on,
        reason=correction.reason,
        corrects=corrected.public_no if corrected else closed.public_no,
        first_day=closed.starts_on,
        last_day=closed.ends_on - timedelta(days=1),
    )
