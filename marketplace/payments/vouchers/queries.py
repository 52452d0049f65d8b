"""Reading vouchers: a unit's batches, what a cooperative redeemed, and what the cashier has to send back."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingState
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import works_for_unit
from marketplace.payments.vouchers.models import (
    BatchState,
    Voucher,
    VoucherBatch,
    VoucherReturn,
    VoucherState,
)
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.web.tasks import Task


def batches_visible_to(actor: Actor) -> Select[VoucherBatch]:
    """Batches, newest first: of one's unit, of one's cooperative, all for the cashier, an auditor's of its area."""
    query = select(VoucherBatch).order_by(VoucherBatch.id.desc())
    if actor.can(Permission.MATCH_BANK_LINES):
        return query
    if actor.can(Permission.READ_AUDIT):
        return query.where(VoucherBatch.cooperative_id.in_(cooperatives_within(actor)))
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(
            VoucherBatch.cooperative_id == actor.cooperative_id, VoucherBatch.paid_at.is_not(None)
        )
    if works_for_unit(actor):
        return query.where(VoucherBatch.buyer_unit_id == actor.buyer_unit_id)
    return query.where(false())


def batch_by_no(session: Session, actor: Actor, number: str) -> VoucherBatch:
    """A batch the actor may see. Raises NotFound."""
    batch = session.scalar(batches_visible_to(actor).where(VoucherBatch.public_no == number))
    if batch is None:
        raise NotFound
    return batch


def batches_of_amount(amount_fen: int) -> Select[VoucherBatch]:
    """Batches that are to be paid and cost exactly this, the oldest first, at most twenty."""
    awaited = VoucherBatch.state == BatchState.OPEN
    query = select(VoucherBatch).where(awaited, VoucherBatch.total_fen == amount_fen)
    return query.order_by(VoucherBatch.id).limit(20)


def redeemed_counts(session: Session, batch_ids: Collection[int]) -> dict[int, int]:
    """How many vouchers of each batch were redeemed, in one statement."""
    query = (
        select(Voucher.batch_id, func.count())
        .where(Voucher.batch_id.in_(batch_ids), Voucher.state == VoucherState.REDEEMED)
        .group_by(Voucher.batch_id)
    )
    return dict(session.execute(query).all())


def listings_at_counter(session: Session, actor: Actor) -> list[Listing]:
    """What the actor's cooperative has on sale, at most a hundred."""
    query = (
        select(Listing)
        .where(Listing.cooperative_id == (actor.cooperative_id or 0), Listing.state == ListingState.PUBLISHED)
        .order_by(Listing.id)
        .limit(100)
    )
    return list(session.scalars(query).unique())


def returns_to_send() -> Select[VoucherReturn]:
    """What the cashier has to transfer back, oldest first."""
    return select(VoucherReturn).where(VoucherReturn.returned_at.is_(None)).order_by(VoucherReturn.id)


def return_by_no(session: Session, number: str) -> VoucherReturn:
    """One of them. Raises NotFound."""
    found = session.scalar(returns_to_send().where(VoucherReturn.public_no == number))
    if found is None:
        raise NotFound
    return found


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Batches to approve, to transfer and to print for a unit; returns to send for the cashier."""
    waits = (
        (Permission.APPROVE_ORDERS, BatchState.AWAITING, NN_("%(count)s 批提货券待审批")),
        (Permission.PAY_FOR_UNIT, BatchState.OPEN, NN_("%(count)s 批提货券待转账")),
        (Permission.ORDER_FOR_UNIT, BatchState.PAID, NN_("%(count)s 批提货券已到账，可以制券")),
    )
    asked: list[tuple[str, Select[VoucherBatch] | Select[VoucherReturn]]] = []
    if actor.buyer_unit_id is not None:
        own = batches_visible_to(actor).order_by(None)
        asked = [
            (message, own.where(VoucherBatch.state == state))
            for duty, state, message in waits
            if actor.can(duty)
        ]
    elif actor.can(Permission.MATCH_BANK_LINES):
        asked = [(NN_("%(count)s 笔提货券余款待退回"), returns_to_send().order_by(None))]
    counts = [
        (message, session.scalar(select(func.count()).select_from(query.subquery())) or 0)
        for message, query in asked
    ]
    return [Task(message, count, "vouchers.index") for message, count in counts if count]
