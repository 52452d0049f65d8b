"""Reading weigh slips."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.linkage.mechanisms.contract_farming.models import WeighSlip
from marketplace.linkage.models import Lot


def last_slip_of(session: Session, lot: Lot) -> WeighSlip | None:
    """The slip recorded last in a lot: the next one is likely of the same grade, price and signer."""
    return session.scalar(
        select(WeighSlip).where(WeighSlip.lot_id == lot.id).order_by(WeighSlip.id.desc()).limit(1)
    )


def slip_of(session: Session, evidence_id: int) -> WeighSlip:
    """The slip of a piece of evidence, with its lot."""
    return session.get_one(WeighSlip, evidence_id)
