"""What every step of an order before the harvest shares: which states allow it, its lock, its history."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.forward.models import ForwardChange, ForwardEvent, ForwardOrder, ForwardState

S, E = ForwardState, ForwardEvent
STATES_OF = {
    E.APPROVE: (S.AWAITING,),
    E.REJECT: (S.AWAITING,),
    E.CONFIRM: (S.PROPOSED,),
    E.DECLINE: (S.PROPOSED,),
    E.WITHDRAW: (S.AWAITING, S.PROPOSED, S.CONFIRMED),
    E.PAY_DEPOSIT: (S.CONFIRMED,),
    E.NAME_LOT: (S.CONFIRMED, S.ACTIVE),
    E.DELIVER: (S.ACTIVE,),
    E.END: (S.CONFIRMED, S.ACTIVE),
}


def hold_forward(
    session: Session, actor: Actor, forward: ForwardOrder, event: ForwardEvent, permission: Permission
) -> None:
    """Read an order anew, held against a second mover. Raises NotFound for a stranger, Forbidden without the duty,
    Conflict when its state does not allow the event."""
    of_unit = forward.buyer_unit_id == actor.buyer_unit_id
    if not of_unit and (actor.cooperative_id != forward.cooperative_id or forward.approved_by is None):
        raise NotFound
    actor.require(permission)
    moved = ["state", "delivered_units", "lot_id", "reserved_g"]
    session.refresh(forward, moved, with_for_update={"of": ForwardOrder})
    require_state(forward, event)


def require_state(forward: ForwardOrder, event: ForwardEvent) -> None:
    """Raise Conflict when the state of an order does not allow the event."""
    if forward.state not in STATES_OF[event]:
        raise Conflict(
            "forward_state",
            N_("预订现在是“%(state)s”，不能进行“%(event)s”"),
            state=forward.state,
            event=event,
        )


def note_forward(
    session: Session, actor: Actor, forward: ForwardOrder, event: ForwardEvent, note: str = ""
) -> None:
    """Keep a step of an order in its history and in the trail."""
    session.add(
        ForwardChange(
            forward_id=forward.id,
            event=event,
            state=forward.state,
            actor_user_id=actor.user_id,
            actor_name=actor.name,
            note=note,
        )
    )
    record_trail(
        session,
        actor,
        f"procurement.{event.value}_ahead",
        subject=("forward_order", forward.public_no),
        cooperative_id=forward.cooperative_id,
        buyer_unit_id=forward.buyer_unit_id,
    )
    session.flush()
    session.expire(forward, ["changes"])
