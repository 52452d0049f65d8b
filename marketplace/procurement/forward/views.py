"""Orders before the harvest on the page: a unit's, and what a cooperative promised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.prices.queries import rules_in_force, stored_references
from marketplace.catalog.queries import listing_by_no
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.queries import lot_by_no
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.rules import Delivery
from marketplace.ordering.served import for_units
from marketplace.procurement.forward import delivering, queries, rules, steps
from marketplace.procurement.forward.forms import AheadForm, DeliverForm, LotForm
from marketplace.procurement.forward.models import ForwardEvent, ForwardOrder, ForwardState
from marketplace.web.forms import place_error, tell
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("forward", __name__)
P = Permission
UNIT = (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT)
READERS = (*UNIT, P.FULFIL_ORDERS, P.MATCH_BANK_LINES, P.READ_AUDIT)
WITH_REASON = {
    ForwardEvent.REJECT: rules.reject_ahead,
    ForwardEvent.DECLINE: rules.decline_ahead,
    ForwardEvent.WITHDRAW: rules.withdraw_ahead,
    ForwardEvent.END: rules.end_ahead,
}
WITHOUT_REASON = {ForwardEvent.APPROVE: rules.approve_ahead, ForwardEvent.CONFIRM: rules.confirm_ahead}
DAYS_TO_HARVEST = 60


@bp.get("/ahead")
@requires(*READERS)
def index() -> ResponseReturnValue:
    """The orders before the harvest that the reader may see."""
    page = page_of(current_session(), queries.forwards_visible_to(current_actor()))
    return render_template("procurement/forward/index.html", page=page)


@bp.route("/ahead/new/<listing_no>", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
@for_units
def new(listing_no: str) -> ResponseReturnValue:
    """Order a listing before its harvest."""
    session, actor = current_session(), current_actor()
    listing = listing_by_no(session, listing_no)
    first = {"harvest_on": today() + timedelta(days=DAYS_TO_HARVEST)}
    form = AheadForm(data=first) if request.method == "GET" else AheadForm()
    if form.validate_on_submit():
        try:
            made = rules.order_ahead(
                session,
                actor,
                listing=listing,
                units=form.units.data or 0,
                price=rules.Price(form.price.data or 0, form.floor.data or 0),
                deposit_bp=form.deposit.data or 0,
                harvest_on=form.harvest_on.data,
                note=form.note.data or "",
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            listing = listing_by_no(session, listing_no)
        else:
            flash(_("预订已提交，等待另一位审批人审批"), "success")
            return redirect(url_for(".show", forward_no=made.public_no), 303)
    version = listing.current_version
    per_kg = per_kg_fen(version.tiers[0].unit_price_fen, version.net_mass_g) if version else 0
    county = listing.product.cooperative.county_code
    page = render_template(
        "procurement/forward/new.html",
        form=form,
        listing=listing,
        per_kg=per_kg,
        reference=stored_references(session, [listing.product], today()).get(listing.product_id),
        above_bp=rules_in_force(session, {county}, today())[county].above_bp,
    )
    return page, 422 if form.errors else 200


@bp.get("/ahead/<forward_no>")
@requires(*READERS)
def show(forward_no: str) -> ResponseReturnValue:
    """One order before the harvest: what was agreed, where it stands, what was taken."""
    return _page(queries.forward_by_no(current_session(), current_actor(), forward_no))


def _page(found: ForwardOrder) -> str:
    session, actor = current_session(), current_actor()
    lot_form = LotForm(formdata=None)
    lots = queries.lots_to_name(session, found) if actor.can(P.FULFIL_ORDERS) else []
    lot_form.offer([lot for lot in lots if lot.id != found.lot_id])
    taken = queries.units_taken(session, found)
    return render_template(
        "procurement/forward/show.html",
        found=found,
        taken=taken,
        left=found.units - taken,
        in_lot=queries.units_for(found) if found.lot else None,
        may={event for event, states in steps.STATES_OF.items() if found.state in states},
        reason_form=ReasonForm(formdata=None),
        lot_form=lot_form,
        asked=found.state in (ForwardState.CONFIRMED, ForwardState.ACTIVE, ForwardState.DONE),
    )


@bp.post("/ahead/<forward_no>/<event>")
@requires(P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.FULFIL_ORDERS)
def move(forward_no: str, event: str) -> ResponseReturnValue:
    """Approve, reject, confirm, decline, withdraw or end."""
    wanted, form = ForwardEvent.known(event), ReasonForm()
    if wanted in WITHOUT_REASON:
        return _do(forward_no, WITHOUT_REASON[wanted])
    if wanted not in WITH_REASON:
        raise NotFound
    if not form.validate_on_submit():
        queries.forward_by_no(current_session(), current_actor(), forward_no)
        flash(_("请写明原因"), "error")
        return redirect(url_for(".show", forward_no=forward_no), 303)
    return _do(forward_no, WITH_REASON[wanted], reason=form.reason.data or "")


@bp.post("/ahead/<forward_no>/lot")
@requires(P.FULFIL_ORDERS)
def lot(forward_no: str) -> ResponseReturnValue:
    """Say which lot is delivered."""
    chosen = lot_by_no(current_session(), current_actor(), request.form.get("lot", ""))
    return _do(forward_no, delivering.name_lot, lot=chosen)


def _do(forward_no: str, rule: Callable[..., ForwardOrder], **said: Any) -> ResponseReturnValue:
    """Move an order, and say so or why not on its page."""
    session, actor = current_session(), current_actor()
    found = queries.forward_by_no(session, actor, forward_no)
    try:
        rule(session, actor, found, **said)
    except DomainError as error:
        tell(error)
    else:
        nudge("ask deposits")
        nudge("set off deposits")
        flash(_("已办理"), "success")
    return redirect(url_for(".show", forward_no=forward_no), 303)


@bp.route("/ahead/<forward_no>/deliver", methods=["GET", "POST"])
@requires(P.ORDER_FOR_UNIT)
def deliver(forward_no: str) -> ResponseReturnValue:
    """Take a delivery out of the lot."""
    session, actor = current_session(), current_actor()
    found = queries.forward_by_no(session, actor, forward_no)
    form = DeliverForm(data=_first_typed(found)) if request.method == "GET" else DeliverForm()
    if form.validate_on_submit():
        names = ("recipient_name", "recipient_phone", "address", "note")
        try:
            made = delivering.arrange_delivery(
                session,
                actor,
                found,
                units=form.units.data or 0,
                deliver_on=form.deliver_on.data,
                delivery=Delivery(**{name: form[name].data or "" for name in names}),
                idempotency_key=form.idempotency_key.data or "",
            )
        except DomainError as error:
            place_error(form, error)
            found = queries.forward_by_no(session, actor, forward_no)
        else:
            flash(_("交货已安排，采购单已提交审批"), "success")
            return redirect(url_for("ordering.order", order_no=made.order.public_no), 303)
    page = render_template(
        "procurement/forward/deliver.html",
        form=form,
        found=found,
        left=found.units - queries.units_taken(session, found),
        in_lot=queries.units_for(found),
    )
    return page, 422 if form.errors else 200


def _first_typed(found: ForwardOrder) -> dict[str, Any]:
    unit = found.unit
    return {
        "recipient_name": unit.contact_name,
        "recipient_phone": unit.contact_phone,
        "address": unit.address,
        "deliver_on": today() + timedelta(days=2),
    }
