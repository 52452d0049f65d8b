"""A cooperative's pages of standing orders: what it has promised, confirming one, and what it cannot deliver."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Refused
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.forms import ReasonForm
from marketplace.procurement.standing import plans, queries, rules, windows
from marketplace.procurement.standing.forms import SubstituteForm, read_price, read_units
from marketplace.procurement.standing.models import DeliveryWindow, StandingOrder, StandingState
from marketplace.web.forms import place_error, tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("standing_supply", __name__, url_prefix="/standing-supply")
WEEKS_AHEAD = 6
seller = requires(Permission.FULFIL_ORDERS)


@bp.get("")
@seller
def promises() -> ResponseReturnValue:
    """What is promised for the next weeks by day and product, and the standing orders behind it."""
    session, actor = current_session(), current_actor()
    until = today() + timedelta(days=7 * WEEKS_AHEAD)
    rows = queries.promises_of(session, actor, from_on=today(), until=until)
    days = []
    for day, of_day in groupby(rows, key=lambda row: row.day):
        promised = list(of_day)
        grams = sum(row.promised_units * row.listing.product.net_mass_g for row in promised)
        days.append((day, promised, grams))
    visible = queries.standing_visible_to(actor)
    asked = session.scalars(
        visible.where(StandingOrder.state == StandingState.AWAITING_CONFIRMATION).limit(50)
    )
    return render_template(
        "procurement/standing/promises.html",
        days=days,
        asked=asked.unique().all(),
        page=page_of(session, visible.where(StandingOrder.state.in_(queries.RUNNING))),
    )


def _standing(standing_no: str) -> StandingOrder:
    return queries.standing_by_no(current_session(), current_actor(), standing_no)


@bp.post("/<standing_no>/confirm")
@seller
def confirm(standing_no: str) -> ResponseReturnValue:
    """Promise every delivery of a standing order."""
    session, standing = current_session(), _standing(standing_no)
    try:
        capacity = read_units(request.form, "capacity", [line.listing for line in standing.lines])
        rules.confirm_standing(session, current_actor(), standing, capacity=capacity)
    except DomainError as error:
        tell(error)
    else:
        flash(_("已确认供货，各次送货已计入供货计划"), "success")
    return redirect(url_for("standing.show", standing_no=standing_no), 303)


@bp.post("/<standing_no>/decline")
@seller
def decline(standing_no: str) -> ResponseReturnValue:
    """Not take a standing order on."""
    form = ReasonForm()
    if not form.validate_on_submit():
        flash(_("请写明无法供货的原因"), "error")
        return redirect(url_for("standing.show", standing_no=standing_no), 303)
    reason = form.reason.data or ""
    rules.decline_standing(current_session(), current_actor(), _standing(standing_no), reason=reason)
    flash(_("已答复采购单位"), "success")
    return redirect(url_for(".promises"), 303)


def _window(standing_no: str, day: str) -> DeliveryWindow:
    return queries.window_of(current_session(), _standing(standing_no), day)


@bp.post("/<standing_no>/windows/<day>/decline")
@seller
def decline_window(standing_no: str, day: str) -> ResponseReturnValue:
    """Not fill one delivery."""
    form = ReasonForm()
    if not form.validate_on_submit():
        flash(_("请写明无法供货的原因"), "error")
    else:
        one, reason = _window(standing_no, day), form.reason.data or ""
        windows.decline_window(current_session(), current_actor(), one, reason=reason)
        flash(_("已告知采购单位，其余各次不变"), "success")
    return redirect(url_for("standing.window", standing_no=standing_no, day=day), 303)


@bp.route("/<standing_no>/windows/<day>/substitute", methods=["GET", "POST"])
@seller
def substitute(standing_no: str, day: str) -> ResponseReturnValue:
    """Propose another listing for one line of one delivery."""
    session, one, form = current_session(), _window(standing_no, day), SubstituteForm()
    lines = queries.lines_of(session, [one])[one.id]
    others = queries.listings_for_sale(session, one.standing.cooperative)
    known = {line.listing.public_no: line.listing for line in lines}
    offered = {other.public_no: other for other in others if other.public_no not in known}
    form.listing.choices = [SelectChoice(number, listing.product.name) for number, listing in known.items()]
    form.substitute.choices = [
        SelectChoice(number, f"{listing.product.name} · {listing.product.specification}")
        for number, listing in offered.items()
    ]
    if form.validate_on_submit():
        try:
            missing, instead = known.get(form.listing.data), offered.get(form.substitute.data)
            if missing is None or instead is None:
                raise Refused("choice", plans.CHOOSE, field="substitute")
            windows.propose_substitute(
                session,
                current_actor(),
                one,
                listing=missing,
                substitute=instead,
                quantity=form.quantity.data or 0,
                unit_price_fen=read_price(form.unit_price.data or "", instead.product.name, "unit_price"),
                reason=form.reason.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            one = _window(standing_no, day)
            lines = queries.lines_of(session, [one])[one.id]
        else:
            flash(_("已提出替代品，采购单位同意以后才会下单"), "success")
            return redirect(url_for("standing.window", standing_no=standing_no, day=day), 303)
    page = render_template(
        "procurement/standing/substitute.html", form=form, window=one, standing=one.standing, lines=lines
    )
    return page, 422 if form.errors else 200
