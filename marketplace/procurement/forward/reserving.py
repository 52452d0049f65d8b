"""The goods set aside for orders before the harvest: the grams of the lot that was named, up to what is still to come.

Nobody else can buy them; the lot's mass balance counts them like what was sold. A lot that holds less gives what it
has, and more as it is weighed in. What an order that ended held is free again.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import index_anew
from marketplace.catalog.lots.queries import FREE_G, in_date
from marketplace.catalog.models import ProductLot
from marketplace.core.clock import today
from marketplace.linkage.models import Lot
from marketplace.ordering.models import OrderPart
from marketplace.ordering.stock import promise_grams
from marketplace.procurement.forward.models import ForwardDelivery, ForwardOrder, ForwardState
from marketplace.procurement.forward.queries import GONE, units_taken

HOLDING = (ForwardState.CONFIRMED, ForwardState.ACTIVE)


def set_aside(session: Session, forward: ForwardOrder) -> None:
    """Hold for an order what it still has to get, as far as its lot has it free. The order is held."""
    left = forward.units - units_taken(session, forward) if forward.state in HOLDING else 0
    _hold_grams(session, forward, left * forward.net_mass_g)


def let_go(session: Session, forward: ForwardOrder) -> None:
    """Give what is held for an order back to everybody, because it ends, changes its lot or takes a delivery."""
    _hold_grams(session, forward, 0)


def _hold_grams(session: Session, forward: ForwardOrder, wanted_g: int) -> None:
    if forward.lot_id is None or wanted_g == forward.reserved_g:
        return
    held_g = promise_grams(
        session,
        product_id=forward.listing.product_id,
        lot_id=forward.lot_id,
        wanted_g=wanted_g,
        held_g=forward.reserved_g,
    )
    if held_g == forward.reserved_g:
        return
    forward.reserved_g = held_g
    session.flush()
    session.expire(forward, ["lot"])
    if forward.lot is not None:
        session.refresh(forward.lot, ["received_g", "committed_g", "promised_g"])
    index_anew(session, [forward.listing_id])


def set_aside_waiting(session: Session) -> int:
    """Hold more for the oldest order that lacks goods whose lot has some free again; returns how many there were, none
    or one: lots of several orders are not locked together. A sweep, safe to repeat: lots are weighed in, and orders
    cancelled, in rooms that know no order before the harvest."""
    taken = (
        select(func.coalesce(func.sum(ForwardDelivery.units), 0))
        .join(OrderPart, OrderPart.order_id == ForwardDelivery.order_id)
        .where(ForwardDelivery.forward_id == ForwardOrder.id, OrderPart.state.not_in(GONE))
        .scalar_subquery()
    )
    waiting = (
        select(ForwardOrder)
        .join(Lot, Lot.id == ForwardOrder.lot_id)
        .join(ProductLot, ProductLot.lot_id == Lot.id)
        .where(
            ForwardOrder.state.in_(HOLDING),
            in_date(today()),
            ForwardOrder.reserved_g < (ForwardOrder.units - taken) * ForwardOrder.net_mass_g,
            FREE_G > 0,
        )
        .order_by(ForwardOrder.id)
        .limit(1)
        .with_for_update(of=ForwardOrder, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    found = session.scalars(waiting).unique().all()
    for forward in found:
        set_aside(session, forward)
    return len(found)
