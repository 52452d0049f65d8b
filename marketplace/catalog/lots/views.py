"""The lots on the page of a product: putting one to it, and the day its goods were made or packed."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.lots import rules
from marketplace.catalog.lots.forms import DAY_PREFIX, LotForm
from marketplace.catalog.models import ProductLot
from marketplace.catalog.queries import own_product
from marketplace.catalog.views.workshop import product_page
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.queries import lot_by_no
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("product_lots", __name__, url_prefix="/workshop")


@bp.post("/products/<product_no>/lots")
@requires(Permission.MANAGE_LISTINGS)
def assign(product_no: str) -> ResponseReturnValue:
    """Sell a lot as this product."""
    form = LotForm()
    return _follow(product_no, rules.assign_lot, _("批次 %(lot)s 已归入这个产品"), form, lot_form=form)


@bp.post("/products/<product_no>/production-days")
@requires(Permission.MANAGE_LISTINGS)
def correct(product_no: str) -> ResponseReturnValue:
    """Correct the day on which the goods of a lot were made or packed."""
    form = LotForm(prefix=DAY_PREFIX)
    return _follow(
        product_no, rules.correct_production_day, _("批次 %(lot)s 的日期已更正"), form, day_form=form
    )


def _follow(
    product_no: str, rule: Callable[..., ProductLot], said: str, form: LotForm, **shown: LotForm
) -> ResponseReturnValue:
    """Do what the form asks and say so, or show it again on the page of the product."""
    session, actor = current_session(), current_actor()
    if form.validate_on_submit():
        product, lot = own_product(session, actor, product_no), lot_by_no(session, actor, form.lot.data or "")
        try:
            rule(session, actor, product, lot, produced_on=form.produced_on.data)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(said % {"lot": lot.lot_no}, "success")
            return redirect(url_for("workshop.product", product_no=product_no), 303)
    return product_page(own_product(session, actor, product_no), **shown), 422
