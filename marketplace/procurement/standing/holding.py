"""What every step of a standing order shares: whose it is, its lock, its moves, deliveries called off, its history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.standing.capacity import book_units, difference, units_of
from marketplace.procurement.standing.models import (
    ChangeEvent,
    DeliveryWindow,
    StandingChange,
    StandingOrder,
    StandingState,
    Substitution,
    SubstitutionState,
    WindowState,
)
from marketplace.procurement.standing.queries import RUNNING, lines_of

NO_REASON = N_("请写明原因")


def require_orderer(actor: Actor, standing: StandingOrder) -> None:
    """Raise NotFound unless the standing order is of the actor's unit, Forbidden unless the actor orders for it."""
    if standing.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    actor.require(Permission.ORDER_FOR_UNIT)


def require_supplier(actor: Actor, standing: StandingOrder) -> None:
    """Raise NotFound unless the standing order is one with the actor's cooperative."""
    if standing.cooperative_id != actor.cooperative_id or standing.approved_by is None:
        raise NotFound
    actor.require(Permission.FULFIL_ORDERS)


def lock(session: Session, standing: StandingOrder) -> None:
    """Let nobody else, and not the job, touch the standing order and its windows until the end of the transaction."""
    session.refresh(standing, with_for_update={"of": StandingOrder})


def move_standing(
    session: Session, standing: StandingOrder, source: StandingState, target: StandingState, **values: Any
) -> None:
    """Move a standing order. Raises Conflict when it is not where it was thought to be."""
    session.flush()
    statement = (
        update(StandingOrder)
        .where(StandingOrder.id == standing.id, StandingOrder.state == source)
        .values(state=target, **values)
        .execution_options(synchronize_session=False)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise Conflict("moved_meanwhile", N_("长期订单刚刚已被处理，请刷新后再看"))
    session.refresh(standing)


def call_off(
    session: Session, actor: Actor, standing: StandingOrder, windows: Sequence[DeliveryWindow], note: str
) -> None:
    """Skip windows: promised units go back, what was proposed is dropped. The standing order is locked."""
    lines = lines_of(session, windows)
    if standing.state in RUNNING:
        book_units(session, difference({}, units_of(windows, lines)))
    for window in windows:
        window.state, window.hold_reason = WindowState.SKIPPED, None
        keep_change(session, actor, standing, ChangeEvent.SKIP, note, window=window)
    drop_proposals(session, windows)
    session.flush()


def drop_proposals(
    session: Session, windows: Sequence[DeliveryWindow], *, keeping: Collection[int] = ()
) -> None:
    """Answer the proposals for what will not be delivered by that; those for the listings kept (by id) stay."""
    session.execute(
        update(Substitution)
        .where(
            Substitution.window_id.in_([window.id for window in windows]),
            Substitution.state == SubstitutionState.PROPOSED,
            Substitution.listing_id.not_in(keeping),
        )
        .values(state=SubstitutionState.DROPPED)
    )


def note_change(
    session: Session,
    actor: Actor,
    standing: StandingOrder,
    event: ChangeEvent,
    reason: str = "",
    *,
    window: DeliveryWindow | None = None,
    detail: dict[str, Any] | None = None,
) -> StandingChange:
    """Write who did what and why, into the history of the standing order and the trail."""
    change = keep_change(session, actor, standing, event, reason, window=window, detail=detail)
    record_trail(
        session,
        actor,
        f"standing.{event.value}",
        subject=("standing_order", standing.public_no),
        cooperative_id=standing.cooperative_id,
        buyer_unit_id=standing.buyer_unit_id,
        day=window.planned_on.isoformat() if window else None,
        reason=reason or None,
    )
    session.flush()
    return change


def keep_change(
    session: Session,
    actor: Actor,
    standing: StandingOrder,
    event: ChangeEvent,
    reason: str = "",
    *,
    window: DeliveryWindow | None = None,
    detail: dict[str, Any] | None = None,
) -> StandingChange:
    """The row of the history alone, for changes that come in numbers."""
    change = StandingChange(
        standing_order_id=standing.id,
        window_id=window.id if window else None,
        event=event,
        actor_user_id=actor.user_id,
        actor_name=actor.name,
        reason=reason,
        detail=detail or {},
    )
    session.add(change)
    return change
