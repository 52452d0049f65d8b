"""A cooperative's days, and the part of a product's page that tells when, where to and for how much it is delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.addresses.forms import OUTSIDE, region_choices
from marketplace.ordering.addresses.queries import addresses_of
from marketplace.ordering.dispatch import queries, rules
from marketplace.ordering.dispatch.days import arrival, weekdays_of
from marketplace.ordering.dispatch.forms import DispatchForm
from marketplace.ordering.freight.queries import Freight, Load, current_sheets, freight_of
from marketplace.registry.models import Region
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("dispatch", __name__)
bp.add_app_template_global(weekdays_of, "weekdays_of_mask")


@bp.route("/workshop/dispatch", methods=["GET", "POST"])
@requires(Permission.MANAGE_LISTINGS)
def plan() -> ResponseReturnValue:
    """The days; sending them writes a new plan."""
    session, actor = current_session(), current_actor()
    if actor.cooperative_id is None:
        raise NotFound
    held = queries.current_plans(session, [actor.cooperative_id]).get(actor.cooperative_id)
    form = DispatchForm(
        data={
            "weekdays": weekdays_of(held.weekdays) if held else [],
            "lead_days": held.lead_days if held else 1,
        }
    )
    if form.validate_on_submit():
        try:
            rules.write_dispatch_plan(
                session, actor, weekdays=form.weekdays.data or [], lead_days=form.lead_days.data or 0
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("送货日已更新，从现在起的新订单按它安排"), "success")
            return redirect(url_for(".plan"), 303)
    leaves_on = queries.leaving_day(held, today())
    page = render_template("ordering/dispatch/plan.html", form=form, held=held, leaves_on=leaves_on)
    return page, 422 if form.errors else 200


@dataclass(frozen=True)
class Brought:
    """One unit of goods brought to a place: what carrying costs (None: not delivered there), when it leaves and
    arrives as far as the cooperative has said."""

    place: str
    freight: Freight | None
    leaves_on: date | None
    arrives: tuple[date, date] | None


def delivery_section(session: Session, listing: Listing) -> tuple[str, dict[str, Any]]:
    """The template of the part of a product's page, and its context."""
    own = listing.cooperative_id
    plan = queries.current_plans(session, [own]).get(own)
    sheet = current_sheets(session, [own]).get(own)
    actor = current_actor()
    wanted = request.args.get("to", "") or _usual_place(session, actor)
    place = _name_of(session, wanted)
    brought = None
    if place is not None and listing.current_version is not None:
        load = Load(listing.product.gross_mass_g, listing.current_version.tiers[0].unit_price_fen)
        freight = freight_of(sheet, "" if wanted == OUTSIDE else wanted, load)
        leaves_on = queries.leaving_day(plan, today())
        days = freight.days if freight else None
        brought = Brought(
            place, freight, leaves_on, arrival(leaves_on, days) if leaves_on is not None and days else None
        )
    return "ordering/dispatch/_listing.html", {
        "plan": plan,
        "sheet": sheet,
        "brought": brought,
        "wanted": wanted if place is not None else "",
        "regions": region_choices(session),
        "by_van": actor.can(Permission.ORDER_FOR_UNIT),
    }


def _usual_place(session: Session, actor: Actor) -> str:
    """Where the reader has things sent: the default address, else the county of the unit."""
    if actor.user_id is None:
        return ""
    if actor.can(Permission.BUY_PERSONALLY):
        kept = addresses_of(session, actor)
        if kept:
            return kept[0].region_code or OUTSIDE
    return actor.county_code or ""


def _name_of(session: Session, wanted: str) -> str | None:
    """What a county is called, or the rest of the country; None for anything else."""
    if wanted == OUTSIDE:
        return _("江西省以外")
    place = session.get(Region, wanted) if len(wanted) == 6 else None
    return place.name if place else None
