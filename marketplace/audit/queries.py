"""Lists an auditor starts from: the newest credits, settled lines and pools that wait."""

from __future__ import annotations

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import OrderLine
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task


def recent_credits(actor: Actor) -> Select[tuple[Credit]]:
    """Credits in the actor's jurisdiction, newest first, with household and line."""
    return (
        select(Credit)
        .where(Credit.cooperative_id.in_(cooperatives_within(actor)))
        .options(joinedload(Credit.household), joinedload(Credit.line))
        .order_by(Credit.id.desc())
    )


def recent_settlements(actor: Actor) -> Select[tuple[Settlement]]:
    """Settled lines in the actor's jurisdiction, newest first."""
    return (
        select(Settlement)
        .where(Settlement.cooperative_id.in_(cooperatives_within(actor)))
        .options(joinedload(Settlement.line).joinedload(OrderLine.part))
        .order_by(Settlement.settled_at.desc(), Settlement.line_id.desc())
    )


def waiting_pools(actor: Actor) -> Select[tuple[LinkagePool]]:
    """Pools in the actor's jurisdiction not shared out yet, the oldest first: their age is watched."""
    shared = select(PoolDistribution.pool_id).where(PoolDistribution.pool_id == LinkagePool.id).exists()
    return (
        select(LinkagePool)
        .join(Settlement, Settlement.line_id == LinkagePool.line_id)
        .where(LinkagePool.waiting, ~shared, Settlement.cooperative_id.in_(cooperatives_within(actor)))
        .options(joinedload(LinkagePool.settlement).joinedload(Settlement.line))
        .order_by(LinkagePool.id)
    )


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Pools that wait for evidence, for the auditor to watch."""
    if not actor.can(Permission.READ_AUDIT):
        return []
    count = (
        session.scalar(select(func.count()).select_from(waiting_pools(actor).order_by(None).subquery())) or 0
    )
    return [Task(NN_("%(count)s 笔联结资金待分配"), count, "audit.waiting")] if count else []
