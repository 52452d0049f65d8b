"""Checks of refunds and reversals, beside those of settlement: what was given back, taken back, and posted for it.

They read the rows alone (see ledger/checks.py). That no household's account is below zero is the ledger's own check.
"""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import CHUNK, MAX_FINDINGS, Answer, Check, Finding, count_of, rows_found
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.linkage.attribution import reversal_of_credits
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.payments.models import Payment
from marketplace.payments.refunds.models import (
    CreditAddition,
    CreditReversal,
    Refund,
    RefundedLine,
    RefundShare,
    RefundState,
)
from marketplace.payments.refunds.standing import PoolStanding, refunded_after_settlement, standing_of_pools
from marketplace.payments.refunds.ways import GONE_BACK
from marketplace.procurement.receiving.models import Inspection
from marketplace.procurement.receiving.queries import lines_off

MONEY_BACK = (AccountKind.CLEARING, AccountKind.BUYER_RECEIVABLE)
UNDECIDED = (RefundState.ASKED, RefundState.DECLINED)


def _refunds_within_the_line(session: Session) -> Answer:
    given = (
        select(RefundedLine.line_id, func.sum(RefundedLine.amount_fen).label("refunded_fen"))
        .group_by(RefundedLine.line_id)
        .subquery()
    )
    query = (
        select(OrderLine.public_no.label("line"), OrderLine.net_fen, given.c.refunded_fen)
        .join(given, given.c.line_id == OrderLine.id)
        .where(given.c.refunded_fen > OrderLine.net_fen)
        .order_by(OrderLine.id)
    )
    message = N_("订单行 %(line)s 净额 %(net_fen)s 分，退款合计 %(refunded_fen)s 分")
    return count_of(session, RefundedLine), rows_found(session, "refunds_within_line", message, query)


def _refunds_add_up(session: Session) -> Answer:
    """An agreed refund gave back exactly what was asked; one that was not agreed gave back nothing."""
    given = (
        select(RefundedLine.refund_id, func.sum(RefundedLine.amount_fen).label("fen"))
        .group_by(RefundedLine.refund_id)
        .subquery()
    )
    fen = func.coalesce(given.c.fen, 0)
    query = (
        select(Refund.public_no.label("refund"), Refund.amount_fen, fen.label("given_fen"))
        .outerjoin(given, given.c.refund_id == Refund.id)
        .where(
            or_(
                and_(Refund.state.in_(UNDECIDED), fen != 0),
                and_(Refund.state.not_in(UNDECIDED), fen != Refund.amount_fen),
            )
        )
        .order_by(Refund.id)
    )
    message = N_("退款 %(refund)s 金额 %(amount_fen)s 分，各行退款之和 %(given_fen)s 分")
    return count_of(session, Refund), rows_found(session, "refunds_add_up", message, query)


def _shares_add_up(session: Session) -> Answer:
    """What payments gave for a refund, with what a lost dispute took, is what it gives back; for any other nothing."""
    given = (
        select(RefundShare.refund_id, func.sum(RefundShare.amount_fen).label("fen"))
        .group_by(RefundShare.refund_id)
        .subquery()
    )
    fen = func.coalesce(given.c.fen, 0) + Refund.lost_fen
    query = (
        select(Refund.public_no.label("refund"), Refund.total_fen, fen.label("given_fen"))
        .outerjoin(given, given.c.refund_id == Refund.id)
        .where(
            or_(
                and_(Refund.state.in_(GONE_BACK), fen != Refund.total_fen),
                and_(Refund.state.not_in(GONE_BACK), fen != 0),
            )
        )
        .order_by(Refund.id)
    )
    message = N_("退款 %(refund)s 应退 %(total_fen)s 分，各笔付款退出 %(given_fen)s 分")
    return count_of(session, RefundShare), rows_found(session, "refund_shares", message, query)


def _refunds_are_posted(session: Session) -> Answer:
    """What was given back of a line is what its entry moves to the channels or off what the unit owes, and out of
    escrow to the cooperative that bore a lost dispute."""
    source = aliased(Account)
    to_who_bore = and_(
        Account.kind == AccountKind.COOPERATIVE_PAYABLE, source.kind == AccountKind.ORDER_ESCROW
    )
    posted = (
        select(Transfer.entry_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Account, Account.id == Transfer.credit_account_id)
        .join(source, source.id == Transfer.debit_account_id)
        .join(Entry, Entry.id == Transfer.entry_id)
        .where(or_(Account.kind.in_(MONEY_BACK), to_who_bore), Entry.kind == EntryKind.REFUND)
        .group_by(Transfer.entry_id)
        .subquery()
    )
    query = (
        select(Entry.public_no.label("entry"), RefundedLine.amount_fen, posted.c.fen.label("posted_fen"))
        .join(Entry, Entry.id == RefundedLine.entry_id)
        .outerjoin(posted, posted.c.entry_id == RefundedLine.entry_id)
        .where(or_(posted.c.fen.is_(None), posted.c.fen != RefundedLine.amount_fen))
        .order_by(RefundedLine.id)
    )
    message = N_("分录 %(entry)s 退回 %(posted_fen)s 分，退款记录是 %(amount_fen)s 分")
    return count_of(session, RefundedLine), rows_found(session, "refunds_are_posted", message, query)


def _reversals_of_pools(session: Session) -> Answer:
    """Of every pool of a refunded line, refunds took half_up(pool x R / net), by Webster's method over its credits."""
    examined, findings, last = 0, list[Finding](), 0
    while len(findings) < MAX_FINDINGS:
        lines = session.scalars(
            select(RefundedLine.line_id)
            .where(RefundedLine.after_settlement, RefundedLine.line_id > last)
            .distinct()
            .order_by(RefundedLine.line_id)
            .limit(CHUNK)
        ).all()
        if not lines:
            break
        refunded = refunded_after_settlement(session, lines)
        for pool in standing_of_pools(session, line_ids=lines):
            examined += 1
            if not _took_what_it_should(pool, refunded[pool.line_id]):
                findings.append(_wrong_reversal(session, pool, refunded[pool.line_id]))
        last = lines[-1]
    return examined, findings[:MAX_FINDINGS]


def _took_what_it_should(pool: PoolStanding, refunded_fen: int) -> bool:
    if refunded_fen > pool.net_fen:
        return False
    if not pool.base:
        return not pool.taken
    expected = reversal_of_credits(pool.base, pool.target_fen(refunded_fen))
    return pool.taken == {household_id: fen for household_id, fen in expected.items() if fen}


def _wrong_reversal(session: Session, pool: PoolStanding, refunded_fen: int) -> Finding:
    line = session.get_one(OrderLine, pool.line_id)
    params = {
        "line": line.public_no,
        "mechanism": pool.mechanism,
        "refunded_fen": refunded_fen,
        "taken_fen": sum(pool.taken.values()),
    }
    message = N_(
        "订单行 %(line)s 退款 %(refunded_fen)s 分，“%(mechanism)s”冲销 %(taken_fen)s 分，与应冲销的不符"
    )
    return Finding("reversals_of_pools", message, params)


def _reversals_are_posted(session: Session) -> Answer:
    """Per entry and household, reversals are what the ledger took from its account, and additions what it gave."""
    findings: list[Finding] = []
    for model, side, kinds in (
        (CreditReversal, Transfer.debit_account_id, (EntryKind.REFUND, EntryKind.REVERSAL)),
        (
            CreditAddition,
            Transfer.credit_account_id,
            (EntryKind.REVERSAL, EntryKind.POOL_REDISTRIBUTED),
        ),
    ):
        payable = aliased(Account)
        stored = (
            select(model.entry_id, model.household_id, func.sum(model.amount_fen).label("fen"))
            .group_by(model.entry_id, model.household_id)
            .subquery()
        )
        posted = (
            select(Transfer.entry_id, payable.household_id, func.sum(Transfer.amount_fen).label("fen"))
            .join(payable, payable.id == side)
            .join(Entry, Entry.id == Transfer.entry_id)
            .where(payable.kind == AccountKind.HOUSEHOLD_PAYABLE, Entry.kind.in_(kinds))
            .group_by(Transfer.entry_id, payable.household_id)
            .subquery()
        )
        same = and_(posted.c.entry_id == stored.c.entry_id, posted.c.household_id == stored.c.household_id)
        query = (
            select(
                Entry.public_no.label("entry"),
                stored.c.fen.label("kept_fen"),
                posted.c.fen.label("posted_fen"),
            )
            .select_from(stored)
            .join(Entry, Entry.id == stored.c.entry_id)
            .outerjoin(posted, same)
            .where(or_(posted.c.fen.is_(None), posted.c.fen != stored.c.fen))
            .order_by(stored.c.entry_id)
        )
        message = N_("分录 %(entry)s 对一户记账 %(posted_fen)s 分，冲销或补记的记录是 %(kept_fen)s 分")
        findings += rows_found(session, "reversals_are_posted", message, query)
    return count_of(session, CreditReversal) + count_of(session, CreditAddition), findings


def _reliefs_are_posted(session: Session) -> Answer:
    """What cooperatives bore for households, in all and per household, is what the ledger shows as relief."""
    stored = (
        select(
            CreditReversal.cooperative_id,
            CreditReversal.household_id,
            func.sum(CreditReversal.relief_fen).label("fen"),
        )
        .group_by(CreditReversal.cooperative_id, CreditReversal.household_id)
        .subquery()
    )
    posted = (
        select(Account.cooperative_id, Account.household_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Transfer, Transfer.credit_account_id == Account.id)
        .join(Entry, Entry.id == Transfer.entry_id)
        .where(Account.kind == AccountKind.HOUSEHOLD_PAYABLE, Entry.kind == EntryKind.RELIEF)
        .group_by(Account.cooperative_id, Account.household_id)
        .subquery()
    )
    same = and_(
        posted.c.cooperative_id == stored.c.cooperative_id, posted.c.household_id == stored.c.household_id
    )
    fen = func.coalesce(posted.c.fen, 0)
    query = (
        select(
            stored.c.household_id.label("household"), stored.c.fen.label("kept_fen"), fen.label("posted_fen")
        )
        .outerjoin(posted, same)
        .where(fen != stored.c.fen)
        .order_by(stored.c.household_id)
    )
    message = N_("农户（序号 %(household)s）应由合作社承担 %(kept_fen)s 分，记账 %(posted_fen)s 分")
    return count_of(session, CreditReversal), rows_found(session, "reliefs_are_posted", message, query)


def _rejections_are_refunded(session: Session) -> Answer:
    """What was rejected for good came off the bill, or went back to who had paid; to the fen, and only that."""
    off = lines_off().subquery()
    rejected = (
        select(off.c.inspection_id, func.sum(off.c.fen).label("fen")).group_by(off.c.inspection_id).subquery()
    )
    rejected_fen, refunded_fen = func.coalesce(rejected.c.fen, 0), func.coalesce(Refund.amount_fen, 0)
    due = or_(
        Order.buyer_unit_id.is_(None),
        select(Payment.id).where(Payment.part_id == OrderPart.id).exists(),
    )
    query = (
        select(
            Inspection.public_no.label("inspection"),
            rejected_fen.label("rejected_fen"),
            refunded_fen.label("refunded_fen"),
        )
        .outerjoin(rejected, rejected.c.inspection_id == Inspection.id)
        .join(OrderPart, OrderPart.id == Inspection.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .outerjoin(Refund, Refund.inspection_id == Inspection.id)
        .where(
            or_(
                and_(due, refunded_fen != rejected_fen),
                and_(Refund.id.is_not(None), rejected.c.fen.is_(None)),
            )
        )
        .order_by(Inspection.id)
    )
    message = N_("验收 %(inspection)s 拒收 %(rejected_fen)s 分，扣减或退回 %(refunded_fen)s 分")
    return count_of(session, Inspection), rows_found(session, "rejections_are_refunded", message, query)


CHECKS: tuple[Check, ...] = (
    Check("rejections_are_refunded", N_("验收拒收的商品都已从货款中扣减或退回"), _rejections_are_refunded),
    Check("refunds_within_line", N_("每个订单行的退款不超过净额"), _refunds_within_the_line),
    Check("refunds_add_up", N_("每笔退款等于各行退款之和，未同意的没有退"), _refunds_add_up),
    Check("refund_shares", N_("每笔退款等于各笔付款退出之和与争议已退之和"), _shares_add_up),
    Check("refunds_are_posted", N_("每行退款都按原额记账一次"), _refunds_are_posted),
    Check("reversals_of_pools", N_("退款冲销等于联结资金乘退款比例，各户按原入账冲销"), _reversals_of_pools),
    Check("reversals_are_posted", N_("每户冲销和补记与台账记账一致"), _reversals_are_posted),
    Check("reliefs_are_posted", N_("合作社承担的部分与台账记账一致"), _reliefs_are_posted),
)
