"""What a cooperative has to confirm, pick and ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.identity.actors import Actor
from marketplace.linkage.models import Lot
from marketplace.ordering.models import LineLot, Order, OrderLine, OrderPart
from marketplace.ordering.queries import parts_visible_to
from marketplace.ordering.states import PartState

MOST_PARTS = 200


def parts_to_pack(actor: Actor, state: PartState = PartState.CONFIRMED) -> Select[tuple[OrderPart]]:
    """The parts of the actor's cooperative in a state, those to be delivered first before the others, then the
    oldest."""
    return (
        parts_visible_to(actor)
        .join(Order, Order.id == OrderPart.order_id)
        .where(OrderPart.state == state)
        .order_by(None)
        .order_by(Order.deliver_on.is_(None), Order.deliver_on, OrderPart.id)
    )


def chosen_parts(session: Session, actor: Actor, numbers: Sequence[str]) -> list[OrderPart]:
    """The parts under these numbers that wait to be shipped, all that wait when none is named; at most 200."""
    query = parts_to_pack(actor)
    if numbers:
        query = query.where(OrderPart.public_no.in_(numbers[:MOST_PARTS]))
    return list(session.scalars(query.limit(MOST_PARTS)).unique())


@dataclass(frozen=True)
class Pick:
    """Goods to fetch from one lot: grams, and the units of each title they are packed in."""

    lot: Lot
    title: str
    mass_g: int
    orders: int


@dataclass
class PickList:
    """What to fetch, lot by lot, and the units of each title in all."""

    picks: list[Pick] = field(default_factory=list)
    units: list[tuple[str, str, int]] = field(default_factory=list)  # title, name of the unit, units


def pick_list(session: Session, parts: Sequence[OrderPart]) -> PickList:
    """What these parts take from which lot, oldest harvest first; in two statements."""
    ids = [part.id for part in parts]
    picks = (
        select(Lot, OrderLine.title, func.sum(LineLot.mass_g), func.count(OrderLine.part_id.distinct()))
        .join(LineLot, LineLot.lot_id == Lot.id)
        .join(OrderLine, OrderLine.id == LineLot.line_id)
        .where(OrderLine.part_id.in_(ids))
        .group_by(Lot, OrderLine.title)
        .order_by(OrderLine.title, Lot.harvested_on, Lot.id)
    )
    units = (
        select(OrderLine.title, OrderLine.unit_name, func.sum(OrderLine.quantity))
        .where(OrderLine.part_id.in_(ids))
        .group_by(OrderLine.title, OrderLine.unit_name)
        .order_by(OrderLine.title, OrderLine.unit_name)
    )
    return PickList(
        [Pick(lot, title, int(mass_g), orders) for lot, title, mass_g, orders in session.execute(picks)],
        [(title, unit, int(count)) for title, unit, count in session.execute(units)],
    )
