"""Reading payouts: what is due to whom, who lacks an account, batches and the payouts in them, a household's history.

Who sees which batch is decided here, once: `batches_visible_to`. A cooperative prepares and approves its own batches, a
county reviewer those of the county; the county also reads the batches of its cooperatives, an auditor all in reach.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, or_, select, true
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import end_of
from marketplace.core.errors import Forbidden, NotFound
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.payments.payouts.account_queries import households_to_record, is_refused_by_bank
from marketplace.payments.payouts.files import fits
from marketplace.payments.payouts.models import (
    BatchState,
    HouseholdBankAccount,
    Payout,
    PayoutBatch,
    PayoutResult,
    PayoutState,
)
from marketplace.registry.models import Cooperative, Household
from marketplace.web.tasks import Task

P = Permission
UNDER_WAY = (PayoutState.PREPARED, PayoutState.SENT, PayoutState.UNKNOWN)


# --- whose batches ---


@dataclass(frozen=True)
class Scope:
    """What a batch covers: one cooperative, or every cooperative of one county."""

    cooperative_id: int | None = None
    county_code: str | None = None


def scope_of(actor: Actor) -> Scope:
    """The scope in which the actor prepares and approves. Raises Forbidden for anybody without one."""
    if actor.can(P.PREPARE_PAYOUTS) or actor.can(P.APPROVE_PAYOUTS):
        if actor.cooperative_id is not None:
            return Scope(cooperative_id=actor.cooperative_id)
        if len(actor.region_code) == 6:
            return Scope(county_code=actor.region_code)
    raise Forbidden


def _has_scope(actor: Actor) -> bool:
    try:
        scope_of(actor)
    except Forbidden:
        return False
    return True


def _of_scope(scope: Scope) -> ColumnElement[bool]:
    if scope.cooperative_id is not None:
        return PayoutBatch.cooperative_id == scope.cooperative_id
    return PayoutBatch.county_code == scope.county_code


def batches_visible_to(actor: Actor) -> Select[PayoutBatch]:
    """The batches the actor may read, newest first."""
    query = (
        select(PayoutBatch)
        .options(joinedload(PayoutBatch.cooperative), joinedload(PayoutBatch.county))
        .order_by(PayoutBatch.id.desc())
    )
    if actor.cooperative_id is not None:
        return query.where(_of_scope(scope_of(actor)) if _has_scope(actor) else false())
    if not (_has_scope(actor) or actor.can(P.READ_AUDIT)):
        return query.where(false())
    if not actor.region_code:
        return query.where(true() if actor.can(P.READ_AUDIT) else false())
    inside = select(Cooperative.id).where(Cooperative.county_code.startswith(actor.region_code))
    return query.where(
        or_(PayoutBatch.county_code.startswith(actor.region_code), PayoutBatch.cooperative_id.in_(inside))
    )


def batch_by_no(session: Session, actor: Actor, batch_no: str) -> PayoutBatch:
    """A batch the actor may read. Raises NotFound."""
    batch = session.scalar(batches_visible_to(actor).where(PayoutBatch.public_no == batch_no))
    if batch is None:
        raise NotFound
    return batch


def is_in_scope(actor: Actor, batch: PayoutBatch) -> bool:
    """Whether the actor may act on a batch, not only read it."""
    return _has_scope(actor) and scope_of(actor) == Scope(batch.cooperative_id, batch.county_code)


def payouts_of(batch: PayoutBatch, *, state: PayoutState | None = None) -> Select[Payout]:
    """The payouts of a batch in the order of the bank's file, with household, cooperative and account."""
    query = (
        select(Payout)
        .where(Payout.batch_id == batch.id)
        .options(joinedload(Payout.household), joinedload(Payout.cooperative), joinedload(Payout.account))
        .order_by(Payout.id)
    )
    return query if state is None else query.where(Payout.state == state)


def payout_sums(
    session: Session, batch_ids: Collection[int]
) -> dict[int, dict[PayoutState, tuple[int, int]]]:
    """Per batch and state the count and the sum in fen, in one statement."""
    query = (
        select(Payout.batch_id, Payout.state, func.count(), func.sum(Payout.amount_fen))
        .where(Payout.batch_id.in_(batch_ids))
        .group_by(Payout.batch_id, Payout.state)
    )
    found: dict[int, dict[PayoutState, tuple[int, int]]] = {batch_id: {} for batch_id in batch_ids}
    for batch_id, state, count, fen in session.execute(query):
        found[batch_id][state] = (count, int(fen))
    return found


def results_of(session: Session, batch: PayoutBatch) -> list[PayoutResult]:
    """The result files of a batch, newest first; at most a hundred."""
    query = select(PayoutResult).where(PayoutResult.batch_id == batch.id).order_by(PayoutResult.id.desc())
    return list(session.scalars(query.limit(100)))


def result_by_no(session: Session, actor: Actor, batch_no: str, result_no: str) -> PayoutResult:
    """A result file of a batch in the actor's scope. Raises NotFound."""
    batch = batch_by_no(session, actor, batch_no)
    query = select(PayoutResult).where(PayoutResult.public_no == result_no, PayoutResult.batch_id == batch.id)
    found = session.scalar(query)
    if found is None or not is_in_scope(actor, batch):
        raise NotFound
    return found


# --- what is due ---


class Problem(LabelledEnum):
    """Why money that is due cannot go out now; the label says what to do."""

    NO_ACCOUNT = "no_account", N_("还没有收款账号，请登记")
    REFUSED = "refused", N_("上次发放失败，请更正收款账号")
    DOES_NOT_FIT = "does_not_fit", N_("户名或开户银行写不进银行文件，请更正")
    UNDER_WAY = "under_way", N_("已在另一批里，等复核或银行结果")


@dataclass(frozen=True)
class Due:
    """Money of one household from one cooperative, in fen, and the account it would go to."""

    household: Household
    cooperative_id: int
    due_fen: int
    account: HouseholdBankAccount | None
    problem: Problem | None


@dataclass(frozen=True)
class Plan:
    """What a batch would hold: `payable`, `held` back with a problem each, and what is below the minimum."""

    payable: list[Due]
    held: list[Due]
    below_count: int
    below_fen: int

    @property
    def total_fen(self) -> int:
        """The sum of the batch."""
        return sum(due.due_fen for due in self.payable)


def due_amounts(scope: Scope, up_to_on: date) -> Select[int | None, int | None, Any]:
    """cooperative_id, household_id and due_fen of every household account of the scope with money due on the day.

    What was credited up to the end of the day, less everything that left the account until now: what refunds took
    back and what was paid out since can not be paid again. What the bank returned counts whenever it came back.
    """
    counts = or_(Entry.occurred_at < end_of(up_to_on), Entry.kind == EntryKind.PAYOUT_FAILED)
    credited = case((counts, Transfer.amount_fen), else_=0)
    arms = [
        select(Account.id.label("account_id"), change.label("fen"))
        .join(Transfer, side == Account.id)
        .join(Entry, Entry.id == Transfer.entry_id)
        .where(Account.kind == AccountKind.HOUSEHOLD_PAYABLE, _account_in(scope))
        for side, change in (
            (Transfer.credit_account_id, credited),
            (Transfer.debit_account_id, -Transfer.amount_fen),
        )
    ]
    moves = arms[0].union_all(arms[1]).subquery()
    due_fen = func.sum(moves.c.fen)
    return (
        select(Account.cooperative_id, Account.household_id, due_fen.label("due_fen"))
        .join(moves, moves.c.account_id == Account.id)
        .group_by(Account.cooperative_id, Account.household_id)
        .having(due_fen > 0)
    )


def _account_in(scope: Scope) -> ColumnElement[bool]:
    if scope.cooperative_id is not None:
        return Account.cooperative_id == scope.cooperative_id
    inside = select(Cooperative.id).where(Cooperative.county_code == scope.county_code)
    return Account.cooperative_id.in_(inside)


def plan_of(
    session: Session, scope: Scope, *, minimum_fen: int, up_to_on: date, layout: dict[str, Any]
) -> Plan:
    """What a batch of the scope would hold, in one statement; ordered by cooperative and village."""
    due = due_amounts(scope, up_to_on).subquery()
    under_way = exists().where(
        Payout.household_id == due.c.household_id,
        Payout.cooperative_id == due.c.cooperative_id,
        Payout.state.in_(UNDER_WAY),
    )
    standing = and_(
        HouseholdBankAccount.household_id == due.c.household_id, HouseholdBankAccount.replaced_at.is_(None)
    )
    query = (
        select(
            Household,
            due.c.cooperative_id,
            due.c.due_fen,
            HouseholdBankAccount,
            is_refused_by_bank(),
            under_way,
        )
        .select_from(due)
        .join(Household, Household.id == due.c.household_id)
        .outerjoin(HouseholdBankAccount, standing)
        .order_by(due.c.cooperative_id, Household.village_code, Household.id)
    )
    plan = Plan([], [], 0, 0)
    below_count = below_fen = 0
    for household, cooperative_id, fen, account, refused, busy in session.execute(query):
        if fen < minimum_fen:
            below_count, below_fen = below_count + 1, below_fen + int(fen)
            continue
        problem = _problem(account, int(fen), layout, is_refused=refused, is_under_way=busy)
        found = Due(household, cooperative_id, int(fen), account, problem)
        (plan.held if problem else plan.payable).append(found)
    return Plan(plan.payable, plan.held, below_count, below_fen)


def _problem(
    account: HouseholdBankAccount | None,
    due_fen: int,
    layout: dict[str, Any],
    *,
    is_refused: bool,
    is_under_way: bool,
) -> Problem | None:
    if is_under_way:
        return Problem.UNDER_WAY
    if account is None:
        return Problem.NO_ACCOUNT
    if is_refused:
        return Problem.REFUSED
    if not fits(layout, name=account.holder_name, bank=account.bank_name, amount_fen=due_fen):
        return Problem.DOES_NOT_FIT
    return None


# --- a household's history ---


@dataclass(frozen=True)
class PaidOut:
    """One payout for the household's own page: `at` is when it was sent, later when it was answered."""

    public_no: str
    cooperative_name: str
    at: datetime | None
    amount_fen: int
    state: PayoutState
    reason: str
    last_four: str


def payouts_of_household(session: Session, household_id: int, *, limit: int = 200) -> list[PaidOut]:
    """The payouts of a household, the newest first, without those that were never sent."""
    query = (
        select(Payout, PayoutBatch.approved_at)
        .join(PayoutBatch, PayoutBatch.id == Payout.batch_id)
        .where(
            Payout.household_id == household_id,
            Payout.state.not_in((PayoutState.PREPARED, PayoutState.CANCELLED)),
        )
        .options(joinedload(Payout.cooperative), joinedload(Payout.account))
        .order_by(Payout.id.desc())
        .limit(limit)
    )
    return [
        PaidOut(
            public_no=payout.public_no,
            cooperative_name=payout.cooperative.name,
            at=payout.answered_at or approved_at,
            amount_fen=payout.amount_fen,
            state=payout.state,
            reason=payout.fail_reason,
            last_four=payout.account.last_four,
        )
        for payout, approved_at in session.execute(query)
    ]


# --- what waits ---


def batches_to_approve(actor: Actor) -> Select[PayoutBatch]:
    """Prepared batches of the actor's scope that somebody else prepared."""
    query = batches_visible_to(actor).where(PayoutBatch.state == BatchState.PREPARED)
    if not actor.can(P.APPROVE_PAYOUTS) or not _has_scope(actor):
        return query.where(false())
    return query.where(_of_scope(scope_of(actor)), PayoutBatch.prepared_by != actor.user_id)


def households_without_account(actor: Actor) -> Select[Household]:
    """Households in the actor's care that money was credited to and that have no account to be paid to."""
    credited = exists().where(
        Account.household_id == Household.id, Account.kind == AccountKind.HOUSEHOLD_PAYABLE
    )
    has_account = exists().where(
        HouseholdBankAccount.household_id == Household.id, HouseholdBankAccount.replaced_at.is_(None)
    )
    return households_to_record(actor).where(credited, ~has_account)


def households_refused(actor: Actor) -> Select[Household]:
    """Households in the actor's care whose standing account the bank refused."""
    standing = exists().where(
        HouseholdBankAccount.household_id == Household.id,
        HouseholdBankAccount.replaced_at.is_(None),
        is_refused_by_bank(),
    )
    return households_to_record(actor).where(standing)


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Batches to approve, payouts that failed, households without an account."""
    tasks: list[Task] = []
    if actor.can(P.APPROVE_PAYOUTS):
        count = _count(session, batches_to_approve(actor).with_only_columns(PayoutBatch.id))
        tasks.append(Task(NN_("%(count)s 批发放待复核"), count, "payouts.batches"))
    if actor.can(P.ENROL_HOUSEHOLDS) or actor.can(P.VOUCH_FOR_HOUSEHOLDS) or actor.can(P.RECORD_STATUS):
        refused = _count(session, households_refused(actor).with_only_columns(Household.id))
        tasks.append(Task(NN_("%(count)s 笔发放失败待更正"), refused, "payout_accounts.index"))
        lacking = _count(session, households_without_account(actor).with_only_columns(Household.id))
        tasks.append(Task(NN_("%(count)s 户还没有收款账号"), lacking, "payout_accounts.index"))
    return [task for task in tasks if task.count]


def _count(session: Session, query: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
