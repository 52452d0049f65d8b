"""Reading dishes and menus of the actor's unit."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.procurement.menus.models import Dish, WeekMenu

MOST_DISHES = 60


def dishes_of(actor: Actor) -> Select[Dish]:
    """The dishes the unit cooks, by name."""
    query = select(Dish).where(Dish.unit_id == (actor.buyer_unit_id or 0), Dish.retired_at.is_(None))
    return query.order_by(Dish.name, Dish.id)


def dish_by_no(session: Session, actor: Actor, number: str) -> Dish:
    """A dish the unit cooks. Raises NotFound."""
    dish = session.scalar(dishes_of(actor).where(Dish.public_no == number))
    if dish is None:
        raise NotFound
    return dish


def menus_of(actor: Actor) -> Select[WeekMenu]:
    """The unit's menus: templates first, then the latest weeks."""
    query = select(WeekMenu).where(WeekMenu.unit_id == (actor.buyer_unit_id or 0))
    return query.order_by(WeekMenu.starts_on.is_not(None), WeekMenu.starts_on.desc(), WeekMenu.id.desc())


def menu_by_no(session: Session, actor: Actor, number: str) -> WeekMenu:
    """A menu of the unit. Raises NotFound."""
    menu = session.scalar(menus_of(actor).where(WeekMenu.public_no == number))
    if menu is None:
        raise NotFound
    return menu
