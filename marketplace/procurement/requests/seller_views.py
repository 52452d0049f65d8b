"""A cooperative's pages: its offers, and what it says will be ready, with the requests that fit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.models import Listing
from marketplace.catalog.prices.queries import rules_in_force, stored_references
from marketplace.catalog.queries import available_units, own_product, products_of
from marketplace.core.clock import now, today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.queries import lot_by_no, lots_visible_to
from marketplace.procurement.requests import offering, queries, supplies as supply_rules
from marketplace.procurement.requests.forms import OfferForm, SupplyForm
from marketplace.procurement.requests.matching import matches_of_cooperative
from marketplace.procurement.requests.models import Offer, PurchaseRequest
from marketplace.registry.cooperatives.queries import own_cooperative
from marketplace.web.forms import place_error, tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("selling", __name__)
seller = requires(Permission.MANAGE_LISTINGS)
MAX_CHOICES = 200


# --- offers ---


@bp.route("/board/<request_no>/offer", methods=["GET", "POST"])
@seller
def offer(request_no: str) -> ResponseReturnValue:
    """Offer on a request, or say something else than before."""
    session, actor = current_session(), current_actor()
    found = queries.board_request_by_no(session, request_no)
    own = queries.own_offer_on(session, actor, found)
    form = OfferForm(data=_offered_before(found, own)) if request.method == "GET" else OfferForm()
    listings = queries.listings_to_offer(session, actor, found.current.category)
    form.offer(listings)
    if form.validate_on_submit():
        listing = next(one for one in listings if one.public_no == form.listing.data)
        try:
            offering.make_offer(
                session,
                actor,
                found,
                listing=listing,
                units=form.units.data or 0,
                unit_price_fen=form.unit_price.data or 0,
                deliver_on=form.deliver_on.data,
                note=form.note.data or "",
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            found = queries.board_request_by_no(session, request_no)
            listings = queries.listings_to_offer(session, actor, found.current.category)
        else:
            flash(_("报价已提交；截止前可以修改或撤回，其他合作社看不到"), "success")
            return redirect(url_for(".own_offers"), 303)
    page = render_template(
        "procurement/requests/offer.html",
        form=form,
        found=found,
        current=found.current,
        own=own,
        listings=listings,
        stock=available_units(session, [one.product_id for one in listings]),
        references=stored_references(session, [one.product for one in listings], today()),
        above_bp=_above_bp(listings),
        taking=queries.takes_offers(found),
    )
    return page, 422 if form.errors else 200


def _above_bp(listings: Sequence[Listing]) -> int:
    """How far an offer may lie above the reference, in basis points; the listings are of one cooperative."""
    counties = {one.product.cooperative.county_code for one in listings}
    return min(
        (one.above_bp for one in rules_in_force(current_session(), counties, today()).values()), default=0
    )


def _offered_before(found: PurchaseRequest, own: Offer | None) -> dict[str, Any]:
    if own is None:
        return {"deliver_on": found.current.deliver_from}
    before = own.current
    return {
        "listing": before.listing.public_no,
        "units": before.units,
        "unit_price": before.unit_price_fen,
        "deliver_on": before.deliver_on,
        "note": before.note,
    }


@bp.get("/offers")
@seller
def own_offers() -> ResponseReturnValue:
    """The cooperative's offers and what became of them."""
    session = current_session()
    page = page_of(session, queries.offers_of(current_actor()))
    return render_template("procurement/requests/own_offers.html", page=page, now=now())


@bp.post("/offers/<offer_no>/withdraw")
@seller
def withdraw_offer(offer_no: str) -> ResponseReturnValue:
    """Take an offer back."""
    return _done(offer_no, offering.withdraw_offer, _("报价已撤回"))


@bp.post("/offers/<offer_no>/noted")
@seller
def note_outcome(offer_no: str) -> ResponseReturnValue:
    """Take note of an outcome."""
    return _done(offer_no, offering.read_outcome, _("已知悉"))


def _done(offer_no: str, rule: Any, message: str) -> ResponseReturnValue:
    session, actor = current_session(), current_actor()
    found = queries.offer_by_no(session, actor, offer_no)
    try:
        rule(session, actor, found)
    except DomainError as error:
        tell(error)
    else:
        flash(message, "success")
    return redirect(url_for(".own_offers"), 303)


# --- supplies ---


@bp.get("/supplies")
@seller
def supplies() -> ResponseReturnValue:
    """What the cooperative said will be ready, and the requests that fit it."""
    session, actor = current_session(), current_actor()
    page = page_of(session, queries.supplies_of(actor))
    matches = matches_of_cooperative(session, actor.cooperative_id or 0)
    return render_template("procurement/requests/supplies.html", page=page, matches=matches, today=today())


@bp.route("/supplies/new", methods=["GET", "POST"])
@seller
def new_supply() -> ResponseReturnValue:
    """Say what will be ready."""
    session, actor = current_session(), current_actor()
    first = {"ready_from": today(), "ready_until": today() + timedelta(days=30)}
    form = SupplyForm(data=first) if request.method == "GET" else SupplyForm()
    _offer_choices(form)
    if form.validate_on_submit():
        try:
            supply_rules.post_supply(
                session, actor, ready=_ready(form), idempotency_key=form.idempotency_key.data or ""
            )
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("供应已发布，采购单位可以看到"), "success")
            return redirect(url_for(".supplies"), 303)
    page = render_template("procurement/requests/supply.html", form=form)
    return page, 422 if form.errors else 200


def _offer_choices(form: SupplyForm) -> None:
    session, actor = current_session(), current_actor()
    products = list(session.scalars(products_of(actor).limit(MAX_CHOICES)).unique())
    lots = list(session.scalars(lots_visible_to(actor).limit(MAX_CHOICES)))
    form.offer(session, own_cooperative(session, actor), products, lots)


def _ready(form: SupplyForm) -> supply_rules.Ready:
    session, actor = current_session(), current_actor()
    return supply_rules.Ready(
        commodity=form.commodity.data or "",
        category_code=form.category_code.data,
        mass_g=form.mass_g,
        ask_fen_per_kg=form.ask.data or 0,
        ready_from=form.ready_from.data,
        ready_until=form.ready_until.data,
        village_code=form.village_code.data or "",
        product=own_product(session, actor, form.product.data) if form.product.data else None,
        lot=lot_by_no(session, actor, form.lot.data) if form.lot.data else None,
        note=form.note.data or "",
    )


@bp.post("/supplies/<supply_no>/withdraw")
@seller
def withdraw_supply(supply_no: str) -> ResponseReturnValue:
    """Take a supply back."""
    session, actor = current_session(), current_actor()
    found = queries.supply_by_no(session, actor, supply_no)
    try:
        supply_rules.withdraw_supply(session, actor, found)
    except DomainError as error:
        tell(error)
    else:
        flash(_("已撤下"), "success")
    return redirect(url_for(".supplies"), 303)
