"""Whether bank transfers are still to come in a deployment that takes no new ones: then their pages stay in sight."""

from __future__ import annotations

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.deposits.models import Deposit, DepositState
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.models import BankLine, BankLineState
from marketplace.payments.vouchers.models import BatchState, VoucherBatch

AT_REST = (PartState.CANCELLED, PartState.RETURNED)


def transfers_awaited(session: Session) -> bool:
    """Whether a unit still has to pay something it ordered, or money that came waits for a person."""
    unpaid = (
        exists()
        .where(OrderPart.order_id == Order.id, Order.buyer_unit_id.is_not(None))
        .where(OrderPart.paid_at.is_(None), OrderPart.state.not_in(AT_REST))
    )
    return bool(
        session.scalar(
            select(
                or_(
                    unpaid,
                    exists().where(VoucherBatch.state.in_((BatchState.AWAITING, BatchState.OPEN))),
                    exists().where(Deposit.state == DepositState.OPEN),
                    exists().where(LateInterest.state == InterestState.OPEN),
                    exists().where(BankLine.state == BankLineState.QUEUED),
                )
            )
        )
    )
