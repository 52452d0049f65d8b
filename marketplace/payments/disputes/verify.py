"""Checks of disputes: what is held is undecided, and what was lost is borne to the fen.

They read the rows alone (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Entry, EntryKind, Transfer
from marketplace.payments.disputes.models import DisputeLoss, PaymentDispute
from marketplace.payments.gateways.disputes import DisputeStatus


def _losses_add_up(session: Session) -> Answer:
    """Of a lost dispute the cooperatives bear exactly its amount; of any other nothing."""
    borne = (
        select(DisputeLoss.dispute_id, func.sum(DisputeLoss.amount_fen).label("fen"))
        .group_by(DisputeLoss.dispute_id)
        .subquery()
    )
    fen = func.coalesce(borne.c.fen, 0)
    is_lost = PaymentDispute.state == DisputeStatus.LOST
    query = (
        select(PaymentDispute.public_no.label("dispute"), PaymentDispute.amount_fen, fen.label("borne_fen"))
        .outerjoin(borne, borne.c.dispute_id == PaymentDispute.id)
        .where(or_(is_lost & (fen != PaymentDispute.amount_fen), ~is_lost & (fen != 0)))
        .order_by(PaymentDispute.id)
    )
    message = N_("付款争议 %(dispute)s 金额 %(amount_fen)s 分，合作社承担 %(borne_fen)s 分")
    return count_of(session, PaymentDispute), rows_found(session, "losses_add_up", message, query)


def _losses_are_posted(session: Session) -> Answer:
    """Each loss is an entry of its own, of the cooperative of its part, with its amount."""
    posted = (
        select(Entry.id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Transfer, Transfer.entry_id == Entry.id)
        .where(Entry.kind == EntryKind.DISPUTE_LOST)
        .group_by(Entry.id)
        .subquery()
    )
    query = (
        select(DisputeLoss.id.label("loss"), DisputeLoss.amount_fen, posted.c.fen.label("posted_fen"))
        .outerjoin(posted, posted.c.id == DisputeLoss.entry_id)
        .where(or_(posted.c.fen.is_(None), posted.c.fen != DisputeLoss.amount_fen))
        .order_by(DisputeLoss.id)
    )
    message = N_("争议损失（序号 %(loss)s）是 %(amount_fen)s 分，记账 %(posted_fen)s 分")
    return count_of(session, DisputeLoss), rows_found(session, "losses_are_posted", message, query)


CHECKS: tuple[Check, ...] = (
    Check("losses_add_up", N_("败诉的付款争议由各合作社按份承担，合计等于争议金额"), _losses_add_up),
    Check("losses_are_posted", N_("每份争议损失都按原额记账一次"), _losses_are_posted),
)
