"""The cart of somebody who has not signed in: kept in the signed session cookie, moved into the own cart at signing in.

It holds listing numbers and quantities alone. What can no longer be bought is left out when it moves; the cart page
says why a line cannot be bought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, session as cookie
from flask_login import user_logged_in
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.catalog.queries import listings_by_nos
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.identity.permissions import Permission
from marketplace.ordering.cart.rules import put_in_cart
from marketplace.ordering.models import OrderKind
from marketplace.ordering.wishes import check_quantity, require_for_sale
from marketplace.web.transaction import current_session

KEY = "cart"
MOST_LINES = 30  # a cookie holds about 4 KB


@dataclass(frozen=True)
class GuestLine:
    """A line as the cart page shows it."""

    listing: Listing
    quantity: int


def _kept() -> dict[str, int]:
    kept = cookie.get(KEY)
    return dict(kept) if isinstance(kept, dict) else {}


def guest_count() -> int:
    """How many listings are in it."""
    return len(_kept())


def guest_lines(session: Session) -> list[GuestLine]:
    """Its lines in the order they were put in; listings that are gone are left out."""
    kept = _kept()
    found = {listing.public_no: listing for listing in listings_by_nos(session, list(kept))}
    return [GuestLine(found[number], quantity) for number, quantity in kept.items() if number in found]


def add_as_guest(listing: Listing, quantity: int) -> int:
    """Add units of a listing; the units there are then. Raises Refused for a quantity that cannot be or a full cart,
    Conflict when the listing is not for sale."""
    require_for_sale(listing)
    kept = _kept()
    units = kept.get(listing.public_no, 0) + quantity
    check_quantity(quantity)
    check_quantity(units)
    if listing.public_no not in kept and len(kept) >= MOST_LINES:
        raise Refused(
            "guest_cart_full", N_("未登录时购物车最多放 %(most)s 种商品，请先登录"), most=MOST_LINES
        )
    cookie[KEY] = {**kept, listing.public_no: units}
    return units


def change_as_guest(listing_no: str, quantity: int) -> None:
    """Set the units of a listing; zero takes it out. Raises NotFound when it is not there."""
    kept = _kept()
    if listing_no not in kept:
        raise NotFound
    if quantity:
        check_quantity(quantity)
        kept[listing_no] = quantity
    else:
        del kept[listing_no]
    cookie[KEY] = kept


def _take_over(_app: Flask, user: User, **_extra: Any) -> None:
    """Move the cart of the cookie into the cart of who signed in."""
    kept, session, actor = _kept(), current_session(), actor_of(user)
    if not kept or not actor.can(Permission.BUY_PERSONALLY):
        return
    for listing in listings_by_nos(session, list(kept)):
        try:
            with session.begin_nested():
                put_in_cart(
                    session, actor, kind=OrderKind.PERSONAL, listing=listing, quantity=kept[listing.public_no]
                )
        except (Refused, Conflict):
            continue  # sold out of the catalogue meanwhile, or more than a cart holds
    cookie.pop(KEY, None)


def init_guest_cart(app: Flask) -> None:
    """Let the cart follow its owner through signing in."""
    user_logged_in.connect(_take_over, app)
