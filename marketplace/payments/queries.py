"""Reading payments, bank statements and the queue of what a person must look at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, Select, Subquery, case, func, or_, select, union_all
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import today
from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_, NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.queries import Scope
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.payments.models import (
    BankLine,
    BankLineState,
    BankStatement,
    Credit,
    GatewayNotice,
    LinkagePool,
    NoticeOutcome,
    Payment,
    PaymentMethod,
    PaymentState,
    PoolDistribution,
)
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.web.tasks import Task

MOST_TOGETHER = 10  # bills in one transfer: their codes must fit into a bank's remark
REMIND_DAYS = (1, 7)  # before the last day
WHAT_FOR = (  # a list names the order, the unit and the cooperative of each payment, not its lines
    joinedload(Payment.order).lazyload(Order.parts),
    joinedload(Payment.part).lazyload(OrderPart.lines),
)


def payments_visible_to(actor: Actor) -> Select[Payment]:
    """Payments, newest first: of one's own personal orders, of one's unit, all for an auditor and the cashier."""
    query = select(Payment).join(Order, Order.id == Payment.order_id).order_by(Payment.id.desc())
    if actor.can(Permission.READ_AUDIT) or actor.can(Permission.MATCH_BANK_LINES):
        return query
    own = (Order.buyer_user_id == actor.user_id) & (Order.kind == OrderKind.PERSONAL)
    if actor.buyer_unit_id is None:
        return query.where(own)
    return query.where(or_(own, Order.buyer_unit_id == actor.buyer_unit_id))


def payment_by_no(session: Session, actor: Actor, number: str) -> Payment:
    """A payment the actor may see. Raises NotFound."""
    payment = session.scalar(payments_visible_to(actor).where(Payment.public_no == number))
    if payment is None:
        raise NotFound
    return payment


def payables_of(actor: Actor, state: PaymentState | None) -> Select[Payment]:
    """The bank transfers of the actor's unit, the most urgent first."""
    query = (
        select(Payment)
        .join(Order, Order.id == Payment.order_id)
        .where(Order.buyer_unit_id == actor.buyer_unit_id, Payment.method == PaymentMethod.BANK_TRANSFER)
        .order_by(Payment.due_on, Payment.id)
        .options(*WHAT_FOR)
    )
    return query if state is None else query.where(Payment.state == state)


@dataclass(frozen=True)
class Payables:
    """What the open bills of a unit come to, in fen."""

    bills: int
    total_fen: int
    late: int
    late_fen: int


def payables_total(session: Session, actor: Actor, *, on: date) -> Payables:
    """What the actor's unit has to pay on a day, and how much of it is late."""
    bill = payables_of(actor, PaymentState.OPEN).order_by(None).subquery().c
    late = bill.due_on < on
    found = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(bill.amount_fen), 0),
            func.coalesce(func.sum(case((late, 1), else_=0)), 0),
            func.coalesce(func.sum(case((late, bill.amount_fen), else_=0)), 0),
        )
    ).one()
    return Payables(*(int(value) for value in found))


def bills_together(session: Session, actor: Actor, numbers: Collection[str]) -> list[Payment]:
    """Open bills of the actor's unit to be paid by one transfer, the most urgent first.

    Raises NotFound unless all of them are the unit's, Refused for none, too many, or more than one cooperative.
    """
    wanted = set(numbers)
    if not wanted:
        raise Refused("no_bills", N_("请先勾选要合并付款的几笔货款"))
    if len(wanted) > MOST_TOGETHER:
        raise Refused("many_bills", N_("一次最多合并 %(most)s 笔，附言才写得下"), most=MOST_TOGETHER)
    query = payables_of(actor, PaymentState.OPEN).where(Payment.public_no.in_(wanted))
    bills = list(session.scalars(query))
    if len(bills) != len(wanted):
        raise NotFound
    if len({bill.part.cooperative_id for bill in bills if bill.part}) > 1:
        raise Refused("several_cooperatives", N_("一张付款单只能付给一个合作社，请按合作社分开勾选"))
    return bills


def payments_of_order(session: Session, order_id: int) -> list[Payment]:
    """Every payment asked for an order, in the order it was asked."""
    return list(session.scalars(select(Payment).where(Payment.order_id == order_id).order_by(Payment.id)))


def statements() -> Select[BankStatement]:
    """Imported statements, newest first."""
    return select(BankStatement).order_by(BankStatement.id.desc())


def statement_by_no(session: Session, number: str) -> BankStatement:
    """A statement. Raises NotFound."""
    statement = session.scalar(select(BankStatement).where(BankStatement.public_no == number))
    if statement is None:
        raise NotFound
    return statement


def lines_of(statement: BankStatement) -> Select[BankLine]:
    """The lines of a statement as they stand in the file."""
    return select(BankLine).where(BankLine.statement_id == statement.id).order_by(BankLine.row)


def queued_lines() -> Select[BankLine]:
    """Bank lines that wait for a person, oldest first."""
    return select(BankLine).where(BankLine.state == BankLineState.QUEUED).order_by(BankLine.id)


def queued_line_by_no(session: Session, number: str) -> BankLine:
    """A waiting bank line. Raises NotFound."""
    line = session.scalar(queued_lines().where(BankLine.public_no == number).with_for_update(of=BankLine))
    if line is None:
        raise NotFound
    return line


def queued_notices() -> Select[GatewayNotice]:
    """Gateway notices that wait for a person, oldest first."""
    return (
        select(GatewayNotice).where(GatewayNotice.outcome == NoticeOutcome.QUEUED).order_by(GatewayNotice.id)
    )


def net_credits(session: Session, scopes: Collection[Scope]) -> dict[Scope, dict[int, int]]:
    """What the settled lines of each scope have credited, less what was taken back, in fen by household id, in one
    statement.

    A pool belongs to its lot, or to the linkage period it was shared out over (a pool that waited for a period got it
    then). A scope without credits has an empty dictionary.
    """
    found: dict[Scope, dict[int, int]] = {scope: {} for scope in scopes}
    lots = sorted({lot_id for _, lot_id, _ in scopes if lot_id is not None})
    periods = sorted({period_id for _, _, period_id in scopes if period_id is not None})
    if not lots and not periods:
        return found
    changes = credit_changes(or_(LinkagePool.lot_id.in_(lots), PoolDistribution.period_id.in_(periods)))
    group = (changes.c.mechanism, changes.c.lot_id, changes.c.period_id, changes.c.household_id)
    rows = session.execute(
        select(*group, func.sum(changes.c.fen)).group_by(*group).order_by(changes.c.household_id)
    )
    for mechanism, lot_id, period_id, household_id, fen in rows:
        scope = (mechanism, lot_id, period_id)
        if scope in found:
            found[scope][household_id] = int(fen)
    return found


def credit_changes(condition: ColumnElement[bool]) -> Subquery:
    """What raised (positive) or lowered the money credited in a scope, for the pools and distributions that meet
    `condition`: rows of mechanism, lot_id, period_id, household_id, fen."""
    arms = [
        select(
            model.mechanism,
            LinkagePool.lot_id,
            PoolDistribution.period_id,
            model.household_id,
            fen.label("fen"),
        )
        .join(LinkagePool, LinkagePool.id == model.pool_id)
        .join(PoolDistribution, PoolDistribution.pool_id == model.pool_id)
        .where(condition)
        for model, fen in (
            (Credit, Credit.amount_fen),
            (CreditAddition, CreditAddition.amount_fen),
            (CreditReversal, -CreditReversal.amount_fen),
        )
    ]
    return union_all(*arms).subquery()


def _count(session: Session, query: Select[Payment] | Select[BankLine]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def _reminders(session: Session, actor: Actor) -> list[Task]:
    """The open bills of a unit by how near their last day is, each in one of the tasks, in one statement."""
    soon, week = (today() + timedelta(days=days) for days in REMIND_DAYS)
    due = payables_of(actor, PaymentState.OPEN).order_by(None).subquery().c.due_on
    spans = (
        (NN_("%(count)s 笔货款已逾期，正在计息"), due < today()),
        (NN_("%(count)s 笔货款今明两天到期"), (due >= today()) & (due <= soon)),
        (NN_("%(count)s 笔货款 7 天内到期"), (due > soon) & (due <= week)),
        (NN_("%(count)s 笔货款待转账"), due > week),
    )
    counts = session.execute(
        select(*(func.coalesce(func.sum(case((within, 1), else_=0)), 0) for _, within in spans))
    ).one()
    return [
        Task(message, int(count), "payments.payables")
        for (message, _), count in zip(spans, counts, strict=True)
    ]


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: transfers to make for a unit's payer, lines and notices to look at for the cashier."""
    tasks: list[Task] = []
    if actor.can(Permission.PAY_FOR_UNIT) and actor.buyer_unit_id is not None:
        tasks += _reminders(session, actor)
    if actor.can(Permission.MATCH_BANK_LINES):
        lines = _count(session, queued_lines())
        notices = (
            session.scalar(select(func.count()).select_from(queued_notices().order_by(None).subquery())) or 0
        )
        tasks.append(Task(NN_("%(count)s 笔到账待人工核对"), lines + notices, "payments.queue"))
    return [task for task in tasks if task.count]
