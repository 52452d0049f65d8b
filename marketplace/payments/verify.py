"""Checks of what settlement wrote, beside the ledger's own: lines, pools, credits and the postings that stand for them.

They read the rows alone and trust nothing else (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, AccountKind, Entry, EntryKind, Transfer
from marketplace.linkage.models import Lot
from marketplace.ordering.models import LineLot, Order, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments import charges
from marketplace.payments.deposits.models import Deposit
from marketplace.payments.models import (
    BankLine,
    BankLineMatch,
    BankLineState,
    Credit,
    LinkagePool,
    Payment,
    PaymentState,
    PoolDistribution,
    Settlement,
)
from marketplace.payments.reconciliation.models import PayoutArrival
from marketplace.payments.refunds.models import RefundedLine
from marketplace.payments.vouchers.models import VoucherBatch
from marketplace.procurement.forward.models import ForwardOrder
from marketplace.procurement.receiving.models import ReplacementLot


def _settled_after_acceptance_and_payment(session: Session) -> Answer:
    query = (
        select(OrderLine.public_no.label("line"))
        .select_from(Settlement)
        .join(OrderLine, OrderLine.id == Settlement.line_id)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .where(
            or_(
                OrderPart.state != PartState.ACCEPTED,
                OrderPart.accepted_at.is_(None),
                OrderPart.paid_at.is_(None),
                Settlement.settled_at < OrderPart.accepted_at,
                Settlement.settled_at < OrderPart.paid_at,
            )
        )
        .order_by(Settlement.line_id)
    )
    message = N_("订单行 %(line)s 还没有验收并付款，却已经结算")
    return count_of(session, Settlement), rows_found(session, "settled_when_due", message, query)


def _net_of_settlement(session: Session) -> Answer:
    """A line settles what it cost, less what was refunded before."""
    refunds = (
        select(RefundedLine.line_id, func.sum(RefundedLine.amount_fen).label("fen"))
        .where(~RefundedLine.after_settlement)
        .group_by(RefundedLine.line_id)
        .subquery()
    )
    due = OrderLine.net_fen - func.coalesce(refunds.c.fen, 0)
    query = (
        select(OrderLine.public_no.label("line"), Settlement.net_fen, due.label("line_fen"))
        .join(OrderLine, OrderLine.id == Settlement.line_id)
        .outerjoin(refunds, refunds.c.line_id == OrderLine.id)
        .where(or_(Settlement.net_fen != due, Settlement.cooperative_id != OrderLine.cooperative_id))
        .order_by(Settlement.line_id)
    )
    message = N_("订单行 %(line)s 结算 %(net_fen)s 分，订单减去此前退款是 %(line_fen)s 分，或合作社不符")
    return count_of(session, Settlement), rows_found(session, "net_of_settlement", message, query)


def _pools_of_line(session: Session) -> Answer:
    pools = (
        select(LinkagePool.line_id, func.sum(LinkagePool.pool_fen).label("pools_fen"))
        .group_by(LinkagePool.line_id)
        .subquery()
    )
    total = func.coalesce(pools.c.pools_fen, 0)
    query = (
        select(OrderLine.public_no.label("line"), total.label("pools_fen"), Settlement.pool_fen)
        .join(OrderLine, OrderLine.id == Settlement.line_id)
        .outerjoin(pools, pools.c.line_id == Settlement.line_id)
        .where(total != Settlement.pool_fen)
        .order_by(Settlement.line_id)
    )
    message = N_("订单行 %(line)s 各机制资金之和 %(pools_fen)s 分，结算记的是 %(pool_fen)s 分")
    return count_of(session, Settlement), rows_found(session, "pools_of_line", message, query)


def _credits_of_pool(session: Session) -> Answer:
    shares = (
        select(Credit.pool_id, func.sum(Credit.amount_fen).label("credited_fen"))
        .group_by(Credit.pool_id)
        .subquery()
    )
    credited = func.coalesce(shares.c.credited_fen, 0)
    expected = LinkagePool.pool_fen
    query = (
        select(
            OrderLine.public_no.label("line"), LinkagePool.mechanism, credited.label("credited_fen"), expected
        )
        .join(OrderLine, OrderLine.id == LinkagePool.line_id)
        .outerjoin(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .outerjoin(shares, shares.c.pool_id == LinkagePool.id)
        .where(
            or_(
                and_(PoolDistribution.pool_id.is_not(None), credited != expected),
                and_(PoolDistribution.pool_id.is_(None), credited != 0),
                and_(PoolDistribution.pool_id.is_(None), LinkagePool.waiting.is_(False)),
            )
        )
        .order_by(LinkagePool.id)
    )
    message = N_("订单行 %(line)s 的“%(mechanism)s”资金 %(pool_fen)s 分，各户入账之和是 %(credited_fen)s 分")
    return count_of(session, LinkagePool), rows_found(session, "credits_of_pool", message, query)


def _credits_are_posted(session: Session) -> Answer:
    """Per household and entry, the credits are exactly what the ledger credited to its account."""
    stored = (
        select(Credit.entry_id, Credit.household_id, func.sum(Credit.amount_fen).label("fen"))
        .group_by(Credit.entry_id, Credit.household_id)
        .subquery()
    )
    payable = aliased(Account)
    posted = (
        select(Transfer.entry_id, payable.household_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(payable, payable.id == Transfer.credit_account_id)
        .where(payable.kind == AccountKind.HOUSEHOLD_PAYABLE)
        .group_by(Transfer.entry_id, payable.household_id)
        .subquery()
    )
    same = and_(posted.c.entry_id == stored.c.entry_id, posted.c.household_id == stored.c.household_id)
    query = (
        select(
            Entry.public_no.label("entry"), stored.c.fen.label("credit_fen"), posted.c.fen.label("posted_fen")
        )
        .select_from(stored)
        .join(Entry, Entry.id == stored.c.entry_id)
        .outerjoin(posted, same)
        .where(or_(posted.c.fen.is_(None), posted.c.fen != stored.c.fen))
        .order_by(stored.c.entry_id)
    )
    message = N_("分录 %(entry)s 记给一户 %(posted_fen)s 分，入账记录是 %(credit_fen)s 分")
    return count_of(session, Credit), rows_found(session, "credits_are_posted", message, query)


def _payments_are_posted(session: Session) -> Answer:
    posted = (
        select(Entry.subject_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Transfer, Transfer.entry_id == Entry.id)
        .where(Entry.subject_kind == "payment")
        .group_by(Entry.subject_id)
        .subquery()
    )
    fen = func.coalesce(posted.c.fen, 0)
    expected = Payment.state == PaymentState.PAID
    query = (
        select(Payment.public_no.label("payment"), Payment.amount_fen, fen.label("posted_fen"))
        .outerjoin(posted, posted.c.subject_id == Payment.id)
        .where(or_(and_(expected, fen != Payment.amount_fen), and_(~expected, fen != 0)))
        .order_by(Payment.id)
    )
    message = N_("付款 %(payment)s 金额 %(amount_fen)s 分，记账 %(posted_fen)s 分")
    return count_of(session, Payment), rows_found(session, "payments_are_posted", message, query)


def _orders_add_up(session: Session) -> Answer:
    """An order is the sum of its lines and of the freight of its parts."""
    freights = (
        select(OrderPart.order_id, func.sum(OrderPart.freight_fen).label("fen"))
        .group_by(OrderPart.order_id)
        .subquery()
    )
    lines = (
        select(OrderLine.order_id, func.sum(OrderLine.net_fen).label("lines_fen"))
        .group_by(OrderLine.order_id)
        .subquery()
    )
    total = func.coalesce(lines.c.lines_fen, 0) + func.coalesce(freights.c.fen, 0)
    query = (
        select(Order.public_no.label("order"), Order.total_fen, total.label("lines_fen"))
        .outerjoin(lines, lines.c.order_id == Order.id)
        .outerjoin(freights, freights.c.order_id == Order.id)
        .where(total != Order.total_fen)
        .order_by(Order.id)
    )
    message = N_("订单 %(order)s 总额 %(total_fen)s 分，各行与运费之和 %(lines_fen)s 分")
    return count_of(session, Order), rows_found(session, "orders_add_up", message, query)


def _freight_is_posted(session: Session) -> Answer:
    """What was posted of a part's freight is its freight, and nothing of a part not accepted and paid."""
    posted = (
        select(Entry.subject_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Transfer, Transfer.entry_id == Entry.id)
        .where(Entry.kind == EntryKind.FREIGHT)
        .group_by(Entry.subject_id)
        .subquery()
    )
    fen = func.coalesce(posted.c.fen, 0)
    due = and_(OrderPart.accepted_at.is_not(None), OrderPart.paid_at.is_not(None))
    query = (
        select(OrderPart.public_no.label("part"), OrderPart.freight_fen, fen.label("posted_fen"))
        .outerjoin(posted, posted.c.subject_id == OrderPart.id)
        .where(
            or_(
                and_(OrderPart.freight_passed_at.is_not(None), fen != OrderPart.freight_fen),
                and_(OrderPart.freight_passed_at.is_(None), fen != 0),
                and_(fen != 0, ~due),
            )
        )
        .order_by(OrderPart.id)
    )
    message = N_("订单部分 %(part)s 运费 %(freight_fen)s 分，记账 %(posted_fen)s 分，或尚未验收付款")
    return count_of(session, OrderPart), rows_found(session, "freight_is_posted", message, query)


def _lots_hold_what_lines_drew(session: Session) -> Answer:
    ordered = (
        select(LineLot.lot_id, LineLot.mass_g)
        .join(OrderLine, OrderLine.id == LineLot.line_id)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .where(OrderPart.state != PartState.CANCELLED)
    )
    sent_again = select(ReplacementLot.lot_id, ReplacementLot.mass_g)
    all_drawn = union_all(ordered, sent_again).subquery()
    drawn = (
        select(all_drawn.c.lot_id, func.sum(all_drawn.c.mass_g).label("mass_g"))
        .group_by(all_drawn.c.lot_id)
        .subquery()
    )
    mass_g = func.coalesce(drawn.c.mass_g, 0)
    promised = (
        select(ForwardOrder.lot_id, func.sum(ForwardOrder.reserved_g).label("reserved_g"))
        .group_by(ForwardOrder.lot_id)
        .subquery()
    )
    reserved_g = func.coalesce(promised.c.reserved_g, 0)
    is_over = (Lot.committed_g + Lot.promised_g) * 10_000 > Lot.received_g * Lot.yield_bp
    query = (
        select(
            Lot.public_no.label("lot"),
            Lot.committed_g,
            mass_g.label("drawn_g"),
            Lot.promised_g,
            reserved_g.label("reserved_g"),
        )
        .outerjoin(drawn, drawn.c.lot_id == Lot.id)
        .outerjoin(promised, promised.c.lot_id == Lot.id)
        .where(or_(mass_g != Lot.committed_g, reserved_g != Lot.promised_g, is_over))
        .order_by(Lot.id)
    )
    message = N_(
        "批次 %(lot)s 记着已订 %(committed_g)s 克、已留 %(promised_g)s 克，"
        "订单行合计 %(drawn_g)s 克、预订合计 %(reserved_g)s 克，或超过了收货乘出成率"
    )
    return count_of(session, Lot), rows_found(session, "lots_balance", message, query)


def _bank_lines_pay_what_they_are(session: Session) -> Answer:
    """A matched line paid claims of exactly its sum, a waiting one none, one a person settled its sum or none."""
    shares = (
        select(BankLineMatch.line_id, func.sum(BankLineMatch.amount_fen).label("fen"))
        .group_by(BankLineMatch.line_id)
        .subquery()
    )
    fen = func.coalesce(shares.c.fen, 0)
    query = (
        select(BankLine.serial_no.label("serial"), BankLine.amount_fen, fen.label("paid_fen"))
        .outerjoin(shares, shares.c.line_id == BankLine.id)
        .outerjoin(Deposit, Deposit.bank_line_id == BankLine.id)
        .outerjoin(VoucherBatch, VoucherBatch.bank_line_id == BankLine.id)
        .outerjoin(PayoutArrival, PayoutArrival.line_id == BankLine.id)
        .where(
            Deposit.id.is_(None),  # what came as a deposit, for vouchers or as a payout has checks of its own
            VoucherBatch.id.is_(None),
            PayoutArrival.id.is_(None),
            or_(
                and_(BankLine.state == BankLineState.MATCHED, fen != BankLine.amount_fen),
                and_(BankLine.state == BankLineState.QUEUED, fen != 0),
                and_(BankLine.state == BankLineState.RESOLVED, fen.not_in((0, BankLine.amount_fen))),
            ),
        )
        .order_by(BankLine.id)
    )
    message = N_("银行流水 %(serial)s 到账 %(amount_fen)s 分，核销 %(paid_fen)s 分")
    return count_of(session, BankLine), rows_found(session, "bank_lines_add_up", message, query)


CHECKS: tuple[Check, ...] = (
    Check("orders_add_up", N_("订单总额等于各行与运费之和"), _orders_add_up),
    Check(
        "lots_balance",
        N_("批次已订、已留的克数等于订单行和预订所用，不超过收货乘出成率"),
        _lots_hold_what_lines_drew,
    ),
    Check("payments_are_posted", N_("每笔到账都按原额记账一次"), _payments_are_posted),
    Check("bank_lines_add_up", N_("每笔认款的银行到账都按原额核销"), _bank_lines_pay_what_they_are),
    Check("settled_when_due", N_("验收并付款之前没有任何结算和入账"), _settled_after_acceptance_and_payment),
    Check("net_of_settlement", N_("结算净额等于订单行净额减去此前退款"), _net_of_settlement),
    Check("pools_of_line", N_("各机制资金之和等于结算的联结资金"), _pools_of_line),
    Check("credits_of_pool", N_("每笔联结资金等于各户入账之和"), _credits_of_pool),
    Check("credits_are_posted", N_("每户入账与台账记账一致"), _credits_are_posted),
    Check("freight_is_posted", N_("验收并付款后运费全额记给合作社，一次"), _freight_is_posted),
    *charges.CHECKS,
)
