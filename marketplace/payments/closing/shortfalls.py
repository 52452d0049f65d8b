"""Guarantees (保底): in each scope, a lot or a linkage period, a household's money is max(due, credited).

What is due in a lot is what fell due by today; in a linkage period, everything once the period is closed. What is
missing is posted from the cooperative to the household. Relief that a refund left with a household counts as credited:
it has been paid for the same thing. So does what a registry correction took: a guarantee does not give it back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Subquery, case, cast, func, or_, select, true, union_all
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft
from marketplace.ledger.writing import account_ids
from marketplace.linkage.attribution import top_up
from marketplace.linkage.models import Entitlement, LinkagePeriod, Lot, PeriodState
from marketplace.linkage.queries import Scope
from marketplace.linkage.voids import is_void
from marketplace.payments.closing.models import Direction
from marketplace.payments.closing.standing import (
    Standing,
    keep_postings,
    posting_row,
    scope_key,
    standing_guarantees,
)
from marketplace.payments.household_paths import goes_through_village, to_households, villages_of
from marketplace.payments.models import LinkagePool, PoolDistribution
from marketplace.payments.queries import credit_changes
from marketplace.payments.refunds.models import CreditReversal, ReversalCause


@dataclass(frozen=True)
class Shortfall:
    """A household in a scope with less than it is due."""

    scope: Scope
    household_id: int
    cooperative_id: int
    due_fen: int
    credited_fen: int
    standing: Standing

    @property
    def missing_fen(self) -> int:
        """What is to be posted."""
        return top_up(self.due_fen, self.credited_fen + self.standing.fen)


def post_due_guarantees(session: Session, *, limit: int = 500) -> int:
    """Post what is missing in lots and in closed linkage periods, for up to `limit` households; returns how many.

    Repeating is harmless. Scopes that another worker holds are left to the next pass.
    """
    found = shortfalls(session, limit=limit)
    if not found:
        return 0
    create_accounts(session, found)
    lots = _locked(session, Lot, {one.scope[1] for one in found})
    periods = _locked(session, LinkagePeriod, {one.scope[2] for one in found})
    return post_shortfalls(session, shortfalls(session, lots=lots, periods=periods))


def _locked(session: Session, model: type[Lot | LinkagePeriod], ids: Collection[int | None]) -> list[int]:
    wanted = sorted({one for one in ids if one is not None})
    if not wanted:
        return []
    query = select(model.id).where(model.id.in_(wanted)).order_by(model.id)
    return list(session.scalars(query.with_for_update(skip_locked=True)))


def shortfalls(
    session: Session,
    *,
    lots: Collection[int] | None = None,
    periods: Collection[int] | None = None,
    limit: int | None = None,
    closed_only: bool = True,
) -> list[Shortfall]:
    """The households with less than they are due, in one statement, by scope and household.

    In these `lots` and `periods`, or in all when neither is given; with `closed_only` false also in periods that are
    being closed.
    """
    figures = due_figures(lots=lots, periods=periods, closed_only=closed_only)
    query = (
        select(figures)
        .where(figures.c.due_fen > figures.c.credited_fen + figures.c.standing_fen)
        .order_by(figures.c.mechanism, figures.c.lot_id, figures.c.period_id, figures.c.household_id)
        .limit(limit)
    )
    return [
        Shortfall(
            scope=(row.mechanism, row.lot_id, row.period_id),
            household_id=row.household_id,
            cooperative_id=row.cooperative_id,
            due_fen=int(row.due_fen),
            credited_fen=int(row.credited_fen),
            standing=Standing(int(row.standing_fen), row.position),
        )
        for row in session.execute(query)
    ]


def due_figures(
    *,
    lots: Collection[int] | None = None,
    periods: Collection[int] | None = None,
    closed_only: bool = True,
) -> Subquery:
    """Per scope and household: due_fen, credited_fen, standing_fen and position, with mechanism, lot_id, period_id,
    household_id, cooperative_id. Only what is due by today, and nothing that was voided."""
    everywhere = lots is None and periods is None
    in_lots: ColumnElement[bool] = (
        Entitlement.lot_id.is_not(None) if everywhere else Entitlement.lot_id.in_(lots or ())
    )
    in_lots &= Entitlement.due_on <= today()
    closed = select(LinkagePeriod.id).where(LinkagePeriod.state == PeriodState.CLOSED)
    in_periods: ColumnElement[bool] = (
        Entitlement.period_id.is_not(None) if everywhere else Entitlement.period_id.in_(periods or ())
    )
    if closed_only:
        in_periods &= Entitlement.period_id.in_(closed)
    group = (
        Entitlement.mechanism,
        Entitlement.lot_id,
        Entitlement.period_id,
        Entitlement.household_id,
        Entitlement.cooperative_id,
    )
    due = (
        select(*group, cast(func.sum(Entitlement.amount_fen), BigInteger).label("due_fen"))
        .where(or_(in_lots, in_periods), ~is_void())
        .group_by(*group)
        .subquery()
    )
    pools = (
        None
        if everywhere
        else or_(LinkagePool.lot_id.in_(lots or ()), PoolDistribution.period_id.in_(periods or ()))
    )
    return _beside_credits(due, pools)


def _beside_credits(due: Subquery, pools: ColumnElement[bool] | None) -> Subquery:
    """`due` with what is credited and what stands in the same scope for the same household."""
    changes = kept_changes(true() if pools is None else pools)
    place = (changes.c.mechanism, changes.c.lot_id, changes.c.period_id, changes.c.household_id)
    credited = (
        select(*place, cast(func.sum(changes.c.fen), BigInteger).label("fen")).group_by(*place).subquery()
    )
    standing = standing_guarantees()
    return (
        select(
            *due.c,
            func.coalesce(credited.c.fen, 0).label("credited_fen"),
            func.coalesce(standing.c.standing_fen, 0).label("standing_fen"),
            func.coalesce(standing.c.position, 0).label("position"),
        )
        .outerjoin(credited, _same_place(due, credited))
        .outerjoin(standing, _same_place(due, standing))
        .subquery()
    )


def kept_changes(pools: ColumnElement[bool]) -> Subquery:
    """What changed the credited money in scopes, and what of it counts all the same (see the module)."""
    kept = case(
        (CreditReversal.cause == ReversalCause.CORRECTION, CreditReversal.amount_fen),
        else_=CreditReversal.relief_fen,
    )
    relief = (
        select(
            CreditReversal.mechanism,
            LinkagePool.lot_id,
            PoolDistribution.period_id,
            CreditReversal.household_id,
            kept.label("fen"),
        )
        .join(LinkagePool, LinkagePool.id == CreditReversal.pool_id)
        .join(PoolDistribution, PoolDistribution.pool_id == CreditReversal.pool_id)
        .where(pools, kept > 0)
    )
    return union_all(select(*credit_changes(pools).c), relief).subquery()


def _same_place(one: Subquery, other: Subquery) -> ColumnElement[bool]:
    """Whether two rows are of one scope and household; written so that a database can hash it."""
    return (
        (one.c.mechanism == other.c.mechanism)
        & (one.c.household_id == other.c.household_id)
        & (func.coalesce(one.c.lot_id, 0) == func.coalesce(other.c.lot_id, 0))
        & (func.coalesce(one.c.period_id, 0) == func.coalesce(other.c.period_id, 0))
    )


def create_accounts(session: Session, found: Sequence[Shortfall]) -> None:
    """Make the households' accounts before any scope is held: crediting takes them in the same order."""
    account_ids(
        session, {AccountKey.household_payable(one.cooperative_id, one.household_id) for one in found}
    )


def post_shortfalls(session: Session, found: Sequence[Shortfall], *, actor_user_id: int | None = None) -> int:
    """Post what is missing; the caller holds the scopes. Returns how many households were given something."""
    at = now()
    villages = villages_of(session, {one.household_id for one in found if goes_through_village(one.scope[0])})
    drafts = [_guarantee_entry(one, villages, at, actor_user_id) for one in found]
    keep_postings(session, drafts, [_guarantee_row(one, at) for one in found])
    return len(found)


def _guarantee_key(one: Shortfall) -> str:
    return f"guarantee:{scope_key(one.scope)}:household:{one.household_id}:{one.standing.position + 1}"


def _guarantee_entry(
    one: Shortfall, villages: Mapping[int, str], at: datetime, actor_user_id: int | None
) -> EntryDraft:
    source = AccountKey.cooperative_payable(one.cooperative_id)
    route = villages if goes_through_village(one.scope[0]) else None
    missing = {one.household_id: one.missing_fen}
    _, lot_id, period_id = one.scope
    return EntryDraft(
        kind=EntryKind.GUARANTEE,
        idempotency_key=_guarantee_key(one),
        occurred_at=at,
        transfers=tuple(to_households(source, one.cooperative_id, missing, route)),
        cooperative_id=one.cooperative_id,
        subject=("lot", lot_id) if lot_id is not None else ("linkage_period", period_id or 0),
        actor_user_id=actor_user_id,
    )


def _guarantee_row(one: Shortfall, at: datetime) -> dict[str, Any]:
    after = Standing(one.standing.fen + one.missing_fen, one.standing.position + 1)
    row = posting_row(one.scope, one.household_id, one.cooperative_id, one.standing, after, at)
    return row | {
        "direction": Direction.POSTED,
        "amount_fen": one.missing_fen,
        "due_fen": one.due_fen,
        "credited_fen": one.credited_fen,
        "pool_id": None,
        "entry": _guarantee_key(one),
    }
