"""Weekly menus: dishes, the week by day and heads, what it needs, and the basket that covers it."""

from __future__ import annotations

import re

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError, Refused
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.procurement.lists.basket import assess
from marketplace.procurement.menus import queries, rules
from marketplace.procurement.menus.forms import DishForm, MenuForm
from marketplace.procurement.menus.models import Dish, WeekMenu
from marketplace.procurement.menus.needs import grams_of, needs_of, wanted_for
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("menus", __name__, url_prefix="/menus")
orderer = requires(Permission.ORDER_FOR_UNIT)
_INGREDIENT = re.compile(r"^(?P<word>\D.*?)[\s:：,，]*(?P<grams>\d{1,6})\s*(\u514b|g|G)?$")  # 克
WEEKDAYS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))


@bp.get("")
@orderer
def index() -> ResponseReturnValue:
    """The menus, and the dishes they are made of."""
    session, actor = current_session(), current_actor()
    return render_template(
        "procurement/menus/index.html",
        page=page_of(session, queries.menus_of(actor)),
        dishes=list(session.scalars(queries.dishes_of(actor))),
    )


@bp.route("/dishes/new", methods=["GET", "POST"])
@orderer
def new_dish() -> ResponseReturnValue:
    """A new dish."""
    return _dish_page(None)


@bp.route("/dishes/<number>", methods=["GET", "POST"])
@orderer
def dish(number: str) -> ResponseReturnValue:
    """Change a dish."""
    return _dish_page(queries.dish_by_no(current_session(), current_actor(), number))


def _dish_page(found: Dish | None) -> ResponseReturnValue:
    given = {"name": found.name, "ingredients": _as_lines(found)} if found else {}
    form = DishForm(data=given)
    if form.validate_on_submit():
        try:
            rules.keep_dish(
                current_session(),
                current_actor(),
                name=form.name.data or "",
                ingredients=_read_ingredients(form.ingredients.data or ""),
                dish=found,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("这道菜已保存"), "success")
            return redirect(url_for(".index"), 303)
    return render_template("procurement/menus/dish.html", form=form, dish=found), 422 if form.errors else 200


def _as_lines(found: Dish) -> str:
    return "\n".join(f"{one.commodity} {one.grams_per_head}" for one in found.ingredients)


def _read_ingredients(text: str) -> list[tuple[str, int]]:
    """A line each, such as "大米 100". Raises Refused naming the line that cannot be read."""
    parts: list[tuple[str, int]] = []
    for row, line in enumerate((line.strip() for line in text.splitlines()), start=1):
        if not line:
            continue
        match = _INGREDIENT.match(line)
        if match is None:
            message = N_("第 %(row)s 行看不懂，请写成“食材 克数”，例如“大米 100”")
            raise Refused("ingredient_line", message, field="ingredients", row=row)
        parts.append((match["word"].strip(), int(match["grams"])))
    return parts


@bp.post("/dishes/<number>/retire")
@orderer
def retire(number: str) -> ResponseReturnValue:
    """Cook a dish no longer."""
    session, actor = current_session(), current_actor()
    rules.retire_dish(session, actor, queries.dish_by_no(session, actor, number))
    flash(_("这道菜不再出现在新菜谱里"), "success")
    return redirect(url_for(".index"), 303)


@bp.route("/new", methods=["GET", "POST"])
@orderer
def new() -> ResponseReturnValue:
    """A new menu; `?from=` begins with what another one has."""
    number = request.args.get("from", "")
    source = queries.menu_by_no(current_session(), current_actor(), number) if number else None
    return _menu_page(None, source)


@bp.route("/<number>/edit", methods=["GET", "POST"])
@orderer
def edit(number: str) -> ResponseReturnValue:
    """Change a menu."""
    found = queries.menu_by_no(current_session(), current_actor(), number)
    return _menu_page(found, found)


def _menu_page(found: WeekMenu | None, source: WeekMenu | None) -> ResponseReturnValue:
    session, actor = current_session(), current_actor()
    form = MenuForm(data={"name": found.name, "starts_on": found.starts_on} if found else {})
    heads, chosen = _typed_days() if request.method == "POST" else _days_of(source)
    if form.validate_on_submit():
        try:
            kept = rules.keep_menu(
                session,
                actor,
                name=form.name.data or "",
                starts_on=form.starts_on.data,
                heads={day: _whole(text) for day, text in heads.items()},
                dish_nos=chosen,
                menu=found,
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("菜谱已保存"), "success")
            return redirect(url_for(".show", number=kept.public_no), 303)
    dishes = list(session.scalars(queries.dishes_of(actor)))
    page = render_template(
        "procurement/menus/edit.html",
        form=form,
        menu=found,
        dishes=dishes,
        weekdays=WEEKDAYS,
        heads=heads,
        chosen=chosen,
    )
    return page, 422 if form.errors else 200


def _typed_days() -> tuple[dict[int, str], dict[int, list[str]]]:
    heads = {day: request.form.get(f"heads-{day}", "").strip() for day in rules.WEEKDAYS}
    return heads, {day: request.form.getlist(f"dish-{day}") for day in rules.WEEKDAYS}


def _days_of(menu: WeekMenu | None) -> tuple[dict[int, str], dict[int, list[str]]]:
    days = {day.weekday: day for day in (menu.days if menu else ())}
    heads = {day: str(days[day].heads) if day in days else "" for day in rules.WEEKDAYS}
    chosen = {
        day: [one.dish.public_no for one in days[day].dishes] if day in days else [] for day in rules.WEEKDAYS
    }
    return heads, chosen


def _whole(text: str) -> int:
    """Heads as typed; -1, which the rule refuses, for what is no number."""
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1


@bp.get("/<number>")
@orderer
def show(number: str) -> ResponseReturnValue:
    """A menu: its days, the grams it needs, and a basket that covers them, to be edited and put in the cart."""
    session = current_session()
    menu = queries.menu_by_no(session, current_actor(), number)
    needs = needs_of(session, grams_of(menu))
    return render_template(
        "procurement/menus/show.html",
        menu=menu,
        needs=needs,
        rows=assess(session, wanted_for(needs)),
        weekdays=WEEKDAYS,
    )


@bp.post("/<number>/delete")
@orderer
def delete(number: str) -> ResponseReturnValue:
    """Throw a menu away."""
    session, actor = current_session(), current_actor()
    rules.delete_menu(session, actor, queries.menu_by_no(session, actor, number))
    flash(_("菜谱已删除"), "success")
    return redirect(url_for(".index"), 303)
