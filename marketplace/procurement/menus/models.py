"""What a canteen cooks: dishes with grams per head, and menus of a week by day with the heads to be fed."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no


class Dish(Base):
    """A dish of a unit. One no longer cooked is retired; menus that have it keep it."""

    __tablename__ = "dish"
    __table_args__ = (UniqueConstraint("unit_id", "name"), CheckConstraint("name <> ''", name="name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CP"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    name: Mapped[str] = mapped_column(String(40))
    retired_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    ingredients: Mapped[list[DishIngredient]] = relationship(
        order_by="DishIngredient.id", lazy="selectin", cascade="all, delete-orphan"
    )


class DishIngredient(Base):
    """How many grams of a commodity, by its everyday word, one head eats of a dish."""

    __tablename__ = "dish_ingredient"
    __table_args__ = (
        UniqueConstraint("dish_id", "commodity"),
        CheckConstraint("grams_per_head >= 1 AND grams_per_head <= 5000", name="grams"),
        CheckConstraint("commodity <> ''", name="commodity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dish_id: Mapped[int] = mapped_column(ForeignKey("dish.id"))
    commodity: Mapped[str] = mapped_column(String(30))
    grams_per_head: Mapped[int]


class WeekMenu(Base):
    """The menu of the week that begins on a Monday, or a template to begin others from (`starts_on` empty)."""

    __tablename__ = "week_menu"
    __table_args__ = (
        UniqueConstraint("unit_id", "name"),
        UniqueConstraint("unit_id", "starts_on"),
        CheckConstraint("name <> ''", name="name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CD"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    name: Mapped[str] = mapped_column(String(40))
    starts_on: Mapped[date | None]
    made_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    days: Mapped[list[MenuDay]] = relationship(
        order_by="MenuDay.weekday", lazy="selectin", cascade="all, delete-orphan"
    )


class MenuDay(Base):
    """A day of a menu (1 is Monday), and how many heads eat."""

    __tablename__ = "menu_day"
    __table_args__ = (
        UniqueConstraint("menu_id", "weekday"),
        CheckConstraint("weekday >= 1 AND weekday <= 7", name="weekday"),
        CheckConstraint("heads >= 1 AND heads <= 100000", name="heads"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    menu_id: Mapped[int] = mapped_column(ForeignKey("week_menu.id"))
    weekday: Mapped[int]
    heads: Mapped[int]

    dishes: Mapped[list[MenuDish]] = relationship(
        order_by="MenuDish.id", lazy="selectin", cascade="all, delete-orphan"
    )


class MenuDish(Base):
    """A dish that is cooked on a day."""

    __tablename__ = "menu_dish"
    __table_args__ = (UniqueConstraint("day_id", "dish_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    day_id: Mapped[int] = mapped_column(ForeignKey("menu_day.id"))
    dish_id: Mapped[int] = mapped_column(ForeignKey("dish.id"), index=True)

    dish: Mapped[Dish] = relationship(lazy="joined")
