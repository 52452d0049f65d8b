"""Reading deliveries: what is to be inspected by when, rejections and disputes, as far as an actor may see them.

Decided: a unit has three working days to inspect, a person five, unless the unit's policy says otherwise; the last day
is frozen in the receipt. What nobody has inspected by then is deemed accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload

from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import LineLot, Order, OrderKind, OrderLine, OrderPart
from marketplace.ordering.queries import deliveries_of, parts_visible_to
from marketplace.ordering.rules import mediates
from marketplace.ordering.states import PartState
from marketplace.procurement.receiving.goods import lots_after_replacement
from marketplace.procurement.receiving.models import (
    DisputeStatement,
    Inspection,
    InspectionLine,
    Outcome,
    PartFile,
    Receipt,
    ReceivingPolicy,
    RejectionOutcome,
    Replacement,
    ReplacementLine,
    ReplacementLot,
    Side,
)
from marketplace.registry.models import Cooperative
from marketplace.web.tasks import Task

UNIT_DAYS, PERSON_DAYS = 3, 5
REMINDER_DAYS = 1  # the desk reminds from the day before the last one
WAITING = (PartState.PART_REJECTED, PartState.DISPUTED)
TAKES_GOODS_OFF = (Outcome.AGREED, Outcome.RETURNED, Outcome.SPLIT)


@dataclass(frozen=True)
class Asked:
    """What a buyer asks of its deliveries."""

    inspection_days: int = PERSON_DAYS
    needs_certificates: bool = False


def asked_by(session: Session, buyer_unit_id: int | None) -> Asked:
    """What a unit, or a person (None), asks of its deliveries now."""
    if buyer_unit_id is None:
        return Asked()
    policy = session.get(ReceivingPolicy, buyer_unit_id)
    if policy is None:
        return Asked(UNIT_DAYS)
    return Asked(policy.inspection_days, policy.needs_certificates)


@dataclass(frozen=True)
class Delivered:
    """Units of a line that a round brought; `replaced` when they came in place of rejected ones."""

    line: OrderLine
    units: int
    replaced: bool = False


def replacement_of(session: Session, part: OrderPart) -> Replacement | None:
    """The goods sent again for a part, None when none were."""
    return session.scalar(select(Replacement).where(Replacement.part_id == part.id))


def delivered_lines(session: Session, part: OrderPart) -> tuple[int, list[Delivered]]:
    """The round a part is in, and what its delivery brings: everything, or in the second round what was replaced."""
    replacement = replacement_of(session, part)
    if replacement is None:
        return 1, [Delivered(line, line.quantity) for line in part.lines]
    units = {line.line_id: line.units for line in replacement.lines}
    return 2, [Delivered(line, units[line.id], replaced=True) for line in part.lines if line.id in units]


def lots_delivered(session: Session, part: OrderPart) -> dict[int, Sequence[LineLot | ReplacementLot]]:
    """The lots that the delivery under way, or the last one, brings: by line id."""
    replacement = replacement_of(session, part)
    if replacement is None:
        return {line.id: line.lots for line in part.lines}
    return {line.line_id: line.lots for line in replacement.lines}


def receipt_of(session: Session, part: OrderPart, round_no: int) -> Receipt | None:
    """The receipt of a round."""
    return session.scalar(select(Receipt).where(Receipt.part_id == part.id, Receipt.round == round_no))


def receipts_of(session: Session, part_ids: Collection[int]) -> dict[int, Receipt]:
    """The last receipt of each of these parts."""
    query = select(Receipt).where(Receipt.part_id.in_(part_ids)).order_by(Receipt.round)
    return {receipt.part_id: receipt for receipt in session.scalars(query)}


def inspections_of(session: Session, part_ids: Collection[int]) -> Sequence[Inspection]:
    """The inspections of these parts, the first one first."""
    query = select(Inspection).where(Inspection.part_id.in_(part_ids)).order_by(Inspection.id)
    return session.scalars(query).all()


def open_rejection(session: Session, part: OrderPart) -> Inspection:
    """The rejection of a part that waits for an end. Raises NotFound."""
    found = session.scalar(
        select(Inspection)
        .outerjoin(RejectionOutcome, RejectionOutcome.inspection_id == Inspection.id)
        .where(
            Inspection.part_id == part.id,
            Inspection.has_rejections,
            RejectionOutcome.inspection_id.is_(None),
        )
    )
    if found is None:
        raise NotFound
    return found


def is_everything(session: Session, inspection: Inspection) -> bool:
    """Whether an inspection leaves nothing accepted of its part, with what was taken off before."""
    off = lines_off().subquery()
    before = select(func.coalesce(func.sum(off.c.units), 0)).where(
        off.c.part_id == inspection.part_id, off.c.inspection_id != inspection.id
    )
    rejected = sum(line.rejected_units for line in inspection.lines) + int(session.scalar(before) or 0)
    bought = select(func.sum(OrderLine.quantity)).where(OrderLine.part_id == inspection.part_id)
    return rejected == session.scalar(bought)


def side_of(actor: Actor, part: OrderPart) -> Side | None:
    """On which side of a rejection the actor stands; None for those who only look on. Who bought the goods does not
    mediate about them."""
    order = part.order
    if actor.cooperative_id == part.cooperative_id and actor.can(Permission.FULFIL_ORDERS):
        return Side.COOPERATIVE
    if order.kind is OrderKind.PERSONAL and order.buyer_user_id == actor.user_id:
        return Side.BUYER if actor.can(Permission.BUY_PERSONALLY) else None
    if order.buyer_unit_id is not None and order.buyer_unit_id == actor.buyer_unit_id:
        return Side.BUYER if actor.can(Permission.RECEIVE_FOR_UNIT) else None
    return Side.MEDIATOR if mediates(actor, part) else None


def _disputed(actor: Actor) -> Select[int]:
    """Inspections whose rejection is or was contested in the county of a mediator."""
    return (
        select(DisputeStatement.inspection_id)
        .join(Inspection, Inspection.id == DisputeStatement.inspection_id)
        .join(OrderPart, OrderPart.id == Inspection.part_id)
        .join(Cooperative, Cooperative.id == OrderPart.cooperative_id)
        .where(Cooperative.county_code == actor.county_code)
    )


def rejections_visible_to(actor: Actor) -> Select[Inspection]:
    """Inspections with rejected units, newest first: of the parts the actor sees, and for a county's mediator those
    contested in the county."""
    parts = parts_visible_to(actor).order_by(None).with_only_columns(OrderPart.id)
    seen: ColumnElement[bool] = Inspection.part_id.in_(parts)
    if actor.can(Permission.MEDIATE_DISPUTES) and actor.county_code is not None:
        seen = or_(seen, Inspection.id.in_(_disputed(actor)))
    query = select(Inspection).where(Inspection.has_rejections, seen).order_by(Inspection.id.desc())
    return query.options(
        joinedload(Inspection.part).options(
            lazyload(OrderPart.lines), joinedload(OrderPart.order).lazyload(Order.parts)
        )
    )


def open_rejections(actor: Actor, *states: PartState) -> Select[Inspection]:
    """The visible rejections without an outcome whose part is in one of `states`, what waits longest first."""
    waiting = select(OrderPart.id).where(OrderPart.state.in_(states or WAITING))
    settled = select(RejectionOutcome.inspection_id)
    return (
        rejections_visible_to(actor)
        .where(Inspection.part_id.in_(waiting), Inspection.id.not_in(settled))
        .order_by(None)
        .order_by(Inspection.id)
    )


def rejection_by_no(session: Session, actor: Actor, number: str) -> Inspection:
    """A rejection the actor may see. Raises NotFound."""
    found = session.scalar(rejections_visible_to(actor).where(Inspection.public_no == number))
    if found is None:
        raise NotFound
    return found


def statements_of(session: Session, inspection: Inspection) -> Sequence[DisputeStatement]:
    """What was said about a rejection, the first word first."""
    query = (
        select(DisputeStatement)
        .where(DisputeStatement.inspection_id == inspection.id)
        .order_by(DisputeStatement.id)
        .options(joinedload(DisputeStatement.author))
    )
    return session.scalars(query).unique().all()


def files_of(session: Session, part_ids: Collection[int]) -> Sequence[PartFile]:
    """The photos and papers about these parts, the first one first."""
    return session.scalars(select(PartFile).where(PartFile.part_id.in_(part_ids)).order_by(PartFile.id)).all()


def part_file_by_no(session: Session, actor: Actor, number: str) -> StoredFile:
    """A photo or paper about a delivery the actor may see. Raises NotFound."""
    parts = parts_visible_to(actor).order_by(None).with_only_columns(OrderPart.id)
    contested = select(Inspection.part_id).where(Inspection.id.in_(_disputed(actor)))
    seen: ColumnElement[bool] = PartFile.part_id.in_(parts)
    if actor.can(Permission.MEDIATE_DISPUTES) and actor.county_code is not None:
        seen = or_(seen, PartFile.part_id.in_(contested))
    query = select(StoredFile).join(PartFile).where(StoredFile.public_no == number, seen)
    found = session.scalar(query)
    if found is None:
        raise NotFound
    return found


def to_inspect(actor: Actor, *, by: date | None = None) -> Select[OrderPart]:
    """Parts the actor has to inspect; those whose last day is not after `by`."""
    query = deliveries_of(actor).where(OrderPart.state == PartState.RECEIVED)
    if by is None:
        return query
    inspected = select(Inspection.id).where(
        Inspection.part_id == Receipt.part_id, Inspection.round == Receipt.round
    )
    due = select(Receipt.part_id).where(Receipt.inspect_by_on <= by, ~inspected.exists())
    return query.where(OrderPart.id.in_(due))


def overdue_receipts() -> Select[Receipt]:
    """Receipts whose part still waits for its inspection after the last day, oldest first, their parts locked."""
    inspected = and_(Inspection.part_id == Receipt.part_id, Inspection.round == Receipt.round)
    return (
        select(Receipt)
        .join(OrderPart, OrderPart.id == Receipt.part_id)
        .where(
            OrderPart.state == PartState.RECEIVED,
            Receipt.inspect_by_on < today(),
            ~select(Inspection.id).where(inspected).exists(),
        )
        .order_by(Receipt.id)
        .with_for_update(of=OrderPart, skip_locked=True)
    )


def lines_off() -> Select[Any]:
    """What is not paid for: (inspection_id, part_id, round, line_id, units, fen) of units that were rejected for good
    and not replaced."""
    units = InspectionLine.rejected_units - func.coalesce(ReplacementLine.units, 0)
    again = and_(
        ReplacementLine.replacement_id == Replacement.id, ReplacementLine.line_id == InspectionLine.line_id
    )
    return (
        select(
            Inspection.id.label("inspection_id"),
            Inspection.part_id,
            Inspection.round,
            InspectionLine.line_id,
            units.label("units"),
            (units * InspectionLine.unit_price_fen).label("fen"),
        )
        .join(InspectionLine, InspectionLine.inspection_id == Inspection.id)
        .join(RejectionOutcome, RejectionOutcome.inspection_id == Inspection.id)
        .outerjoin(Replacement, Replacement.inspection_id == Inspection.id)
        .outerjoin(ReplacementLine, again)
        .where(RejectionOutcome.outcome.in_(TAKES_GOODS_OFF), units > 0)
    )


def lines_off_of(session: Session, inspection: Inspection) -> dict[int, int]:
    """The units of one inspection that are not paid for, by line id."""
    off = lines_off().where(Inspection.id == inspection.id).subquery()
    return {line_id: int(units) for line_id, units in session.execute(select(off.c.line_id, off.c.units))}


def units_again(session: Session, inspection: Inspection) -> dict[int, int]:
    """The units that were sent again for what an inspection rejected, by line id."""
    query = (
        select(ReplacementLine.line_id, ReplacementLine.units)
        .join(Replacement, Replacement.id == ReplacementLine.replacement_id)
        .where(Replacement.inspection_id == inspection.id)
    )
    return dict(session.execute(query).all())


def units_off(session: Session, part_ids: Collection[int]) -> dict[int, int]:
    """Units that were rejected for good and are not paid for, by line id; lines that kept everything are left out."""
    off = lines_off().subquery()
    query = (
        select(off.c.line_id, func.sum(off.c.units))
        .where(off.c.part_id.in_(part_ids))
        .group_by(off.c.line_id)
    )
    return {line_id: int(units) for line_id, units in session.execute(query)}


def weights_of_lots(
    session: Session, line_ids: Collection[int] | Select[int]
) -> dict[int, list[tuple[int, int]]]:
    """By line the lots it holds as (lot id, weight), the older lot first: grams, or what `lots_after_replacement` makes
    of them."""
    drawn: dict[int, list[tuple[int, int]]] = {}
    query = select(LineLot.line_id, LineLot.lot_id, LineLot.mass_g).where(LineLot.line_id.in_(line_ids))
    for line_id, lot_id, mass_g in session.execute(query.order_by(LineLot.line_id, LineLot.lot_id)):
        drawn.setdefault(line_id, []).append((lot_id, mass_g))
    replaced: dict[int, dict[int, int]] = {}
    again = select(ReplacementLot.line_id, ReplacementLot.lot_id, ReplacementLot.mass_g)
    for line_id, lot_id, mass_g in session.execute(again.where(ReplacementLot.line_id.in_(line_ids))):
        replaced.setdefault(line_id, {})[lot_id] = mass_g
    off_g = grams_off_before(session, replaced)
    for line_id, lots in replaced.items():
        drawn[line_id] = lots_after_replacement(drawn[line_id], lots, off_g=off_g.get(line_id, 0))
    return drawn


def grams_off_before(session: Session, line_ids: Collection[int]) -> dict[int, int]:
    """Grams that the first round took off lines for good, by line id; of those that were replaced in part."""
    if not line_ids:
        return {}
    off = lines_off().where(Inspection.round == 1, InspectionLine.line_id.in_(line_ids)).subquery()
    query = select(off.c.line_id, off.c.units * OrderLine.net_mass_g).join(
        OrderLine, OrderLine.id == off.c.line_id
    )
    return dict(session.execute(query).all())


def _count(session: Session, query: Select[OrderPart] | Select[Inspection]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: deliveries whose time to inspect runs out, rejections to answer, disputes to mediate."""
    wanted: list[Task] = []
    if actor.can(Permission.BUY_PERSONALLY) or actor.can(Permission.RECEIVE_FOR_UNIT):
        soon = to_inspect(actor, by=today() + timedelta(days=REMINDER_DAYS))
        message = NN_("%(count)s 笔到货验收期将满，逾期视为验收合格")
        wanted.append(Task(message, _count(session, soon), "ordering.deliveries", {"state": "received"}))
    if actor.can(Permission.FULFIL_ORDERS) and actor.cooperative_id is not None:
        waiting = open_rejections(actor, PartState.PART_REJECTED)
        wanted.append(Task(NN_("%(count)s 笔拒收待答复"), _count(session, waiting), "rejections.index"))
    if actor.can(Permission.MEDIATE_DISPUTES):
        disputes = open_rejections(actor, PartState.DISPUTED)
        wanted.append(
            Task(NN_("%(count)s 笔验收争议待调解"), _count(session, disputes), "rejections.disputes")
        )
    return [task for task in wanted if task.count]
