"""Taking back parts of credits: the postings and the rows that keep them.

    household payable -> cooperative payable   what is taken back, by way of the village where it came that way
    cooperative payable -> household payable   relief: what the household no longer has, because it was paid out

Cash is never taken back: whatever goes beyond the household's present balance with the cooperative, the cooperative
bears. How much is to be taken back is decided by the callers (a refund, a registry correction).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ledger.queries import held_balances
from marketplace.payments.household_paths import Villages, from_households, goes_through_village, villages_of
from marketplace.payments.refunds.models import CreditReversal, ReversalCause
from marketplace.payments.refunds.standing import PoolStanding, Share

KIND_OF = {ReversalCause.REFUND: EntryKind.REFUND, ReversalCause.CORRECTION: EntryKind.REVERSAL}


@dataclass(frozen=True)
class Taking:
    """`fen` (by household id) to take back of a pool now, on top of what was taken back before."""

    pool: PoolStanding
    fen: Mapping[int, int]


@dataclass(frozen=True, kw_only=True)
class Reversal:
    """One event that takes back parts of a line's credits: one entry, and one more where there is relief.

    `key` is the entry's idempotency key, `reverses` the id of the entry that credited, `transfers` what the same entry
    moves besides (the money that goes back to the buyer, the shares of other households).
    """

    key: str
    cause: ReversalCause
    line_id: int
    cooperative_id: int
    takings: tuple[Taking, ...]
    reverses: int
    reason: str
    at: datetime
    actor_user_id: int | None = None
    transfers: tuple[TransferDraft, ...] = ()


@dataclass
class _Part:
    """What is taken of one share, and how much of it the cooperative bears."""

    share: Share
    pool: PoolStanding
    amount_fen: int
    relief_fen: int = 0


def reverse_credits(session: Session, reversals: Sequence[Reversal]) -> list[Entry]:
    """Post `reversals` and keep what each took of whom; returns their entries in the same order. Does not commit.

    The households' accounts are held until the end of the transaction, so that nobody pays out meanwhile what is taken
    back. Raises ValueError when more is to be taken from a household than it has of the pool.
    """
    parts = [_parts_of(reversal) for reversal in reversals]
    given = {_account_of(part) for some in parts for part in some}
    balances = held_balances(session, given)
    for reversal in reversals:  # what an event itself gives is there to be taken
        for transfer in reversal.transfers:
            if transfer.credit in balances:
                balances[transfer.credit] += transfer.amount_fen
    for some in parts:
        _bear(some, balances)
    routed = {
        part.share.household_id
        for some in parts
        for part in some
        if goes_through_village(part.pool.mechanism)
    }
    villages = villages_of(session, routed) if routed else {}
    drafts = [_entry_of(reversal, villages) for reversal in reversals]
    reliefs = [_relief_of(reversal, some) for reversal, some in zip(reversals, parts, strict=True)]
    entries = post_entries(session, [*drafts, *(relief for relief in reliefs if relief is not None)])
    _keep(session, reversals, parts, entries)
    return entries[: len(drafts)]


def _account_of(part: _Part) -> AccountKey:
    return AccountKey.household_payable(part.pool.cooperative_id, part.share.household_id)


def _parts_of(reversal: Reversal) -> list[_Part]:
    """What each share of the pools gives, the oldest share of a household first."""
    parts: list[_Part] = []
    for taking in reversal.takings:
        for household_id, fen in sorted(taking.fen.items()):
            left = fen
            for share in (one for one in taking.pool.shares if one.household_id == household_id):
                taken = min(left, share.standing_fen)
                if taken > 0:
                    parts.append(_Part(share, taking.pool, taken))
                    left -= taken
            if left:
                raise ValueError("a household has less of the pool than is to be taken back")
    return parts


def _bear(parts: Sequence[_Part], balances: dict[AccountKey, int]) -> None:
    for part in parts:
        key = _account_of(part)
        part.relief_fen = max(0, part.amount_fen - max(0, balances[key]))
        balances[key] -= part.amount_fen - part.relief_fen


def _entry_of(reversal: Reversal, villages: Villages) -> EntryDraft:
    cooperative = AccountKey.cooperative_payable(reversal.cooperative_id)
    transfers: list[TransferDraft] = []
    for taking in reversal.takings:
        fen = {household_id: fen for household_id, fen in taking.fen.items() if fen}
        route = villages if goes_through_village(taking.pool.mechanism) else None
        transfers += from_households(cooperative, reversal.cooperative_id, fen, route)
    return EntryDraft(
        kind=KIND_OF[reversal.cause],
        idempotency_key=reversal.key,
        occurred_at=reversal.at,
        transfers=(*transfers, *reversal.transfers),
        subject=("order_line", reversal.line_id),
        cooperative_id=reversal.cooperative_id,
        actor_user_id=reversal.actor_user_id,
        reverses=reversal.reverses,
        reason=reversal.reason,
    )


def _relief_of(reversal: Reversal, parts: Sequence[_Part]) -> EntryDraft | None:
    """What the cooperative bears, as a posting of its own."""
    fen: dict[AccountKey, int] = {}
    for part in parts:
        if part.relief_fen:
            fen[_account_of(part)] = fen.get(_account_of(part), 0) + part.relief_fen
    if not fen:
        return None
    cooperative = AccountKey.cooperative_payable(reversal.cooperative_id)
    return EntryDraft(
        kind=EntryKind.RELIEF,
        idempotency_key=f"relief:{reversal.key}",
        occurred_at=reversal.at,
        transfers=tuple(TransferDraft(cooperative, key, amount) for key, amount in fen.items()),
        subject=("order_line", reversal.line_id),
        cooperative_id=reversal.cooperative_id,
        actor_user_id=reversal.actor_user_id,
        reason=reversal.reason,
    )


def _keep(
    session: Session,
    reversals: Sequence[Reversal],
    parts: Sequence[Sequence[_Part]],
    entries: Sequence[Entry],
) -> None:
    at = now()
    rows: list[dict[str, Any]] = []
    for reversal, some, entry in zip(reversals, parts, entries, strict=False):
        for part in some:
            before = part.share.reversed_fen
            part.share.reversed_fen += part.amount_fen
            rows.append(
                {
                    "credit_id": part.share.credit_id,
                    "addition_id": part.share.addition_id,
                    "share_fen": part.share.amount_fen,
                    "before_fen": before,
                    "follows_fen": before or None,
                    "amount_fen": part.amount_fen,
                    "after_fen": before + part.amount_fen,
                    "relief_fen": part.relief_fen,
                    "cause": reversal.cause,
                    "pool_id": part.pool.pool_id,
                    "line_id": part.pool.line_id,
                    "household_id": part.share.household_id,
                    "cooperative_id": part.pool.cooperative_id,
                    "mechanism": part.pool.mechanism,
                    "reason": reversal.reason,
                    "entry_id": entry.id,
                    "reversed_at": at,
                }
            )
    if rows:
        session.execute(insert(CreditReversal), rows)
