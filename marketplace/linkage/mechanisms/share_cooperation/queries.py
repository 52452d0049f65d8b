"""Reading resolutions and dividends: a cooperative its own, an auditor those of its jurisdiction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, exists, false, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.mechanisms.share_cooperation.models import (
    ShareDividend,
    ShareResolution,
    StakeReassignment,
)
from marketplace.linkage.models import Agreement, Entitlement, LinkagePeriod, PeriodState
from marketplace.registry.cooperatives.queries import cooperatives_within

MOST_PERIODS = 12


def resolutions_visible_to(actor: Actor) -> Select[ShareResolution]:
    """The resolutions the actor may read with period and cooperative, the latest meeting first."""
    query = (
        select(ShareResolution)
        .options(joinedload(ShareResolution.period), joinedload(ShareResolution.cooperative))
        .order_by(ShareResolution.meeting_on.desc(), ShareResolution.id.desc())
    )
    if actor.can(Permission.RECORD_EVIDENCE):
        return query.where(ShareResolution.cooperative_id == actor.cooperative_id)
    if actor.can(Permission.READ_AUDIT):
        return query.where(ShareResolution.cooperative_id.in_(cooperatives_within(actor)))
    return query.where(false())


def resolution_by_no(session: Session, actor: Actor, resolution_no: str) -> ShareResolution:
    """One visible resolution by its public number. Raises NotFound."""
    query = resolutions_visible_to(actor).where(ShareResolution.public_no == resolution_no)
    resolution = session.scalars(query).unique().first()
    if resolution is None:
        raise NotFound
    return resolution


def dividends_of(resolution: ShareResolution) -> Select[Entitlement]:
    """What a resolution entitles to, with household and evidence, by household."""
    return (
        select(Entitlement)
        .join(ShareDividend, ShareDividend.id == Entitlement.evidence_id)
        .where(ShareDividend.resolution_id == resolution.id)
        .options(joinedload(Entitlement.household), joinedload(Entitlement.evidence))
        .order_by(Entitlement.household_id, Entitlement.id)
    )


def sums_of(session: Session, resolution_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """How many households each resolution gives something, and the sum in fen, in one statement."""
    rows = session.execute(
        select(
            ShareDividend.resolution_id,
            func.count(Entitlement.household_id.distinct()),
            func.sum(Entitlement.amount_fen),
        )
        .join(Entitlement, Entitlement.evidence_id == ShareDividend.id)
        .where(ShareDividend.resolution_id.in_(resolution_ids))
        .group_by(ShareDividend.resolution_id)
    )
    return {resolution_id: (households, int(amount_fen)) for resolution_id, households, amount_fen in rows}


def dividend_of(session: Session, evidence_id: int) -> ShareDividend:
    """The dividend of a piece of evidence, with its resolution."""
    return session.get_one(ShareDividend, evidence_id)


def periods_to_share(session: Session, cooperative_id: int) -> Sequence[LinkagePeriod]:
    """The linkage periods that are over and open, and whose surplus is not shared out, the latest first."""
    shared = exists().where(ShareResolution.period_id == LinkagePeriod.id)
    query = select(LinkagePeriod).where(
        LinkagePeriod.cooperative_id == cooperative_id,
        LinkagePeriod.state == PeriodState.OPEN,
        LinkagePeriod.ends_on <= today(),
        ~shared,
    )
    return session.scalars(query.order_by(LinkagePeriod.starts_on.desc()).limit(MOST_PERIODS)).all()


def reassignment_of(session: Session, agreement: Agreement) -> StakeReassignment | None:
    """How the stake of an agreement was passed on to another household, when it was."""
    return session.scalar(
        select(StakeReassignment)
        .where(StakeReassignment.from_agreement_id == agreement.id)
        .options(joinedload(StakeReassignment.to_agreement))
    )
