"""A later credit replaces a guarantee that stands in the same scope, by at most that credit, in the credit's own
transaction: nothing is ever taken back, and nobody is paid twice for one thing.

Who may write beside whom, on PostgreSQL: crediting holds a share of the row of its lot or linkage period (by a foreign
key, or by `hold_scopes`), posting guarantees holds the whole row. So neither overlooks the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.asking import Found, is_postgresql
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft
from marketplace.linkage.attribution import guarantee_reduction
from marketplace.linkage.models import LinkagePeriod, Lot
from marketplace.linkage.queries import Scope
from marketplace.payments.closing.models import Direction, GuaranteePosting
from marketplace.payments.closing.standing import (
    Held,
    Standing,
    keep_postings,
    posting_row,
    scope_key,
    standing_in,
    standing_of,
)
from marketplace.payments.household_paths import from_households, goes_through_village, villages_of
from marketplace.payments.models import LinkagePool, PoolDistribution


@dataclass(frozen=True)
class CreditedPool:
    """What a pool has just credited, in fen by household id.

    `occasion` tells a later crediting of the same pool (by a correction) from its sharing out.
    """

    pool_id: int
    line_id: int
    scope: Scope
    cooperative_id: int
    fen_by_household: Mapping[int, int]
    occasion: str = ""

    @property
    def key(self) -> str:
        """The idempotency key of what it reduces."""
        return f"reduce_guarantee:pool:{self.pool_id}{self.occasion and ':'}{self.occasion}"


def hold_scopes(session: Session, scopes: Collection[Scope]) -> None:
    """Keep guarantees from being posted in `scopes` until this transaction ends (see the module)."""
    lots = {lot_id for _, lot_id, _ in scopes if lot_id is not None}
    periods = {period_id for _, _, period_id in scopes if period_id is not None}
    for model, ids in ((Lot, lots), (LinkagePeriod, periods)):
        if ids:
            held = select(model.id).where(model.id.in_(sorted(ids))).order_by(model.id)
            session.execute(held.with_for_update(read=True, key_share=True)).all()


def scopes_of_pools(session: Session, pool_ids: Collection[int]) -> dict[int, Scope]:
    """The scope in which each of these pools was shared out, by pool id."""
    query = (
        select(LinkagePool.id, LinkagePool.mechanism, LinkagePool.lot_id, PoolDistribution.period_id)
        .join(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .where(LinkagePool.id.in_(sorted(pool_ids)))
    )
    return {row.id: (row.mechanism, row.lot_id, row.period_id) for row in session.execute(query)}


def reduce_guarantees(
    session: Session, pools: Sequence[CreditedPool], *, at: datetime, found: Found | None = None
) -> int:
    """Replace standing guarantees by what `pools` have just credited; returns how many fen.

    In the transaction that credits. `found` are the rows of `asking_standing` for their scopes, for whoever has asked
    after crediting; then nothing more is said when none stands, and a fixed number of statements otherwise.
    """
    scopes = {pool.scope for pool in pools}
    standing = standing_in(session, scopes) if found is None else standing_of(found)
    if not standing:
        return 0
    if is_postgresql(session):
        _hold_guarantees(session, standing)
        standing = standing_in(session, scopes)
    drafts: list[EntryDraft] = []
    rows: list[dict[str, Any]] = []
    villages = villages_of(
        session,
        {held for pool in pools if goes_through_village(pool.scope[0]) for held in pool.fen_by_household},
    )
    for pool in sorted(pools, key=lambda pool: pool.pool_id):
        cuts = _cuts(pool, standing)
        if cuts:
            drafts.append(_reduction_entry(pool, cuts, villages, at))
            rows += _reduction_rows(pool, cuts, standing, at)
    keep_postings(session, drafts, rows)
    return sum(row["amount_fen"] for row in rows)


def _hold_guarantees(session: Session, standing: Collection[Held]) -> None:
    """Wait for another worker who is reducing the same guarantees."""
    first = select(GuaranteePosting.id).where(
        GuaranteePosting.scope_key.in_(sorted({key for key, _ in standing})), GuaranteePosting.position == 1
    )
    session.execute(first.order_by(GuaranteePosting.id).with_for_update())


def _cuts(pool: CreditedPool, standing: Mapping[Held, Standing]) -> dict[int, int]:
    key, nothing = scope_key(pool.scope), Standing()
    cuts = {
        household_id: guarantee_reduction(fen, standing.get((key, household_id), nothing).fen)
        for household_id, fen in sorted(pool.fen_by_household.items())
    }
    return {household_id: fen for household_id, fen in cuts.items() if fen}


def _reduction_entry(
    pool: CreditedPool, cuts: Mapping[int, int], villages: Mapping[int, str], at: datetime
) -> EntryDraft:
    target = AccountKey.cooperative_payable(pool.cooperative_id)
    route = villages if goes_through_village(pool.scope[0]) else None
    return EntryDraft(
        kind=EntryKind.GUARANTEE_REDUCED,
        idempotency_key=pool.key,
        occurred_at=at,
        transfers=tuple(from_households(target, pool.cooperative_id, cuts, route)),
        cooperative_id=pool.cooperative_id,
        subject=("order_line", pool.line_id),
    )


def _reduction_rows(
    pool: CreditedPool, cuts: Mapping[int, int], standing: dict[Held, Standing], at: datetime
) -> list[dict[str, Any]]:
    """The postings of one pool; `standing` moves on with them."""
    rows = []
    for household_id, fen in cuts.items():
        held = (scope_key(pool.scope), household_id)
        before = standing[held]
        standing[held] = Standing(before.fen - fen, before.position + 1)
        row = posting_row(pool.scope, household_id, pool.cooperative_id, before, standing[held], at)
        row |= {
            "direction": Direction.REDUCED,
            "amount_fen": fen,
            "due_fen": None,
            "credited_fen": pool.fen_by_household[household_id],
            "pool_id": pool.pool_id,
            "entry": pool.key,
        }
        rows.append(row)
    return rows
