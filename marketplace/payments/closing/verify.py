"""Checks of guarantees, closed periods and waiting pools. They read the rows alone (see ledger/checks.py)."""

from __future__ import annotations

from sqlalchemy import Subquery, and_, case, func, or_, select, true, union_all
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import Answer, Check, count_of, rows_found
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.linkage.models import LinkagePeriod, PeriodState
from marketplace.payments.closing.models import GuaranteePosting
from marketplace.payments.closing.shortfalls import due_figures, kept_changes
from marketplace.payments.closing.standing import CHANGE_FEN, standing_guarantees
from marketplace.payments.closing.unallocated import waiting_rows
from marketplace.payments.models import LinkagePool
from marketplace.registry.models import Cooperative, Household


def _standing_is_never_negative(session: Session) -> Answer:
    """The sum of the postings of a household in a scope is what the last of them says stands."""
    sums = (
        select(
            GuaranteePosting.scope_key,
            GuaranteePosting.household_id,
            func.sum(CHANGE_FEN).label("fen"),
            func.max(GuaranteePosting.position).label("position"),
            func.count().label("postings"),
        )
        .group_by(GuaranteePosting.scope_key, GuaranteePosting.household_id)
        .subquery()
    )
    last = aliased(GuaranteePosting)
    query = (
        select(
            sums.c.scope_key.label("scope"),
            Household.public_no.label("household"),
            sums.c.fen.label("summed_fen"),
            last.standing_after_fen.label("standing_fen"),
        )
        .join(
            last,
            and_(
                last.scope_key == sums.c.scope_key,
                last.household_id == sums.c.household_id,
                last.position == sums.c.position,
            ),
        )
        .join(Household, Household.id == sums.c.household_id)
        .where(or_(sums.c.fen < 0, sums.c.fen != last.standing_after_fen, sums.c.postings != sums.c.position))
        .order_by(sums.c.scope_key, sums.c.household_id)
    )
    message = N_(
        "农户 %(household)s 在 %(scope)s 的保底合计 %(summed_fen)s 分，最后一笔记的是 %(standing_fen)s 分"
    )
    return count_of(session, GuaranteePosting), rows_found(session, "standing_guarantees", message, query)


def _money_by_scope() -> Subquery:
    """What each household has in each scope: credits less reversals, relief, and the guarantee that stands."""
    changes, standing = kept_changes(true()), standing_guarantees()
    place = ("mechanism", "lot_id", "period_id", "household_id")
    rows = union_all(
        select(*(changes.c[name] for name in place), changes.c.fen),
        select(*(standing.c[name] for name in place), standing.c.standing_fen),
    ).subquery()
    group = [rows.c[name] for name in place]
    return select(*group, func.sum(rows.c.fen).label("money_fen")).group_by(*group).subquery()


def _money_in_scope_is_not_negative(session: Session) -> Answer:
    money = _money_by_scope()
    query = (
        select(
            Household.public_no.label("household"), money.c.mechanism, money.c.money_fen.label("money_fen")
        )
        .join(Household, Household.id == money.c.household_id)
        .where(money.c.money_fen < 0)
        .order_by(money.c.household_id)
    )
    message = N_("农户 %(household)s 在一个“%(mechanism)s”归集范围里的钱是 %(money_fen)s 分，小于零")
    examined = session.scalar(select(func.count()).select_from(money)) or 0
    return examined, rows_found(session, "money_in_scope", message, query)


def _closed_periods_are_covered(session: Session) -> Answer:
    closed = select(LinkagePeriod.id).where(LinkagePeriod.state == PeriodState.CLOSED)
    periods = list(session.scalars(closed))
    figures = due_figures(lots=(), periods=periods)
    query = (
        select(
            LinkagePeriod.public_no.label("period"),
            Household.public_no.label("household"),
            figures.c.mechanism,
            figures.c.due_fen,
            (figures.c.credited_fen + figures.c.standing_fen).label("money_fen"),
        )
        .join(LinkagePeriod, LinkagePeriod.id == figures.c.period_id)
        .join(Household, Household.id == figures.c.household_id)
        .where(figures.c.due_fen > figures.c.credited_fen + figures.c.standing_fen)
        .order_by(figures.c.period_id, figures.c.household_id)
    )
    message = N_(
        "已关账的联结期 %(period)s：农户 %(household)s 的“%(mechanism)s”应得 %(due_fen)s 分，"
        "入账加保底只有 %(money_fen)s 分"
    )
    return len(periods), rows_found(session, "closed_periods", message, query)


def _guarantees_are_posted(session: Session) -> Answer:
    """Per entry and household, the postings are exactly what the ledger moved on the household's account."""
    stored = (
        select(GuaranteePosting.entry_id, GuaranteePosting.household_id, func.sum(CHANGE_FEN).label("fen"))
        .group_by(GuaranteePosting.entry_id, GuaranteePosting.household_id)
        .subquery()
    )
    payable = aliased(Account)
    gained = case((Transfer.credit_account_id == payable.id, Transfer.amount_fen), else_=-Transfer.amount_fen)
    posted = (
        select(Transfer.entry_id, payable.household_id, func.sum(gained).label("fen"))
        .join(Entry, Entry.id == Transfer.entry_id)
        .join(payable, or_(payable.id == Transfer.credit_account_id, payable.id == Transfer.debit_account_id))
        .where(
            payable.kind == AccountKind.HOUSEHOLD_PAYABLE,
            Entry.kind.in_((EntryKind.GUARANTEE, EntryKind.GUARANTEE_REDUCED)),
        )
        .group_by(Transfer.entry_id, payable.household_id)
        .subquery()
    )
    same = and_(posted.c.entry_id == stored.c.entry_id, posted.c.household_id == stored.c.household_id)
    both = (
        select(
            func.coalesce(stored.c.entry_id, posted.c.entry_id).label("entry_id"),
            func.coalesce(stored.c.fen, 0).label("stored_fen"),
            func.coalesce(posted.c.fen, 0).label("posted_fen"),
        )
        .select_from(stored.join(posted, same, full=True))
        .subquery()
    )
    query = (
        select(Entry.public_no.label("entry"), both.c.stored_fen, both.c.posted_fen)
        .join(Entry, Entry.id == both.c.entry_id)
        .where(both.c.stored_fen != both.c.posted_fen)
        .order_by(both.c.entry_id)
    )
    message = N_("分录 %(entry)s 给一户记了保底 %(posted_fen)s 分，保底记录是 %(stored_fen)s 分")
    return count_of(session, GuaranteePosting), rows_found(session, "guarantees_are_posted", message, query)


def _waiting_pools_are_unallocated(session: Session) -> Answer:
    """Per cooperative, the pools that wait sum to the balance of its unallocated account."""
    rows = waiting_rows()
    account = aliased(Account)
    gained = case((Transfer.credit_account_id == account.id, Transfer.amount_fen), else_=-Transfer.amount_fen)
    both = union_all(
        select(rows.c.cooperative_id, rows.c.fen.label("waiting_fen"), (rows.c.fen * 0).label("balance_fen")),
        select(account.cooperative_id, gained * 0, gained)
        .join(
            Transfer, or_(account.id == Transfer.credit_account_id, account.id == Transfer.debit_account_id)
        )
        .where(account.kind == AccountKind.COOPERATIVE_UNALLOCATED),
    ).subquery()
    waiting, balance = func.sum(both.c.waiting_fen), func.sum(both.c.balance_fen)
    query = (
        select(
            Cooperative.public_no.label("cooperative"),
            waiting.label("waiting_fen"),
            balance.label("balance_fen"),
        )
        .join(Cooperative, Cooperative.id == both.c.cooperative_id)
        .group_by(Cooperative.public_no)
        .having(waiting != balance)
        .order_by(Cooperative.public_no)
    )
    message = N_("合作社 %(cooperative)s 待分配资金合计 %(waiting_fen)s 分，账上是 %(balance_fen)s 分")
    examined = count_of(session, LinkagePool, LinkagePool.waiting.is_(True))
    return examined, rows_found(session, "waiting_pools", message, query)


CHECKS: tuple[Check, ...] = (
    Check("standing_guarantees", N_("保底余额等于各笔之和，从不小于零"), _standing_is_never_negative),
    Check("guarantees_are_posted", N_("每笔保底与台账记账一致"), _guarantees_are_posted),
    Check("money_in_scope", N_("每户在每个归集范围里的钱都不小于零"), _money_in_scope_is_not_negative),
    Check("closed_periods", N_("已关账的联结期，每户入账加保底不少于应得"), _closed_periods_are_covered),
    Check("waiting_pools", N_("待分配资金等于台账上的余额"), _waiting_pools_are_unallocated),
)
