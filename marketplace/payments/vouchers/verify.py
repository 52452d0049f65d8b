"""Checks of vouchers: what batches say, their vouchers, and the accounts their money is held in.

They read the rows alone (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, Transfer
from marketplace.payments.models import BankLine
from marketplace.payments.vouchers.models import Voucher, VoucherBatch


def _batches_are_paid(session: Session) -> Answer:
    """A paid batch names the bank line that paid exactly what it costs."""
    query = (
        select(VoucherBatch.public_no.label("batch"), VoucherBatch.total_fen, BankLine.amount_fen)
        .outerjoin(BankLine, BankLine.id == VoucherBatch.bank_line_id)
        .where(
            VoucherBatch.paid_at.is_not(None),
            or_(BankLine.id.is_(None), BankLine.amount_fen != VoucherBatch.total_fen),
        )
        .order_by(VoucherBatch.id)
    )
    message = N_("提货券 %(batch)s 应付 %(total_fen)s 分，银行到账 %(amount_fen)s 分")
    return count_of(session, VoucherBatch), rows_found(session, "vouchers_paid", message, query)


def _used_of_batches(session: Session) -> Answer:
    """What was used of a batch is what its vouchers paid."""
    used = func.coalesce(func.sum(Voucher.used_fen), 0)
    query = (
        select(
            VoucherBatch.public_no.label("batch"),
            VoucherBatch.used_fen.label("used_fen"),
            used.label("paid_fen"),
        )
        .outerjoin(Voucher, Voucher.batch_id == VoucherBatch.id)
        .group_by(VoucherBatch.id, VoucherBatch.public_no, VoucherBatch.used_fen)
        .having(VoucherBatch.used_fen != used)
        .order_by(VoucherBatch.public_no)
    )
    message = N_("提货券 %(batch)s 记录已用 %(used_fen)s 分，各券付款合计 %(paid_fen)s 分")
    return count_of(session, VoucherBatch), rows_found(session, "vouchers_used", message, query)


def _accounts_hold_vouchers(session: Session) -> Answer:
    """An account of vouchers holds what was paid for and neither used nor returned."""
    held = (
        select(
            VoucherBatch.cooperative_id,
            VoucherBatch.buyer_unit_id,
            func.sum(VoucherBatch.total_fen - VoucherBatch.used_fen - VoucherBatch.returned_fen).label("fen"),
        )
        .where(VoucherBatch.paid_at.is_not(None))
        .group_by(VoucherBatch.cooperative_id, VoucherBatch.buyer_unit_id)
        .subquery()
    )
    change = case((Transfer.credit_account_id == Account.id, Transfer.amount_fen), else_=-Transfer.amount_fen)
    balance = func.coalesce(func.sum(change), 0)
    expected = func.coalesce(func.max(held.c.fen), 0)
    query = (
        select(Account.key.label("account"), balance.label("balance_fen"), expected.label("held_fen"))
        .outerjoin(
            Transfer,
            or_(Transfer.credit_account_id == Account.id, Transfer.debit_account_id == Account.id),
        )
        .outerjoin(
            held,
            and_(
                held.c.cooperative_id == Account.cooperative_id,
                held.c.buyer_unit_id == Account.buyer_unit_id,
            ),
        )
        .where(Account.kind == AccountKind.VOUCHERS_HELD)
        .group_by(Account.id, Account.key)
        .having(balance != expected)
        .order_by(Account.key)
    )
    of_vouchers = Account.kind == AccountKind.VOUCHERS_HELD
    message = N_("账户 %(account)s 余额 %(balance_fen)s 分，未用的提货券是 %(held_fen)s 分")
    return count_of(session, Account, of_vouchers), rows_found(session, "vouchers_held", message, query)


CHECKS: tuple[Check, ...] = (
    Check("vouchers_paid", N_("每批已付提货券都有金额相同的银行到账"), _batches_are_paid),
    Check("vouchers_used", N_("每批提货券的已用金额等于各券付款"), _used_of_batches),
    Check("vouchers_held", N_("提货券账户余额等于未用的提货券"), _accounts_hold_vouchers),
)
