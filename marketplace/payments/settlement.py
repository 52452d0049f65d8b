"""Settlement: accepted and paid order lines become money of the cooperative and credits of households.

A line settles once, when it is accepted and paid; until then nothing is credited. Its pool is the share of its net
value that the pinned linkage terms give; the pool is divided by mechanism, DIRECT pools further over the lots the goods
came from, and each part is shared among the households of its scope by their entitlements. With no entitlement in scope
yet, a pool waits in the cooperative's unallocated account and is shared out when evidence arrives.

Both jobs work on many lines at once in a fixed number of statements, may be repeated and may run from two workers: the
ledger's idempotency key and the primary keys (line, pool) let each thing happen once. `compute_pools` and `shares_of`
are the arithmetic alone, so that an audit can compute everything again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import LinkageTerm
from marketplace.core.clock import business_day, now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.linkage.attribution import credits_of_pool, pool_of_line, split_pool_over_lots
from marketplace.linkage.models import Attribution, Entitlement, LinkagePeriod, Mechanism
from marketplace.linkage.queries import attributions_of, weights_in_scope
from marketplace.ordering.models import LineLot, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.closing.reductions import CreditedPool, reduce_guarantees
from marketplace.payments.household_paths import (
    Villages,
    goes_through_village,
    to_households,
    villages_of,
)
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.payments.refunds.standing import is_wholly_refunded, refunded_before_settlement

RULE_VERSION = 1
Scope = tuple[
    Mechanism, int | None, int | None
]  # mechanism, lot, linkage period: whose entitlements are the weights
Weights = Mapping[Scope, Mapping[int, int]]  # fen of entitlement by household


@dataclass(frozen=True)
class DueLine:
    """A line ready to settle: `terms` in the order of the mechanisms, `lots` as (lot id, grams).

    `net_fen` is the line's net less what was refunded before.
    """

    line_id: int
    cooperative_id: int
    net_fen: int
    due_at: datetime
    terms: tuple[tuple[Mechanism, int], ...]
    lots: tuple[tuple[int, int], ...]
    period_id: int | None


@dataclass(frozen=True)
class PoolShare:
    """The part of a line that one mechanism shares out in one scope."""

    mechanism: Mechanism
    rate_bp: int
    pool_fen: int
    lot_id: int | None = None
    period_id: int | None = None

    @property
    def scope(self) -> Scope:
        """Whose entitlements are the weights."""
        return (self.mechanism, self.lot_id, self.period_id)


def scopes_of(line: DueLine) -> list[Scope]:
    """Every scope in which a part of the line may be shared out."""
    found: list[Scope] = []
    for mechanism, _ in line.terms:
        ways = attributions_of(mechanism)
        if Attribution.DIRECT in ways:
            found += [(mechanism, lot_id, None) for lot_id, _ in line.lots]
        if Attribution.ALLOCATED in ways:
            found.append((mechanism, None, line.period_id))
    return found


def compute_pools(line: DueLine, weights: Weights) -> list[PoolShare]:
    """The pools of a line, each positive, together half_up(net x sum of rates / 10000) and never more than net.

    A mechanism of both ways is shared by lot where `weights` has something for the lot, over the period for the rest.
    """
    pools = pool_of_line(line.net_fen, [rate for _, rate in line.terms])
    shares: list[PoolShare] = []
    for (mechanism, rate_bp), pool_fen in zip(line.terms, pools, strict=True):
        by_lot, rest_fen = _parts_by_lot(line, mechanism, pool_fen, weights)
        shares += [PoolShare(mechanism, rate_bp, fen, lot_id=lot_id) for lot_id, fen in by_lot if fen]
        if rest_fen:
            shares.append(PoolShare(mechanism, rate_bp, rest_fen, period_id=line.period_id))
    return shares


def _parts_by_lot(
    line: DueLine, mechanism: Mechanism, pool_fen: int, weights: Weights
) -> tuple[list[tuple[int, int]], int]:
    """(lot id, fen) of what a pool shares by lot, and the fen left for the linkage period."""
    ways = attributions_of(mechanism)
    if Attribution.DIRECT not in ways:
        return [], pool_fen
    parts = split_pool_over_lots(pool_fen, [grams for _, grams in line.lots])
    by_lot = [
        (lot_id, fen)
        for (lot_id, _), fen in zip(line.lots, parts, strict=True)
        if Attribution.ALLOCATED not in ways or any(weights.get((mechanism, lot_id, None), {}).values())
    ]
    return by_lot, pool_fen - sum(fen for _, fen in by_lot)


def shares_of(pool_fen: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Each household's fen of a pool, zero shares left out; empty when there is nothing to share by."""
    if not any(weights.values()):
        return {}
    return {household_id: fen for household_id, fen in credits_of_pool(pool_fen, weights).items() if fen}


def settle_lines(session: Session, *, limit: int = 500) -> int:
    """Settle up to `limit` accepted and paid lines; returns how many. Zero means that nothing was due."""
    lines = due_lines(session, limit=limit)
    if not lines:
        return 0
    as_of = session.scalar(select(func.max(Entitlement.id))) or 0
    scopes = {scope for line in lines for scope in scopes_of(line)}
    weights = weights_in_scope(session, sorted(scopes, key=str), as_of_entitlement_id=as_of)
    pools = {line.line_id: compute_pools(line, weights) for line in lines}
    villages = villages_behind(session, weights)
    drafts = [_settlement_entry(line, pools[line.line_id], weights, villages) for line in lines]
    entries = dict(
        zip((line.line_id for line in lines), (e.id for e in post_entries(session, drafts)), strict=True)
    )
    settled_at = now()
    session.execute(
        insert(Settlement),
        [
            {
                "line_id": line.line_id,
                "cooperative_id": line.cooperative_id,
                "net_fen": line.net_fen,
                "pool_fen": sum(share.pool_fen for share in pools[line.line_id]),
                "entry_id": entries[line.line_id],
                "rule_version": RULE_VERSION,
                "settled_at": settled_at,
            }
            for line in lines
        ],
    )
    _keep_pools(session, lines, pools, weights, entries, as_of, settled_at)
    return len(lines)


def due_lines(session: Session, *, limit: int) -> list[DueLine]:
    """Accepted and paid lines without a settlement, oldest first, their parts locked against a second worker.

    A line that was refunded whole before it settled never settles.
    """
    settled = select(Settlement.line_id).where(Settlement.line_id == OrderLine.id).exists()
    query = (
        select(OrderLine, OrderPart.accepted_at, OrderPart.paid_at)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .where(
            OrderPart.state == PartState.ACCEPTED,
            OrderPart.paid_at.is_not(None),
            ~settled,
            ~is_wholly_refunded(),
        )
        .order_by(OrderLine.id)
        .limit(limit)
        .with_for_update(of=OrderPart, skip_locked=True)
    )
    rows = session.execute(query).unique().all()
    ids = [line.id for line, _, _ in rows]
    # Another worker may have settled some between the read and the lock: ask again, now that they are ours.
    done = (
        set(session.scalars(select(Settlement.line_id).where(Settlement.line_id.in_(ids)))) if ids else set()
    )
    refunded = refunded_before_settlement(session, ids)
    due = [
        (line, max(accepted, paid))
        for line, accepted, paid in rows
        if line.id not in done
        and accepted is not None
        and paid is not None
        and refunded.get(line.id, 0) < line.net_fen
    ]
    terms = _terms_of(session, {line.listing_version_id for line, _ in due})
    lots = _lots_of(session, [line.id for line, _ in due])
    periods = PeriodFinder(session, {line.cooperative_id for line, _ in due})
    return [
        DueLine(
            line_id=line.id,
            cooperative_id=line.cooperative_id,
            net_fen=line.net_fen - refunded.get(line.id, 0),
            due_at=due_at,
            terms=terms.get(line.listing_version_id, ()),
            lots=lots.get(line.id, ()),
            period_id=periods.covering(line.cooperative_id, business_day(due_at)),
        )
        for line, due_at in due
    ]


def _terms_of(session: Session, version_ids: set[int]) -> dict[int, tuple[tuple[Mechanism, int], ...]]:
    """The linkage terms of listing versions, in the order of the mechanisms."""
    found: dict[int, dict[Mechanism, int]] = {}
    for term in session.scalars(select(LinkageTerm).where(LinkageTerm.version_id.in_(version_ids))):
        found.setdefault(term.version_id, {})[term.mechanism] = term.rate_bp
    return {
        version_id: tuple((mechanism, rates[mechanism]) for mechanism in Mechanism if mechanism in rates)
        for version_id, rates in found.items()
    }


def _lots_of(session: Session, line_ids: Sequence[int]) -> dict[int, tuple[tuple[int, int], ...]]:
    """(lot id, grams) of lines, in the order of lot ids."""
    query = select(LineLot).where(LineLot.line_id.in_(line_ids)).order_by(LineLot.line_id, LineLot.lot_id)
    found: dict[int, list[tuple[int, int]]] = {}
    for share in session.scalars(query).unique():
        found.setdefault(share.line_id, []).append((share.lot_id, share.mass_g))
    return {line_id: tuple(shares) for line_id, shares in found.items()}


class PeriodFinder:
    """The linkage periods of some cooperatives, read once."""

    def __init__(self, session: Session, cooperative_ids: set[int]) -> None:
        query = select(LinkagePeriod).where(LinkagePeriod.cooperative_id.in_(cooperative_ids))
        self._periods = list(session.scalars(query))

    def covering(self, cooperative_id: int, day: date) -> int | None:
        """The period of a cooperative that holds `day` (its end is exclusive), None when there is none."""
        for period in self._periods:
            if period.cooperative_id == cooperative_id and period.starts_on <= day < period.ends_on:
                return period.id
        return None


def _settlement_entry(
    line: DueLine, pools: Sequence[PoolShare], weights: Weights, villages: Villages
) -> EntryDraft:
    """Escrow to the cooperative (net), and from the cooperative to each household or to what waits."""
    cooperative = AccountKey.cooperative_payable(line.cooperative_id)
    transfers = [TransferDraft(AccountKey.escrow(line.cooperative_id), cooperative, line.net_fen)]
    for share in pools:
        credited = shares_of(share.pool_fen, weights.get(share.scope, {}))
        route = villages if goes_through_village(share.mechanism) else None
        transfers += to_households(cooperative, line.cooperative_id, credited, route)
        if not credited:
            waiting = AccountKey.unallocated(line.cooperative_id)
            transfers.append(TransferDraft(cooperative, waiting, share.pool_fen))
    return EntryDraft(
        kind=EntryKind.LINE_SETTLED,
        idempotency_key=f"settle:line:{line.line_id}",
        occurred_at=line.due_at,
        transfers=tuple(transfers),
        cooperative_id=line.cooperative_id,
        subject=("order_line", line.line_id),
    )


def villages_behind(session: Session, weights: Weights) -> Villages:
    """The villages of the households in the scopes whose money goes by way of a village collective."""
    households = {
        household_id
        for (mechanism, _, _), shares in weights.items()
        if goes_through_village(mechanism)
        for household_id in shares
    }
    return villages_of(session, households) if households else {}


def _keep_pools(
    session: Session,
    lines: Sequence[DueLine],
    pools: Mapping[int, Sequence[PoolShare]],
    weights: Weights,
    entries: Mapping[int, int],
    as_of: int,
    settled_at: datetime,
) -> None:
    """Write what each credit was computed from: pools, the distributions made at once, the credits."""
    kept = [(line, share) for line in lines for share in pools[line.line_id]]
    if not kept:
        return
    rows = [
        {
            "line_id": line.line_id,
            "mechanism": share.mechanism,
            "attribution": Attribution.DIRECT if share.lot_id else Attribution.ALLOCATED,
            "lot_id": share.lot_id,
            "period_id": share.period_id,
            "rate_bp": share.rate_bp,
            "pool_fen": share.pool_fen,
            "waiting": not any(weights.get(share.scope, {}).values()),
            "settled_at": settled_at,
        }
        for line, share in kept
    ]
    session.execute(insert(LinkagePool), rows)
    ids = _pool_ids(session, [line.line_id for line in lines])
    shared = [
        SharedPool(
            ids[line.line_id, share.mechanism, share.lot_id],
            share,
            line.line_id,
            line.cooperative_id,
            weights[share.scope],
            entries[line.line_id],
        )
        for line, share in kept
        if any(weights.get(share.scope, {}).values())
    ]
    keep_shares(session, shared, as_of=as_of, at=settled_at)


def _pool_ids(session: Session, line_ids: Sequence[int]) -> dict[tuple[int, Mechanism, int | None], int]:
    """The keys of freshly written pools, read back in one statement (SQLite returns keys one row at a time)."""
    query = select(LinkagePool.line_id, LinkagePool.mechanism, LinkagePool.lot_id, LinkagePool.id)
    rows = session.execute(query.where(LinkagePool.line_id.in_(line_ids)))
    return {(line_id, mechanism, lot_id): pool_id for line_id, mechanism, lot_id, pool_id in rows}


@dataclass(frozen=True)
class SharedPool:
    """A pool with the weights it is shared by and the ledger entry that shares it."""

    pool_id: int
    share: PoolShare
    line_id: int
    cooperative_id: int
    weights: Mapping[int, int]
    entry_id: int


def keep_shares(session: Session, shared: Sequence[SharedPool], *, as_of: int, at: datetime) -> None:
    """Write the distributions and credits of pools that were shared out, and let them replace guarantees that stand.

    In a fixed number of statements.
    """
    if not shared:
        return
    distributions: list[dict[str, Any]] = [
        {
            "pool_id": pool.pool_id,
            "period_id": pool.share.period_id,
            "entry_id": pool.entry_id,
            "as_of_entitlement_id": as_of,
            "weight_total_fen": sum(pool.weights.values()),
            "rule_version": RULE_VERSION,
            "distributed_at": at,
        }
        for pool in shared
    ]
    shares = [(pool, shares_of(pool.share.pool_fen, pool.weights)) for pool in shared]
    credited: list[dict[str, Any]] = [
        {
            "pool_id": pool.pool_id,
            "line_id": pool.line_id,
            "household_id": household_id,
            "cooperative_id": pool.cooperative_id,
            "mechanism": pool.share.mechanism,
            "weight_fen": pool.weights[household_id],
            "amount_fen": fen,
            "entry_id": pool.entry_id,
            "credited_at": at,
        }
        for pool, fen_by_household in shares
        for household_id, fen in sorted(fen_by_household.items())
    ]
    session.execute(insert(PoolDistribution), distributions)
    session.execute(insert(Credit), credited)
    pools = [
        CreditedPool(pool.pool_id, pool.line_id, pool.share.scope, pool.cooperative_id, fen_by_household)
        for pool, fen_by_household in shares
    ]
    reduce_guarantees(session, pools, at=at)
