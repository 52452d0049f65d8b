"""What the pages of carts and checkouts share: which cart is meant, what its lines come to, and what was shown."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request
from flask_babel import gettext as _

from marketplace.catalog.queries import available_units, sale_stop, unit_price_fen
from marketplace.core.clock import today
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering import queries
from marketplace.ordering.cart.changes import LineChange
from marketplace.ordering.cart.guest import GuestLine
from marketplace.ordering.forms import CheckoutForm
from marketplace.ordering.kinds import PERMISSION_OF
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.registry.models import BuyerUnit
from marketplace.web.transaction import current_session


def wanted_kind(actor: Actor) -> OrderKind:
    """Which cart the page is about: `?for=canteen` and so on, or the first one the actor may use."""
    asked = OrderKind.known(request.values.get("for", ""))
    if asked is not None and actor.can(PERMISSION_OF[asked]):
        return asked
    return OrderKind.CANTEEN if actor.can(Permission.ORDER_FOR_UNIT) else OrderKind.PERSONAL


def cart_rows(lines: Sequence[CartLine | GuestLine]) -> list[dict[str, object]]:
    """Each line with its tier price, total and stock; lines that cannot be bought say why."""
    stock = available_units(current_session(), [line.listing.product_id for line in lines])
    rows: list[dict[str, object]] = []
    for line in lines:
        version, stop = line.listing.current_version, sale_stop(line.listing, today())
        price = unit_price_fen(version, line.quantity) if version and stop is None else 0
        left = stock[line.listing.product_id]
        rows.append(
            {
                "line": line,
                "stop": stop,
                "price": price,
                "total": price * line.quantity,
                "left": left,
                "buyable": stop is None and left >= line.quantity,
            }
        )
    return rows


def has_agreed(form: CheckoutForm, changes: list[LineChange]) -> bool:
    """Whether the buyer has agreed to what changed since the goods were put in the cart; else the form says so."""
    if not changes or form.agrees.data:
        return True
    form.agrees.errors = [_("有商品的价格或条款变了，请看过后勾选确认，再提交")]
    return False


def shown_of(lines: list[CartLine]) -> str:
    """What the checkout page shows, for the form to bring back: number:version:quantity of each listing."""
    return " ".join(
        f"{line.listing.public_no}:{line.listing.current_version.version}:{line.quantity}"
        for line in lines
        if line.listing.current_version is not None
    )


def read_shown(text: str) -> dict[str, tuple[int, int]]:
    """Version and quantity by listing number, of what the page had shown; nothing when it was tampered with."""
    rows = [row.split(":") for row in text.split()]
    if not all(
        len(row) == 3 and all(n.isascii() and n.isdigit() and len(n) < 9 for n in row[1:]) for row in rows
    ):
        return {}
    return {number: (int(version), int(quantity)) for number, version, quantity in rows}


def prefilled(actor: Actor, kind: OrderKind) -> dict[str, str]:
    """Where the last order of this kind went, or the unit's own address."""
    session = current_session()
    last = session.scalar(
        queries.orders_visible_to(actor)
        .where(Order.kind == kind, Order.buyer_user_id == actor.user_id)
        .limit(1)
    )
    if last is not None:
        return {
            "region": last.deliver_region_code or "",
            **{name: getattr(last, name) for name in ("recipient_name", "recipient_phone", "address")},
        }
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if kind is not OrderKind.PERSONAL else None
    if unit is None:
        return {"recipient_name": actor.name}
    return {
        "recipient_name": unit.contact_name,
        "recipient_phone": unit.contact_phone,
        "address": unit.address,
    }
