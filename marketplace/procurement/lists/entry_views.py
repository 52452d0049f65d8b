"""Ordering many lines at once: a table for the keyboard, and a sheet pasted or uploaded."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.sheet_views import explain_finding
from marketplace.ordering.cart.pages import wanted_kind
from marketplace.ordering.models import OrderKind
from marketplace.ordering.wishes import MAX_LINES
from marketplace.procurement.lists import queries, rules
from marketplace.procurement.lists.forms import SheetForm
from marketplace.procurement.lists.reading import (
    MOST_CHARACTERS,
    Checked,
    TypedRow,
    check_rows,
    rows_of_sheet,
    rows_pasted,
)
from marketplace.procurement.lists.views import say_left_out
from marketplace.registry.roster.checks import text_of
from marketplace.web.forms import place_error, tell
from marketplace.web.locale import counted
from marketplace.web.transaction import current_session

bp = Blueprint("order_entry", __name__)
orderer = requires(Permission.ORDER_FOR_UNIT)
FIRST_ROWS = 10
MORE_ROWS = 10


def _kind() -> OrderKind:
    """Which of the unit's carts is filled; never the personal one."""
    kind = wanted_kind(current_actor())
    return OrderKind.CANTEEN if kind is OrderKind.PERSONAL else kind


def _typed_rows() -> list[TypedRow]:
    """The rows of the table as they were typed, empty ones among them."""
    products = request.form.getlist("product")[:MAX_LINES]
    quantities = request.form.getlist("quantity")[:MAX_LINES]
    return [
        TypedRow(number, text_of(product)[:MOST_CHARACTERS], text_of(quantity)[:20])
        for number, (product, quantity) in enumerate(zip(products, quantities, strict=False), start=1)
    ]


@bp.route("/quick-order", methods=["GET", "POST"])
@orderer
def quick() -> ResponseReturnValue:
    """The table: a product and a quantity a row. `act` says what a press does: check, more rows, or to the cart."""
    kind, act = _kind(), request.form.get("act", "")
    typed = _typed_rows() if request.method == "POST" else []
    checked = check_rows(current_session(), typed)
    if request.headers.get("HX-Request"):
        return render_template("procurement/lists/_totals.html", checked=checked, explain=explain_finding)
    if act == "cart" and (answer := _to_checkout(kind, checked)):
        return answer
    return _quick_page(kind, typed, checked, more=act == "more"), 422 if act == "cart" else 200


def _to_checkout(kind: OrderKind, checked: Checked) -> ResponseReturnValue | None:
    """Into the cart and on, when every row is good; else None, with what is wrong."""
    session = current_session()
    if not checked.rows and not checked.findings:
        flash(_("请至少填写一行"), "error")
        return None
    if checked.findings:
        flash(counted("有 %(count)s 处要改，改好后再放进购物车", len(checked.findings)), "error")
        return None
    wanted = [row.wanted for row in checked.rows.values()]
    try:
        _good, left_out = rules.fill_cart(session, current_actor(), kind=kind, wanted=wanted)
    except DomainError as error:
        tell(error)
        return None
    say_left_out(left_out)
    return redirect(url_for("unit_checkout.checkout") + f"?for={kind.value}", 303)


def _quick_page(kind: OrderKind, typed: list[TypedRow], checked: Checked, *, more: bool) -> str:
    wanted = max(FIRST_ROWS, len(typed) + (MORE_ROWS if more else 0))
    blank = [TypedRow(number, "", "") for number in range(len(typed) + 1, min(wanted, MAX_LINES) + 1)]
    return render_template(
        "procurement/lists/quick.html",
        kind=kind,
        rows=[*typed, *blank],
        checked=checked,
        explain=explain_finding,
        suggestions=queries.suggested(current_session(), current_actor()),
        most=MAX_LINES,
    )


@bp.get("/quick-order/suggestions")
@orderer
def suggestions() -> ResponseReturnValue:
    """What the words typed so far may mean, as options."""
    words = request.args.getlist("product")
    found = queries.suggested(current_session(), current_actor(), words[0] if words else "")
    return render_template("procurement/lists/_suggestions.html", suggestions=found)


@bp.route("/order-sheet", methods=["GET", "POST"])
@orderer
def sheet() -> ResponseReturnValue:
    """A sheet, pasted or uploaded: what is good goes on as a basket, what is not is named by row and column."""
    kind, form = _kind(), SheetForm()
    checked: Checked | None = None
    if form.validate_on_submit():
        try:
            chosen = form.file.data
            content = chosen.read() if chosen and getattr(chosen, "filename", "") else None
            rows = rows_of_sheet(content) if content is not None else rows_pasted(form.pasted.data or "")
            checked = check_rows(current_session(), rows)
        except DomainError as error:
            place_error(form, error)
    page = render_template(
        "procurement/lists/sheet.html",
        form=form,
        kind=kind,
        checked=checked,
        rows=list(checked.rows.values()) if checked else [],
        explain=explain_finding,
        most=MAX_LINES,
    )
    return page, 422 if form.errors or (checked is not None and not checked.rows) else 200
