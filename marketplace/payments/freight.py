"""Freight: once a part is accepted and paid, what its carrying cost goes from escrow to the cooperative, whole.

It is no part of the net line value, so no household has a share of it (domain.md, section 6). A part that is called off
before it was shipped gives it back with the refund.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ordering.models import OrderPart


def pass_freight_on(session: Session, *, limit: int = 500) -> int:
    """Post the freight of up to `limit` accepted and paid parts; returns how many. Repeating is harmless, and so is a
    second worker: the ledger's key is the part."""
    due = (
        select(OrderPart)
        .where(
            OrderPart.freight_fen > 0,
            OrderPart.freight_passed_at.is_(None),
            OrderPart.accepted_at.is_not(None),
            OrderPart.paid_at.is_not(None),
        )
        .order_by(OrderPart.id)
        .limit(limit)
        .with_for_update(of=OrderPart, skip_locked=True)
    )
    parts = list(session.scalars(due).unique())
    post_entries(session, [_entry(part) for part in parts])
    for part in parts:
        part.freight_passed_at = now()
    session.flush()
    return len(parts)


def _entry(part: OrderPart) -> EntryDraft:
    if part.accepted_at is None or part.paid_at is None:
        raise ValueError("freight is passed on once a part is accepted and paid")
    source = AccountKey.escrow(part.cooperative_id)
    target = AccountKey.cooperative_payable(part.cooperative_id)
    return EntryDraft(
        kind=EntryKind.FREIGHT,
        idempotency_key=f"freight:part:{part.id}",
        occurred_at=max(part.accepted_at, part.paid_at),
        transfers=(TransferDraft(source, target, part.freight_fen),),
        cooperative_id=part.cooperative_id,
        subject=("order_part", part.id),
    )
