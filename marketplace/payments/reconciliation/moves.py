"""Taking in the provider's list of what moved, and booking what only it knows: its fees, and payouts to the bank."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.payments.gateways.balance import BalanceMove, MoveKind
from marketplace.payments.models import PaymentMethod
from marketplace.payments.reconciliation.models import ChannelMove

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(days=2)  # a list made while something moved may have missed it
CHUNK = 1_000


def next_since(session: Session) -> datetime:
    """From when on to ask the provider: a little before the last movement that is known."""
    last = session.scalar(select(func.max(ChannelMove.occurred_at)))
    return BEGINNING if last is None else last - OVERLAP


def keep_moves(session: Session, moves: Sequence[BalanceMove]) -> list[ChannelMove]:
    """Store the movements that are new, and book their fees and payouts; returns them."""
    fresh = _unknown(session, moves)
    rows = [
        ChannelMove(
            ref=move.ref,
            kind=move.kind,
            source_ref=move.source_ref,
            payment_ref=move.payment_ref,
            amount_fen=move.amount_fen,
            fee_fen=move.fee_fen,
            occurred_at=move.occurred_at,
        )
        for move in fresh
    ]
    session.add_all(rows)
    session.flush()
    post_entries(session, [draft for row in rows if (draft := _entry(row)) is not None])
    return rows


def _unknown(session: Session, moves: Sequence[BalanceMove]) -> list[BalanceMove]:
    refs = [move.ref for move in moves]
    known: set[str] = set()
    for start in range(0, len(refs), CHUNK):
        query = select(ChannelMove.ref).where(ChannelMove.ref.in_(refs[start : start + CHUNK]))
        known |= set(session.scalars(query))
    return [move for move in moves if move.ref not in known and (move.amount_fen or move.fee_fen)]


def _entry(row: ChannelMove) -> EntryDraft | None:
    """What a movement books by itself: its fee, and a payout to the bank."""
    channel = PaymentMethod.CARD.value
    clearing, fees = AccountKey.clearing(channel), AccountKey.fees(channel)
    transfers = []
    if row.fee_fen > 0:
        transfers.append(TransferDraft(fees, clearing, row.fee_fen))
    elif row.fee_fen < 0:
        transfers.append(TransferDraft(clearing, fees, -row.fee_fen))
    if row.kind is MoveKind.PAYOUT and row.amount_fen < 0:
        transfers.append(TransferDraft(AccountKey.bank(), clearing, -row.amount_fen))
    elif row.kind is MoveKind.PAYOUT and row.amount_fen > 0:  # a payout that came back
        transfers.append(TransferDraft(clearing, AccountKey.bank(), row.amount_fen))
    if not transfers:
        return None
    is_payout = row.kind is MoveKind.PAYOUT
    return EntryDraft(
        kind=EntryKind.CHANNEL_PAYOUT if is_payout else EntryKind.CHANNEL_FEE,
        idempotency_key=f"channel_move:{row.ref}",
        occurred_at=row.occurred_at,
        transfers=tuple(transfers),
        subject=("channel_move", row.id),
    )
