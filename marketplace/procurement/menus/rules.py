"""Keeping dishes and weekly menus of a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.menus.models import Dish, DishIngredient, MenuDay, MenuDish, WeekMenu
from marketplace.procurement.menus.queries import MOST_DISHES, dishes_of

MOST_NAME = 40
MOST_WORD = 30
MOST_INGREDIENTS = 20
MOST_GRAMS = 5_000
MOST_HEADS = 100_000
WEEKDAYS = range(1, 8)


def _own_unit(actor: Actor) -> int:
    actor.require(Permission.ORDER_FOR_UNIT)
    if actor.buyer_unit_id is None:
        raise NotFound
    return actor.buyer_unit_id


def _name(text: str, message: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= MOST_NAME:
        raise Refused("name", message, field="name", most=MOST_NAME)
    return name


def keep_dish(
    session: Session,
    actor: Actor,
    *,
    name: str,
    ingredients: Sequence[tuple[str, int]],
    dish: Dish | None = None,
) -> Dish:
    """A new dish of the actor's unit, or new facts for `dish`: (commodity word, grams per head) of each ingredient.

    Raises Refused for a name that is empty, too long or taken, without an ingredient, for too many or one twice, and
    for grams that nobody eats.
    """
    unit_id = _own_unit(actor)
    text = _name(name, N_("请填写菜名，最多 %(most)s 个字"))
    parts = [(word.strip(), grams) for word, grams in ingredients]
    _check_ingredients(parts)
    if dish is None:
        count = session.scalar(select(func.count()).select_from(dishes_of(actor).order_by(None).subquery()))
        if (count or 0) >= MOST_DISHES:
            raise Refused("too_many_dishes", N_("最多保存 %(most)s 道菜"), field="name", most=MOST_DISHES)
        dish = Dish(unit_id=unit_id, name=text)
        session.add(dish)
    elif dish.unit_id != unit_id:
        raise NotFound
    dish.name = text
    dish.ingredients.clear()
    try:
        with session.begin_nested():
            session.flush()
            dish.ingredients.extend(
                DishIngredient(commodity=word, grams_per_head=grams) for word, grams in parts
            )
            session.flush()
    except IntegrityError as error:
        raise Refused("dish_taken", N_("已经有“%(name)s”这道菜"), field="name", name=text) from error
    record_trail(session, actor, "procurement.keep_dish", subject=("dish", dish.public_no))
    session.flush()
    return dish


def _check_ingredients(parts: Sequence[tuple[str, int]]) -> None:
    if not parts:
        raise Refused("no_ingredient", N_("请至少写一种食材和每人克数"), field="ingredients")
    if len(parts) > MOST_INGREDIENTS:
        raise Refused(
            "too_many_ingredients",
            N_("一道菜最多 %(most)s 种食材"),
            field="ingredients",
            most=MOST_INGREDIENTS,
        )
    if len({word for word, _grams in parts}) < len(parts):
        raise Refused("twice", N_("同一种食材写了两次，请合并成一行"), field="ingredients")
    for row, (word, grams) in enumerate(parts, start=1):
        if not 1 <= len(word) <= MOST_WORD:
            raise Refused(
                "commodity", N_("第 %(row)s 行请写食材的名称，最多 %(most)s 个字"), field="ingredients", row=row,
                most=MOST_WORD,
            )  # fmt: skip
        if not 1 <= grams <= MOST_GRAMS:
            raise Refused(
                "grams", N_("第 %(row)s 行的每人克数须在 1 到 %(most)s 之间"), field="ingredients", row=row,
                most=MOST_GRAMS,
            )  # fmt: skip


def retire_dish(session: Session, actor: Actor, dish: Dish) -> Dish:
    """Cook a dish no longer; menus that have it keep it."""
    if dish.unit_id != _own_unit(actor):
        raise NotFound
    dish.retired_at = now()
    dish.name = f"{dish.name[:20]} · {dish.public_no}"  # the name is free for another
    session.flush()
    return dish


def keep_menu(
    session: Session,
    actor: Actor,
    *,
    name: str,
    starts_on: date | None,
    heads: Mapping[int, int],
    dish_nos: Mapping[int, Sequence[str]],
    menu: WeekMenu | None = None,
) -> WeekMenu:
    """A new menu of the actor's unit, or new facts for `menu`: heads and dishes by weekday, 1 is Monday. Without a day
    it begins on it is a template.

    Raises Refused for a name or a week that is taken, a day that is no Monday, heads that cannot be, a day with dishes
    and without heads, and a dish that is not the unit's.
    """
    unit_id = _own_unit(actor)
    text = _name(name, N_("请给菜谱起个名字，最多 %(most)s 个字"))
    if starts_on is not None and starts_on.isoweekday() != 1:
        raise Refused("monday", N_("请选一个星期一"), field="starts_on")
    dishes = {dish.public_no: dish for dish in session.scalars(dishes_of(actor))}
    kept = {
        cooked.dish.public_no: cooked.dish for day in (menu.days if menu else ()) for cooked in day.dishes
    }
    days = _days(heads, dish_nos, {**kept, **dishes})
    if menu is None:
        menu = WeekMenu(unit_id=unit_id, name=text, starts_on=starts_on)
        session.add(menu)
    elif menu.unit_id != unit_id:
        raise NotFound
    menu.name, menu.starts_on = text, starts_on
    menu.days.clear()
    try:
        with session.begin_nested():
            session.flush()
            menu.days.extend(days)
            session.flush()
    except IntegrityError as error:
        raise Refused("menu_taken", N_("已经有这个名字或这一周的菜谱"), field="name") from error
    record_trail(session, actor, "procurement.keep_menu", subject=("week_menu", menu.public_no))
    session.flush()
    return menu


def _days(
    heads: Mapping[int, int], dish_nos: Mapping[int, Sequence[str]], dishes: Mapping[str, Dish]
) -> list[MenuDay]:
    days: list[MenuDay] = []
    for weekday in WEEKDAYS:
        count, numbers = heads.get(weekday, 0), list(dict.fromkeys(dish_nos.get(weekday, ())))
        if not 0 <= count <= MOST_HEADS:
            raise Refused("heads", N_("就餐人数须在 0 到 %(most)s 之间"), field="heads", most=MOST_HEADS)
        if numbers and not count:
            raise Refused("no_heads", N_("有菜的那一天请填写就餐人数"), field="heads")
        if not set(numbers) <= dishes.keys():
            raise NotFound
        if count:
            chosen = [MenuDish(dish=dishes[number]) for number in numbers]
            days.append(MenuDay(weekday=weekday, heads=count, dishes=chosen))
    return days


def delete_menu(session: Session, actor: Actor, menu: WeekMenu) -> None:
    """Throw a menu away; what was bought for it stays."""
    if menu.unit_id != _own_unit(actor):
        raise NotFound
    session.delete(menu)
    session.flush()
