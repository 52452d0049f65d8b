"""Reading standing orders, their windows and lines, as far as an actor may see them, and what is promised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, contains_eager

from marketplace.catalog.models import Listing, ListingState, Product
from marketplace.catalog.queries import sale_stop, unit_price_fen
from marketplace.core.clock import now, today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.queries import works_for_unit
from marketplace.procurement.standing.models import (
    ChangedLine,
    DayCapacity,
    DeliveryWindow,
    PriceRule,
    StandingChange,
    StandingLine,
    StandingOrder,
    StandingState,
    Substitution,
    SubstitutionState,
    UnitSpan,
    WindowState,
)
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.web.tasks import Task

RUNNING = (StandingState.ACTIVE, StandingState.PAUSED)
OPEN = (WindowState.PLANNED, WindowState.HELD, WindowState.ORDERED)


@dataclass(frozen=True)
class PlannedLine:
    """Units of a listing that a window is to bring, and the rule of their price."""

    listing: Listing
    quantity: int
    price_rule: PriceRule
    price_fen: int

    @property
    def todays_fen(self) -> int | None:
        """What a unit costs today: the fixed price, or the listing's; None when it is not for sale."""
        version = self.listing.current_version
        if self.price_rule is PriceRule.FIXED:
            return self.price_fen
        if version is None or sale_stop(self.listing, today()) is not None:
            return None
        return unit_price_fen(version, self.quantity)

    @property
    def estimate_fen(self) -> int:
        """What the line would cost today; at most what its ceiling allows."""
        todays_fen = self.todays_fen
        return self.quantity * min(self.price_fen if todays_fen is None else todays_fen, self.price_fen)

    @property
    def is_over_ceiling(self) -> bool:
        """Whether today's price is over what the unit wants to pay."""
        todays_fen = self.todays_fen
        return todays_fen is not None and todays_fen > self.price_fen


def standing_visible_to(actor: Actor) -> Select[StandingOrder]:
    """Standing orders, newest first: those of one's unit; those with one's cooperative, once the unit has approved."""
    query = select(StandingOrder).order_by(StandingOrder.id.desc())
    if actor.cooperative_id is not None and actor.can(Permission.FULFIL_ORDERS):
        return query.where(
            StandingOrder.cooperative_id == actor.cooperative_id, StandingOrder.approved_by.is_not(None)
        )
    unit_id = actor.buyer_unit_id if works_for_unit(actor) else None
    return query.where(StandingOrder.buyer_unit_id == unit_id)


def standing_by_no(session: Session, actor: Actor, number: str) -> StandingOrder:
    """The standing order under that number. Raises NotFound when there is none the actor may see."""
    standing = session.scalar(standing_visible_to(actor).where(StandingOrder.public_no == number))
    if standing is None:
        raise NotFound
    return standing


def windows_of(standing: StandingOrder) -> Select[DeliveryWindow]:
    """The windows of a standing order in the order of their days."""
    return (
        select(DeliveryWindow)
        .where(DeliveryWindow.standing_order_id == standing.id)
        .order_by(DeliveryWindow.planned_on)
    )


def window_of(session: Session, standing: StandingOrder, day: str) -> DeliveryWindow:
    """The window planned on `day` (ISO). Raises NotFound."""
    try:
        planned_on = date.fromisoformat(day)
    except ValueError:
        raise NotFound from None
    window = session.scalar(windows_of(standing).where(DeliveryWindow.planned_on == planned_on))
    if window is None:
        raise NotFound
    return window


def coming_windows(actor: Actor, *, from_on: date, until: date) -> Select[DeliveryWindow]:
    """The windows of running standing orders that the actor sees, by day; those that were called off stay in sight."""
    visible = standing_visible_to(actor).order_by(None).with_only_columns(StandingOrder.id)
    return (
        select(DeliveryWindow)
        .join(DeliveryWindow.standing)
        .options(contains_eager(DeliveryWindow.standing))
        .where(
            DeliveryWindow.standing_order_id.in_(visible),
            StandingOrder.state.in_((*RUNNING, StandingState.ENDED)),
            DeliveryWindow.deliver_on.between(from_on, until),
        )
        .order_by(DeliveryWindow.deliver_on, DeliveryWindow.slot_from_min, DeliveryWindow.id)
    )


def lines_of(session: Session, windows: Iterable[DeliveryWindow]) -> dict[int, list[PlannedLine]]:
    """What each window is to bring, by its id, in a fixed number of statements."""
    given = list(windows)
    by_change = _rows_of(session, ChangedLine.change_id, {one.lines_change_id for one in given})
    by_order = _rows_of(session, StandingLine.standing_order_id, {one.standing_order_id for one in given})
    wanted = {row.listing_id for rows in (*by_change.values(), *by_order.values()) for row in rows}
    listings = {
        one.id: one for one in session.scalars(select(Listing).where(Listing.id.in_(wanted))).unique()
    }
    return {
        one.id: [
            PlannedLine(listings[row.listing_id], row.quantity, row.price_rule, row.price_fen)
            for row in by_change.get(one.lines_change_id, by_order.get(one.standing_order_id, []))
        ]
        for one in given
    }


def _rows_of(
    session: Session, owner: InstrumentedAttribute[int], ids: Collection[int | None]
) -> dict[int | None, list[Row[Any]]]:
    """Lines as rows, by the change or the standing order they belong to."""
    line = owner.class_
    query = select(owner, line.listing_id, line.quantity, line.price_rule, line.price_fen)
    found: dict[int | None, list[Row[Any]]] = {}
    for row in session.execute(query.where(owner.in_({one for one in ids if one})).order_by(line.id)):
        found.setdefault(row[0], []).append(row)
    return found


def plan_of(standing: StandingOrder) -> list[PlannedLine]:
    """What every window brings unless it was changed."""
    return [
        PlannedLine(line.listing, line.quantity, line.price_rule, line.price_fen) for line in standing.lines
    ]


def spans_of(session: Session, unit_id: int) -> list[UnitSpan]:
    """The terms and holidays of a unit, by their first day."""
    query = select(UnitSpan).where(UnitSpan.buyer_unit_id == unit_id)
    return list(session.scalars(query.order_by(UnitSpan.starts_on, UnitSpan.id)))


def history_of(session: Session, standing: StandingOrder, *, limit: int = 50) -> list[StandingChange]:
    """The last changes of a standing order and its windows, newest first."""
    query = select(StandingChange).where(StandingChange.standing_order_id == standing.id)
    return list(session.scalars(query.order_by(StandingChange.id.desc()).limit(limit)))


def history_of_window(session: Session, window: DeliveryWindow) -> list[StandingChange]:
    """The changes of one window, newest first."""
    query = select(StandingChange).where(StandingChange.window_id == window.id)
    return list(session.scalars(query.order_by(StandingChange.id.desc()).limit(50)))


def proposals_for(session: Session, window: DeliveryWindow) -> list[Substitution]:
    """The substitutions proposed for a window, newest first."""
    query = select(Substitution).where(Substitution.window_id == window.id)
    return list(session.scalars(query.order_by(Substitution.id.desc())))


def listings_for_sale(session: Session, cooperative: Cooperative) -> list[Listing]:
    """What a cooperative sells today, by name."""
    query = select(Listing).where(
        Listing.cooperative_id == cooperative.id, Listing.state == ListingState.PUBLISHED
    )
    found = session.scalars(query.limit(200)).unique().all()
    return sorted((one for one in found if sale_stop(one, today()) is None), key=lambda one: one.product.name)


def sellers() -> Select[Cooperative]:
    """The cooperatives that have something on sale, by name."""
    selling = select(Listing.cooperative_id).where(Listing.state == ListingState.PUBLISHED)
    return (
        select(Cooperative)
        .where(Cooperative.id.in_(selling), Cooperative.state == CooperativeState.ADMITTED)
        .order_by(Cooperative.name)
    )


def goods_on_sale(session: Session, cooperatives: Iterable[Cooperative]) -> dict[int, list[str]]:
    """The names of what cooperatives have on sale, by the id of the cooperative."""
    rows = session.execute(
        select(Listing.cooperative_id, Product.name)
        .join(Listing.product)
        .where(
            Listing.cooperative_id.in_([one.id for one in cooperatives]),
            Listing.state == ListingState.PUBLISHED,
        )
        .order_by(Product.name)
    )
    goods: dict[int, list[str]] = {}
    for cooperative_id, name in rows:
        goods.setdefault(cooperative_id, []).append(name)
    return goods


def seller_by_no(session: Session, number: str) -> Cooperative:
    """A cooperative that has something on sale. Raises NotFound."""
    cooperative = session.scalar(sellers().where(Cooperative.public_no == number))
    if cooperative is None:
        raise NotFound
    return cooperative


def promises_of(session: Session, actor: Actor, *, from_on: date, until: date) -> list[DayCapacity]:
    """What the actor's cooperative has promised for each day, by day and product."""
    query = select(DayCapacity).where(
        DayCapacity.cooperative_id == actor.cooperative_id,
        DayCapacity.day.between(from_on, until),
        DayCapacity.promised_units > 0,
    )
    return list(session.scalars(query.order_by(DayCapacity.day, DayCapacity.listing_id)).unique())


def capacity_declared(session: Session, listing_ids: Sequence[int]) -> dict[int, int]:
    """The most units a day that a cooperative has declared for each listing, from today on."""
    query = (
        select(DayCapacity.listing_id, func.max(DayCapacity.capacity_units))
        .where(DayCapacity.listing_id.in_(listing_ids), DayCapacity.day >= today())
        .group_by(DayCapacity.listing_id)
    )
    return dict(session.execute(query).all())


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits for the actor: to approve, to confirm, deliveries held, substitutes to answer."""
    visible = standing_visible_to(actor)
    ids = visible.order_by(None).with_only_columns(StandingOrder.id)
    counted: list[tuple[str, Select[int], str]] = []
    if actor.can(Permission.APPROVE_ORDERS) and actor.buyer_unit_id is not None:
        mine = ids.where(
            StandingOrder.state == StandingState.AWAITING_APPROVAL, StandingOrder.ordered_by != actor.user_id
        )
        counted.append((NN_("%(count)s 张长期订单待审批"), mine, "standing.index"))
    if actor.can(Permission.FULFIL_ORDERS) and actor.cooperative_id is not None:
        asked = ids.where(StandingOrder.state == StandingState.AWAITING_CONFIRMATION)
        counted.append((NN_("%(count)s 张长期订单待确认供货"), asked, "standing_supply.promises"))
    if actor.can(Permission.ORDER_FOR_UNIT) and actor.buyer_unit_id is not None:
        held = select(DeliveryWindow.id).where(
            DeliveryWindow.standing_order_id.in_(ids),
            DeliveryWindow.state == WindowState.HELD,
            DeliveryWindow.starts_at > now(),
        )
        counted.append((NN_("%(count)s 次定期送货暂缓，请处理"), held, "standing.attention"))
        proposed = (
            select(Substitution.id)
            .join(DeliveryWindow, DeliveryWindow.id == Substitution.window_id)
            .where(
                DeliveryWindow.standing_order_id.in_(ids),
                DeliveryWindow.starts_at > now(),
                Substitution.state == SubstitutionState.PROPOSED,
            )
        )
        counted.append((NN_("%(count)s 个替代品待答复"), proposed, "standing.attention"))
    tasks = [
        Task(message, session.scalar(select(func.count()).select_from(query.subquery())) or 0, endpoint)
        for message, query, endpoint in counted
    ]
    return [task for task in tasks if task.count]


def waiting_windows(actor: Actor) -> Select[DeliveryWindow]:
    """The unit's deliveries that are held or have a substitute to answer, the next one first."""
    ids = standing_visible_to(actor).order_by(None).with_only_columns(StandingOrder.id)
    proposed = select(Substitution.window_id).where(Substitution.state == SubstitutionState.PROPOSED)
    return (
        select(DeliveryWindow)
        .where(
            DeliveryWindow.standing_order_id.in_(ids),
            DeliveryWindow.starts_at > now(),
            (DeliveryWindow.state == WindowState.HELD) | DeliveryWindow.id.in_(proposed),
        )
        .order_by(DeliveryWindow.starts_at, DeliveryWindow.id)
    )
