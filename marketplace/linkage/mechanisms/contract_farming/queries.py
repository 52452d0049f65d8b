"""Reading weigh slips and advances, and how an agreement stands: what was delivered, what is still to be repaid."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.linkage.mechanisms.contract_farming.models import Advance, WeighSlip
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Charge,
    ChargeKind,
    Entitlement,
    Evidence,
    Lot,
)


def last_slip_of(session: Session, lot: Lot) -> WeighSlip | None:
    """The slip recorded last in a lot: the next one is likely of the same grade, price and signer."""
    return session.scalar(
        select(WeighSlip).where(WeighSlip.lot_id == lot.id).order_by(WeighSlip.id.desc()).limit(1)
    )


def slip_of(session: Session, evidence_id: int) -> WeighSlip:
    """The slip of a piece of evidence, with its lot."""
    return session.get_one(WeighSlip, evidence_id)


@dataclass(frozen=True)
class DayTotals:
    """Slips recorded into a lot on one day: how many, of how many grams, entitling to how many fen."""

    count: int
    net_g: int
    amount_fen: int


def totals_since(session: Session, lot: Lot, since: datetime) -> DayTotals:
    """What was recorded into a lot from an instant on."""
    query = (
        select(func.count(WeighSlip.id), func.sum(WeighSlip.net_g), func.sum(Entitlement.amount_fen))
        .join(Evidence, Evidence.id == WeighSlip.id)
        .join(Entitlement, Entitlement.evidence_id == WeighSlip.id)
        .where(WeighSlip.lot_id == lot.id, Evidence.recorded_at >= since)
    )
    count, net_g, amount_fen = session.execute(query).one()
    return DayTotals(count, int(net_g or 0), int(amount_fen or 0))


# --- how an agreement stands ---


@dataclass(frozen=True)
class AdvanceStanding:
    """The advances of an agreement, what slips have repaid of them so far, and what is still to be repaid (fen)."""

    given_fen: int
    charged_fen: int

    @property
    def outstanding_fen(self) -> int:
        """What further slips repay."""
        return self.given_fen - self.charged_fen


def lock_agreements(session: Session, agreement_ids: Collection[int]) -> None:
    """Hold agreements until the end of the transaction, in the order of their ids; on SQLite writers queue anyway."""
    wanted = select(Agreement.id).where(Agreement.id.in_(agreement_ids)).order_by(Agreement.id)
    session.execute(wanted.with_for_update(key_share=True)).all()


def delivered_g(session: Session, version: AgreementVersion, year: int, *, but: int) -> int:
    """The grams recorded under a version for days of `year`, leaving out the slip `but`."""
    query = (
        select(func.coalesce(func.sum(WeighSlip.net_g), 0))
        .join(Evidence, Evidence.id == WeighSlip.id)
        .where(
            Evidence.agreement_version_id == version.id,
            Evidence.occurred_on >= date(year, 1, 1),
            Evidence.occurred_on <= date(year, 12, 31),
            WeighSlip.id != but,
        )
    )
    return int(session.scalar(query) or 0)


def outstanding_fen(session: Session, agreement: Agreement, *, on: date) -> int:
    """Advances given up to `on` less what was charged under the agreement so far; never below zero."""
    given = (
        select(func.coalesce(func.sum(Advance.amount_fen), 0))
        .join(Evidence, Evidence.id == Advance.id)
        .where(Advance.agreement_id == agreement.id, Evidence.occurred_on <= on)
    )
    return max(0, int(session.scalar(given) or 0) - _charged_fen(session, agreement))


def advance_standing(session: Session, agreement: Agreement) -> AdvanceStanding:
    """How the advances of an agreement stand, all of them."""
    given = select(func.sum(Advance.amount_fen)).where(Advance.agreement_id == agreement.id)
    return AdvanceStanding(int(session.scalar(given) or 0), _charged_fen(session, agreement))


def _charged_fen(session: Session, agreement: Agreement) -> int:
    charged = select(func.sum(Charge.amount_fen)).where(
        Charge.agreement_id == agreement.id, Charge.kind == ChargeKind.ADVANCE_REPAID
    )
    return int(session.scalar(charged) or 0)


def advances_of(session: Session, agreement: Agreement, *, limit: int = 100) -> Sequence[Advance]:
    """The advances of an agreement with their evidence, the latest first."""
    query = select(Advance).where(Advance.agreement_id == agreement.id).order_by(Advance.id.desc())
    return session.scalars(query.options(joinedload(Advance.evidence)).limit(limit)).all()
