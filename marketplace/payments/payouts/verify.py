"""Checks of payouts against the ledger: each posted once, nobody paid more than credited, clearing equals what waits.

They read the rows alone and trust nothing else (see ledger/checks.py).
"""

from __future__ import annotations

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.ledger.queries import sides_of
from marketplace.payments.payouts.models import Payout, PayoutState

SENT_STATES = (PayoutState.SENT, PayoutState.UNKNOWN, PayoutState.PAID, PayoutState.FAILED)
WAITING = (PayoutState.SENT, PayoutState.UNKNOWN)


def _posted_once(session: Session) -> Answer:
    """Per payout and kind of entry, what was posted is the amount once or nothing, as its state says."""
    posted = (
        select(
            Entry.subject_id,
            *(
                func.sum(case((Entry.kind == kind, Transfer.amount_fen), else_=0)).label(name)
                for name, kind in (
                    ("sent_fen", EntryKind.PAYOUT_SENT),
                    ("paid_fen", EntryKind.PAYOUT_CONFIRMED),
                    ("failed_fen", EntryKind.PAYOUT_FAILED),
                )
            ),
        )
        .join(Transfer, Transfer.entry_id == Entry.id)
        .where(Entry.subject_kind == "payout")
        .group_by(Entry.subject_id)
        .subquery()
    )
    sent, paid, failed = (func.coalesce(posted.c[name], 0) for name in ("sent_fen", "paid_fen", "failed_fen"))

    def when(*states: PayoutState) -> object:
        return case((Payout.state.in_(states), Payout.amount_fen), else_=0)

    query = (
        select(
            Payout.public_no.label("payout"),
            Payout.amount_fen,
            sent.label("sent_fen"),
            paid.label("paid_fen"),
            failed.label("failed_fen"),
        )
        .outerjoin(posted, posted.c.subject_id == Payout.id)
        .where(
            or_(
                sent != when(*SENT_STATES),
                paid != when(PayoutState.PAID),
                failed != when(PayoutState.FAILED),
            )
        )
        .order_by(Payout.id)
    )
    message = N_(
        "发放 %(payout)s 金额 %(amount_fen)s 分，记账：送出 %(sent_fen)s、到账 %(paid_fen)s、退回 %(failed_fen)s 分"
    )
    return count_of(session, Payout), rows_found(session, "payouts_are_posted", message, query)


def _paid_within_credits(session: Session) -> Answer:
    """No household account ever sent out more than came into it."""
    out = (EntryKind.PAYOUT_SENT, EntryKind.PAYOUT_FAILED)
    sides = sides_of(Account.kind == AccountKind.HOUSEHOLD_PAYABLE)
    paid = -func.sum(case((Entry.kind.in_(out), sides.c.change_fen), else_=0))
    given = func.sum(case((Entry.kind.in_(out), 0), else_=sides.c.change_fen))
    query = (
        select(sides.c.key.label("account"), paid.label("paid_fen"), given.label("given_fen"))
        .join(Entry, Entry.id == sides.c.entry_id)
        .group_by(sides.c.key)
        .having(and_(paid > 0, paid > given))
        .order_by(sides.c.key)
    )
    message = N_("账户 %(account)s 已发放 %(paid_fen)s 分，超过了它得到的 %(given_fen)s 分")
    examined = count_of(session, Account, Account.kind == AccountKind.HOUSEHOLD_PAYABLE)
    return examined, rows_found(session, "paid_within_credits", message, query)


def _clearing_is_what_waits(session: Session) -> Answer:
    """Per cooperative, the money under way is the sum of the payouts the bank has not answered for."""
    sides = sides_of(Account.kind == AccountKind.PAYOUT_CLEARING)
    held = select(sides.c.key, func.sum(sides.c.change_fen).label("fen")).group_by(sides.c.key).subquery()
    waiting = (
        select(Payout.cooperative_id, func.sum(Payout.amount_fen).label("fen"))
        .where(Payout.state.in_(WAITING))
        .group_by(Payout.cooperative_id)
        .subquery()
    )
    waits, holds = func.coalesce(waiting.c.fen, 0), func.coalesce(held.c.fen, 0)
    query = (
        select(Account.key.label("account"), holds.label("balance_fen"), waits.label("waiting_fen"))
        .outerjoin(held, held.c.key == Account.key)
        .outerjoin(waiting, waiting.c.cooperative_id == Account.cooperative_id)
        .where(Account.kind == AccountKind.PAYOUT_CLEARING, waits != holds)
        .order_by(Account.key)
    )
    message = N_("账户 %(account)s 余额 %(balance_fen)s 分，等银行结果的发放合计 %(waiting_fen)s 分")
    examined = count_of(session, Account, Account.kind == AccountKind.PAYOUT_CLEARING)
    return examined, rows_found(session, "payouts_under_way", message, query)


CHECKS: tuple[Check, ...] = (
    Check("payouts_are_posted", N_("每笔发放恰好记账一次，与状态一致"), _posted_once),
    Check("paid_within_credits", N_("没有农户发放超过入账"), _paid_within_credits),
    Check("payouts_under_way", N_("发放在途余额等于等银行结果的发放"), _clearing_is_what_waits),
)
