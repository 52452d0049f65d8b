"""Reading yield records, and the lots a yield may be brought into."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.linkage.mechanisms.production_trusteeship.models import YieldRecord
from marketplace.linkage.models import Agreement, AgreementVersion, Evidence, Lot

MOST_LOTS = 50


def record_of(session: Session, evidence_id: int) -> YieldRecord:
    """The yield record of a piece of evidence, with its lot."""
    return session.get_one(YieldRecord, evidence_id)


def lots_for(session: Session, cooperative_id: int, commodity: str) -> Sequence[Lot]:
    """The cooperative's lots of a commodity, the latest harvest first."""
    query = select(Lot).where(Lot.cooperative_id == cooperative_id, Lot.commodity == commodity)
    return session.scalars(query.order_by(Lot.harvested_on.desc(), Lot.id.desc()).limit(MOST_LOTS)).all()


def records_under(session: Session, agreement: Agreement) -> Sequence[YieldRecord]:
    """The seasons recorded under an agreement, the latest first."""
    query = (
        select(YieldRecord)
        .join(Evidence, Evidence.id == YieldRecord.id)
        .join(AgreementVersion, AgreementVersion.id == Evidence.agreement_version_id)
        .where(AgreementVersion.agreement_id == agreement.id)
        .order_by(YieldRecord.season.desc())
    )
    return session.scalars(query).unique().all()
