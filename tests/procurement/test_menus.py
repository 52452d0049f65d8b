"""Menus: grams by the head, summed over the week, covered at the least per kilogram and rounded up to units."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound, Refused
from marketplace.identity.models import Role
from marketplace.procurement.menus.models import Dish, MenuDay, WeekMenu
from marketplace.procurement.menus.needs import grams_of, needs_of, wanted_for
from marketplace.procurement.menus.queries import dishes_of, menu_by_no
from marketplace.procurement.menus.rules import delete_menu, keep_dish, keep_menu, retire_dish
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, new_version, offer
from tests.procurement.canteen import Canteen, refusal

MONDAY = date(2026, 6, 8)


class Kitchen(Canteen):
    """A canteen that cooks two dishes."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.rice = keep_dish(session, self.orderer, name="米饭", ingredients=[("大米", 101)])
        self.fried = keep_dish(
            session, self.orderer, name="蛋炒饭", ingredients=[("大米", 120), ("鸡蛋", 60)]
        )

    def menu(self, session: Session, **changes: object) -> WeekMenu:
        facts = {
            "name": "第 1 周",
            "starts_on": MONDAY,
            "heads": {1: 300, 3: 7},
            "dish_nos": {1: [self.rice.public_no], 3: [self.fried.public_no, self.rice.public_no]},
            **changes,
        }
        return keep_menu(session, self.orderer, **facts)

    def sold(self, session: Session, name: str, *, fen: int, units: int) -> Offer:
        """Units of 500 g."""
        made = offer(session, CooperativeFactory(), units=units)
        made.listing.product.name = name
        new_version(session, made, tiers=((1, fen),), title=name)
        return made


@pytest.fixture
def kitchen(session: Session, clock: HeldClock) -> Kitchen:
    return Kitchen(session)


@pytest.mark.parametrize(
    ("name", "ingredients", "code"),
    [
        pytest.param(" ", [("大米", 1)], "name", id="without a name"),
        pytest.param("米饭", [("大米", 1)], "dish_taken", id="a name twice"),
        pytest.param("汤", [], "no_ingredient", id="of nothing"),
        pytest.param("汤", [("葱", 0)], "grams", id="no grams"),
        pytest.param("汤", [("葱", -5)], "grams", id="negative grams"),
        pytest.param("汤", [("葱", 5_001)], "grams", id="more than anybody eats"),
        pytest.param("汤", [("葱", 1), (" 葱", 2)], "twice", id="an ingredient twice"),
        pytest.param("汤", [("葱" * 31, 1)], "commodity", id="an overlong word"),
        pytest.param("汤", [(f"料{n}", 1) for n in range(21)], "too_many_ingredients", id="too many"),
    ],
)
def test_a_dish_that_cannot_be_is_refused(
    kitchen: Kitchen, session: Session, name: str, ingredients: list[tuple[str, int]], code: str
) -> None:
    refused = refusal(
        session, lambda: keep_dish(session, kitchen.orderer, name=name, ingredients=ingredients)
    )
    assert (type(refused), refused.code) == (Refused, code)
    assert session.scalar(select(func.count()).select_from(Dish)) == 2


def test_a_menu_that_cannot_be_is_refused(kitchen: Kitchen, session: Session) -> None:
    kitchen.menu(session)
    for changes, code in (
        ({"starts_on": date(2026, 6, 9)}, "monday"),
        ({"name": ""}, "name"),
        ({"name": "第 2 周"}, "menu_taken"),
        ({"starts_on": None}, "menu_taken"),
        ({"name": "第 2 周", "starts_on": None, "heads": {1: -1}}, "heads"),
        ({"name": "第 2 周", "starts_on": None, "heads": {1: 100_001}}, "heads"),
        ({"name": "第 2 周", "starts_on": None, "heads": {}}, "no_heads"),
        ({"name": "第 2 周", "starts_on": None, "dish_nos": {1: ["CP-0000000000"]}}, "not_found"),
    ):
        assert refusal(session, lambda c=changes: kitchen.menu(session, **c)).code == code
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    menu = session.scalars(select(WeekMenu)).one()
    assert isinstance(refusal(session, lambda: menu_by_no(session, stranger, menu.public_no)), NotFound)
    assert isinstance(refusal(session, lambda: delete_menu(session, stranger, menu)), NotFound)


def test_grams_are_heads_times_grams_per_head_over_the_week(kitchen: Kitchen, session: Session) -> None:
    menu = kitchen.menu(session)
    assert grams_of(menu) == {"大米": 300 * 101 + 7 * 120 + 7 * 101, "鸡蛋": 7 * 60}
    keep_menu(
        session,
        kitchen.orderer,
        name="第 1 周",
        starts_on=None,
        heads={5: 10},
        dish_nos={5: [kitchen.fried.public_no]},
        menu=menu,
    )
    assert grams_of(menu) == {"大米": 1_200, "鸡蛋": 600}
    assert session.scalar(select(func.count()).select_from(MenuDay)) == 1


def test_a_need_is_covered_by_the_cheapest_that_has_enough_rounded_up(
    kitchen: Kitchen, session: Session
) -> None:
    kitchen.sold(session, "早稻大米", fen=300, units=3)
    enough = kitchen.sold(session, "生态大米", fen=400, units=50)
    kitchen.sold(session, "富硒大米", fen=900, units=50)
    (need,) = needs_of(session, {"大米": 2_001})
    assert [(pick.listing.id, pick.units, pick.mass_g) for pick in need.picks] == [
        (enough.listing.id, 5, 2_500)
    ]
    assert need.short_g == 0


def test_where_nothing_has_enough_the_cheapest_go_together(kitchen: Kitchen, session: Session) -> None:
    first = kitchen.sold(session, "早稻大米", fen=300, units=3)
    second = kitchen.sold(session, "生态大米", fen=400, units=2)
    (need, none) = needs_of(session, {"大米": 2_750, "鸡蛋": 100})
    assert [(pick.listing.id, pick.units) for pick in need.picks] == [
        (first.listing.id, 3),
        (second.listing.id, 2),
    ]
    assert (need.short_g, none.picks, none.short_g) == (250, (), 100)


def test_two_needs_of_one_listing_are_one_row_of_the_basket(kitchen: Kitchen, session: Session) -> None:
    both = kitchen.sold(session, "鸡蛋大米礼盒", fen=300, units=9)
    wanted = wanted_for(needs_of(session, {"大米": 400, "鸡蛋": 600}))
    assert [(one.listing.id, one.quantity, one.hint) for one in wanted] == [
        (both.listing.id, 3, "大米、鸡蛋")
    ]


def test_a_retired_dish_stays_in_its_menus_and_frees_its_name(kitchen: Kitchen, session: Session) -> None:
    menu = kitchen.menu(session)
    retire_dish(session, kitchen.orderer, kitchen.rice)
    assert [dish.name for dish in session.scalars(dishes_of(kitchen.orderer))] == ["蛋炒饭"]
    assert grams_of(menu)["大米"] == 31_847
    keep_dish(session, kitchen.orderer, name="米饭", ingredients=[("大米", 90)])
    keep_menu(
        session,
        kitchen.orderer,
        name="第 1 周",
        starts_on=MONDAY,
        heads={1: 1},
        dish_nos={1: [kitchen.rice.public_no]},
        menu=menu,
    )
    assert grams_of(menu) == {"大米": 101}
