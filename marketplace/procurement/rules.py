"""A canteen's duties: who ordered may not approve, and each step of the unit's chain needs another person.

Receiving and acceptance are the order's own moves.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import Order
from marketplace.ordering.rules import MAX_NOTE, move_part, required_reason
from marketplace.ordering.states import PartEvent, transition_of
from marketplace.procurement.approvals.models import ApprovalDecision
from marketplace.procurement.approvals.queries import desk_of, may_look
from marketplace.procurement.approvals.standing import Stand, Standing
from marketplace.procurement.budgets.queries import lacks_budget_line
from marketplace.procurement.requests.reopening import reopen_after_order


def approve_order(session: Session, actor: Actor, order: Order, *, note: str = "") -> Order:
    """Take the step of a unit's order that waits; with the last one it goes to the cooperatives.

    The actor decides in the own name or, as a deputy of the day, in that of an approver. Raises Forbidden for the
    orderer, for who has decided on the order before, is not named or has too low a limit; Conflict when it is not
    waiting; Refused when its unit keeps budgets and it names no line.
    """
    standing, stand = _stand(session, actor, order, PartEvent.APPROVE)
    if lacks_budget_line(session, order):
        raise Refused("no_budget_line", N_("这张采购单还没有指定预算科目，请先指定再审批"), field="budget")
    text = note.strip()
    if len(text) > MAX_NOTE:
        raise Refused("note_long", N_("意见最多 %(most)s 个字"), field="note", most=MAX_NOTE)
    _keep_decision(session, actor, order, standing, stand, text, approved=True)
    if standing.is_last:
        for part in order.parts:
            move_part(
                session,
                actor,
                part,
                PartEvent.APPROVE,
                note=text,
                system=not actor.can(Permission.APPROVE_ORDERS),
            )
        order.approved_by, order.approved_at = actor.user_id, now()
    session.flush()
    return order


def reject_order(session: Session, actor: Actor, order: Order, *, reason: str) -> Order:
    """Turn a unit's order down at the step that waits; its goods are free again, and the request that it was awarded
    from waits for another award. Raises Refused without a reason, and as `approve_order`, but for the limit."""
    standing, stand = _stand(session, actor, order, PartEvent.REJECT)
    note = required_reason(reason, N_("请写明不通过的原因"))
    _keep_decision(session, actor, order, standing, stand, note, approved=False)
    for part in order.parts:
        move_part(
            session, actor, part, PartEvent.REJECT, note=note, system=not actor.can(Permission.APPROVE_ORDERS)
        )
    order.rejection_reason = note
    session.flush()
    reopen_after_order(session, actor, order, reason=note)
    return order


def _stand(session: Session, actor: Actor, order: Order, event: PartEvent) -> tuple[Standing, Stand]:
    """Where the approval stands and in whose name the actor decides; the order is held against a second decision."""
    if not may_look(session, actor):
        raise Forbidden
    if order.buyer_unit_id is None or order.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    session.execute(select(Order.id).where(Order.id == order.id).with_for_update(of=Order))
    for part in order.parts:
        session.refresh(part, ["state"])
        transition_of(event, part.state)
    desk = desk_of(session, actor, [order])
    found = desk.stand(order.id, for_amount=event is PartEvent.APPROVE)
    if not isinstance(found, Stand):
        raise Forbidden(found.value, found.label)
    return desk.standings[order.id], found


def _keep_decision(
    session: Session,
    actor: Actor,
    order: Order,
    standing: Standing,
    stand: Stand,
    note: str,
    *,
    approved: bool,
) -> None:
    """The row of a decision. Raises Conflict when the step was taken at the same moment."""
    position = len(standing.decisions) + 1
    decision = ApprovalDecision(
        order_id=order.id,
        unit_id=order.buyer_unit_id,
        ordered_by=order.buyer_user_id,
        chain_id=standing.chain_id,
        position=position,
        follows_position=position - 1 or None,
        approved=approved,
        decided_by=actor.user_id,
        authority_id=stand.authority.user_id,
        deputy_on=stand.deputy_on,
        note=note,
    )
    try:
        with session.begin_nested():
            session.add(decision)
    except IntegrityError as error:
        raise Conflict("moved_meanwhile", N_("订单刚刚已被其他人处理，请刷新后再看")) from error
    record_trail(
        session,
        actor,
        "procurement.decide_step",
        subject=("order", order.public_no),
        step=position,
        approved=approved,
        as_deputy=stand.deputy_on is not None or None,
    )
