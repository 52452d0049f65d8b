"""A cooperative's freight: what holds now, and writing a new sheet."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.freight import queries, rules
from marketplace.ordering.freight.forms import FreightForm
from marketplace.ordering.freight.models import FreightSheet
from marketplace.registry.models import Region
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("freight", __name__)


def zone_names(sheet: FreightSheet) -> dict[str, str]:
    """For pages: what the zones of a sheet are called."""
    query = select(Region.code, Region.full_name).where(
        Region.code.in_([rate.zone_code for rate in sheet.rates])
    )
    return {"": _("其他地区"), **dict(current_session().execute(query).all())}


bp.add_app_template_global(zone_names, "zone_names")


@bp.route("/workshop/freight", methods=["GET", "POST"])
@requires(Permission.MANAGE_LISTINGS)
def sheet() -> ResponseReturnValue:
    """The rows; sending them writes a new sheet."""
    session, actor = current_session(), current_actor()
    if actor.cooperative_id is None:
        raise NotFound
    form = FreightForm()
    held = queries.current_sheets(session, [actor.cooperative_id]).get(actor.cooperative_id)
    if request.method == "GET":
        form.show(held)
    elif form.validate():
        try:
            rules.write_freight_sheet(session, actor, rates=form.typed, free_from_fen=form.free_from.data)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("运费已更新，从现在起的新订单按它计算"), "success")
            return redirect(url_for(".sheet"), 303)
    form.offer(session)
    page = render_template("ordering/freight/sheet.html", form=form, held=held)
    return page, 422 if form.errors else 200
