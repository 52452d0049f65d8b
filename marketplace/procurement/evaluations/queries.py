"""Reading evaluations: what may be evaluated, what was said of a part, and how a cooperative is spoken of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload, lazyload

from marketplace.catalog.models import Listing, ListingVersion
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.core.money import half_up
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.ordering.queries import deliveries_of, parts_visible_to
from marketplace.ordering.states import PartState
from marketplace.procurement.evaluations.models import Evaluation
from marketplace.web.tasks import Task

NEWEST = 10


def awaiting_evaluation(actor: Actor) -> Select[OrderPart]:
    """Parts that the actor may evaluate now, those that wait longest first."""
    return (
        deliveries_of(actor)
        .where(
            OrderPart.state == PartState.ACCEPTED,
            OrderPart.paid_at.is_not(None),
            OrderPart.evaluated_at.is_(None),
        )
        .order_by(None)
        .order_by(OrderPart.paid_at, OrderPart.id)
        .options(joinedload(OrderPart.order).lazyload(Order.parts))
    )


def evaluations_visible_to(actor: Actor) -> Select[Evaluation]:
    """Evaluations of the parts the actor sees, newest first."""
    parts = parts_visible_to(actor).order_by(None).with_only_columns(OrderPart.id)
    return (
        select(Evaluation)
        .where(Evaluation.part_id.in_(parts))
        .order_by(Evaluation.evaluated_at.desc(), Evaluation.part_id.desc())
        .options(
            joinedload(Evaluation.part).options(
                lazyload(OrderPart.lines), joinedload(OrderPart.order).lazyload(Order.parts)
            ),
            joinedload(Evaluation.evaluator),
            joinedload(Evaluation.reply),
        )
    )


def evaluation_by_part(session: Session, actor: Actor, part_no: str) -> Evaluation:
    """What was said of a part the actor sees. Raises NotFound."""
    query = evaluations_visible_to(actor).join(OrderPart, OrderPart.id == Evaluation.part_id)
    found = session.scalar(query.where(OrderPart.public_no == part_no))
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True)
class Said:
    """What buyers said of a listing's goods, without who they are: how many, the mean goods score in hundredths, and
    the newest ones."""

    count: int
    mean_hundredths: int
    newest: list[Evaluation]


def said_of_listing(session: Session, listing: Listing) -> Said:
    """The evaluations of deliveries that held units of a listing; the ten newest in full."""
    parts = (
        select(OrderLine.part_id)
        .join(ListingVersion, ListingVersion.id == OrderLine.listing_version_id)
        .where(ListingVersion.listing_id == listing.id)
    )
    of_listing = select(Evaluation).where(
        Evaluation.cooperative_id == listing.cooperative_id, Evaluation.part_id.in_(parts)
    )
    count, total = session.execute(
        of_listing.with_only_columns(func.count(), func.coalesce(func.sum(Evaluation.goods_score), 0))
    ).one()
    newest = session.scalars(
        of_listing.order_by(Evaluation.evaluated_at.desc(), Evaluation.part_id.desc())
        .limit(NEWEST)
        .options(
            joinedload(Evaluation.reply),
            joinedload(Evaluation.part).options(
                lazyload(OrderPart.lines), joinedload(OrderPart.order).lazyload(Order.parts)
            ),
        )
    )
    mean = half_up(int(total) * 100, count) if count else 0
    return Said(count, mean, list(newest.unique()))


def listing_section(session: Session, listing: Listing) -> tuple[str, dict[str, Any]]:
    """What a product's page shows of its evaluations: the template of the part, and its context."""
    return "procurement/evaluations/_listing.html", {"said": said_of_listing(session, listing)}


def evaluations_of(session: Session, part_ids: Collection[int]) -> dict[int, Evaluation]:
    """What was said of each of these parts, by part id."""
    query = (
        select(Evaluation).where(Evaluation.part_id.in_(part_ids)).options(joinedload(Evaluation.evaluator))
    )
    return {one.part_id: one for one in session.scalars(query)}


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Paid deliveries without an evaluation, for who received them."""
    if not (actor.can(Permission.RECEIVE_FOR_UNIT) or actor.can(Permission.BUY_PERSONALLY)):
        return []
    waiting = awaiting_evaluation(actor).order_by(None).with_only_columns(OrderPart.id)
    count = session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
    return (
        [Task(NN_("%(count)s 笔订单待评价，评价后才计入完成"), count, "evaluations.index")] if count else []
    )
