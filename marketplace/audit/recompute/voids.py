"""Voids again: which entitlements weigh no more, because two people agreed that their household was ineligible.

That they agreed, and as of which day, is an event. Which entitlements it voids is derived: those recorded by then whose
evidence is of that day or a later one; a late correction counts on the day of what it corrects. Of a stored void the
instant is used, which cannot be before the agreement; a missing one counts from the agreement on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from marketplace.audit.recompute.dues import Due, Dues
from marketplace.audit.recompute.report import Kind, Report
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.models import Agreement, Entitlement, EntitlementVoid, Evidence, LinkagePeriod
from marketplace.payments.corrections.models import CorrectionKind, CorrectionSet, CorrectionState

NAMES = ("fen", "correction", "voided_at")


@dataclass(frozen=True, slots=True)
class _Found:
    """A household was found ineligible from a day on, and two people agreed to correct it."""

    public_no: str
    from_on: date
    agreed_at: datetime


@dataclass(frozen=True, slots=True)
class _Kept:
    """A void as it is stored."""

    evidence_no: str
    fen: int
    correction_no: str
    voided_at: datetime


def recompute_voids(session: Session, cooperative_id: int, dues: Dues, report: Report) -> None:
    """Derive and compare which entitlements of a cooperative were voided; `dues` keep it for what rests on them."""
    found, late_days = _found(session, cooperative_id), _late_days(session, cooperative_id)
    stored = _stored(session, cooperative_id)
    for scope, some in dues.scopes() if found or stored else ():
        for due in some:
            day = late_days.get(due.stamp, due.occurred_on)
            cause = _cause(found.get(due.household_id, []), due, day)
            kept = stored.pop((due.stamp, due.household_id), None)
            if cause is None and kept is None:
                continue
            expected = None
            if cause is not None:
                at = max(kept.voided_at, cause.agreed_at) if kept else cause.agreed_at
                expected = (due.fen, cause.public_no, at)
                dues.void(scope, due, at)
            _compare(session, report, due.stamp, kept, expected)
    for (stamp, _), kept in stored.items():
        _compare(session, report, stamp, kept, None)


def _cause(found: list[_Found], due: Due, day: date) -> _Found | None:
    """The first correction agreed to that covers an entitlement of `day`."""
    return next((one for one in found if one.from_on <= day and due.recorded_at <= one.agreed_at), None)


def _compare(
    session: Session, report: Report, stamp: int, kept: _Kept | None, expected: tuple[object, ...] | None
) -> None:
    def numbers() -> tuple[str, ...]:
        number = kept.correction_no if kept else str((expected or ("", ""))[1])
        return (kept.evidence_no if kept else _evidence_no(session, stamp), number)

    facts = (kept.fen, kept.correction_no, kept.voided_at) if kept else None
    report.compare(Kind.VOID, facts, expected, numbers, NAMES)


def _evidence_no(session: Session, stamp: int) -> str:
    query = select(Evidence.public_no).join(Entitlement, Entitlement.evidence_id == Evidence.id)
    return session.scalar(query.where(Entitlement.id == stamp)) or ""


def _found(session: Session, cooperative_id: int) -> dict[int, list[_Found]]:
    """The agreed corrections of ineligible households that have agreements with a cooperative, in their order."""
    households = select(Agreement.household_id).where(Agreement.cooperative_id == cooperative_id)
    query = (
        select(
            CorrectionSet.household_id,
            CorrectionSet.public_no,
            CorrectionSet.from_on,
            CorrectionSet.decided_at,
        )
        .where(
            CorrectionSet.kind == CorrectionKind.INELIGIBLE,
            CorrectionSet.state == CorrectionState.POSTED,
            CorrectionSet.household_id.in_(households),
        )
        .order_by(CorrectionSet.decided_at, CorrectionSet.id)
    )
    found: dict[int, list[_Found]] = defaultdict(list)
    for household_id, public_no, from_on, decided_at in session.execute(query):
        if decided_at is not None:
            found[household_id].append(_Found(public_no, from_on, decided_at))
    return found


def _late_days(session: Session, cooperative_id: int) -> dict[int, date]:
    """By entitlement of a late correction the day of what it corrects: of the evidence, or the first of the period."""
    corrected = aliased(Evidence)
    query = (
        select(LateCorrection.entitlement_id, corrected.occurred_on, LinkagePeriod.starts_on)
        .join(LinkagePeriod, LinkagePeriod.id == LateCorrection.corrects_period_id)
        .outerjoin(corrected, corrected.id == LateCorrection.corrects_evidence_id)
        .where(LinkagePeriod.cooperative_id == cooperative_id, LateCorrection.entitlement_id.is_not(None))
    )
    return {
        entitlement_id: occurred_on or starts_on
        for entitlement_id, occurred_on, starts_on in session.execute(query)
        if entitlement_id is not None
    }


def _stored(session: Session, cooperative_id: int) -> dict[tuple[int, int], _Kept]:
    """The voids of a cooperative's entitlements, by entitlement and household."""
    query = (
        select(
            Entitlement.id,
            Entitlement.household_id,
            Evidence.public_no,
            Entitlement.amount_fen,
            EntitlementVoid.correction_no,
            EntitlementVoid.voided_at,
        )
        .join(EntitlementVoid, EntitlementVoid.entitlement_id == Entitlement.id)
        .join(Evidence, Evidence.id == Entitlement.evidence_id)
        .where(Entitlement.cooperative_id == cooperative_id)
    )
    return {
        (entitlement_id, household_id): _Kept(evidence_no, fen, correction_no, voided_at)
        for entitlement_id, household_id, evidence_no, fen, correction_no, voided_at in session.execute(query)
    }
