"""Entitlements that weigh no more: those of a household for days on which it turned out to be ineligible.

An entitlement is never changed; a void beside it says from which instant on it is left out of weights and of what is
due. What was shared out before keeps the weights it was shared by. That two people agreed to it is decided in
payments/corrections; here is what it means for entitlements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import BigInteger, BindParameter, ColumnElement, cast, func, insert, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.asking import Given, Question, ask, is_postgresql
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.models import Entitlement, EntitlementVoid, Evidence, LinkagePeriod

LOCK = 20_201  # of the database: weights are read under a share of it, voids are written under the whole

WHOLE = Question(select(func.pg_advisory_xact_lock(LOCK)))
SHARE = Question(select(func.pg_advisory_xact_lock_shared(LOCK)))


def is_void(at: datetime | BindParameter[datetime] | None = None) -> ColumnElement[bool]:
    """Whether an entitlement is left out of what is decided at `at` (aware); of what is decided now when None."""
    voids = select(EntitlementVoid.entitlement_id).where(EntitlementVoid.entitlement_id == Entitlement.id)
    if at is not None:
        voids = voids.where(EntitlementVoid.voided_at <= at)
    return voids.exists()


def hold_voids(session: Session, *, writes: bool = False) -> None:
    """Until the transaction ends, keep voids from being written beside weights that were read for a decision.

    So a decision stamped after the reading and a void stamped after the holding are in the order of their stamps.
    `writes` is for who writes voids. SQLite has one writer at a time anyway.
    """
    ask(session, *holding_voids(session, writes=writes))


def holding_voids(session: Session, *, writes: bool = False) -> list[tuple[Question, Given]]:
    """What `hold_voids` says, for whoever says it in one go with the reading."""
    return [(WHOLE if writes else SHARE, {})] if is_postgresql(session) else []


def entitlements_to_void(session: Session, household_id: int, from_on: date) -> list[Entitlement]:
    """The standing entitlements of a household for days from `from_on` on, in the order of their ids.

    A late correction counts on the day of what it corrects: of the evidence, or else the first of the closed period.
    """
    corrected = aliased(Evidence)
    day = func.coalesce(corrected.occurred_on, LinkagePeriod.starts_on, Evidence.occurred_on)
    query = (
        select(Entitlement)
        .join(Evidence, Evidence.id == Entitlement.evidence_id)
        .outerjoin(LateCorrection, LateCorrection.entitlement_id == Entitlement.id)
        .outerjoin(corrected, corrected.id == LateCorrection.corrects_evidence_id)
        .outerjoin(LinkagePeriod, LinkagePeriod.id == LateCorrection.corrects_period_id)
        .where(Entitlement.household_id == household_id, day >= from_on, ~is_void())
        .order_by(Entitlement.id)
    )
    return list(session.scalars(query))


def void_entitlements(
    session: Session, entitlements: Sequence[Entitlement], *, correction_no: str, reason: str, at: datetime
) -> None:
    """Leave `entitlements` out of everything decided from `at` on. An entitlement is voided once: the database refuses
    a second void."""
    if entitlements:
        rows = [
            {"entitlement_id": one.id, "correction_no": correction_no, "reason": reason, "voided_at": at}
            for one in entitlements
        ]
        session.execute(insert(EntitlementVoid), rows)
        for one in entitlements:
            session.expire(one, ["void"])


def voided_by(session: Session, correction_no: str) -> tuple[int, int]:
    """How many entitlements a correction voided, and their sum in fen."""
    summed = cast(func.coalesce(func.sum(Entitlement.amount_fen), 0), BigInteger)
    query = (
        select(func.count(Entitlement.id), summed)
        .join(EntitlementVoid, EntitlementVoid.entitlement_id == Entitlement.id)
        .where(EntitlementVoid.correction_no == correction_no)
    )
    count, fen = session.execute(query).one()
    return count, int(fen)
