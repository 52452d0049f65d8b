"""Using a voucher: where its QR code leads, and paying a staff order with codes on the page.

The QR code carries the voucher's code behind the `#` of the address, which browsers keep to themselves: no log has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.core.money import format_yuan
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import Order
from marketplace.ordering.queries import order_by_no
from marketplace.payments.vouchers import spending
from marketplace.payments.vouchers.forms import RedeemForm, SpendForm
from marketplace.payments.vouchers.models import Voucher, VoucherSpend
from marketplace.payments.vouchers.spending import Cover
from marketplace.web.forms import place_error
from marketplace.web.limits import limiter
from marketplace.web.transaction import current_session

bp = Blueprint("voucher_spending", __name__)
TRIES = "30 per minute; 200 per hour"  # codes are long; this keeps anybody from trying many


@dataclass(frozen=True)
class OnOrder:
    """The vouchers on an order, and what is left to be paid otherwise, in fen."""

    spends: list[VoucherSpend]
    paid_fen: int
    rest_fen: int


def vouchers_on(order: Order) -> OnOrder:
    """The vouchers promised to an order or spent on it, for its pages."""
    spends = list(spending.spends_on(current_session(), [order.id]))
    paid_fen = sum(one.amount_fen for one in spends)
    return OnOrder(spends, paid_fen, order.total_fen - paid_fen)


bp.add_app_template_global(vouchers_on, "vouchers_on")


@bp.route("/orders/<order_no>/vouchers", methods=["GET", "POST"])
@requires(Permission.BUY_PERSONALLY)
@limiter.limit(TRIES, methods=["POST"])
def spend(order_no: str) -> ResponseReturnValue:
    """Enter codes and see what they pay of an order; then use them."""
    session, actor, form = current_session(), current_actor(), SpendForm()
    order = order_by_no(session, actor, order_no)
    covers: list[Cover] = []
    if form.validate_on_submit():
        key = current_app.extensions["data_key"]
        try:
            if request.form.get("do") == "use":
                spending.spend_vouchers(session, actor, order, codes=form.lines, key=key)
                return _used(order)
            covers = spending.price_vouchers(session, actor, order, codes=form.lines, key=key)
        except DomainError as error:
            place_error(form, error)
            order = order_by_no(session, actor, order_no)
    page = render_template("payments/vouchers/spend.html", order=order, form=form, covers=covers)
    return page, 422 if form.errors else 200


def _used(order: Order) -> ResponseReturnValue:
    rest_fen = vouchers_on(order).rest_fen
    if rest_fen:
        flash(_("提货券已用上，还需在线支付 ¥%(amount)s", amount=format_yuan(rest_fen)), "success")
    else:
        flash(_("提货券已付清这张订单，合作社会尽快确认并发货"), "success")
    return redirect(url_for("ordering.order", order_no=order.public_no), 303)


@bp.route("/redeem", methods=["GET", "POST"])
@public
@limiter.limit(TRIES, methods=["POST"])
def redeem() -> ResponseReturnValue:
    """Where the QR code of a voucher leads: to the counter, to one's own orders, or first to signing in."""
    session, actor, form = current_session(), current_actor(), RedeemForm()
    voucher: Voucher | None = None
    orders: Sequence[Order] = ()
    if actor.can(Permission.BUY_PERSONALLY) and form.validate_on_submit():
        key = current_app.extensions["data_key"]
        try:
            voucher = spending.voucher_of(session, actor, form.code.data or "", key=key)
            orders = spending.orders_to_pay_with(session, actor, voucher)
        except DomainError as error:
            place_error(form, error)
    page = render_template("payments/vouchers/redeem.html", form=form, voucher=voucher, orders=orders)
    return page, 422 if form.errors else 200
