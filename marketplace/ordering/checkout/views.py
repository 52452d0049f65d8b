"""The checkout of a personal order: where it goes, what carrying it costs, then the order, which goes to payment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from marketplace.catalog.queries import sale_stop
from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.ordering import rules
from marketplace.ordering.addresses.forms import OUTSIDE
from marketplace.ordering.addresses.models import SavedAddress
from marketplace.ordering.addresses.queries import addresses_of
from marketplace.ordering.addresses.rules import MOST, save_address
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
from marketplace.ordering.checkout.forms import PersonalCheckoutForm
from marketplace.ordering.dispatch.days import arrival
from marketplace.ordering.dispatch.queries import current_plans, leaving_day
from marketplace.ordering.freight.charging import Carriage, loads_of
from marketplace.ordering.freight.queries import Freight, freights_of
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.ordering.served import require_served
from marketplace.ordering.wishes import Wish
from marketplace.registry.models import Cooperative
from marketplace.web.forms import place_error
from marketplace.web.transaction import current_session

bp = Blueprint("checkout", __name__)


@dataclass(frozen=True)
class Carrying:
    """What one cooperative's goods and their carrying cost; `freight` is None where it does not deliver, `arrives` the
    first and last day on which they come, where the cooperative has said when they leave."""

    name: str
    goods_fen: int
    freight: Freight | None
    leaves_on: date | None = None

    @property
    def arrives(self) -> tuple[date, date] | None:
        """See above."""
        days = self.freight.days if self.freight else None
        return arrival(self.leaves_on, days) if self.leaves_on is not None and days else None


@bp.route("/checkout", methods=["GET", "POST"])
@requires(Permission.BUY_PERSONALLY, Permission.ORDER_FOR_UNIT)
def show() -> ResponseReturnValue:
    """Where it goes, then the order. A unit has a checkout of its own."""
    session, actor = current_session(), current_actor()
    kind = wanted_kind(actor)
    if kind is not OrderKind.PERSONAL:
        return redirect(url_for("unit_checkout.checkout", **{"for": kind.value}), 303)
    require_served(kind)
    addresses = addresses_of(session, actor)
    form = _form(addresses)
    lines = cart_of(session, actor, kind)
    if form.validate_on_submit() and has_agreed(form, changes_since_seen(lines)):
        try:
            placed = _place(form, lines)
        except DomainError as error:
            place_error(form, error)
            lines = cart_of(session, actor, kind)
        else:
            return redirect(url_for("ordering.order", order_no=placed.public_no, placed=1), 303)
    if not lines:
        return redirect(url_for("ordering.cart", **{"for": kind.value}), 303)
    page = render_template("ordering/checkout.html", form=form, kind=kind, **_brief(form, lines, addresses))
    return page, 422 if form.errors else 200


@bp.get("/checkout/brief")
@requires(Permission.BUY_PERSONALLY)
def brief() -> ResponseReturnValue:
    """What the order comes to at the address that is chosen, while the form is being filled in."""
    session, actor = current_session(), current_actor()
    addresses = addresses_of(session, actor)
    form = PersonalCheckoutForm(request.args, meta={"csrf": False})
    form.choose(addresses)
    lines = cart_of(session, actor, OrderKind.PERSONAL)
    return render_template("ordering/_brief.html", form=form, oob=True, **_brief(form, lines, addresses))


def _form(addresses: list[SavedAddress]) -> PersonalCheckoutForm:
    """The form, begun with the default address, else with where the last order went."""
    if request.method == "POST":
        form = PersonalCheckoutForm()
    elif addresses:
        form = PersonalCheckoutForm(data={"saved": addresses[0].public_no, "keep": True})
    else:
        form = PersonalCheckoutForm(data=prefilled(current_actor(), OrderKind.PERSONAL) | {"keep": "1"})
    form.choose(addresses)
    return form


def _place(form: PersonalCheckoutForm, lines: list[CartLine]) -> Order:
    """Order the cart as the page had shown it."""
    session, actor, place = current_session(), current_actor(), form.place
    placed = rules.place_order(
        session,
        actor,
        kind=OrderKind.PERSONAL,
        idempotency_key=form.idempotency_key.data or "",
        lines=[(line.listing.public_no, line.quantity) for line in lines],
        seen=read_shown(form.shown.data or ""),
        delivery=rules.Delivery(**vars(place), note=form.note.data or ""),
        carriage=Carriage(place.region_code or "", _read_freight(form.shown_freight.data or "")),
    )
    if form.is_new and form.keep.data and len(addresses_of(session, actor)) < MOST:
        save_address(session, actor, place)
    return placed


def _brief(
    form: PersonalCheckoutForm, lines: list[CartLine], addresses: list[SavedAddress]
) -> dict[str, object]:
    """What the page shows beside the form, and what the form brings back of it."""
    session = current_session()
    form.shown.data = shown_of(lines)
    wanted = [
        Wish(line.listing, line.listing.current_version, line.quantity)
        for line in lines
        if line.listing.current_version is not None and sale_stop(line.listing, today()) is None
    ]
    loads = loads_of(wanted)
    is_known = bool(form.region.data)
    region = "" if form.region.data == OUTSIDE else form.region.data or ""
    freights = freights_of(session, region, loads) if is_known else {}
    names = dict(
        session.execute(select(Cooperative.id, Cooperative.name).where(Cooperative.id.in_(loads))).all()
    )
    plans = current_plans(session, loads)
    form.shown_freight.data = " ".join(f"{key}:{one.fen}" for key, one in freights.items() if one and one.fen)
    form.clear_place()
    form.offer_regions(session)
    return {
        "rows": cart_rows(lines),
        "changes": changes_since_seen(lines),
        "addresses": addresses,
        "carrying": [
            Carrying(names[key], load.goods_fen, freights.get(key), leaving_day(plans.get(key), today()))
            for key, load in loads.items()
        ],
        "is_known": is_known,
        "total": sum(load.goods_fen for load in loads.values())
        + sum(one.fen for one in freights.values() if one),
    }


def _read_freight(text: str) -> dict[int, int]:
    """Fen by cooperative id, of what the page had shown; nothing when it was tampered with."""
    rows = [row.split(":") for row in text.split()]
    if not all(
        len(row) == 2 and all(n.isascii() and n.isdigit() and len(n) < 12 for n in row) for row in rows
    ):
        return {}
    return {int(key): int(fen) for key, fen in rows}
