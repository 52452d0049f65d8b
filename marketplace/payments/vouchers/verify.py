"""Checks of vouchers: what batches say, their vouchers, and the accounts their money is held in.

They read the rows alone (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ordering.models import Order, OrderKind
from marketplace.payments.held import accounts_hold
from marketplace.payments.models import BankLine, Payment, PaymentMethod, PaymentState
from marketplace.payments.vouchers.models import Voucher, VoucherBatch, VoucherSpend


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
    left = (
        select(
            VoucherBatch.cooperative_id,
            VoucherBatch.buyer_unit_id,
            func.sum(VoucherBatch.total_fen - VoucherBatch.used_fen - VoucherBatch.returned_fen).label("fen"),
        )
        .where(VoucherBatch.paid_at.is_not(None))
        .group_by(VoucherBatch.cooperative_id, VoucherBatch.buyer_unit_id)
    )
    message = N_("账户 %(account)s 余额 %(balance_fen)s 分，未用的提货券是 %(held_fen)s 分")
    return accounts_hold(session, AccountKind.VOUCHERS_HELD, left, code="vouchers_held", message=message)


def _spends_are_used(session: Session) -> Answer:
    """A voucher spent on a staff order has paid exactly its spend once the order was paid, and nothing before."""
    due = case((VoucherSpend.payment_id.is_not(None), VoucherSpend.amount_fen), else_=0)
    query = (
        select(Voucher.public_no.label("voucher"), Voucher.used_fen, due.label("due_fen"))
        .join(VoucherSpend, VoucherSpend.voucher_id == Voucher.id)
        .where(VoucherSpend.released_at.is_(None), Voucher.used_fen != due)
        .order_by(Voucher.id)
    )
    message = N_("提货券 %(voucher)s 记录已用 %(used_fen)s 分，所付订单记的是 %(due_fen)s 分")
    return count_of(session, VoucherSpend), rows_found(session, "voucher_spends", message, query)


def _orders_are_paid_in_full(session: Session) -> Answer:
    """The payments of a staff order that vouchers paid, in whole or in part, are exactly what it costs."""
    query = (
        select(
            Order.public_no.label("order"), Order.total_fen, func.sum(Payment.amount_fen).label("paid_fen")
        )
        .join(Payment, Payment.order_id == Order.id)
        .where(Order.kind == OrderKind.PERSONAL, Payment.state == PaymentState.PAID)
        .group_by(Order.id, Order.public_no, Order.total_fen)
        .having(func.sum(Payment.amount_fen) != Order.total_fen)
        .order_by(Order.id)
    )
    message = N_("订单 %(order)s 应付 %(total_fen)s 分，各种方式实付合计 %(paid_fen)s 分")
    personal = count_of(session, Order, Order.kind == OrderKind.PERSONAL)
    return personal, rows_found(session, "orders_paid_in_full", message, query)


def _voucher_payments_add_up(session: Session) -> Answer:
    """A payment by vouchers is the sum of what each of them paid."""
    paid = func.coalesce(func.sum(VoucherSpend.amount_fen), 0)
    query = (
        select(Payment.public_no.label("payment"), Payment.amount_fen, paid.label("spent_fen"))
        .outerjoin(VoucherSpend, VoucherSpend.payment_id == Payment.id)
        .where(Payment.method == PaymentMethod.VOUCHER)
        .group_by(Payment.id, Payment.public_no, Payment.amount_fen)
        .having(Payment.amount_fen != paid)
        .order_by(Payment.public_no)
    )
    message = N_("付款 %(payment)s 金额 %(amount_fen)s 分，各张提货券合计 %(spent_fen)s 分")
    by_voucher = count_of(session, Payment, Payment.method == PaymentMethod.VOUCHER)
    return by_voucher, rows_found(session, "voucher_payments", message, query)


CHECKS: tuple[Check, ...] = (
    Check("vouchers_paid", N_("每批已付提货券都有金额相同的银行到账"), _batches_are_paid),
    Check("vouchers_used", N_("每批提货券的已用金额等于各券付款"), _used_of_batches),
    Check("voucher_spends", N_("每张付过订单的提货券都按原额用了一次"), _spends_are_used),
    Check("voucher_payments", N_("每笔用提货券的付款等于各张券之和"), _voucher_payments_add_up),
    Check("orders_paid_in_full", N_("个人订单的各笔付款之和等于订单总额"), _orders_are_paid_in_full),
    Check("vouchers_held", N_("提货券账户余额等于未用的提货券"), _accounts_hold_vouchers),
)
