"""What a registry event changes of the credits given since its date. Reads and computes; writes nothing.

ineligible   the household loses what it has of each pool; it is shared among the remaining weights: each gets what
the largest remainder over them gives beyond what it has, nobody has less; with nobody left it waits. Its entitlements
for days from then on are voided, so that no later sharing out counts them (linkage/voids.py)
merged       what is not paid out yet of its credits becomes the other household's
split        the new household gets its share, in basis points, of what is not paid out yet
moved        nothing: who reads the household changes, not what it was given
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from marketplace.core.clock import start_of
from marketplace.core.money import BASIS, split_by_weights, webster
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Entitlement, EntitlementVoid
from marketplace.linkage.queries import Scope, weights_in_scope
from marketplace.payments.corrections.models import (
    CorrectionKind,
    CorrectionLine,
    CorrectionSet,
    CorrectionState,
)
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution
from marketplace.payments.refunds.models import CreditAddition
from marketplace.payments.refunds.standing import PoolStanding, standing_of_pools


@dataclass(frozen=True)
class PoolChange:
    """What changes of one pool: `after` holds every household whose standing fen change, `unallocated_fen` what nobody
    is left to get."""

    pool: PoolStanding
    after: Mapping[int, int]
    unallocated_fen: int = 0

    @property
    def taken(self) -> dict[int, int]:
        """Fen to take back, by household id."""
        standing = self.pool.standing
        return {
            key: standing[key] - fen for key, fen in sorted(self.after.items()) if fen < standing.get(key, 0)
        }

    @property
    def given(self) -> dict[int, int]:
        """Fen to give, by household id."""
        standing = self.pool.standing
        return {
            key: fen - standing.get(key, 0)
            for key, fen in sorted(self.after.items())
            if fen > standing.get(key, 0)
        }


@dataclass(frozen=True)
class Event:
    """A registry event, as far as credits go."""

    kind: CorrectionKind
    household_id: int
    from_on: date
    other_household_id: int | None = None
    share_bp: int | None = None


def compute_changes(session: Session, event: Event) -> list[PoolChange]:
    """What `event` changes, pool by pool in the order of their ids; pools that stay as they are are left out."""
    if event.kind is CorrectionKind.MOVED:
        return []
    pools = [
        pool
        for pool in standing_of_pools(session, pool_ids=_pools_since(session, event))
        if pool.standing.get(event.household_id)
    ]
    if event.kind is CorrectionKind.INELIGIBLE:
        return _without(session, event.household_id, pools)
    return _passed_on(session, event, pools)


def _pools_since(session: Session, event: Event) -> list[int]:
    """The pools that gave the household something on or after the date of the event."""
    since = start_of(event.from_on)
    shares = [
        select(model.pool_id).where(model.household_id == event.household_id, model.credited_at >= since)
        for model in (Credit, CreditAddition)
    ]
    return sorted(set(session.scalars(union_all(*shares))))


def _without(session: Session, household_id: int, pools: Sequence[PoolStanding]) -> list[PoolChange]:
    weights = _weights_of(session, [pool.pool_id for pool in pools])
    gone = _gone_before(session, [pool.pool_id for pool in pools])
    changes = []
    for pool in pools:
        excluded = gone.get(pool.pool_id, set()) | {household_id}
        left = {
            key: fen for key, fen in weights.get(pool.pool_id, {}).items() if key not in excluded and fen > 0
        }
        changes.append(_share_anew(pool, household_id, left))
    return changes


def _share_anew(pool: PoolStanding, household_id: int, weights: Mapping[int, int]) -> PoolChange:
    """Take everything from one household and share it among `weights`, so that nobody else has less than before."""
    standing = pool.standing
    freed = standing[household_id]
    if not weights:
        return PoolChange(pool, {household_id: 0}, unallocated_fen=freed)
    keys = sorted(weights)
    ideal = split_by_weights(sum(standing.values()), [weights[key] for key in keys])
    wanted = [max(0, fen - standing.get(key, 0)) for key, fen in zip(keys, ideal, strict=True)]
    extra = webster(freed, wanted)  # the same, unless a largest remainder gave somebody less than it has
    given = {key: standing.get(key, 0) + fen for key, fen in zip(keys, extra, strict=True) if fen}
    return PoolChange(pool, {household_id: 0} | given)


def _passed_on(session: Session, event: Event, pools: Sequence[PoolStanding]) -> list[PoolChange]:
    """What goes over to another household: never more than the first one still has, the newest pools first."""
    other, household = event.other_household_id, event.household_id
    if other is None:
        raise ValueError("nobody to pass it on to")
    keys = {AccountKey.household_payable(pool.cooperative_id, household) for pool in pools}
    left = {key.cooperative_id: max(0, fen) for key, fen in balances(session, keys).items()}
    changes = []
    for pool in sorted(pools, key=lambda pool: -pool.pool_id):
        standing = pool.standing
        share = standing[household] * (BASIS if event.share_bp is None else event.share_bp) // BASIS
        fen = min(share, left[pool.cooperative_id])
        left[pool.cooperative_id] -= fen
        if fen:
            after = {household: standing[household] - fen, other: standing.get(other, 0) + fen}
            changes.append(PoolChange(pool, after))
    return changes[::-1]


def _weights_of(session: Session, pool_ids: Collection[int]) -> dict[int, dict[int, int]]:
    """The weights by which each pool was shared out, as they were then, by household id."""
    query = (
        select(LinkagePool.id, LinkagePool.mechanism, LinkagePool.lot_id, PoolDistribution)
        .join(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .where(LinkagePool.id.in_(pool_ids))
    )
    voided = sorted(session.scalars(select(EntitlementVoid.voided_at).distinct()))
    by_instant: dict[tuple[int, int], tuple[datetime, dict[int, Scope]]] = {}
    for pool_id, mechanism, lot_id, shared in session.execute(query):
        scope: Scope = (mechanism, lot_id, None if lot_id is not None else shared.period_id)
        instant = (shared.as_of_entitlement_id, bisect_right(voided, shared.distributed_at))
        by_instant.setdefault(instant, (shared.distributed_at, {}))[1][pool_id] = scope
    found: dict[int, dict[int, int]] = {}
    for (as_of, _), (at, scopes) in by_instant.items():
        wanted = sorted(set(scopes.values()), key=str)
        weights = weights_in_scope(session, wanted, as_of_entitlement_id=as_of, at=at)
        found |= {pool_id: weights[scope] for pool_id, scope in scopes.items()}
    return found


def _gone_before(session: Session, pool_ids: Collection[int]) -> dict[int, set[int]]:
    """The households that earlier corrections left without anything of these pools, by pool id."""
    query = (
        select(CorrectionLine.pool_id, CorrectionLine.household_id)
        .join(CorrectionSet, CorrectionSet.id == CorrectionLine.set_id)
        .where(
            CorrectionLine.pool_id.in_(pool_ids),
            CorrectionLine.after_fen == 0,
            CorrectionSet.state == CorrectionState.POSTED,
            CorrectionSet.kind.in_((CorrectionKind.INELIGIBLE, CorrectionKind.MERGED)),
            CorrectionSet.household_id == CorrectionLine.household_id,
        )
    )
    found: dict[int, set[int]] = {}
    for pool_id, household_id in session.execute(query):
        found.setdefault(pool_id, set()).add(household_id)
    return found


def hash_of_changes(event: Event, changes: Sequence[PoolChange], voids: Sequence[Entitlement] = ()) -> str:
    """A fingerprint of an event and everything it changes: before and after of every household in every pool, and the
    entitlements that weigh no more."""
    lines = [
        [change.pool.pool_id, key, change.pool.standing.get(key, 0), fen]
        for change in changes
        for key, fen in sorted(change.after.items())
    ]
    body = [event.kind.value, event.household_id, event.from_on.isoformat(), event.other_household_id]
    voided = [[[one.id, one.amount_fen] for one in voids]] if voids else []
    text = json.dumps([*body, event.share_bp, lines, *voided], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def affected_count(session: Session, set_id: int) -> int:
    """How many households a set changes something for."""
    query = select(func.count(CorrectionLine.household_id.distinct())).where(CorrectionLine.set_id == set_id)
    return session.scalar(query) or 0
