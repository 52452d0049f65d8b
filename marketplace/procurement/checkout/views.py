"""The checkout of a unit: one page that says what is bought, when it comes, who pays, and who will approve."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering.cart.changes import changes_since_seen
from marketplace.ordering.cart.pages import (
    cart_rows,
    has_agreed,
    prefilled,
    read_shown,
    shown_of,
    wanted_kind,
)
from marketplace.ordering.cart.queries import cart_of
from marketplace.ordering.dispatch.models import DispatchPlan
from marketplace.ordering.dispatch.queries import current_plans, day_of_all
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.ordering.rules import Delivery
from marketplace.ordering.served import require_served
from marketplace.ordering.terms import terms_in_force
from marketplace.procurement.approvals.queries import standing_ahead
from marketplace.procurement.budgets.models import BudgetLine
from marketplace.procurement.budgets.queries import balances
from marketplace.procurement.checkout.forms import UnitCheckoutForm
from marketplace.procurement.checkout.rules import place_unit_order
from marketplace.registry.models import BuyerUnit
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("unit_checkout", __name__)
USUAL_DAYS = 3  # what the page proposes as the delivery day, from today


@bp.route("/unit-checkout", methods=["GET", "POST"])
@requires(Permission.ORDER_FOR_UNIT)
def checkout() -> ResponseReturnValue:
    """Place the unit's cart as an order that goes to approval."""
    session, actor = current_session(), current_actor()
    kind = wanted_kind(actor)
    cart = url_for("ordering.cart") + f"?for={kind.value}"
    if kind is OrderKind.PERSONAL:
        return redirect(url_for("checkout.show"), 303)
    require_served(kind)
    lines = cart_of(session, actor, kind)
    plans = current_plans(session, {line.listing.cooperative_id for line in lines})
    given: dict[str, object] = {**prefilled(actor, kind), "deliver_on": _usual_day(list(plans.values()))}
    form = UnitCheckoutForm(data=given) if request.method == "GET" else UnitCheckoutForm()
    _offer_budgets(form)
    if form.validate_on_submit() and has_agreed(form, changes_since_seen(lines)):
        try:
            placed = _place(form, kind, lines)
        except DomainError as error:
            place_error(form, error)
            lines = cart_of(session, actor, kind)
        else:
            return redirect(url_for("ordering.order", order_no=placed.public_no, placed=1), 303)
    if not lines:
        return redirect(cart, 303)
    form.shown.data = shown_of(lines)
    rows = cart_rows(lines)
    total = sum(int(str(row["total"])) for row in rows)
    page = render_template(
        "procurement/checkout/checkout.html",
        form=form,
        rows=rows,
        kind=kind,
        total=total,
        changes=changes_since_seen(lines),
        plans=[(name, plans[key]) for key, name in sorted(_sellers(lines).items()) if key in plans],
        standing=standing_ahead(session, actor, total),
        terms=terms_in_force(session, session.get_one(BuyerUnit, actor.buyer_unit_id), today()),
    )
    return page, 422 if form.errors else 200


def _usual_day(plans: list[DispatchPlan]) -> date:
    """The delivery day proposed: the first after a few days on which everybody delivers."""
    usual = today() + timedelta(days=USUAL_DAYS)
    return day_of_all(plans, today(), not_before=usual) or usual


def _sellers(lines: list[CartLine]) -> dict[int, str]:
    return {line.listing.cooperative_id: line.listing.product.cooperative.name for line in lines}


def _offer_budgets(form: UnitCheckoutForm) -> None:
    """This year's and the next year's lines: the delivery day decides which of them may be used."""
    session, year = current_session(), today().year
    query = select(BudgetLine).where(
        BudgetLine.unit_id == current_actor().buyer_unit_id, BudgetLine.year.in_((year, year + 1))
    )
    lines = list(session.scalars(query.order_by(BudgetLine.year, BudgetLine.id)))
    form.offer(balances(session, lines))


def _place(form: UnitCheckoutForm, kind: OrderKind, lines: list[CartLine]) -> Order:
    """Order the cart as the page had shown it."""
    return place_unit_order(
        current_session(),
        current_actor(),
        kind=kind,
        idempotency_key=form.idempotency_key.data or "",
        lines=[(line.listing.public_no, line.quantity) for line in lines],
        seen=read_shown(form.shown.data or ""),
        delivery=Delivery(
            recipient_name=form.recipient_name.data or "",
            recipient_phone=form.recipient_phone.data or "",
            address=form.address.data or "",
            note=form.note.data or "",
        ),
        deliver_on=form.deliver_on.data,
        budget_no=form.budget.data or "",
    )
