"""What the first canteen has set up for itself: a budget its orders take of, a deputy, an order list, a weekly menu."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from marketplace.catalog.models import Listing, ListingState
from marketplace.core import clock
from marketplace.demo.founding import Canteen
from marketplace.demo.world import World
from marketplace.ordering.models import Order
from marketplace.ordering.states import PartState
from marketplace.procurement.approvals.rules import name_deputy
from marketplace.procurement.budgets.queries import year_of
from marketplace.procurement.budgets.rules import open_budget_line, take_budget
from marketplace.procurement.lists.basket import Wanted
from marketplace.procurement.lists.rules import make_list, note_item
from marketplace.procurement.menus.rules import keep_dish, keep_menu

LISTED = 4
SPARE_FEN = 5_000_000
DISHES = (
    ("米饭", (("米", 120),)),
    ("香菇炒笋", (("香菇", 20), ("笋", 60))),
    ("茶油拌粉", (("米粉", 100), ("茶油", 8))),
)
HEADS = 320


def set_up_kitchen(world: World, canteen: Canteen) -> None:
    """Everything at once, today: the orders of the year take of the budget, so that its bars show something."""
    _open_budgets(world, canteen)
    approver = canteen.acting("approver")
    name_deputy(
        world.session,
        approver,
        deputy_no=canteen.people["receiver"].public_no,
        from_on=clock.today() + timedelta(days=7),
        until_on=clock.today() + timedelta(days=9),
        reason="参加全县食堂管理培训",
    )
    _make_list(world, canteen)
    _plan_week(world, canteen)


def _open_budgets(world: World, canteen: Canteen) -> None:
    year, session, approver = clock.today().year, world.session, canteen.acting("approver")
    query = select(Order).where(Order.buyer_unit_id == canteen.unit.id).order_by(Order.id)
    orders = [
        order for order in session.scalars(query).unique() if year_of(order) == year and _is_alive(order)
    ]
    granted_fen = sum(order.total_fen for order in orders) + SPARE_FEN
    line = open_budget_line(
        session,
        approver,
        year=year,
        purpose="食堂食材",
        granted_fen=granted_fen - granted_fen % 1_000_000,
        reason="年初部门预算批复，现补录",
    )
    open_budget_line(
        session, approver, year=year, purpose="节日慰问", granted_fen=2_000_000, reason="工会经费预算"
    )
    for order in orders:
        take_budget(session, approver, line, order)


def _is_alive(order: Order) -> bool:
    return any(part.state is not PartState.CANCELLED for part in order.parts)


def _on_sale(world: World) -> Sequence[Listing]:
    query = select(Listing).where(Listing.state == ListingState.PUBLISHED)
    return (
        world.session.scalars(query.order_by(Listing.sold_units.desc(), Listing.id).limit(LISTED))
        .unique()
        .all()
    )


def _make_list(world: World, canteen: Canteen) -> None:
    orderer = canteen.acting("orderer")
    listings = _on_sale(world)
    made = make_list(
        world.session,
        orderer,
        name="每周常用",
        wanted=[Wanted(one, 10 * n) for n, one in enumerate(listings, 1)],
    )
    for item in made.items[:1]:
        note_item(
            world.session,
            orderer,
            made,
            listing=item.listing,
            quantity=item.usual_quantity,
            ceiling_fen=max(1, item.noted_fen * 9 // 10),
        )


def _plan_week(world: World, canteen: Canteen) -> None:
    orderer = canteen.acting("orderer")
    dishes = [keep_dish(world.session, orderer, name=name, ingredients=list(parts)) for name, parts in DISHES]
    monday = clock.today() + timedelta(days=7 - clock.today().weekday())
    for name, starts_on in (("工作日模板", None), ("下周菜谱", monday)):
        keep_menu(
            world.session,
            orderer,
            name=name,
            starts_on=starts_on,
            heads=dict.fromkeys(range(1, 6), HEADS),
            dish_nos={day: [dishes[0].public_no, dishes[1 + day % 2].public_no] for day in range(1, 6)},
        )
