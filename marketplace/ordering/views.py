"""Buying, for a person and for a canteen: cart, checkout, orders, deliveries; and what a cooperative has to fulfil."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.queries import listing_by_no
from marketplace.core.errors import Conflict, DomainError, Refused
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering import queries, rules
from marketplace.ordering.cart.changes import changes_since_seen
from marketplace.ordering.cart.guest import add_as_guest, change_as_guest, guest_count, guest_lines
from marketplace.ordering.cart.pages import cart_rows, wanted_kind
from marketplace.ordering.cart.queries import cart_of
from marketplace.ordering.cart.rules import change_cart as change_quantity, put_again, put_in_cart
from marketplace.ordering.forms import QuantityForm, ReasonForm, ShipForm
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.served import NotServed, require_served
from marketplace.ordering.states import PartState
from marketplace.web.forms import tell
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("ordering", __name__)
P = Permission
BUYERS = (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT)
bp.add_app_template_global(guest_count, "guest_count")
READERS = (*BUYERS, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT, P.READ_AUDIT)


@bp.post("/cart/<listing_no>")
@public
def add_to_cart(listing_no: str) -> ResponseReturnValue:
    """Put a listing in the cart; somebody who has not signed in has one too."""
    session, actor, form = current_session(), current_actor(), QuantityForm()
    listing = listing_by_no(session, listing_no)
    if not form.validate_on_submit():
        flash(_("数量须是 1 到 100000 的整数"), "error")
        return redirect(url_for("catalog.listing", listing_no=listing_no), 303)
    quantity = form.quantity.data or 0
    kind = wanted_kind(actor)
    try:
        require_served(kind)
        if actor.user_id is None:
            units = add_as_guest(listing, quantity)
        else:
            line = put_in_cart(session, actor, kind=kind, listing=listing, quantity=quantity)
            units = line.quantity
    except (Refused, Conflict, NotServed) as error:
        tell(error)
        return redirect(url_for("catalog.listing", listing_no=listing_no), 303)
    flash(
        _("“%(title)s”已放进购物车，共 %(count)s 件", title=listing.product.name, count=units),
        "success",
    )
    return redirect(url_for(".cart", **{"for": kind.value}), 303)


@bp.get("/cart")
@public
def cart() -> ResponseReturnValue:
    """The cart, grouped by cooperative."""
    session, actor = current_session(), current_actor()
    kind = wanted_kind(actor)
    lines = cart_of(session, actor, kind) if actor.user_id else guest_lines(session)
    return render_template(
        "ordering/cart.html",
        rows=cart_rows(lines),
        kind=kind,
        form=QuantityForm(),
        changes=changes_since_seen(lines),
    )


@bp.post("/cart/<listing_no>/quantity")
@public
def change_cart(listing_no: str) -> ResponseReturnValue:
    """Change a quantity; zero takes the line out."""
    session, actor, form = current_session(), current_actor(), QuantityForm()
    kind = wanted_kind(actor)
    if not form.validate_on_submit():
        flash(_("数量须是 1 到 100000 的整数"), "error")
    elif actor.user_id is None:
        change_as_guest(session, listing_no, form.quantity.data or 0)
    else:
        change_quantity(session, actor, kind=kind, listing_no=listing_no, quantity=form.quantity.data or 0)
    return redirect(url_for(".cart", **{"for": kind.value}), 303)


@bp.get("/orders")
@requires(*READERS)
def orders() -> ResponseReturnValue:
    """One's own and one's unit's orders."""
    query = queries.orders_visible_to(current_actor())
    state = request.args.get("state", "")
    if PartState.known(state):
        query = query.where(Order.parts.any(OrderPart.state == state))
    return render_template("ordering/orders.html", page=page_of(current_session(), query), state=state)


@bp.get("/orders/<order_no>")
@requires(*READERS)
def order(order_no: str) -> ResponseReturnValue:
    """One order: what was bought from whom, and where each part stands."""
    found = queries.order_by_no(current_session(), current_actor(), order_no)
    return render_template("ordering/order.html", order=found, reason_form=ReasonForm(formdata=None))


@bp.post("/orders/<order_no>/again")
@requires(P.BUY_PERSONALLY)
def buy_again(order_no: str) -> ResponseReturnValue:
    """Put what a personal order held into the cart once more, as far as it is for sale."""
    session, actor = current_session(), current_actor()
    found = queries.order_by_no(session, actor, order_no)
    require_served(OrderKind.PERSONAL)
    added, left = put_again(session, actor, found)
    if added:
        flash(_("已放进购物车：%(titles)s", titles=_("、").join(added)), "success")
    if left:
        flash(_("现在买不到：%(titles)s", titles=_("、").join(left)), "error")
    return redirect(url_for(".cart", **{"for": OrderKind.PERSONAL.value}), 303)


@bp.post("/orders/<order_no>/cancel")
@requires(*BUYERS)
def cancel(order_no: str) -> ResponseReturnValue:
    """Call an order off before anybody approved or paid it."""
    session, actor, form = current_session(), current_actor(), ReasonForm()
    found = queries.order_by_no(session, actor, order_no)
    if not form.validate_on_submit():
        flash(_("请写明取消的原因"), "error")
    else:
        rules.cancel_order(session, actor, found, reason=form.reason.data or "")
        _nudge_after_end()
        flash(_("订单已取消，商品已放回货架"), "success")
    return redirect(url_for(".order", order_no=order_no), 303)


def _nudge_after_end() -> None:
    """Goods are free again, and an order that was awarded from a request has come to nothing."""
    nudge("set goods aside")
    nudge("reopen requests")


@bp.get("/deliveries")
@requires(P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT)
def deliveries() -> ResponseReturnValue:
    """Parts on their way or waiting for acceptance."""
    wanted = request.args.get("state", "")
    known = PartState.known(wanted)
    states = [known] if known else [PartState.SHIPPED, PartState.RECEIVED]
    query = queries.deliveries_of(current_actor()).where(OrderPart.state.in_(states))
    return render_template("ordering/deliveries.html", page=page_of(current_session(), query), state=wanted)


@bp.get("/fulfilment")
@requires(P.FULFIL_ORDERS)
def fulfilment() -> ResponseReturnValue:
    """The cooperative's orders by state."""
    wanted = request.args.get("state", PartState.PLACED.value)
    state = PartState.known(wanted) or PartState.PLACED
    query = queries.parts_visible_to(current_actor()).where(OrderPart.state == state)
    counts = queries.fulfilment_counts(current_session(), current_actor())
    page = page_of(current_session(), query)
    return render_template("ordering/fulfilment.html", page=page, state=state, counts=counts)


@bp.get("/fulfilment/<part_no>")
@requires(P.FULFIL_ORDERS)
def part(part_no: str) -> ResponseReturnValue:
    """One part to fulfil: what to pack from which lot, for whom."""
    found = queries.part_by_no(current_session(), current_actor(), part_no)
    return render_template(
        "ordering/part.html",
        part=found,
        ship_form=ShipForm(formdata=None),
        reason_form=ReasonForm(formdata=None),
    )


@bp.post("/fulfilment/<part_no>/<any(confirm, decline):step>")
@requires(P.FULFIL_ORDERS)
def fulfil(part_no: str, step: str) -> ResponseReturnValue:
    """Confirm or decline a part."""
    session, actor, form = current_session(), current_actor(), ReasonForm()
    found = queries.part_by_no(session, actor, part_no)
    if step == "decline" and not form.validate_on_submit():
        page = render_template(
            "ordering/part.html", part=found, ship_form=ShipForm(formdata=None), reason_form=form
        )
        return page, 422
    try:
        if step == "confirm":
            rules.confirm_part(session, actor, found)
        else:
            rules.decline_part(session, actor, found, reason=form.reason.data or "")
            _nudge_after_end()
    except DomainError as error:
        tell(error)
    else:
        flash(_("已确认，请备货") if step == "confirm" else _("已告知买方无法供货"), "success")
    return redirect(url_for(".part", part_no=part_no), 303)
