"""Planning transfers and reversals: rows and postings, in one transaction, before anybody is called.

    transferred    cooperative payable -> clearing of the channel, when it is planned
    taken back     clearing of the channel -> cooperative payable, when the provider has done it

One transfer an order part, so that a refund takes back from the very transfer that its money went with. A cooperative
never gets more than the ledger owes it altogether: guarantees and losses it bears come first, and what a refused
reversal left open is withheld from what is next. The cooperatives' accounts in the ledger are held meanwhile, so that a
second worker plans what the first has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.ids import public_no
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ledger.queries import held_balances
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ReversalState,
    TransferReversal,
    TransferState,
    TransferWithholding,
)
from marketplace.payments.collecting.standing import PartStanding, parts_with_something_due
from marketplace.payments.models import PaymentMethod

PARTS_A_PASS = 50
CLEARING = AccountKey.clearing(PaymentMethod.CARD.value)


def plan_transfers(session: Session, *, limit: int = PARTS_A_PASS) -> int:
    """Plan what is due to cooperatives and what they are to give back, of up to `limit` parts a cooperative; returns
    how many rows it made. Safe to repeat and to run from two workers."""
    seen = parts_with_something_due(session, limit=limit)
    if not seen:
        return 0
    owed = held_balances(session, {AccountKey.cooperative_payable(part.cooperative_id) for part in seen})
    # Another worker may have planned some between the look and the hold: asked only now that they are ours.
    parts = parts_with_something_due(session, limit=limit, part_ids=[part.part_id for part in seen])
    purses = _purses(session, parts, owed)
    at = now()
    made = _keep_transfers(session, _shares(parts, purses), at)
    return made + _plan_reversals(session, [part for part in parts if part.due_fen < 0], at)


@dataclass
class _Claim:
    """A reversal that was refused, and how much of it transfers have kept."""

    reversal: TransferReversal
    kept_fen: int


@dataclass(frozen=True)
class _Keeping:
    """What one transfer keeps for a refused reversal, after `before_fen` that others kept."""

    reversal: TransferReversal
    before_fen: int
    amount_fen: int


@dataclass
class _Purse:
    """What the ledger owes a cooperative, and the claims on it."""

    left_fen: int
    claims: list[_Claim] = field(default_factory=list)

    def keep(self, most_fen: int) -> list[_Keeping]:
        """Keep up to `most_fen` for the claims, the oldest first."""
        kept = []
        for claim in self.claims:
            fen = min(most_fen, claim.reversal.amount_fen - claim.kept_fen)
            if fen > 0:
                kept.append(_Keeping(claim.reversal, claim.kept_fen, fen))
                claim.kept_fen += fen
                most_fen -= fen
        return kept

    def take(self, most_fen: int) -> int:
        """Take up to `most_fen` of what is owed."""
        fen = min(most_fen, self.left_fen)
        self.left_fen -= fen
        return fen


@dataclass(frozen=True)
class _Share:
    """How what is due of a part is dealt with."""

    part: PartStanding
    amount_fen: int
    kept: list[_Keeping]
    number: str

    @property
    def withheld_fen(self) -> int:
        return sum(one.amount_fen for one in self.kept)


def _purses(
    session: Session, parts: Iterable[PartStanding], owed: Mapping[AccountKey, int]
) -> dict[int, _Purse]:
    ids = sorted({part.cooperative_id for part in parts})
    purses = {one: _Purse(max(owed[AccountKey.cooperative_payable(one)], 0)) for one in ids}
    for reversal, kept_fen in session.execute(open_claims().where(TransferReversal.cooperative_id.in_(ids))):
        purses[reversal.cooperative_id].claims.append(_Claim(reversal, int(kept_fen)))
    return purses


def open_claims() -> Select[tuple[TransferReversal, int]]:
    """Reversals that were refused and not yet withheld whole, with what was, the oldest first."""
    kept = (
        select(TransferWithholding.reversal_id, func.max(TransferWithholding.after_fen).label("fen"))
        .group_by(TransferWithholding.reversal_id)
        .subquery()
    )
    kept_fen = func.coalesce(kept.c.fen, 0)
    return (
        select(TransferReversal, kept_fen)
        .outerjoin(kept, kept.c.reversal_id == TransferReversal.id)
        .where(TransferReversal.state == ReversalState.REFUSED, kept_fen < TransferReversal.amount_fen)
        .order_by(TransferReversal.id)
    )


def _shares(parts: Iterable[PartStanding], purses: Mapping[int, _Purse]) -> list[_Share]:
    """The oldest part first: what is owed back is kept, the rest goes out as far as the ledger owes it."""
    shares = []
    for part in parts:
        if part.due_fen <= 0:
            continue
        purse = purses[part.cooperative_id]
        kept = purse.keep(part.due_fen)
        amount_fen = purse.take(part.due_fen - sum(one.amount_fen for one in kept))
        if amount_fen or kept:
            shares.append(_Share(part, amount_fen, kept, public_no("HF")))
    return shares


def _keep_transfers(session: Session, shares: Sequence[_Share], at: datetime) -> int:
    paid = [share for share in shares if share.amount_fen]
    entries = post_entries(session, [_entry(share, at) for share in paid])
    entry_ids = {share.number: entry.id for share, entry in zip(paid, entries, strict=True)}
    rows = {share.number: _row(share, entry_ids.get(share.number), at) for share in shares}
    session.add_all(rows.values())
    session.flush()
    session.add_all(
        TransferWithholding(
            reversal_id=one.reversal.id,
            reversal_fen=one.reversal.amount_fen,
            transfer_id=rows[share.number].id,
            before_fen=one.before_fen,
            follows_fen=one.before_fen or None,
            amount_fen=one.amount_fen,
            after_fen=one.before_fen + one.amount_fen,
            withheld_at=at,
        )
        for share in shares
        for one in share.kept
    )
    session.flush()
    return len(rows)


def _entry(share: _Share, at: datetime) -> EntryDraft:
    cooperative = AccountKey.cooperative_payable(share.part.cooperative_id)
    return EntryDraft(
        kind=EntryKind.TRANSFERRED,
        idempotency_key=f"transfer:{share.number}",
        occurred_at=at,
        transfers=(TransferDraft(cooperative, CLEARING, share.amount_fen),),
        cooperative_id=share.part.cooperative_id,
        subject=("order_part", share.part.part_id),
    )


def _row(share: _Share, entry_id: int | None, at: datetime) -> CooperativeTransfer:
    part = share.part
    is_kept_whole = entry_id is None
    return CooperativeTransfer(
        public_no=share.number,
        part_id=part.part_id,
        payment_id=part.payment_id,
        cooperative_id=part.cooperative_id,
        account_id=part.account_id,
        amount_fen=share.amount_fen,
        withheld_fen=share.withheld_fen,
        left_fen=part.due_fen - share.amount_fen - share.withheld_fen,
        state=TransferState.DONE if is_kept_whole else TransferState.PLANNED,
        idempotency_key=f"{share.number}.1",
        keyed_at=at,
        entry_id=entry_id,
        planned_at=at,
        done_at=at if is_kept_whole else None,
    )


def _plan_reversals(session: Session, parts: Sequence[PartStanding], at: datetime) -> int:
    """Take back what parts gave too much, from their latest transfer first, as far as their transfers go."""
    back = (
        select(TransferReversal.transfer_id, func.max(TransferReversal.after_fen).label("fen"))
        .group_by(TransferReversal.transfer_id)
        .subquery()
    )
    query = (
        select(CooperativeTransfer, func.coalesce(back.c.fen, 0))
        .outerjoin(back, back.c.transfer_id == CooperativeTransfer.id)
        .where(
            CooperativeTransfer.part_id.in_([part.part_id for part in parts]),
            CooperativeTransfer.state == TransferState.DONE,
        )
        .order_by(CooperativeTransfer.id.desc())
    )
    sent: dict[int, list[tuple[CooperativeTransfer, int]]] = {}
    for transfer, fen in session.execute(query):
        sent.setdefault(transfer.part_id, []).append((transfer, int(fen)))
    rows = [
        row
        for part in parts
        for row in _reversals(sent.get(part.part_id, []), wanted_fen=-part.due_fen, at=at)
    ]
    session.add_all(rows)
    session.flush()
    return len(rows)


def _reversals(
    sent: Sequence[tuple[CooperativeTransfer, int]], *, wanted_fen: int, at: datetime
) -> Iterator[TransferReversal]:
    for transfer, before_fen in sent:
        fen = min(wanted_fen, transfer.amount_fen - before_fen)
        if fen <= 0:
            continue
        wanted_fen -= fen
        yield TransferReversal(
            public_no=public_no("HS"),
            transfer_id=transfer.id,
            cooperative_id=transfer.cooperative_id,
            transfer_fen=transfer.amount_fen,
            before_fen=before_fen,
            follows_fen=before_fen or None,
            amount_fen=fen,
            after_fen=before_fen + fen,
            planned_at=at,
        )
