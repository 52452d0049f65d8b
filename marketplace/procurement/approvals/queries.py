"""Reading chains, limits, deputies and decisions, and from them where orders stand, in few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, User, UserRole
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.states import PartState
from marketplace.procurement.approvals.models import (
    ApprovalChain,
    ApprovalDecision,
    ApproverLimit,
    DeputyDay,
    Deputyship,
)
from marketplace.procurement.approvals.standing import (
    Approver,
    Bar,
    Decision,
    Stand,
    Standing,
    Step,
    steps_reached,
)


def approvers_of(session: Session, unit_id: int) -> list[User]:
    """Those of a unit who hold the approver's duty and a working account."""
    held = select(UserRole.user_id).where(UserRole.role == Role.UNIT_APPROVER)
    query = select(User).where(User.organisation_id == unit_id, User.disabled_at.is_(None), User.id.in_(held))
    return list(session.scalars(query.order_by(User.id)).unique())


def colleagues_of(session: Session, actor: Actor) -> list[User]:
    """The others of the actor's unit with a working account."""
    query = select(User).where(
        User.organisation_id == actor.buyer_unit_id, User.disabled_at.is_(None), User.id != actor.user_id
    )
    return list(session.scalars(query.order_by(User.id)).unique())


def limits_of(session: Session, unit_id: int) -> dict[int, ApproverLimit]:
    """The limit that holds for each approver who has one, by user id."""
    newest = (
        select(func.max(ApproverLimit.id))
        .where(ApproverLimit.unit_id == unit_id)
        .group_by(ApproverLimit.user_id)
    )
    rows = session.scalars(select(ApproverLimit).where(ApproverLimit.id.in_(newest)))
    return {row.user_id: row for row in rows}


def chains_of(session: Session, unit_id: int) -> list[ApprovalChain]:
    """Every version of a unit's chain, the newest first."""
    query = select(ApprovalChain).where(ApprovalChain.unit_id == unit_id)
    return list(
        session.scalars(
            query.order_by(ApprovalChain.version.desc()).options(joinedload(ApprovalChain.setter))
        )
    )


def deputyships_of(actor: Actor) -> Select[Deputyship]:
    """The deputyships of the actor's unit, the latest first."""
    query = select(Deputyship).where(Deputyship.unit_id == actor.buyer_unit_id)
    return query.order_by(Deputyship.from_on.desc(), Deputyship.id.desc())


def deputyship_by_no(session: Session, actor: Actor, number: str) -> Deputyship:
    """A deputyship of the actor's unit. Raises NotFound."""
    found = session.scalar(deputyships_of(actor).where(Deputyship.public_no == number))
    if found is None:
        raise NotFound
    return found


def stands_for(session: Session, user_id: int | None, on: date) -> list[int]:
    """Those whose deputy a person is on a day; of a deputyship that was taken back, a day it was used on remains, and
    gives no right any more."""
    query = (
        select(DeputyDay.approver_id)
        .join(Deputyship, Deputyship.id == DeputyDay.deputyship_id)
        .where(DeputyDay.deputy_id == user_id, DeputyDay.on_day == on, Deputyship.ended_at.is_(None))
    )
    return list(session.scalars(query.order_by(DeputyDay.approver_id)))


@dataclass(frozen=True)
class Desk:
    """What one person needs to decide on orders of the unit: where each stands, and for whom the person is deputy."""

    user_id: int
    on: date
    deputy_for: tuple[int, ...]
    standings: dict[int, Standing]

    def stand(self, order_id: int, *, for_amount: bool = True) -> Stand | Bar:
        """In whose name the person may decide on an order, or why not."""
        return self.standings[order_id].stand_of(
            self.user_id, self.deputy_for, self.on, for_amount=for_amount
        )

    def may_decide(self, order_id: int) -> bool:
        """Whether the person may give the step that waits."""
        return isinstance(self.stand(order_id), Stand)


def desk_of(session: Session, actor: Actor, orders: Sequence[Order]) -> Desk:
    """The desk of an actor for orders of the own unit."""
    deputy_for = tuple(stands_for(session, actor.user_id, today()))
    standings = standings_of(session, actor.buyer_unit_id or 0, orders)
    return Desk(actor.user_id or 0, today(), deputy_for, standings)


def standings_of(session: Session, unit_id: int, orders: Sequence[Order]) -> dict[int, Standing]:
    """Where the approval of each of a unit's orders stands, by order id."""
    if not orders:
        return {}
    chains = chains_of(session, unit_id)
    book = _Book(session, unit_id)
    decisions = _decisions_of(session, [order.id for order in orders])
    found: dict[int, Standing] = {}
    for order in orders:
        chain = _chain_at(chains, order.placed_at)
        steps = book.steps_of(chain)
        found[order.id] = Standing(
            order.total_fen,
            order.buyer_user_id,
            chain.id if chain and chain.steps else None,
            steps_reached(steps, order.total_fen),
            decisions.get(order.id, ()),
        )
    return found


def standing_ahead(session: Session, actor: Actor, amount_fen: int) -> Standing:
    """The approval that an order of `amount_fen` fen, placed by the actor now, would go through."""
    unit_id = actor.buyer_unit_id or 0
    chain = next(iter(chains_of(session, unit_id)), None)
    steps = steps_reached(_Book(session, unit_id).steps_of(chain), amount_fen)
    return Standing(amount_fen, actor.user_id or 0, chain.id if chain and chain.steps else None, steps)


class _Book:
    """The approvers of a unit with their limits, for the steps of its chains."""

    def __init__(self, session: Session, unit_id: int) -> None:
        limits = limits_of(session, unit_id)
        self.approvers = {
            user.id: Approver(
                user.id, user.display_name, limits[user.id].limit_fen if user.id in limits else None
            )
            for user in approvers_of(session, unit_id)
        }

    def steps_of(self, chain: ApprovalChain | None) -> tuple[Step, ...]:
        """The steps of a chain with those of its people who still hold the duty; of none, one step for anybody."""
        if chain is None or not chain.steps:
            return (Step(1, 0, tuple(self.approvers.values())),)
        return tuple(
            Step(
                step.position,
                step.from_fen,
                tuple(self.approvers[one.user_id] for one in step.approvers if one.user_id in self.approvers),
            )
            for step in chain.steps
        )


def _chain_at(chains: Sequence[ApprovalChain], at: datetime) -> ApprovalChain | None:
    """The version that stood at an instant; `chains` come newest first."""
    return next((chain for chain in chains if chain.set_at <= at), None)


def _decisions_of(session: Session, order_ids: Sequence[int]) -> dict[int, tuple[Decision, ...]]:
    query = select(ApprovalDecision).where(ApprovalDecision.order_id.in_(order_ids))
    found: dict[int, tuple[Decision, ...]] = {}
    for row in session.scalars(query.order_by(ApprovalDecision.order_id, ApprovalDecision.position)).unique():
        decision = Decision(
            row.position,
            row.approved,
            row.decided_by,
            row.authority_id,
            row.decider.display_name,
            row.authority.display_name,
            row.note,
            row.decided_at,
        )
        found[row.order_id] = (*found.get(row.order_id, ()), decision)
    return found


def may_look(session: Session, actor: Actor) -> bool:
    """Whether the actor approves for the unit, by duty or as somebody's deputy today."""
    if actor.buyer_unit_id is None:
        return False
    return actor.can(Permission.APPROVE_ORDERS) or bool(stands_for(session, actor.user_id, today()))


def waiting_orders(actor: Actor) -> Select[Order]:
    """The unit's orders that wait for an approval, newest first."""
    waiting = select(OrderPart.order_id).where(OrderPart.state == PartState.AWAITING_APPROVAL)
    of_unit = select(Order).where(Order.buyer_unit_id == actor.buyer_unit_id, Order.id.in_(waiting))
    return of_unit.order_by(Order.id.desc())


def overlapping(session: Session, approver_id: int, from_on: date, until_on: date) -> date | None:
    """The first day between two on which an approver already has a deputy."""
    within: ColumnElement[bool] = DeputyDay.on_day.between(from_on, until_on)
    return session.scalar(
        select(func.min(DeputyDay.on_day)).where(DeputyDay.approver_id == approver_id, within)
    )


def own_deputyships(session: Session, actor: Actor) -> list[Deputyship]:
    """The deputyships that touch the actor today or later: those he gave and those he holds."""
    query = deputyships_of(actor).where(
        or_(Deputyship.approver_id == actor.user_id, Deputyship.deputy_id == actor.user_id),
        Deputyship.until_on >= today(),
        Deputyship.ended_at.is_(None),
    )
    return list(session.scalars(query).unique())
