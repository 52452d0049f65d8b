"""Reading parcel-years, and how far the rent of each parcel is paid."""

from __future__ import annotations

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.linkage.mechanisms.land_transfer.models import ParcelYear, RentedSpan
from marketplace.linkage.models import Agreement, AgreementVersion, Evidence


def year_of(session: Session, evidence_id: int) -> ParcelYear:
    """The parcel-year of a piece of evidence, with its linkage period."""
    return session.get_one(ParcelYear, evidence_id)


def paid_until(session: Session, agreement: Agreement) -> dict[str, date]:
    """By parcel of an agreement, the day up to which its rent is recorded (excluded)."""
    rows = session.execute(
        select(RentedSpan.parcel_no, func.max(RentedSpan.ends_on))
        .join(Evidence, Evidence.id == RentedSpan.evidence_id)
        .join(AgreementVersion, AgreementVersion.id == Evidence.agreement_version_id)
        .where(AgreementVersion.agreement_id == agreement.id)
        .group_by(RentedSpan.parcel_no)
    )
    return dict(rows.all())
