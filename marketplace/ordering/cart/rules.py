"""Filling a cart: one for each kind of order its owner may place. It holds no goods; prices are those of the day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingVersion
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.cart.changes import seen_now
from marketplace.ordering.kinds import PERMISSION_OF
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.ordering.wishes import MAX_LINES, check_quantity, require_for_sale


def put_in_cart(
    session: Session,
    actor: Actor,
    *,
    kind: OrderKind,
    listing: Listing,
    quantity: int,
    seen: Mapping[str, Any] | None = None,
) -> CartLine:
    """Add `quantity` units of a listing to the actor's cart; `seen` is what was seen of it earlier (see `seen_now`).

    Raises Refused for a quantity that cannot be or a full cart, Conflict when the listing is not for sale.
    """
    actor.require(PERMISSION_OF[kind])
    check_quantity(quantity)
    require_for_sale(listing)
    own = select(CartLine).where(CartLine.user_id == actor.user_id, CartLine.kind == kind)
    same = own.where(CartLine.listing_id == listing.id)
    line = session.scalar(same)
    if line is None:
        if (session.scalar(select(func.count()).select_from(own.subquery())) or 0) >= MAX_LINES:
            raise Refused("too_many_lines", N_("一张订单最多 %(most)s 种商品，请分开下单"), most=MAX_LINES)
        line = CartLine(
            user_id=actor.user_id,
            kind=kind,
            listing_id=listing.id,
            quantity=quantity,
            **(seen or seen_now(listing)),
        )
        try:
            with session.begin_nested():
                session.add(line)
        except IntegrityError:  # two taps at the same moment
            line = session.scalars(same).one()
        else:
            return line
    check_quantity(line.quantity + quantity)
    line.quantity += quantity
    session.flush()
    return line


def change_cart(session: Session, actor: Actor, *, kind: OrderKind, listing_no: str, quantity: int) -> None:
    """Set the quantity of a listing in the cart; zero takes it out. Raises NotFound when it is not there."""
    line = session.scalar(
        select(CartLine)
        .join(Listing)
        .where(CartLine.user_id == actor.user_id, CartLine.kind == kind, Listing.public_no == listing_no)
    )
    if line is None:
        raise NotFound
    if quantity == 0:
        session.delete(line)
    else:
        check_quantity(quantity)
        line.quantity = quantity
        for column, value in seen_now(line.listing).items():  # the cart's page tells what has changed
            setattr(line, column, value)
    session.flush()


def put_again(session: Session, actor: Actor, order: Order) -> tuple[list[str], list[str]]:
    """Put what one of the actor's personal orders held into the cart once more.

    Returns the titles that were put in, and those that cannot be bought now. Raises NotFound for another's order.
    """
    if order.kind is not OrderKind.PERSONAL or order.buyer_user_id != actor.user_id:
        raise NotFound
    lines = [line for part in order.parts for line in part.lines]
    query = (
        select(ListingVersion.id, Listing)
        .join(Listing, Listing.id == ListingVersion.listing_id)
        .where(ListingVersion.id.in_([line.listing_version_id for line in lines]))
    )
    listings = dict(session.execute(query).unique().all())
    added: list[str] = []
    left: list[str] = []
    for line in lines:
        listing = listings[line.listing_version_id]
        try:
            put_in_cart(session, actor, kind=OrderKind.PERSONAL, listing=listing, quantity=line.quantity)
        except (Conflict, Refused):
            left.append(line.title)
        else:
            added.append(line.title)
    return added, left


def empty_cart(session: Session, actor: Actor, kind: OrderKind, listing_ids: Collection[int]) -> None:
    """Take out what was ordered."""
    bought = CartLine.listing_id.in_(listing_ids)
    session.execute(delete(CartLine).where(CartLine.user_id == actor.user_id, CartLine.kind == kind, bought))
