"""Checks of deposits: what each row says, its moves, their postings, and the accounts they are held in.

They read the rows alone (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, Entry, Transfer
from marketplace.payments.deposits.models import Deposit, DepositMove, DepositMoveKind as K, DepositState
from marketplace.payments.held import accounts_hold


def _moves_of_deposits(session: Session) -> Answer:
    """What came in is the amount of a paid deposit; what was set off and returned is what its row says."""

    def total(*signs: tuple[K, int]) -> ColumnElement[int]:
        parts = [(DepositMove.kind == kind, DepositMove.amount_fen * sign) for kind, sign in signs]
        return func.coalesce(func.sum(case(*parts, else_=0)), 0)

    moved = (
        select(
            DepositMove.deposit_id,
            total((K.RECEIVED, 1)).label("received_fen"),
            total((K.SET_OFF, 1), (K.RESTORED, -1)).label("used_fen"),
            total((K.RETURNED, 1)).label("returned_fen"),
        )
        .group_by(DepositMove.deposit_id)
        .subquery()
    )
    received, used, returned = (
        func.coalesce(moved.c[name], 0) for name in ("received_fen", "used_fen", "returned_fen")
    )
    due = case((Deposit.state == DepositState.PAID, Deposit.amount_fen), else_=0)
    query = (
        select(
            Deposit.public_no.label("deposit"),
            received.label("received_fen"),
            used.label("used_fen"),
            returned.label("returned_fen"),
        )
        .outerjoin(moved, moved.c.deposit_id == Deposit.id)
        .where(or_(received != due, used != Deposit.used_fen, returned != Deposit.returned_fen))
        .order_by(Deposit.id)
    )
    message = N_(
        "订金 %(deposit)s 的记录：到账 %(received_fen)s 分，抵扣 %(used_fen)s 分，退还 %(returned_fen)s 分，与订金不符"
    )
    return count_of(session, Deposit), rows_found(session, "deposit_moves", message, query)


def _moves_are_posted(session: Session) -> Answer:
    """Every move is what its entry moves on an account of deposits, in its direction."""
    side = case(
        (DepositMove.kind.in_((K.RECEIVED, K.RESTORED)), Transfer.credit_account_id),
        else_=Transfer.debit_account_id,
    )
    posted = (
        select(DepositMove.id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Transfer, Transfer.entry_id == DepositMove.entry_id)
        .join(Account, Account.id == side)
        .join(Deposit, Deposit.id == DepositMove.deposit_id)
        .where(
            Account.kind == AccountKind.DEPOSIT_HELD,
            Account.cooperative_id == Deposit.cooperative_id,
            Account.buyer_unit_id == Deposit.buyer_unit_id,
        )
        .group_by(DepositMove.id)
        .subquery()
    )
    query = (
        select(Entry.public_no.label("entry"), DepositMove.amount_fen, posted.c.fen.label("posted_fen"))
        .join(Entry, Entry.id == DepositMove.entry_id)
        .outerjoin(posted, posted.c.id == DepositMove.id)
        .where(or_(posted.c.fen.is_(None), posted.c.fen != DepositMove.amount_fen))
        .order_by(DepositMove.id)
    )
    message = N_("分录 %(entry)s 对订金记账 %(posted_fen)s 分，订金记录是 %(amount_fen)s 分")
    return count_of(session, DepositMove), rows_found(session, "deposits_are_posted", message, query)


def _accounts_hold_deposits(session: Session) -> Answer:
    """An account of deposits holds what is left of the deposits of its cooperative and unit."""
    left = (
        select(
            Deposit.cooperative_id,
            Deposit.buyer_unit_id,
            func.sum(Deposit.amount_fen - Deposit.used_fen - Deposit.returned_fen).label("fen"),
        )
        .where(Deposit.state == DepositState.PAID)
        .group_by(Deposit.cooperative_id, Deposit.buyer_unit_id)
    )
    message = N_("账户 %(account)s 余额 %(balance_fen)s 分，未用的订金是 %(held_fen)s 分")
    return accounts_hold(session, AccountKind.DEPOSIT_HELD, left, code="deposits_held", message=message)


CHECKS: tuple[Check, ...] = (
    Check("deposit_moves", N_("每笔订金的到账、抵扣、退还与记录一致"), _moves_of_deposits),
    Check("deposits_are_posted", N_("订金的每次变动都按原额记账一次"), _moves_are_posted),
    Check("deposits_held", N_("订金账户余额等于未用的订金"), _accounts_hold_deposits),
)
