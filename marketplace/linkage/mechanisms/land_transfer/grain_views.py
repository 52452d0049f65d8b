"""The page of grain prices: everybody who records or checks rents sees them, county and platform record them."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.mechanisms.land_transfer.forms import GrainPriceForm
from marketplace.linkage.mechanisms.land_transfer.grain import (
    grain_prices,
    may_record_prices,
    record_grain_price,
)
from marketplace.registry.models import Region
from marketplace.registry.queries import counties, region_path
from marketplace.web.forms import place_error
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("grain", __name__)
READERS = (
    Permission.RECORD_EVIDENCE,
    Permission.RECORD_STATUS,
    Permission.MANAGE_USERS,
    Permission.READ_AUDIT,
)


@bp.route("/grain-prices", methods=["GET", "POST"])
@requires(*READERS)
def prices() -> ResponseReturnValue:
    """The prices that hold, and recording one."""
    session, actor = current_session(), current_actor()
    form = GrainPriceForm(data={"year": today().year, "region_code": actor.county_code})
    form.region_code.choices = [SelectChoice(one.code, one.full_name) for one in _regions()]
    if form.is_submitted() and not may_record_prices(actor):
        raise Forbidden
    if form.validate_on_submit():
        try:
            record_grain_price(
                session,
                actor,
                region_code=form.region_code.data,
                year=form.year.data or 0,
                fen_per_kg=form.fen_per_kg.data or 0,
                source=form.source.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("稻谷价格已登记"), "success")
            return redirect(url_for(".prices"))
    page = render_template(
        "linkage/land_transfer/grain_prices.html",
        form=form,
        page=page_of(session, grain_prices(actor)),
        may_record=may_record_prices(actor),
    )
    return page, 422 if form.errors else 200


def _regions() -> list[Region]:
    """What the actor may record prices for: a county itself, the platform every county and the province."""
    session, actor = current_session(), current_actor()
    if not actor.can(Permission.MANAGE_USERS):
        return [one for one in region_path(session, actor.county_code or "") if one.code == actor.county_code]
    province = session.get(Region, "36")
    return ([province] if province else []) + counties(session)
