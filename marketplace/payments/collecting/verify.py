"""Checks of transfers to cooperatives against the ledger: each posted as it is, none of more than its part gave.

They read the rows alone and trust nothing else (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ReversalState,
    TransferReversal,
    TransferWithholding,
)
from marketplace.payments.gateways.balance import MoveKind
from marketplace.payments.models import BankLine, BankLineState, PaymentMethod, Settlement
from marketplace.payments.reconciliation.models import ChannelMove, PayoutArrival


def _posted(kind: EntryKind, *, out: bool) -> Select:  # type: ignore[type-arg]
    """Per entry of a kind, what it moved between the cooperative's own account and the channel."""
    payable, clearing = aliased(Account), aliased(Account)
    own = AccountKey.clearing(PaymentMethod.CARD.value).text
    debit, credit = (payable, clearing) if out else (clearing, payable)
    return (
        select(Transfer.entry_id, payable.cooperative_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Entry, Entry.id == Transfer.entry_id)
        .join(debit, debit.id == Transfer.debit_account_id)
        .join(credit, credit.id == Transfer.credit_account_id)
        .where(Entry.kind == kind, clearing.key == own, payable.kind == "cooperative_payable")
        .group_by(Transfer.entry_id, payable.cooperative_id)
    )


def _transfers_are_posted(session: Session) -> Answer:
    return _are_posted(session, CooperativeTransfer, EntryKind.TRANSFERRED, out=True)


def _reversals_are_posted(session: Session) -> Answer:
    return _are_posted(session, TransferReversal, EntryKind.TRANSFER_REVERSED, out=False)


def _are_posted(
    session: Session,
    model: type[CooperativeTransfer | TransferReversal],
    kind: EntryKind,
    *,
    out: bool,
) -> Answer:
    """Rows with an entry have exactly their amount posted, and no entry of the kind is without its row."""
    posted = _posted(kind, out=out).subquery()
    fen = func.coalesce(posted.c.fen, 0)
    query = (
        select(model.public_no.label("number"), model.amount_fen, fen.label("posted_fen"))
        .outerjoin(
            posted,
            and_(posted.c.entry_id == model.entry_id, posted.c.cooperative_id == model.cooperative_id),
        )
        .where(model.entry_id.is_not(None), fen != model.amount_fen)
        .order_by(model.id)
    )
    stray = (
        select(Entry.public_no.label("number"))
        .outerjoin(model, model.entry_id == Entry.id)
        .where(Entry.kind == kind, model.id.is_(None))
        .order_by(Entry.id)
    )
    code = f"{kind.value}_is_posted"
    message = N_("划付 %(number)s 金额 %(amount_fen)s 分，记账 %(posted_fen)s 分")
    lost = N_("记账 %(number)s 是划付或收回，却没有对应的登记")
    found = [*rows_found(session, code, message, query), *rows_found(session, code, lost, stray)]
    return count_of(session, model), found


def _within_what_parts_gave(session: Session) -> Answer:
    """Per part, what transfers cover less what was taken back is at most the net of its lines less the pools, and its
    freight."""
    sent = (
        select(
            CooperativeTransfer.part_id,
            func.sum(CooperativeTransfer.amount_fen + CooperativeTransfer.withheld_fen).label("fen"),
        )
        .group_by(CooperativeTransfer.part_id)
        .subquery()
    )
    back = (
        select(CooperativeTransfer.part_id, func.sum(TransferReversal.amount_fen).label("fen"))
        .join(TransferReversal, TransferReversal.transfer_id == CooperativeTransfer.id)
        .group_by(CooperativeTransfer.part_id)
        .subquery()
    )
    gave = (
        select(OrderLine.part_id, func.sum(Settlement.net_fen - Settlement.pool_fen).label("fen"))
        .join(OrderLine, OrderLine.id == Settlement.line_id)
        .group_by(OrderLine.part_id)
        .subquery()
    )
    covered = sent.c.fen - func.coalesce(back.c.fen, 0)
    most = func.coalesce(gave.c.fen, 0) + OrderPart.freight_fen
    query = (
        select(OrderPart.public_no.label("part"), covered.label("covered_fen"), most.label("most_fen"))
        .join(sent, sent.c.part_id == OrderPart.id)
        .outerjoin(back, back.c.part_id == OrderPart.id)
        .outerjoin(gave, gave.c.part_id == OrderPart.id)
        .where(or_(covered > most, covered < 0))
        .order_by(OrderPart.id)
    )
    message = N_("订单部分 %(part)s 划付 %(covered_fen)s 分，归合作社的只有 %(most_fen)s 分")
    examined = session.scalar(select(func.count(func.distinct(CooperativeTransfer.part_id)))) or 0
    return int(examined), rows_found(session, "transfers_within_parts", message, query)


def _withholdings_add_up(session: Session) -> Answer:
    """What a transfer withheld is what it kept for reversals, all of which were refused."""
    kept = (
        select(TransferWithholding.transfer_id, func.sum(TransferWithholding.amount_fen).label("fen"))
        .join(TransferReversal, TransferReversal.id == TransferWithholding.reversal_id)
        .where(TransferReversal.state == ReversalState.REFUSED)
        .group_by(TransferWithholding.transfer_id)
        .subquery()
    )
    fen = func.coalesce(kept.c.fen, 0)
    query = (
        select(
            CooperativeTransfer.public_no.label("number"),
            CooperativeTransfer.withheld_fen,
            fen.label("kept_fen"),
        )
        .outerjoin(kept, kept.c.transfer_id == CooperativeTransfer.id)
        .where(fen != CooperativeTransfer.withheld_fen)
        .order_by(CooperativeTransfer.id)
    )
    message = N_("划付 %(number)s 扣下 %(withheld_fen)s 分，登记的扣款合计 %(kept_fen)s 分")
    return count_of(session, TransferWithholding), rows_found(session, "withholdings_add_up", message, query)


def _payouts_are_what_they_are(session: Session) -> Answer:
    """What a payout and its credit are kept with is what the provider and the bank said."""
    query = (
        select(ChannelMove.source_ref.label("payout"), PayoutArrival.payout_fen, BankLine.amount_fen)
        .join(ChannelMove, ChannelMove.id == PayoutArrival.move_id)
        .join(BankLine, BankLine.id == PayoutArrival.line_id)
        .where(
            or_(
                ChannelMove.kind != MoveKind.PAYOUT,
                -ChannelMove.amount_fen != PayoutArrival.payout_fen,
                BankLine.amount_fen != PayoutArrival.line_fen,
                BankLine.state == BankLineState.QUEUED,
            )
        )
        .order_by(PayoutArrival.id)
    )
    message = N_("提现 %(payout)s 登记 %(payout_fen)s 分，银行到账 %(amount_fen)s 分，与通道或流水不符")
    return count_of(session, PayoutArrival), rows_found(session, "payouts_at_bank", message, query)


CHECKS: tuple[Check, ...] = (
    Check("transferred_is_posted", N_("每笔划付都按原额记账一次"), _transfers_are_posted),
    Check("transfer_reversed_is_posted", N_("每笔收回的划付都按原额记账一次"), _reversals_are_posted),
    Check("transfers_within_parts", N_("划付不超过订单归合作社的部分"), _within_what_parts_gave),
    Check("withholdings_add_up", N_("划付中扣下的等于未能收回的"), _withholdings_add_up),
    Check("payouts_at_bank", N_("每笔渠道提现与银行到账一一对应"), _payouts_are_what_they_are),
)
