"""The cart of somebody who has not signed in: kept in the signed session cookie, moved into the own cart at signing in.

It holds listing numbers, quantities, and which version and certificates were seen. What can no longer be bought is left
out when it moves; the cart page says why a line cannot be bought, and what has changed of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import Flask, session as cookie
from flask_login import user_logged_in
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingVersion
from marketplace.catalog.queries import listings_by_nos
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import actor_of
from marketplace.identity.models import User
from marketplace.identity.permissions import Permission
from marketplace.ordering.cart.changes import certificates_shown
from marketplace.ordering.cart.rules import put_in_cart
from marketplace.ordering.models import OrderKind
from marketplace.ordering.wishes import check_quantity, require_for_sale
from marketplace.web.transaction import current_session

KEY = "cart"
MOST_LINES = 30  # a cookie holds about 4 KB


class Kept(NamedTuple):
    """A line as the cookie holds it: units, the number of the version seen (0: not known), and its certificates."""

    quantity: int
    version: int = 0
    certificates: str | None = None


@dataclass(frozen=True)
class GuestLine:
    """A line as the cart page shows it."""

    listing: Listing
    quantity: int
    seen_version: ListingVersion | None = None
    seen_certificates: str | None = None


def _kept() -> dict[str, Kept]:
    kept = cookie.get(KEY)
    rows = kept.items() if isinstance(kept, dict) else ()
    return {number: Kept(*one) if isinstance(one, list | tuple) else Kept(one) for number, one in rows}


def _seen_versions(session: Session, kept: Mapping[str, Kept]) -> dict[str, ListingVersion]:
    """The version that was seen of each listing, by its number, in one statement."""
    wanted = [(number, one.version) for number, one in kept.items() if one.version]
    query = (
        select(Listing.public_no, ListingVersion)
        .join(Listing, Listing.id == ListingVersion.listing_id)
        .where(tuple_(Listing.public_no, ListingVersion.version).in_(wanted))
    )
    return dict(session.execute(query).all()) if wanted else {}


def guest_count() -> int:
    """How many listings are in it."""
    return len(_kept())


def guest_lines(session: Session) -> list[GuestLine]:
    """Its lines in the order they were put in; listings that are gone are left out."""
    kept = _kept()
    found = {listing.public_no: listing for listing in listings_by_nos(session, list(kept))}
    seen = _seen_versions(session, kept)
    return [
        GuestLine(found[number], one.quantity, seen.get(number), one.certificates)
        for number, one in kept.items()
        if number in found
    ]


def add_as_guest(listing: Listing, quantity: int) -> int:
    """Add units of a listing; the units there are then. Raises Refused for a quantity that cannot be or a full cart,
    Conflict when the listing is not for sale."""
    version = require_for_sale(listing)
    kept = _kept()
    before = kept.get(listing.public_no)
    check_quantity(quantity)
    if before is None and len(kept) >= MOST_LINES:
        raise Refused(
            "guest_cart_full", N_("未登录时购物车最多放 %(most)s 种商品，请先登录"), most=MOST_LINES
        )
    line = before or Kept(0, version.version, certificates_shown(listing))
    line = line._replace(quantity=line.quantity + quantity)
    check_quantity(line.quantity)
    cookie[KEY] = {**kept, listing.public_no: line}
    return line.quantity


def change_as_guest(session: Session, listing_no: str, quantity: int) -> None:
    """Set the units of a listing, as its page says it now; zero takes it out. Raises NotFound when it is not there."""
    kept = _kept()
    if listing_no not in kept:
        raise NotFound
    if quantity:
        check_quantity(quantity)
        listing = next(iter(listings_by_nos(session, [listing_no])), None)
        version = listing.current_version if listing else None
        shown = certificates_shown(listing) if listing else None
        kept[listing_no] = Kept(quantity, version.version if version else 0, shown)
    else:
        del kept[listing_no]
    cookie[KEY] = kept


def _take_over(_app: Flask, user: User, **_extra: Any) -> None:
    """Move the cart of the cookie into the cart of who signed in."""
    kept, session, actor = _kept(), current_session(), actor_of(user)
    if not kept or not actor.can(Permission.BUY_PERSONALLY):
        return
    versions = _seen_versions(session, kept)
    for listing in listings_by_nos(session, list(kept)):
        one, version = kept[listing.public_no], versions.get(listing.public_no)
        seen = {"seen_version_id": version.id, "seen_certificates": one.certificates} if version else None
        try:
            with session.begin_nested():
                put_in_cart(
                    session,
                    actor,
                    kind=OrderKind.PERSONAL,
                    listing=listing,
                    quantity=one.quantity,
                    seen=seen,
                )
        except (Refused, Conflict):
            continue  # sold out of the catalogue meanwhile, or more than a cart holds
    cookie.pop(KEY, None)


def init_guest_cart(app: Flask) -> None:
    """Let the cart follow its owner through signing in."""
    user_logged_in.connect(_take_over, app)
