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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from marketplace.core.bulk import Rows, ids_of_each
from marketplace.core.clock import now
from marketplace.core.ids import public_nos
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_new_entries
from marketplace.linkage.attribution import credits_of_pool, pool_of_line, split_pool_over_lots
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.linkage.queries import attributions_of, weights_in_scope
from marketplace.payments.closing.reductions import CreditedPool, reduce_guarantees
from marketplace.payments.closing.standing import asking_standing
from marketplace.payments.due_lines import DueLine, closing, due_lines
from marketplace.payments.household_paths import (
    Villages,
    goes_through_village,
    to_households,
    villages_of,
)
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement

RULE_VERSION = 1
Scope = tuple[
    Mechanism, int | None, int | None
]  # mechanism, lot, linkage period: whose entitlements are the weights
Weights = Mapping[Scope, Mapping[int, int]]  # fen of entitlement by household
POOL_COLUMNS = (
    "id",
    "line_id",
    "mechanism",
    "attribution",
    "lot_id",
    "period_id",
    "rate_bp",
    "pool_fen",
    "waiting",
    "settled_at",
)
DISTRIBUTION_COLUMNS = (
    "pool_id",
    "period_id",
    "entry_id",
    "as_of_entitlement_id",
    "weight_total_fen",
    "rule_version",
    "distributed_at",
)
CREDIT_COLUMNS = (
    "public_no",
    "pool_id",
    "line_id",
    "household_id",
    "cooperative_id",
    "mechanism",
    "weight_fen",
    "amount_fen",
    "entry_id",
    "credited_at",
)


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


Settling = tuple[DueLine, list[tuple[PoolShare, dict[int, int]]]]  # a line, its pools, the credits of each


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
    due = due_lines(session, limit=limit)
    if not due.lines:
        return 0
    scopes = {scope for line in due.lines for scope in scopes_of(line)}
    weights = weights_in_scope(
        session, sorted(scopes, key=str), as_of_entitlement_id=due.as_of_entitlement_id
    )
    villages = villages_behind(session, weights)
    settled = sorted((_settling(line, weights) for line in due.lines), key=_in_order_of_entries)
    rows = Rows(session)
    ids = ids_of_each(session, {Entry: len(settled), LinkagePool: sum(len(shares) for _, shares in settled)})
    entry_ids = ids[Entry]
    post_new_entries(session, rows, [_settlement_entry(one, villages) for one in settled], entry_ids)
    settled_at = now()
    rows.add(
        Settlement,
        ("line_id", "cooperative_id", "net_fen", "pool_fen", "entry_id", "rule_version", "settled_at"),
        (
            (
                line.line_id,
                line.cooperative_id,
                line.net_fen,
                sum(share.pool_fen for share, _ in shares),
                entry_id,
                RULE_VERSION,
                settled_at,
            )
            for (line, shares), entry_id in zip(settled, entry_ids, strict=True)
        ),
    )
    shared = _keep_pools(rows, settled, weights, entry_ids, ids[LinkagePool], settled_at)
    rows.then(*closing(due.part_ids, at=settled_at))
    keep_shares(session, rows, shared, as_of=due.as_of_entitlement_id, at=settled_at)
    return len(settled)


def _settling(line: DueLine, weights: Weights) -> Settling:
    """The line with its pools, and what each household gets of each: nothing of a pool that has to wait."""
    return line, [
        (share, shares_of(share.pool_fen, weights.get(share.scope, {})))
        for share in compute_pools(line, weights)
    ]


def _in_order_of_entries(settling: Settling) -> tuple[datetime, int]:
    line, _ = settling
    return line.due_at, line.line_id


def _settlement_entry(settling: Settling, villages: Villages) -> EntryDraft:
    """Escrow to the cooperative (net), and from the cooperative to each household or to what waits."""
    line, shares = settling
    cooperative = AccountKey.cooperative_payable(line.cooperative_id)
    transfers = [TransferDraft(AccountKey.escrow(line.cooperative_id), cooperative, line.net_fen)]
    for share, credited in shares:
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
    rows: Rows,
    settled: Sequence[Settling],
    weights: Weights,
    entry_ids: Sequence[int],
    ids: Sequence[int],
    settled_at: datetime,
) -> list[SharedPool]:
    """Collect the pools of settled lines; returns those that are shared out at once."""
    kept = [
        (line, share, credited, entry_id)
        for (line, shares), entry_id in zip(settled, entry_ids, strict=True)
        for share, credited in shares
    ]
    if not kept:
        return []
    rows.add(
        LinkagePool,
        POOL_COLUMNS,
        (
            (
                pool_id,
                line.line_id,
                share.mechanism.value,
                (Attribution.DIRECT if share.lot_id else Attribution.ALLOCATED).value,
                share.lot_id,
                share.period_id,
                share.rate_bp,
                share.pool_fen,
                not credited,
                settled_at,
            )
            for pool_id, (line, share, credited, _) in zip(ids, kept, strict=True)
        ),
    )
    return [
        SharedPool(
            pool_id, share, line.line_id, line.cooperative_id, weights[share.scope], credited, entry_id
        )
        for pool_id, (line, share, credited, entry_id) in zip(ids, kept, strict=True)
        if credited
    ]


@dataclass(frozen=True)
class SharedPool:
    """A pool with the weights it is shared by, each household's fen of it, and the ledger entry that shares it."""

    pool_id: int
    share: PoolShare
    line_id: int
    cooperative_id: int
    weights: Mapping[int, int]
    credited: Mapping[int, int]
    entry_id: int


def keep_shares(
    session: Session, rows: Rows, shared: Sequence[SharedPool], *, as_of: int, at: datetime
) -> None:
    """Write `rows` with the distributions and credits of pools that were shared out, and let them replace guarantees
    that stand. In a fixed number of statements.
    """
    if not shared:
        rows.write()
        return
    rows.add(
        PoolDistribution,
        DISTRIBUTION_COLUMNS,
        (
            (
                pool.pool_id,
                pool.share.period_id,
                pool.entry_id,
                as_of,
                sum(pool.weights.values()),
                RULE_VERSION,
                at,
            )
            for pool in shared
        ),
    )
    rows.add(Credit, CREDIT_COLUMNS, _credit_rows(shared, at))
    pools = [
        CreditedPool(pool.pool_id, pool.line_id, pool.share.scope, pool.cooperative_id, pool.credited)
        for pool in shared
    ]
    standing = rows.then(*asking_standing({pool.scope for pool in pools}))
    rows.write()
    reduce_guarantees(session, pools, at=at, found=standing.rows)


def _credit_rows(shared: Sequence[SharedPool], at: datetime) -> Iterator[tuple[object, ...]]:
    numbers = iter(public_nos("I", sum(len(pool.credited) for pool in shared)))
    for pool in shared:
        mechanism, weights = pool.share.mechanism.value, pool.weights
        for household_id, fen in sorted(pool.credited.items()):
            yield (
                next(numbers),
                pool.pool_id,
                pool.line_id,
                household_id,
                pool.cooperative_id,
                mechanism,
                weights[household_id],
                fen,
                pool.entry_id,
                at,
            )
