"""What is due to a cooperative of each part paid on line, read from the ledger.

    earned    what the part's settlement, freight, refunds, corrections and a lost dispute moved on the cooperative's
              own account: the net value less the linkage pools, which stay with the platform for the households
    on line   what came on line for the part and did not go back; what vouchers paid came to the bank and is not here
    due       the smaller of the two, less what transfers cover already

A part counts once it has settled and its freight is passed on. While the buyer asks for money back or disputes the
payment nothing more is transferred; what is due less than nothing is taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ProviderAccount,
    TransferReversal,
    TransferState,
)
from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.disputes.queries import UNDECIDED
from marketplace.payments.gateways.connect import AccountStatus
from marketplace.payments.models import Payment, PaymentMethod, PaymentState
from marketplace.payments.refunds.models import Refund, RefundedLine, RefundState

K = EntryKind
BY_LINE = (K.LINE_SETTLED, K.REFUND, K.REVERSAL, K.RELIEF, K.POOL_DISTRIBUTED)
GONE_BACK = (RefundState.AGREED, RefundState.SENT, RefundState.FAILED, RefundState.RETURNED)
Fen = SQLColumnExpression[int]


@dataclass(frozen=True)
class PartStanding:
    """One part with what is due of it (less than nothing: to be taken back), and what its account still has of it."""

    part_id: int
    cooperative_id: int
    payment_id: int
    account_id: int
    due_fen: int
    there_fen: int


def parts_with_something_due(
    session: Session, *, limit: int, part_ids: Collection[int] | None = None
) -> list[PartStanding]:
    """Parts whose cooperative is to get something or to give something back: up to `limit` of each cooperative, so that
    one to which the ledger owes nothing now keeps no other waiting, the oldest first. Only those of `part_ids` when
    they are given. One statement."""
    due, there = _due(), _there()
    parts = _parts(due, there).where(_is_looked_at())
    if part_ids is not None:
        parts = parts.where(OrderPart.id.in_(part_ids))
    found = parts.subquery("found")
    place = func.row_number().over(partition_by=found.c.cooperative_id, order_by=found.c.part_id)
    placed = (
        select(found, place.label("place"))
        .where(
            or_(
                and_(found.c.due_fen > 0, found.c.is_open),
                and_(found.c.due_fen < 0, found.c.there_fen > 0),
            )
        )
        .subquery("placed")
    )
    query = select(placed).where(placed.c.place <= limit).order_by(placed.c.part_id)
    return [
        PartStanding(
            row.part_id,
            row.cooperative_id,
            row.payment_id,
            row.account_id,
            int(row.due_fen),
            int(row.there_fen),
        )
        for row in session.execute(query)
    ]


def due_by_cooperative(session: Session, cooperative_ids: Sequence[int]) -> dict[int, int]:
    """What is due to each cooperative and not planned yet, whether its account is ready or not; for its page."""
    looked_at = _parts(_due(), _there(), ready_only=False).where(
        OrderPart.cooperative_id.in_(cooperative_ids), _is_looked_at()
    )
    parts = looked_at.subquery("found")
    query = (
        select(parts.c.cooperative_id, func.sum(parts.c.due_fen))
        .where(parts.c.due_fen > 0)
        .group_by(parts.c.cooperative_id)
    )
    return {cooperative_id: int(fen) for cooperative_id, fen in session.execute(query)}


def _parts(due: Fen, there: Fen, *, ready_only: bool = True) -> Select:  # type: ignore[type-arg]
    is_open = and_(ProviderAccount.status == AccountStatus.READY, ~_is_held())
    return (
        select(
            OrderPart.id.label("part_id"),
            OrderPart.cooperative_id,
            Payment.id.label("payment_id"),
            ProviderAccount.id.label("account_id"),
            due.label("due_fen"),
            there.label("there_fen"),
            is_open.label("is_open"),
        )
        .select_from(OrderPart)
        .join(Order, Order.id == OrderPart.order_id)
        .join(Payment, Payment.order_id == Order.id)
        .join(
            ProviderAccount,
            ProviderAccount.cooperative_id == OrderPart.cooperative_id,
            isouter=not ready_only,
        )
        .where(
            Payment.method == PaymentMethod.CARD,
            Payment.state == PaymentState.PAID,
            Payment.part_id.is_(None),
            OrderPart.settled_at.is_not(None),
            or_(OrderPart.freight_fen == 0, OrderPart.freight_passed_at.is_not(None)),
        )
    )


def _is_looked_at() -> ColumnElement[bool]:
    """Parts of which nothing was transferred, or of which something may have changed since: a rest that was left, a
    refund of settled lines, a dispute."""
    sent = exists().where(CooperativeTransfer.part_id == OrderPart.id)
    rest = exists().where(CooperativeTransfer.part_id == OrderPart.id, CooperativeTransfer.left_fen > 0)
    refunded = (
        select(RefundedLine.id)
        .join(Refund, Refund.id == RefundedLine.refund_id)
        .where(Refund.part_id == OrderPart.id, RefundedLine.after_settlement)
        .exists()
    )
    disputed = exists().where(PaymentDispute.payment_id == Payment.id)
    return or_(~sent, rest, refunded, disputed)


def _is_held() -> ColumnElement[bool]:
    asked = exists().where(Refund.part_id == OrderPart.id, Refund.state == RefundState.ASKED)
    return or_(asked, is_disputed(Payment.id), _is_under_way())


def is_disputed(payment_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the bank has not decided a dispute of the payment."""
    return exists().where(PaymentDispute.payment_id == payment_id, PaymentDispute.state.in_(UNDECIDED))


def _is_under_way() -> ColumnElement[bool]:
    return exists().where(
        CooperativeTransfer.part_id == OrderPart.id, CooperativeTransfer.state == TransferState.PLANNED
    )


def _due() -> Fen:
    earned = _earned()
    on_line = _received() - _refunded_on_line() + _lost()
    return case((earned < on_line, earned), else_=on_line) - _covered()


def _earned() -> Fen:
    lines = select(OrderLine.id).where(OrderLine.part_id == OrderPart.id).correlate(OrderPart)
    return _sum(
        _moved("order_line", Entry.subject_id.in_(lines), BY_LINE),
        _moved("order_part", Entry.subject_id == OrderPart.id, (K.FREIGHT,)),
        _lost(),
    )


def _sum(*terms: Fen) -> Fen:
    return reduce(lambda left, right: left + right, terms)


def _moved(subject_kind: str, subject: ColumnElement[bool], kinds: tuple[EntryKind, ...]) -> Fen:
    """What entries about something moved on the own account of the part's cooperative."""
    payable = aliased(Account)
    change = case((Transfer.credit_account_id == payable.id, Transfer.amount_fen), else_=-Transfer.amount_fen)
    return (
        select(func.coalesce(func.sum(change), 0))
        .select_from(Entry)
        .join(Transfer, Transfer.entry_id == Entry.id)
        .join(payable, or_(payable.id == Transfer.credit_account_id, payable.id == Transfer.debit_account_id))
        .where(
            Entry.subject_kind == subject_kind,
            subject,
            Entry.kind.in_(kinds),
            payable.kind == AccountKind.COOPERATIVE_PAYABLE,
            payable.cooperative_id == OrderPart.cooperative_id,
        )
        .correlate(OrderPart, Payment)
        .scalar_subquery()
    )


def _received() -> Fen:
    return _posted("payment", Entry.subject_id == Payment.id, K.PAYMENT_RECEIVED)


def _lost() -> Fen:
    """What lost disputes moved, less than nothing; a refund that one met came back, and counts as given."""
    disputes = select(PaymentDispute.id).where(PaymentDispute.payment_id == Payment.id).correlate(Payment)
    return _moved("payment_dispute", Entry.subject_id.in_(disputes), (K.DISPUTE_LOST,))


def _posted(subject_kind: str, subject: ColumnElement[bool], kind: EntryKind) -> Fen:
    """What entries of one kind posted for the part's cooperative."""
    return (
        select(func.coalesce(func.sum(Transfer.amount_fen), 0))
        .select_from(Entry)
        .join(Transfer, Transfer.entry_id == Entry.id)
        .where(
            Entry.subject_kind == subject_kind,
            subject,
            Entry.kind == kind,
            Entry.cooperative_id == OrderPart.cooperative_id,
        )
        .correlate(OrderPart, Payment)
        .scalar_subquery()
    )


def _refunded_on_line() -> Fen:
    return (
        select(func.coalesce(func.sum(Refund.own_fen), 0))
        .where(
            Refund.part_id == OrderPart.id,
            Refund.method == PaymentMethod.CARD,
            Refund.state.in_(GONE_BACK),
        )
        .correlate(OrderPart)
        .scalar_subquery()
    )


def _covered() -> Fen:
    sent = (
        select(func.coalesce(func.sum(CooperativeTransfer.amount_fen + CooperativeTransfer.withheld_fen), 0))
        .where(CooperativeTransfer.part_id == OrderPart.id)
        .correlate(OrderPart)
        .scalar_subquery()
    )
    return sent - _taken_back()


def _there() -> Fen:
    """What transfers of the part brought to the account and no reversal asked back."""
    sent = (
        select(func.coalesce(func.sum(CooperativeTransfer.amount_fen), 0))
        .where(CooperativeTransfer.part_id == OrderPart.id, CooperativeTransfer.state == TransferState.DONE)
        .correlate(OrderPart)
        .scalar_subquery()
    )
    return sent - _taken_back()


def _taken_back() -> Fen:
    return (
        select(func.coalesce(func.sum(TransferReversal.amount_fen), 0))
        .select_from(TransferReversal)
        .join(CooperativeTransfer, CooperativeTransfer.id == TransferReversal.transfer_id)
        .where(CooperativeTransfer.part_id == OrderPart.id)
        .correlate(OrderPart)
        .scalar_subquery()
    )
