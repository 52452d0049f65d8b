"""The lists of a unit, and the basket: what a list, an old order or a menu proposes, looked over before it goes to the
cart."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.catalog.queries import listings_by_nos
from marketplace.core.errors import DomainError, Refused
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.cart.pages import wanted_kind
from marketplace.ordering.cart.queries import cart_of
from marketplace.ordering.models import OrderKind
from marketplace.ordering.queries import order_by_no
from marketplace.procurement.lists import queries, rules
from marketplace.procurement.lists.basket import Assessed, Wanted, assess
from marketplace.procurement.lists.forms import ItemForm, NameForm
from marketplace.procurement.lists.models import OrderList
from marketplace.procurement.lists.reading import listings_called
from marketplace.web.addresses import own_path
from marketplace.web.forms import place_error, tell
from marketplace.web.locale import label
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("order_lists", __name__)
orderer = requires(Permission.ORDER_FOR_UNIT)
MOST_SAID = 6


@bp.route("/order-lists", methods=["GET", "POST"])
@orderer
def index() -> ResponseReturnValue:
    """The unit's lists; a new one begins empty, or with what is in the cart (`cart`)."""
    session, actor = current_session(), current_actor()
    form = NameForm()
    if form.validate_on_submit():
        lines = cart_of(session, actor, OrderKind.CANTEEN) if request.form.get("cart") else []
        wanted = [Wanted(line.listing, line.quantity) for line in lines]
        try:
            made = rules.make_list(session, actor, name=form.name.data or "", wanted=wanted)
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("清单已建立"), "success")
            return redirect(url_for(".show", number=made.public_no), 303)
    page = page_of(session, queries.lists_of(actor))
    shown = render_template("procurement/lists/index.html", form=form, page=page)
    return shown, 422 if form.errors else 200


@bp.get("/order-lists/<number>")
@orderer
def show(number: str) -> ResponseReturnValue:
    """One list as a basket: today's prices, what has changed since, and what goes to the cart."""
    found = queries.list_by_no(current_session(), current_actor(), number)
    return _list_page(found, ItemForm(formdata=None))


def _list_page(found: OrderList, form: ItemForm) -> ResponseReturnValue:
    session = current_session()
    page = render_template(
        "procurement/lists/show.html",
        order_list=found,
        rows=assess(session, queries.wanted_of(found)),
        form=form,
        suggestions=queries.suggested(session, current_actor()),
    )
    return page, 422 if form.errors else 200


@bp.post("/order-lists/<number>/items")
@orderer
def note_item(number: str) -> ResponseReturnValue:
    """Put a product on a list, or change what is noted of it."""
    session, actor, form = current_session(), current_actor(), ItemForm()
    found = queries.list_by_no(session, actor, number)
    if not form.validate_on_submit():
        return _list_page(found, form)
    word = form.product.data or ""
    listings = listings_called(session, [word])[word]
    try:
        if len(listings) != 1:
            raise Refused(
                "unclear", _("没有找到，或不止一个产品叫这个名字；请填产品页上的编号"), field="product"
            )
        rules.note_item(
            session,
            actor,
            found,
            listing=listings[0],
            quantity=form.quantity.data or 0,
            ceiling_fen=form.ceiling.data,
        )
    except DomainError as error:
        place_error(form, error)
        return _list_page(queries.list_by_no(session, actor, number), form)
    flash(_("已记到清单里"), "success")
    return redirect(url_for(".show", number=number), 303)


@bp.post("/order-lists/<number>/items/<listing_no>/drop")
@orderer
def drop_item(number: str, listing_no: str) -> ResponseReturnValue:
    """Take a product off a list."""
    session, actor = current_session(), current_actor()
    rules.drop_item(session, actor, queries.list_by_no(session, actor, number), listing_no=listing_no)
    flash(_("已从清单里拿掉"), "success")
    return redirect(url_for(".show", number=number), 303)


@bp.post("/order-lists/<number>/delete")
@orderer
def delete(number: str) -> ResponseReturnValue:
    """Throw a list away."""
    session, actor = current_session(), current_actor()
    rules.delete_list(session, actor, queries.list_by_no(session, actor, number))
    flash(_("清单已删除"), "success")
    return redirect(url_for(".index"), 303)


@bp.get("/orders/<order_no>/reorder")
@orderer
def reorder(order_no: str) -> ResponseReturnValue:
    """An old order as a basket: what has changed since is said before anything goes to the cart."""
    session = current_session()
    order = order_by_no(session, current_actor(), order_no)
    rows = assess(session, queries.ordered_before(session, order))
    return render_template("procurement/lists/reorder.html", order=order, rows=rows)


@bp.post("/basket")
@orderer
def fill() -> ResponseReturnValue:
    """Put the ticked rows of a basket in the cart. A list's ceilings are looked up again, not believed."""
    session, actor = current_session(), current_actor()
    kind = wanted_kind(actor)
    numbers = list(dict.fromkeys(request.form.getlist("pick")))
    listings = listings_by_nos(session, numbers)
    ceilings = {}
    if list_no := request.form.get("list", ""):
        items = queries.list_by_no(session, actor, list_no).items
        ceilings = {item.listing_id: item.ceiling_fen for item in items}
    try:
        if not listings:
            raise Refused("nothing_picked", N_("请至少勾选一种产品"))
        wanted = [Wanted(one, _quantity(one.public_no), ceiling_fen=ceilings.get(one.id)) for one in listings]
        good, left_out = rules.fill_cart(
            session, actor, kind=kind, wanted=wanted, accepted=request.form.getlist("accept")
        )
    except DomainError as error:
        tell(error)
        return redirect(_back(), 303)
    say_left_out(left_out)
    if not good:
        return redirect(_back(), 303)
    flash(_("%(count)s 种产品已放进购物车", count=len(good)), "success")
    return redirect(url_for("ordering.cart") + f"?for={kind.value}", 303)


def _quantity(number: str) -> int:
    text = request.form.get(f"quantity-{number}", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def say_left_out(rows: Sequence[Assessed]) -> None:
    """Name what did not go to the cart, and why."""
    for one in rows[:MOST_SAID]:
        why = _("、").join(label(remark) for remark in one.remarks)
        name = one.wanted.listing.product.name
        flash(_("“%(name)s”没有放进购物车：%(why)s", name=name, why=why), "error")
    if len(rows) > MOST_SAID:
        flash(_("还有 %(count)s 种没有放进购物车", count=len(rows) - MOST_SAID), "error")


def _back() -> str:
    """The page of the basket: only one of this site's own."""
    return own_path(request.form.get("back"), url_for(".index"))
