"""Granting budgets, changing them with a reason, and letting orders take of them: never more than was granted."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.rules import required_reason
from marketplace.ordering.states import PartState
from marketplace.procurement.budgets.models import BudgetEntry, BudgetLine, BudgetRelease
from marketplace.procurement.budgets.queries import Balance, balance_of, lines_named, year_of

MOST_FEN = 10**13
MOST_PURPOSE = 60
YEARS_AHEAD = 1


def open_budget_line(
    session: Session, actor: Actor, *, year: int, purpose: str, granted_fen: int, reason: str
) -> BudgetLine:
    """Set aside `granted_fen` fen for a purpose of the actor's unit in a year.

    Raises Refused for a purpose the year already has, another year than the last, this or the next one, an amount that
    cannot be, or without a reason.
    """
    actor.require(Permission.APPROVE_ORDERS)
    if actor.buyer_unit_id is None:
        raise NotFound
    name = purpose.strip()
    if not 1 <= len(name) <= MOST_PURPOSE:
        raise Refused("purpose", N_("请写明预算科目，最多 %(most)s 个字"), field="purpose", most=MOST_PURPOSE)
    if not today().year - 1 <= year <= today().year + YEARS_AHEAD:
        raise Refused("year", N_("预算年度只能是去年、今年或明年"), field="year")
    _check_amount(granted_fen)
    note = required_reason(reason, N_("请写明预算的依据，例如批复文号"))
    line = BudgetLine(unit_id=actor.buyer_unit_id, year=year, purpose=name)
    try:
        with session.begin_nested():
            session.add(line)
    except IntegrityError as error:
        message = N_("%(year)s 年已经有“%(purpose)s”，请在那一科目里调整金额")
        raise Refused("purpose_taken", message, field="purpose", year=year, purpose=name) from error
    _enter(session, actor, line, None, granted_fen=granted_fen, used_fen=0, reason=note)
    _tell(session, actor, "procurement.open_budget", line, granted_fen)
    return line


def change_budget(
    session: Session, actor: Actor, line: BudgetLine, *, granted_fen: int, reason: str
) -> BudgetEntry:
    """Change what a line grants, with a reason. Raises Refused when orders have already taken more than that."""
    actor.require(Permission.APPROVE_ORDERS)
    _check_amount(granted_fen)
    note = required_reason(reason, N_("请写明调整预算的原因"))
    balance = _hold(session, actor, line)
    if granted_fen < balance.used_fen:
        raise Refused(
            "below_used",
            N_("已经占用和支出 %(used)s 元，预算不能低于这个数"),
            field="amount",
            used=format_yuan(balance.used_fen),
        )
    entry = _enter(
        session, actor, line, None, granted_fen=granted_fen, used_fen=balance.used_fen, reason=note
    )
    _tell(session, actor, "procurement.change_budget", line, granted_fen)
    return entry


def take_budget(session: Session, actor: Actor, line: BudgetLine, order: Order) -> BudgetEntry:
    """Let an order take its total of a line.

    Raises NotFound for a line or an order of another unit, Refused for a line of another year or when too little is
    left (the message says how much), Conflict when the order has named a line already.
    """
    if order.buyer_unit_id is None or not actor.buyer_unit_id == order.buyer_unit_id == line.unit_id:
        raise NotFound
    if line.year != year_of(order):
        raise Refused(
            "budget_year",
            N_("这张采购单属于 %(wanted)s 年，不能用 %(year)s 年的预算"),
            field="budget",
            wanted=year_of(order),
            year=line.year,
        )
    balance = _hold(session, actor, line)
    if lines_named(session, [order.id]):
        raise Conflict("budget_named", N_("这张采购单已经指定了预算科目"))
    if order.total_fen > balance.free_fen:
        raise Refused(
            "over_budget",
            N_(
                "“%(purpose)s”只剩 %(free)s 元可用，这张采购单要 %(wanted)s 元；请减少数量、换一个科目，或先调整预算"
            ),
            field="budget",
            purpose=line.purpose,
            free=format_yuan(max(0, balance.free_fen)),
            wanted=format_yuan(order.total_fen),
        )
    return _enter(
        session, actor, line, order, granted_fen=balance.granted_fen, used_fen=balance.used_fen, reason=""
    )


def name_budget_line(session: Session, actor: Actor, order: Order, line: BudgetLine) -> BudgetEntry:
    """Name the budget line of an order that waits for approval without one. Raises as `take_budget`, and Conflict when
    the order no longer waits."""
    if not (actor.can(Permission.APPROVE_ORDERS) or actor.can(Permission.ORDER_FOR_UNIT)):
        raise NotFound
    if any(part.state is not PartState.AWAITING_APPROVAL for part in order.parts):
        raise Conflict("not_waiting", N_("这张采购单已经办理，不能再指定预算科目"))
    entry = take_budget(session, actor, line, order)
    record_trail(
        session, actor, "procurement.name_budget", subject=("order", order.public_no), purpose=line.purpose
    )
    session.flush()
    return entry


def release_budget(
    session: Session, *, part: OrderPart, refund_no: str, amount_fen: int
) -> BudgetRelease | None:
    """Give back to the budget what a refund of `amount_fen` fen took off a part; None when its order names no line."""
    if part.order.buyer_unit_id is None or not lines_named(session, [part.order_id]):
        return None
    release = BudgetRelease(part_id=part.id, refund_no=refund_no, released_fen=amount_fen)
    session.add(release)
    session.flush()
    return release


def _check_amount(granted_fen: int) -> None:
    if not 0 <= granted_fen <= MOST_FEN:
        raise Refused("amount", N_("请填写预算金额"), field="amount")


def _hold(session: Session, actor: Actor, line: BudgetLine) -> Balance:
    """The balance of a line, held, so that of two orders at one moment the second sees what the first took."""
    if actor.buyer_unit_id != line.unit_id:
        raise NotFound
    session.flush()
    session.execute(select(BudgetLine.id).where(BudgetLine.id == line.id).with_for_update(of=BudgetLine))
    return balance_of(session, line)


def _enter(
    session: Session,
    actor: Actor,
    line: BudgetLine,
    order: Order | None,
    *,
    granted_fen: int,
    used_fen: int,
    reason: str,
) -> BudgetEntry:
    """The next row of a line's chain. Raises Conflict when somebody wrote it at the same moment."""
    last = session.scalar(
        select(BudgetEntry)
        .where(BudgetEntry.line_id == line.id)
        .order_by(BudgetEntry.sequence.desc())
        .limit(1)
    )
    taken = order.total_fen if order else 0
    entry = BudgetEntry(
        line_id=line.id,
        unit_id=line.unit_id,
        sequence=last.sequence + 1 if last else 1,
        follows_sequence=last.sequence if last else None,
        follows_fen=last.granted_fen if last else None,
        granted_fen=granted_fen,
        order_id=order.id if order else None,
        ordered_by=order.buyer_user_id if order else None,
        taken_fen=taken,
        used_before_fen=used_fen,
        used_after_fen=used_fen + taken,
        reason=reason,
        entered_by=actor.user_id,
    )
    try:
        with session.begin_nested():
            session.add(entry)
    except IntegrityError as error:
        raise Conflict("budget_moved", N_("这一预算科目刚刚有变化，请刷新后再试")) from error
    return entry


def _tell(session: Session, actor: Actor, action: str, line: BudgetLine, granted_fen: int) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("budget_line", line.public_no),
        year=line.year,
        purpose=line.purpose,
        granted_fen=granted_fen,
    )
    session.flush()
