"""Setting who approves what: a unit's chain, the limits of its approvers, and deputies by the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from sqlalchemy import delete, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.models import User
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.rules import required_reason
from marketplace.procurement.approvals.models import (
    ApprovalChain,
    ApprovalDecision,
    ApprovalStep,
    ApproverLimit,
    DeputyDay,
    Deputyship,
    StepApprover,
)
from marketplace.procurement.approvals.queries import approvers_of, limits_of, overlapping
from marketplace.procurement.approvals.standing import Approver, Standing, Step
from marketplace.registry.models import BuyerUnit

MOST_STEPS = 6
LONGEST_DAYS = 366
MOST_FEN = 10**12


@dataclass(frozen=True)
class StepWanted:
    """A step as it is asked for: from how many fen on, and the public numbers of those who may take it."""

    from_fen: int
    approver_nos: tuple[str, ...]


def set_chain(session: Session, actor: Actor, *, steps: Sequence[StepWanted], reason: str) -> ApprovalChain:
    """Give the actor's unit a new version of its chain; no steps means that any one approver decides again.

    Orders already placed go on by the version that stood then. Raises Refused without a reason, when the first step is
    not for every order, when amounts do not rise, when a step names nobody who approves for the unit, or when its steps
    cannot each have a person of their own; NotFound for a person of another unit.
    """
    unit_id = _own_unit(session, actor)
    note = required_reason(reason, N_("请写明为什么这样设置审批"))
    people = {user.public_no: user for user in approvers_of(session, unit_id)}
    _check_steps(steps, people)
    before = session.scalar(select(func.max(ApprovalChain.version)).where(ApprovalChain.unit_id == unit_id))
    chain = ApprovalChain(
        unit_id=unit_id,
        version=(before or 0) + 1,
        reason=note,
        set_by=actor.user_id,
        steps=[
            ApprovalStep(
                position=position,
                from_fen=wanted.from_fen,
                approvers=[StepApprover(user_id=people[number].id) for number in wanted.approver_nos],
            )
            for position, wanted in enumerate(steps, start=1)
        ],
    )
    session.add(chain)
    _flush_first(session)
    record_trail(
        session,
        actor,
        "procurement.set_chain",
        subject=("approval_chain", str(chain.version)),
        steps=len(steps),
    )
    session.flush()
    return chain


def _own_unit(session: Session, actor: Actor) -> int:
    """The unit the actor approves for, held, so that two changes at once come one after the other. Raises NotFound."""
    actor.require(Permission.APPROVE_ORDERS)
    unit_id = session.scalar(
        select(BuyerUnit.id).where(BuyerUnit.id == actor.buyer_unit_id).with_for_update(of=BuyerUnit)
    )
    if unit_id is None:
        raise NotFound
    return unit_id


def _flush_first(session: Session) -> None:
    """Write a next version. Raises Conflict when somebody else wrote it at the same moment."""
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError as error:
        raise Conflict("changed_meanwhile", N_("刚刚有同事也改了这项设置，请刷新后再看")) from error


def _check_steps(steps: Sequence[StepWanted], people: dict[str, User]) -> None:
    if len(steps) > MOST_STEPS:
        raise Refused("too_many_steps", N_("审批最多 %(most)s 步"), field="steps", most=MOST_STEPS)
    if steps and steps[0].from_fen != 0:
        raise Refused("first_step", N_("第 1 步须从 0 元起，否则金额小的采购单没有人审批"), field="steps")
    for position, (before, after) in enumerate(pairwise(steps), start=2):
        if not before.from_fen < after.from_fen <= MOST_FEN:
            raise Refused(
                "steps_rise",
                N_("第 %(step)s 步的起点须大于第 %(before)s 步的 %(amount)s 元"),
                field="steps",
                step=position,
                before=position - 1,
                amount=format_yuan(before.from_fen),
            )
    for position, wanted in enumerate(steps, start=1):
        if not wanted.approver_nos:
            raise Refused("nobody_named", N_("第 %(step)s 步还没有指定审批人"), field="steps", step=position)
        if not set(wanted.approver_nos) <= people.keys():
            raise Refused(
                "no_approver",
                N_("第 %(step)s 步指定的人不是本单位在岗的审批人，请重新选择"),
                field="steps",
                step=position,
            )
    _check_persons(steps, people)


def _check_persons(steps: Sequence[StepWanted], people: dict[str, User]) -> None:
    """Nobody approves twice: each step needs a person of its own."""
    wanted = tuple(
        Step(position, one.from_fen, tuple(Approver(people[no].id, "") for no in one.approver_nos))
        for position, one in enumerate(steps, start=1)
    )
    short = Standing(0, 0, None, wanted).step_without_approver()
    if short is not None:
        raise Refused(
            "too_few_persons",
            N_("同一个人不能审批两步，第 %(step)s 步除了前面各步的人再没有别人，请多指定一位"),
            field="steps",
            step=short.position,
        )


def set_limit(
    session: Session, actor: Actor, *, approver_no: str, limit_fen: int | None, reason: str
) -> ApproverLimit:
    """Let an approver of the actor's unit decide up to `limit_fen` fen from now on; None lifts the limit.

    Raises Refused for the own limit, without a reason or for an amount that cannot be, NotFound for a stranger.
    """
    unit_id = _own_unit(session, actor)
    approver = next((one for one in approvers_of(session, unit_id) if one.public_no == approver_no), None)
    if approver is None:
        raise NotFound
    if approver.id == actor.user_id:
        raise Refused("own_limit", N_("自己的审批限额须由另一位审批人设置"), field="limit")
    if limit_fen is not None and not 1 <= limit_fen <= MOST_FEN:
        raise Refused("limit", N_("限额须大于 0；不设限额请留空"), field="limit")
    note = required_reason(reason, N_("请写明为什么这样设置限额"))
    before = limits_of(session, unit_id).get(approver.id)
    row = ApproverLimit(
        unit_id=unit_id,
        user_id=approver.id,
        version=before.version + 1 if before else 1,
        limit_fen=limit_fen,
        reason=note,
        set_by=actor.user_id,
    )
    session.add(row)
    _flush_first(session)
    record_trail(
        session, actor, "procurement.set_limit", subject=("user", approver.public_no), limit_fen=limit_fen
    )
    session.flush()
    return row


def name_deputy(
    session: Session, actor: Actor, *, deputy_no: str, from_on: date, until_on: date, reason: str
) -> Deputyship:
    """Let a colleague decide in the actor's name from one day to another, inclusive.

    Raises Refused for oneself, for somebody who is not of the unit, for days that are over, out of order, too many or
    already given to a deputy, or without a reason.
    """
    unit_id = _own_unit(session, actor)
    deputy = session.scalar(
        select(User).where(
            User.public_no == deputy_no, User.organisation_id == unit_id, User.disabled_at.is_(None)
        )
    )
    if deputy is None:
        raise Refused("not_a_colleague", N_("代办人须是本单位在岗的同事"), field="deputy")
    if deputy.id == actor.user_id:
        raise Refused("deputy_of_oneself", N_("不能委托自己代办，请选择另一位同事"), field="deputy")
    _check_days(session, actor, from_on, until_on)
    note = required_reason(reason, N_("请写明委托的原因，例如外出开会"))
    deputyship = Deputyship(
        unit_id=unit_id,
        approver_id=actor.user_id,
        approver=session.get_one(User, actor.user_id),
        deputy=deputy,
        from_on=from_on,
        until_on=until_on,
        reason=note,
    )
    session.add(deputyship)
    session.flush()
    days = (until_on - from_on).days + 1
    session.add_all(
        DeputyDay(
            approver_id=actor.user_id,
            on_day=from_on + timedelta(days=day),
            deputy_id=deputy.id,
            deputyship_id=deputyship.id,
        )
        for day in range(days)
    )
    _flush_first(session)
    record_trail(
        session,
        actor,
        "procurement.name_deputy",
        subject=("deputyship", deputyship.public_no),
        from_on=from_on.isoformat(),
        until_on=until_on.isoformat(),
    )
    session.flush()
    return deputyship


def _check_days(session: Session, actor: Actor, from_on: date, until_on: date) -> None:
    if until_on < from_on:
        raise Refused("days", N_("截止日不能早于开始日"), field="until_on")
    if from_on < today():
        raise Refused("past", N_("开始日不能早于今天"), field="from_on")
    if (until_on - from_on).days >= LONGEST_DAYS:
        raise Refused("too_long", N_("一次委托最多 %(most)s 天"), field="until_on", most=LONGEST_DAYS)
    taken = overlapping(session, actor.user_id or 0, from_on, until_on)
    if taken is not None:
        raise Refused(
            "overlaps",
            N_("%(day)s 已经委托了别人，请先结束那一次委托，或改一下日期"),
            field="from_on",
            day=taken.isoformat(),
        )


def end_deputyship(session: Session, actor: Actor, deputyship: Deputyship) -> Deputyship:
    """Take a deputyship back from now on; a day on which the deputy has decided already stays.

    Raises NotFound for another's, Conflict when it has ended.
    """
    actor.require(Permission.APPROVE_ORDERS)
    if deputyship.approver_id != actor.user_id:
        raise NotFound
    session.refresh(deputyship, with_for_update={"of": Deputyship})
    if deputyship.ended_at is not None or deputyship.until_on < today():
        raise Conflict("ended", N_("这次委托已经结束"))
    used = exists().where(
        ApprovalDecision.authority_id == DeputyDay.approver_id,
        ApprovalDecision.decided_by == DeputyDay.deputy_id,
        ApprovalDecision.deputy_on == DeputyDay.on_day,
    )
    unused = delete(DeputyDay).where(
        DeputyDay.deputyship_id == deputyship.id, DeputyDay.on_day >= today(), ~used
    )
    session.execute(unused.execution_options(synchronize_session=False))
    deputyship.ended_at = now()
    record_trail(session, actor, "procurement.end_deputy", subject=("deputyship", deputyship.public_no))
    session.flush()
    return deputyship
