"""What will be ordered in the demo's year, decided before anything happens, so that the harvest can be made to meet it.

A few orders of the named accounts are held back at every step, so that each role finds work on its desk today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from marketplace.core.clock import business_day
from marketplace.demo.goods import Good
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.ordering.models import OrderKind
from marketplace.ordering.states import PartEvent

MONTH_WEIGHTS = (
    0,
    14,
    7,
    6,
    6,
    7,
    7,
    5,
    6,
    11,
    9,
    9,
    13,
)  # before the New Year and the autumn feast people buy most
CANTEEN_SHARE = 58  # per cent of the orders
LINE_FEN = (60_000, 420_000)  # what a canteen spends on a line


class Fate(StrEnum):
    """How an order ends."""

    COMPLETE = "complete"
    REJECTED = "rejected"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    CALLED_OFF = "called off"


FATES = {  # how often, of a hundred
    OrderKind.CANTEEN: {Fate.COMPLETE: 92, Fate.REJECTED: 3, Fate.DECLINED: 3, Fate.CANCELLED: 2},
    OrderKind.PERSONAL: {Fate.COMPLETE: 92, Fate.ABANDONED: 5, Fate.CANCELLED: 2, Fate.CALLED_OFF: 1},
}
SURE = (  # what even the smallest demo has
    (OrderKind.CANTEEN, Fate.REJECTED),
    (OrderKind.PERSONAL, Fate.ABANDONED),
    (OrderKind.CANTEEN, Fate.COMPLETE),
    (OrderKind.PERSONAL, Fate.COMPLETE),
    (OrderKind.PERSONAL, Fate.CALLED_OFF),
)


@dataclass(frozen=True)
class Wanted:
    """So many units of a good."""

    good: Good
    quantity: int


class AtRamp(StrEnum):
    """How a delivery fares at its inspection."""

    FINE = "fine"
    WAITING = "waiting"  # rejected in part, and not answered yet
    CONTESTED = "contested"
    AGREED = "agreed"
    REPLACED = "replaced"
    RETURNED = "returned"


@dataclass(frozen=True)
class PlannedOrder:
    """An order to be placed at an instant by the buyer at a position among the canteens or the staff.

    It is held before the event `stops_before`; a canteen whose order is not `pays` has not transferred its money yet.
    """

    at: datetime
    kind: OrderKind
    buyer: int
    wanted: tuple[Wanted, ...]
    fate: Fate = Fate.COMPLETE
    stops_before: PartEvent | None = None
    pays: bool = True
    at_ramp: AtRamp = AtRamp.FINE
    number: int = 0


CANTEEN_DESK: tuple[tuple[int, PartEvent | None, bool], ...] = (  # days ago, held before, pays
    (0, PartEvent.APPROVE, True),
    (0, PartEvent.APPROVE, True),
    (3, PartEvent.CONFIRM, True),
    (4, PartEvent.SHIP, True),
    (6, PartEvent.RECEIVE, True),
    (10, PartEvent.ACCEPT, True),
    (16, None, False),
    (52, None, False),
)
STAFF_DESK: tuple[tuple[int, PartEvent | None], ...] = (
    (1, PartEvent.CONFIRM),
    (3, PartEvent.SHIP),
    (5, PartEvent.RECEIVE),
    (6, PartEvent.ACCEPT),
)
REJECTED = (  # days ago, how it went on, and whether the bill is paid: the oldest is, so that it can be certified
    (7, AtRamp.WAITING, False),
    (12, AtRamp.CONTESTED, False),
    (30, AtRamp.REPLACED, False),
    (33, AtRamp.RETURNED, False),
    (110, AtRamp.AGREED, True),
)


def plan_orders(world: World, goods: Sequence[Good]) -> list[PlannedOrder]:
    """The orders of the year in the order of their instants, as many as the scale says."""
    fixed = _desk_orders(world, goods)
    free = max(0, world.scale.orders - len(fixed) - len(REJECTED))
    drawn: list[tuple[OrderKind | None, Fate | None]] = [*SURE[:free], *[(None, None)] * (free - len(SURE))]
    orders = [*fixed, *(_free_order(world, goods, kind, fate) for kind, fate in drawn)]
    orders += _rejected_orders(world, goods)
    ordered = sorted(orders, key=lambda planned: planned.at)
    return [replace(planned, number=number) for number, planned in enumerate(ordered, start=1)]


def _desk_orders(world: World, goods: Sequence[Good]) -> list[PlannedOrder]:
    """What the named buyers have under way with the first cooperative, and an unpaid order of ten minutes ago."""
    own = [good for good in goods if good.seller.place == 0]
    return [
        *(
            _desk_order(
                world, own, OrderKind.CANTEEN, at_hour(_ago(world, ago), 9, 5 + 7 * place), held, pays=pays
            )
            for place, (ago, held, pays) in enumerate(CANTEEN_DESK)
        ),
        *(
            _desk_order(world, own, OrderKind.PERSONAL, at_hour(_ago(world, ago), 20, 10), held)
            for ago, held in STAFF_DESK
        ),
        _desk_order(world, own, OrderKind.PERSONAL, world.present - timedelta(minutes=10), PartEvent.PAY),
    ]


def _rejected_orders(world: World, goods: Sequence[Good]) -> list[PlannedOrder]:
    """What the named canteen did not take whole."""
    own = [good for good in goods if good.seller.place == 0]
    return [
        replace(
            _desk_order(world, own, OrderKind.CANTEEN, at_hour(_ago(world, ago), 10), None, pays=pays),
            at_ramp=fate,
        )
        for ago, fate, pays in REJECTED
    ]


def _ago(world: World, days: int) -> date:
    return world.last_on - timedelta(days=days)


def _desk_order(
    world: World,
    own: Sequence[Good],
    kind: OrderKind,
    at: datetime,
    held: PartEvent | None,
    *,
    pays: bool = True,
) -> PlannedOrder:
    day = business_day(at)
    wanted = (
        _canteen_lines(world, own, day, 2) if kind is OrderKind.CANTEEN else _personal_lines(world, own, day)
    )
    return PlannedOrder(at=at, kind=kind, buyer=0, wanted=wanted, stops_before=held, pays=pays)


def _free_order(
    world: World, goods: Sequence[Good], kind: OrderKind | None, fate: Fate | None
) -> PlannedOrder:
    """An order of anybody's on any day; `kind` and `fate` are drawn when they are not given."""
    random = world.random
    days = range((world.last_on - world.first_on).days + 1)
    day = world.day(random.choices(days, [MONTH_WEIGHTS[world.day(offset).month] for offset in days])[0])
    if kind is None:
        kind = OrderKind.CANTEEN if random.randrange(100) < CANTEEN_SHARE else OrderKind.PERSONAL
    is_canteen = kind is OrderKind.CANTEEN
    lines = (
        _canteen_lines(world, goods, day, random.choice((1, 2, 2, 3, 4)))
        if is_canteen
        else _personal_lines(world, goods, day)
    )
    return PlannedOrder(
        at=at_hour(day, random.randrange(8, 17 if is_canteen else 22), random.randrange(60)),
        kind=kind,
        buyer=random.randrange(world.scale.units if is_canteen else world.scale.staff),
        wanted=lines,
        fate=fate or random.choices(list(FATES[kind]), list(FATES[kind].values()))[0],
        pays=random.random() < 0.97,
    )


def _sold_on(day: date, goods: Sequence[Good]) -> list[Good]:
    """The goods that are in season on the day, or still good since."""
    return [good for good in goods if good.lot_on(day) is not None]


def _of_few_sellers(world: World, goods: Sequence[Good], odds_of_two: float) -> list[Good]:
    """The goods of one cooperative, or of two: buyers seldom gather a few things from all over."""
    places = sorted({good.seller.place for good in goods})
    count = min(len(places), 2 if world.random.random() < odds_of_two else 1)
    chosen = world.random.sample(places, count)
    return [good for good in goods if good.seller.place in chosen]


def _canteen_lines(world: World, goods: Sequence[Good], day: date, count: int) -> tuple[Wanted, ...]:
    """Lines over a few goods for canteens that are sold on the day."""
    sold = _sold_on(day, goods)
    near = _of_few_sellers(world, [good for good in sold if good.for_canteens] or sold, 0.4)
    chosen = world.random.sample(near, min(count, len(near)))
    return tuple(Wanted(good, _bulk(world.random.randrange(*LINE_FEN), good)) for good in chosen)


def _bulk(spend_fen: int, good: Good) -> int:
    """How many units the money buys, in fives."""
    return min(300, max(5, spend_fen // good.price_fen // 5 * 5))


def _personal_lines(world: World, goods: Sequence[Good], day: date) -> tuple[Wanted, ...]:
    """Lines over one to three goods that are sold on the day."""
    near = _of_few_sellers(world, _sold_on(day, goods), 0.2)
    chosen = world.random.sample(near, min(world.random.choice((1, 1, 2, 3)), len(near)))
    return tuple(Wanted(good, world.random.choice((1, 1, 2, 2, 3))) for good in chosen)
