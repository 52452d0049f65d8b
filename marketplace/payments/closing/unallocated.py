"""Pools that wait for evidence (待分配资金): how much, for how long, and what is missing. Read-only.

What refunds have taken of a waiting pool waits no longer: half_up(pool x refunded / net) of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, case, cast, false, func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, now, start_of
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.linkage.models import LinkagePeriod, Lot, Mechanism
from marketplace.payments.corrections.models import (
    CorrectionKind,
    CorrectionLine,
    CorrectionSet,
    CorrectionState,
)
from marketplace.payments.models import LinkagePool, PoolDistribution, Settlement
from marketplace.payments.refunds.models import RefundedLine
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.registry.models import Cooperative
from marketplace.web.tasks import Task

WATCHED_DAYS, LATE_DAYS = 30, 90


class Age(LabelledEnum):
    """How long a pool has waited, in days."""

    FRESH = "fresh", N_("30 天以内")
    WATCHED = "watched", N_("31 至 90 天")
    LATE = "late", N_("91 天以上")


@dataclass(frozen=True)
class WaitingScope:
    """What waits under one mechanism for one lot or period; neither when no period covers the day of the sale."""

    cooperative: Cooperative
    mechanism: Mechanism
    lot: Lot | None
    period: LinkagePeriod | None
    pools: int
    fen: int
    oldest_at: datetime

    @property
    def days(self) -> int:
        """How many days the oldest pool has waited."""
        return (business_day(now()) - business_day(self.oldest_at)).days

    @property
    def age(self) -> Age:
        """How long the oldest pool has waited."""
        return Age.FRESH if self.days <= WATCHED_DAYS else Age.WATCHED if self.days <= LATE_DAYS else Age.LATE


def waiting_rows() -> Subquery:
    """Every pool that waits with something left: cooperative_id, mechanism, lot_id, period_id, settled_at, fen."""
    shared = select(PoolDistribution.pool_id).where(PoolDistribution.pool_id == LinkagePool.id).exists()
    refunded = (
        select(RefundedLine.line_id, cast(func.sum(RefundedLine.amount_fen), BigInteger).label("fen"))
        .where(RefundedLine.after_settlement)
        .group_by(RefundedLine.line_id)
        .subquery()
    )
    net = Settlement.net_fen
    taken = (2 * LinkagePool.pool_fen * func.coalesce(refunded.c.fen, 0) + net) // (2 * net)
    rows = (
        select(
            Settlement.cooperative_id,
            LinkagePool.mechanism,
            LinkagePool.lot_id,
            LinkagePool.period_id,
            LinkagePool.settled_at,
            (LinkagePool.pool_fen - taken).label("fen"),
        )
        .join(Settlement, Settlement.line_id == LinkagePool.line_id)
        .outerjoin(refunded, refunded.c.line_id == LinkagePool.line_id)
        .where((LinkagePool.waiting & ~shared) | LinkagePool.id.in_(_left_by_corrections()))
        .subquery()
    )
    return select(rows).where(rows.c.fen > 0).subquery()


def _left_by_corrections() -> Select[int]:
    """The pools that were shared out and of which a correction left nobody anything: they wait again."""
    return (
        select(CorrectionLine.pool_id)
        .join(CorrectionSet, CorrectionSet.id == CorrectionLine.set_id)
        .where(CorrectionSet.state == CorrectionState.POSTED, CorrectionSet.kind == CorrectionKind.INELIGIBLE)
        .group_by(CorrectionLine.set_id, CorrectionLine.pool_id)
        .having(func.sum(CorrectionLine.after_fen) == 0)
    )


def _sees(actor: Actor, rows: Subquery) -> ColumnElement[bool]:
    if actor.can(Permission.CLOSE_PERIODS):
        own: ColumnElement[bool] = rows.c.cooperative_id == actor.cooperative_id
        return own
    if actor.can(Permission.READ_AUDIT):
        within: ColumnElement[bool] = rows.c.cooperative_id.in_(cooperatives_within(actor))
        return within
    return false()


def waiting_scopes(
    actor: Actor,
) -> Select[tuple[Cooperative, Mechanism, Lot, LinkagePeriod, int, int, datetime]]:
    """What waits in each scope that the actor may see, the oldest first; in the order of `WaitingScope`'s fields."""
    rows = waiting_rows()
    group = (rows.c.cooperative_id, rows.c.mechanism, rows.c.lot_id, rows.c.period_id)
    grouped = (
        select(
            *group,
            func.count().label("pools"),
            func.sum(rows.c.fen).label("fen"),
            func.min(rows.c.settled_at).label("oldest_at"),
        )
        .where(_sees(actor, rows))
        .group_by(*group)
        .subquery()
    )
    return (
        select(
            Cooperative,
            grouped.c.mechanism,
            Lot,
            LinkagePeriod,
            grouped.c.pools,
            grouped.c.fen,
            grouped.c.oldest_at,
        )
        .select_from(grouped)
        .join(Cooperative, Cooperative.id == grouped.c.cooperative_id)
        .outerjoin(Lot, Lot.id == grouped.c.lot_id)
        .outerjoin(LinkagePeriod, LinkagePeriod.id == grouped.c.period_id)
        .order_by(grouped.c.oldest_at, grouped.c.cooperative_id, grouped.c.mechanism, grouped.c.lot_id)
    )


def waiting_by_age(session: Session, actor: Actor) -> dict[Age, int]:
    """What waits, in fen by age of the pools, of what the actor may see."""
    rows = waiting_rows()
    return _by_age(session, rows, _sees(actor, rows))


def _by_age(session: Session, rows: Subquery, condition: ColumnElement[bool]) -> dict[Age, int]:
    age = case(
        (rows.c.settled_at >= _first_instant(WATCHED_DAYS), Age.FRESH.value),
        (rows.c.settled_at >= _first_instant(LATE_DAYS), Age.WATCHED.value),
        else_=Age.LATE.value,
    ).label("age")
    found = session.execute(select(age, func.sum(rows.c.fen)).where(condition).group_by(age))
    fen = {Age(code): int(amount) for code, amount in found}
    return {one: fen.get(one, 0) for one in Age}


def _first_instant(days: int) -> datetime:
    """The beginning of the business day `days` days ago."""
    return start_of(business_day(now()) - timedelta(days=days))


def ledger_balance(session: Session, actor: Actor) -> int | None:
    """What the ledger says waits for the actor's own cooperative, in fen; None for an office."""
    if actor.cooperative_id is None:
        return None
    account = AccountKey.unallocated(actor.cooperative_id)
    return balances(session, [account])[account]


def waiting_in_period(session: Session, period: LinkagePeriod) -> tuple[int, int]:
    """How many pools of a period wait, and how much, in fen; those sold before there was a period included."""
    rows = waiting_rows()
    in_days = (
        rows.c.period_id.is_(None)
        & rows.c.lot_id.is_(None)
        & (rows.c.settled_at >= start_of(period.starts_on))
        & (rows.c.settled_at < start_of(period.ends_on))
    )
    mine = (rows.c.cooperative_id == period.cooperative_id) & ((rows.c.period_id == period.id) | in_days)
    count, fen = session.execute(
        select(func.count(), func.coalesce(func.sum(rows.c.fen), 0)).where(mine)
    ).one()
    return count, int(fen)


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """For a cooperative: scopes in which money has waited for more than thirty days."""
    if not actor.can(Permission.CLOSE_PERIODS) or actor.cooperative_id is None:
        return []
    rows = waiting_rows()
    old = (
        select(rows.c.mechanism, rows.c.lot_id, rows.c.period_id)
        .where(
            rows.c.cooperative_id == actor.cooperative_id, rows.c.settled_at < _first_instant(WATCHED_DAYS)
        )
        .distinct()
        .subquery()
    )
    count = session.scalar(select(func.count()).select_from(old)) or 0
    message = NN_("%(count)s 处联结资金等凭据超过 30 天")
    return [Task(message, count, "closing.unallocated_pools")] if count else []


def scopes_found(rows: Iterable[Any]) -> list[WaitingScope]:
    """Rows of `waiting_scopes` as what they are."""
    return [
        WaitingScope(cooperative, mechanism, lot, period, pools, int(fen), oldest_at)
        for cooperative, mechanism, lot, period, pools, fen, oldest_at in rows
    ]
