"""Buyer units: the operator's list, forms and pages, and the unit's own page with its four duties."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.buyer_units import queries, rules
from marketplace.registry.buyer_units.forms import UnitForm, UnitSearchForm
from marketplace.registry.models import BuyerUnit, UnitKind
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("buyer_units", __name__)
operator = requires(Permission.MANAGE_USERS)
FACTS = ("name", "uscc", "county_code", "address", "contact_name", "contact_phone")


@bp.get("/units")
@operator
def index() -> ResponseReturnValue:
    """All units."""
    form = UnitSearchForm(request.args)
    text = (form.q.data or "") if form.validate() else ""
    page = page_of(current_session(), queries.units_visible_to(current_actor(), text=text))
    vacancies = queries.vacancies_of(current_session(), [unit.id for unit in page.rows])
    return render_template("registry/buyer_units/index.html", form=form, page=page, vacancies=vacancies)


@bp.route("/units/new", methods=["GET", "POST"])
@operator
def add() -> ResponseReturnValue:
    """Register a unit; its people come next."""
    form = UnitForm()
    form.offer(current_session())
    if form.validate_on_submit():
        try:
            unit = rules.register_buyer_unit(
                current_session(), current_actor(), kind=UnitKind(form.kind.data), **_facts(form)
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("采购单位已登记，接着为它的人员开通账号"), "success")
            return redirect(url_for("buyer_units.show", unit_no=unit.public_no))
    page = render_template("registry/buyer_units/edit.html", form=form, unit=None)
    return page, 422 if form.errors else 200


def _facts(form: UnitForm) -> dict[str, str]:
    return {name: form[name].data or "" for name in FACTS}


@bp.get("/units/<unit_no>")
@operator
def show(unit_no: str) -> ResponseReturnValue:
    """One unit and its people."""
    return _unit_page(queries.unit_by_no(current_session(), current_actor(), unit_no))


@bp.get("/unit")
@requires(
    Permission.ORDER_FOR_UNIT, Permission.APPROVE_ORDERS, Permission.RECEIVE_FOR_UNIT, Permission.PAY_FOR_UNIT
)
def own() -> ResponseReturnValue:
    """The unit the actor works for."""
    return _unit_page(queries.own_unit(current_session(), current_actor()))


def _unit_page(unit: BuyerUnit) -> str:
    people = queries.people_of(current_session(), unit)
    return render_template(
        "registry/buyer_units/show.html",
        unit=unit,
        people=people,
        duties=queries.DUTIES,
        vacant=queries.vacant_duties(people),
        can_approve=queries.has_second_pair_of_eyes(people),
    )


@bp.route("/units/<unit_no>/edit", methods=["GET", "POST"])
@operator
def edit(unit_no: str) -> ResponseReturnValue:
    """Correct the facts of a unit."""
    unit = queries.unit_by_no(current_session(), current_actor(), unit_no)
    form = UnitForm(obj=unit)
    form.offer(current_session())
    if form.validate_on_submit():
        try:
            rules.change_buyer_unit(
                current_session(), current_actor(), unit, kind=UnitKind(form.kind.data), **_facts(form)
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("资料已更新"), "success")
            return redirect(url_for("buyer_units.show", unit_no=unit_no))
    page = render_template("registry/buyer_units/edit.html", form=form, unit=unit)
    return page, 422 if form.errors else 200
