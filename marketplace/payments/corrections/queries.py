"""Reading correction sets: who may see them, what waits, and what a set changes for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.models import OrganisationKind
from marketplace.identity.permissions import Permission
from marketplace.linkage.voids import entitlements_to_void, voided_by
from marketplace.ordering.models import OrderLine
from marketplace.payments.corrections.models import (
    CorrectionKind,
    CorrectionLine,
    CorrectionSet,
    CorrectionState,
)
from marketplace.payments.models import LinkagePool
from marketplace.registry.models import Household
from marketplace.web.tasks import Task


def corrections_visible_to(actor: Actor) -> Select[CorrectionSet]:
    """Sets, newest first: a county's of its households, a cooperative's of its own credits, an auditor's likewise."""
    query = select(CorrectionSet).order_by(CorrectionSet.id.desc())
    if not (actor.can(Permission.CORRECT_CREDITS) or actor.can(Permission.READ_AUDIT)):
        return query.where(false())
    if actor.organisation_kind is OrganisationKind.COOPERATIVE:
        return query.where(CorrectionSet.cooperative_id == actor.cooperative_id)
    if not actor.region_code:
        return query.where(false())
    return query.where(CorrectionSet.county_code.startswith(actor.region_code, autoescape=True))


def corrections_in_state(actor: Actor, state: CorrectionState | None) -> Select[CorrectionSet]:
    """The visible sets in a state; all of them when None."""
    query = corrections_visible_to(actor)
    return query if state is None else query.where(CorrectionSet.state == state)


def correction_by_no(session: Session, actor: Actor, number: str) -> CorrectionSet:
    """A set the actor may see. Raises NotFound."""
    found = session.scalar(corrections_visible_to(actor).where(CorrectionSet.public_no == number))
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True)
class HouseholdChange:
    """What a set changes for one household over all its pools, in fen."""

    head_name: str
    public_no: str
    before_fen: int
    after_fen: int


def household_changes(session: Session, found: CorrectionSet) -> list[HouseholdChange]:
    """What a set changes household by household, in one statement; the one it is about first."""
    query = (
        select(
            Household.head_name,
            Household.public_no,
            func.sum(CorrectionLine.before_fen),
            func.sum(CorrectionLine.after_fen),
        )
        .join(Household, Household.id == CorrectionLine.household_id)
        .where(CorrectionLine.set_id == found.id)
        .group_by(Household.id, Household.head_name, Household.public_no)
        .order_by(Household.id != found.household_id, Household.id)
    )
    rows = session.execute(query).all()
    return [HouseholdChange(name, number, int(before), int(after)) for name, number, before, after in rows]


def voids_of(session: Session, found: CorrectionSet) -> tuple[int, int]:
    """How many entitlements a set voids, or would void, and their sum in fen."""
    if found.kind is not CorrectionKind.INELIGIBLE or found.state is not CorrectionState.PROPOSED:
        return voided_by(session, found.public_no)
    wanted = entitlements_to_void(session, found.household_id, found.from_on)
    return len(wanted), sum(one.amount_fen for one in wanted)


def pool_lines(found: CorrectionSet) -> Select[Any]:
    """The lines of a set in the order of the pools: number and title of the order line, mechanism, head of the
    household, before, after."""
    columns: tuple[Any, ...] = (
        OrderLine.public_no.label("line_no"),
        OrderLine.title,
        LinkagePool.mechanism,
        Household.head_name,
        CorrectionLine.before_fen,
        CorrectionLine.after_fen,
    )
    return (
        select(*columns)
        .select_from(CorrectionLine)
        .join(LinkagePool, LinkagePool.id == CorrectionLine.pool_id)
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .join(Household, Household.id == CorrectionLine.household_id)
        .where(CorrectionLine.set_id == found.id)
        .order_by(CorrectionLine.pool_id, CorrectionLine.household_id)
    )


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Sets that wait for another person than the one who proposed them."""
    if not actor.can(Permission.CORRECT_CREDITS):
        return []
    waiting = corrections_in_state(actor, CorrectionState.PROPOSED).where(
        CorrectionSet.proposed_by != actor.user_id
    )
    count = session.scalar(select(func.count()).select_from(waiting.order_by(None).subquery())) or 0
    task = Task(NN_("%(count)s 份入账更正待复核"), count, "corrections.index", {"state": "proposed"})
    return [task] if count else []
