"""A standing order as a whole: opened by the unit, approved by another of its people, confirmed by the cooperative;
paused, resumed and ended. What is done to a single delivery is `windows.py`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.rules import required_reason
from marketplace.procurement.approvals.queries import standing_ahead
from marketplace.procurement.approvals.standing import Bar
from marketplace.procurement.standing.capacity import book_units, units_of
from marketplace.procurement.standing.holding import (
    NO_REASON,
    call_off,
    keep_change,
    lock,
    move_standing,
    note_change,
    require_orderer,
    require_supplier,
)
from marketplace.procurement.standing.models import (
    ChangeEvent,
    DeliveryWindow,
    StandingOrder,
    StandingState,
    WindowState,
)
from marketplace.procurement.standing.plans import Plan, planned_lines, planned_windows
from marketplace.procurement.standing.queries import RUNNING, lines_of, windows_of
from marketplace.registry.models import BuyerUnit, Cooperative

MAX_CAPACITY = 1_000_000  # units a day


def open_standing_order(
    session: Session, actor: Actor, *, cooperative: Cooperative, plan: Plan, idempotency_key: str
) -> StandingOrder:
    """Ask for regular deliveries of a cooperative; waits for the unit's approver.

    The same key of the same person gives the first one. Raises Refused for a plan that cannot be, Conflict for a
    listing that is not for sale; then nothing is kept.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    known = select(StandingOrder).where(
        StandingOrder.ordered_by == actor.user_id, StandingOrder.idempotency_key == idempotency_key
    )
    first = session.scalar(known)
    if first is not None:
        return first
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise Forbidden
    windows = planned_windows(session, unit, plan)
    standing = StandingOrder(
        buyer_unit=unit,
        cooperative=cooperative,
        name=plan.name.strip(),
        ordered_by=actor.user_id,
        idempotency_key=idempotency_key,
        weekdays=plan.schedule.mask,
        every_weeks=plan.schedule.every_weeks,
        starts_on=plan.schedule.starts_on,
        ends_on=plan.schedule.ends_on,
        skips_public_holidays=plan.skips_public_holidays,
        slot_from_min=plan.slot.from_min,
        slot_to_min=plan.slot.to_min,
        cutoff_days=plan.cutoff_days,
        cutoff_min=plan.cutoff_min,
        recipient_name=plan.delivery.recipient_name.strip(),
        recipient_phone=plan.delivery.recipient_phone.strip(),
        address=plan.delivery.address.strip(),
        note=plan.delivery.note.strip(),
        lines=planned_lines(session, cooperative, plan.lines),
    )
    session.add(standing)
    session.flush()
    rows = [{"standing_order_id": standing.id, "state": WindowState.PLANNED, **one} for one in windows]
    session.execute(insert(DeliveryWindow), rows)
    note_change(session, actor, standing, ChangeEvent.OPEN, detail={"windows": len(rows)})
    return standing


def approve_standing(
    session: Session, actor: Actor, standing: StandingOrder, *, up_to_fen: int, up_to_windows: int
) -> StandingOrder:
    """Approve a standing order once: up to so many deliveries of together so many fen are ordered without asking again.

    Who may take the last step of an order of that sum may approve it. Raises Forbidden for whoever opened it, is not
    named for that step or has too low a limit; Refused for a limit that is none, Conflict when it does not wait.
    """
    _require_approver(actor, standing)
    if up_to_fen < 1:
        raise Refused("limit_fen", N_("批准金额须大于零"), field="up_to")
    if up_to_windows < 1:
        raise Refused("limit_windows", N_("批准次数须大于零"), field="up_to_windows")
    _require_reach(session, actor, up_to_fen)
    approved = {
        "approved_by": actor.user_id,
        "approved_at": now(),
        "approved_fen": up_to_fen,
        "approved_windows": up_to_windows,
    }
    move_standing(
        session, standing, StandingState.AWAITING_APPROVAL, StandingState.AWAITING_CONFIRMATION, **approved
    )
    detail = {"limit_fen": up_to_fen, "windows": up_to_windows}
    note_change(session, actor, standing, ChangeEvent.APPROVE, detail=detail)
    return standing


def reject_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """Turn a standing order down. Raises Refused without a reason."""
    _require_approver(actor, standing)
    note = required_reason(reason, N_("请写明不通过的原因"))
    move_standing(session, standing, StandingState.AWAITING_APPROVAL, StandingState.REJECTED)
    note_change(session, actor, standing, ChangeEvent.REJECT, note)
    return standing


def _require_approver(actor: Actor, standing: StandingOrder) -> None:
    actor.require(Permission.APPROVE_ORDERS)
    if standing.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    if standing.ordered_by == actor.user_id:
        raise Forbidden("own_standing_order", N_("填写人不能审批自己的长期订单，请由另一位审批人办理"))


def _require_reach(session: Session, actor: Actor, amount_fen: int) -> None:
    """Raise Forbidden unless the actor may take the last step of the unit's chain for that sum."""
    steps = standing_ahead(session, actor, amount_fen).steps
    own = next((one for one in steps[-1].approvers if one.user_id == actor.user_id), None) if steps else None
    if own is None or not own.covers(amount_fen):
        bar = Bar.NOT_NAMED if own is None else Bar.OVER_LIMIT
        raise Forbidden(bar.value, bar.label)


def confirm_standing(
    session: Session, actor: Actor, standing: StandingOrder, *, capacity: Mapping[int, int]
) -> StandingOrder:
    """The cooperative promises every window of a standing order.

    `capacity` is, by listing id, how many units a day it can deliver by standing orders. Raises Conflict when a day is
    overbooked or the order does not wait; then nothing is promised.
    """
    require_supplier(actor, standing)
    lock(session, standing)
    for line in standing.lines:
        if not line.quantity <= capacity.get(line.listing_id, 0) <= MAX_CAPACITY:
            raise Refused(
                "capacity",
                N_("“%(title)s”每天的供货能力须不少于每次 %(units)s 件"),
                field="capacity",
                title=line.listing.product.name,
                units=line.quantity,
            )
    move_standing(session, standing, StandingState.AWAITING_CONFIRMATION, StandingState.ACTIVE)
    windows = list(session.scalars(windows_of(standing).where(DeliveryWindow.state == WindowState.PLANNED)))
    missed = [one for one in windows if one.cutoff_at <= now()]
    for one in missed:
        one.state = WindowState.LAPSED
        keep_change(session, actor, standing, ChangeEvent.LAPSE, window=one)
    coming = [one for one in windows if one.cutoff_at > now()]
    own = {line.listing_id: capacity[line.listing_id] for line in standing.lines}
    book_units(session, units_of(coming, lines_of(session, coming)), capacity=own)
    detail = {"windows": len(coming)}
    note_change(session, actor, standing, ChangeEvent.CONFIRM, detail=detail)
    return standing


def decline_standing(
    session: Session, actor: Actor, standing: StandingOrder, *, reason: str
) -> StandingOrder:
    """The cooperative does not take a standing order on. Raises Refused without a reason."""
    require_supplier(actor, standing)
    note = required_reason(reason, N_("请写明无法供货的原因"))
    move_standing(session, standing, StandingState.AWAITING_CONFIRMATION, StandingState.DECLINED)
    note_change(session, actor, standing, ChangeEvent.DECLINE, note)
    return standing


def pause_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """Stop the deliveries whose cut-off is to come, until it is resumed; each is skipped as its cut-off passes."""
    require_orderer(actor, standing)
    note = required_reason(reason, NO_REASON)
    move_standing(session, standing, StandingState.ACTIVE, StandingState.PAUSED, paused_at=now())
    note_change(session, actor, standing, ChangeEvent.PAUSE, note)
    return standing


def resume_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """Go on with the deliveries whose cut-off is still to come; those of the pause are skipped."""
    require_orderer(actor, standing)
    note = required_reason(reason, NO_REASON)
    lock(session, standing)
    paused_at = standing.paused_at
    move_standing(session, standing, StandingState.PAUSED, StandingState.ACTIVE, paused_at=None)
    in_pause = windows_of(standing).where(
        DeliveryWindow.state == WindowState.PLANNED,
        DeliveryWindow.cutoff_at >= paused_at,
        DeliveryWindow.cutoff_at <= now(),
    )
    call_off(session, actor, standing, list(session.scalars(in_pause)), note)
    note_change(session, actor, standing, ChangeEvent.RESUME, note)
    return standing


def end_standing(session: Session, actor: Actor, standing: StandingOrder, *, reason: str) -> StandingOrder:
    """End a standing order for good: what has not passed its cut-off, or is held, is called off.

    Raises Refused without a reason, Conflict when it is over already.
    """
    require_orderer(actor, standing)
    note = required_reason(reason, NO_REASON)
    lock(session, standing)
    if standing.state not in (
        StandingState.AWAITING_APPROVAL,
        StandingState.AWAITING_CONFIRMATION,
        *RUNNING,
    ):
        raise Conflict("standing_over", N_("这张长期订单已经结束"))
    coming = DeliveryWindow.state == WindowState.PLANNED
    if standing.state in RUNNING:  # what has passed its cut-off is on its way
        coming = (coming & (DeliveryWindow.cutoff_at > now())) | (DeliveryWindow.state == WindowState.HELD)
    call_off(session, actor, standing, list(session.scalars(windows_of(standing).where(coming))), note)
    move_standing(session, standing, standing.state, StandingState.ENDED, paused_at=None)
    note_change(session, actor, standing, ChangeEvent.END, note)
    return standing
