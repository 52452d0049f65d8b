"""The two sides of transfers to cooperatives and of what was taken back, for the day's comparison."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ReversalState,
    TransferReversal,
    TransferState,
)
from marketplace.payments.gateways.balance import MoveKind
from marketplace.payments.reconciliation.models import ChannelMove
from marketplace.payments.reconciliation.sides import Sides

KEY = "transfer:"


def transfer_sides(
    session: Session, *, since: datetime, until: datetime, keys: Collection[str]
) -> dict[str, Sides]:
    """Transfers and reversals that moved between two instants, and those of `keys`, as they stand at `until`; each by
    the provider's number, or by ours until it has one."""
    named = [key.removeprefix(KEY) for key in keys if key.startswith(KEY)]
    channel = _moves(session, since, until, named)
    ledger = _booked(session, since, until, [*named, *channel])
    found = {ref: Sides(fen, 0) for ref, fen in channel.items()}
    for ref, (fen, pending_fen) in ledger.items():
        found[ref] = Sides(channel.get(ref, 0), fen, pending_fen)
    found |= {ref: Sides(0, 0) for ref in named if ref not in found}
    return {f"{KEY}{ref}": sides for ref, sides in found.items()}


def _moves(session: Session, since: datetime, until: datetime, named: Collection[str]) -> dict[str, int]:
    query = (
        select(ChannelMove.source_ref, func.sum(ChannelMove.amount_fen))
        .where(
            ChannelMove.kind == MoveKind.TRANSFER,
            ChannelMove.occurred_at < until,
            or_(ChannelMove.occurred_at >= since, ChannelMove.source_ref.in_(named)),
        )
        .group_by(ChannelMove.source_ref)
    )
    return {ref: int(fen) for ref, fen in session.execute(query)}


def _booked(
    session: Session, since: datetime, until: datetime, named: Collection[str]
) -> dict[str, tuple[int, int]]:
    """What the ledger booked, and how much of it the provider was not told before `until`."""
    ref = func.coalesce(CooperativeTransfer.provider_ref, CooperativeTransfer.public_no)
    waits = _is_on_its_way(until)
    sent = select(ref, -CooperativeTransfer.amount_fen, waits).where(
        CooperativeTransfer.amount_fen > 0,
        CooperativeTransfer.planned_at < until,
        or_(
            CooperativeTransfer.planned_at >= since,
            CooperativeTransfer.done_at >= since,
            waits,
            ref.in_(named),
        ),
    )
    found = {key: (int(fen), -int(fen) if waiting else 0) for key, fen, waiting in session.execute(sent)}
    back = select(TransferReversal.provider_ref, TransferReversal.amount_fen).where(
        TransferReversal.state == ReversalState.DONE,
        TransferReversal.done_at < until,
        or_(TransferReversal.done_at >= since, TransferReversal.provider_ref.in_(named)),
    )
    return found | {key: (int(fen), 0) for key, fen in session.execute(back) if key}


def _is_on_its_way(until: datetime) -> ColumnElement[bool]:
    return or_(CooperativeTransfer.state == TransferState.PLANNED, CooperativeTransfer.done_at >= until)


def pending_transfers(session: Session, until: datetime) -> int:
    """What was planned before an instant and sent after it, or is not sent yet, in fen."""
    query = select(func.coalesce(func.sum(CooperativeTransfer.amount_fen), 0)).where(
        and_(CooperativeTransfer.planned_at < until, _is_on_its_way(until))
    )
    return int(session.scalar(query) or 0)
