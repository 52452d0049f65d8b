"""Reading order lists, old orders to repeat, and what the fields of the quick entry suggest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingState, ListingVersion, Product
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.ordering.models import Order, OrderLine
from marketplace.procurement.lists.basket import Wanted
from marketplace.procurement.lists.models import OrderList, OrderListItem

MOST_SUGGESTED = 100
SUGGESTED_BY_WORD = 20


def lists_of(actor: Actor) -> Select[OrderList]:
    """The lists of the actor's unit, the newest first."""
    return (
        select(OrderList).where(OrderList.unit_id == (actor.buyer_unit_id or 0)).order_by(OrderList.id.desc())
    )


def list_by_no(session: Session, actor: Actor, number: str) -> OrderList:
    """A list of the actor's unit. Raises NotFound."""
    found = session.scalar(lists_of(actor).where(OrderList.public_no == number))
    if found is None:
        raise NotFound
    return found


def wanted_of(order_list: OrderList) -> list[Wanted]:
    """What a list asks for, as usual."""
    return [
        Wanted(item.listing, item.usual_quantity, item.noted_fen, item.ceiling_fen)
        for item in order_list.items
    ]


def ordered_before(session: Session, order: Order) -> list[Wanted]:
    """What an old order asked for, with the prices of then, in the order of its lines."""
    query = (
        select(Listing, OrderLine.quantity, OrderLine.unit_price_fen)
        .join(ListingVersion, ListingVersion.listing_id == Listing.id)
        .join(OrderLine, OrderLine.listing_version_id == ListingVersion.id)
        .where(OrderLine.order_id == order.id)
        .order_by(OrderLine.id)
    )
    return [Wanted(listing, quantity, price) for listing, quantity, price in session.execute(query).unique()]


def suggested(session: Session, actor: Actor, text: str = "") -> Sequence[Listing]:
    """Listings to suggest while somebody types: those named like `text`, else favourites first, then what sells."""
    query = (
        select(Listing)
        .join(Product, Product.id == Listing.product_id)
        .where(Listing.state == ListingState.PUBLISHED)
    )
    word = text.strip()[:60]
    if word:
        named = or_(
            Product.name.contains(word, autoescape=True),
            Listing.public_no.startswith(word.upper(), autoescape=True),
        )
        found = query.where(named).order_by(Listing.sold_units.desc(), Listing.id).limit(SUGGESTED_BY_WORD)
        return session.scalars(found).unique().all()
    listed = (
        select(func.count())
        .select_from(OrderListItem)
        .join(OrderList, OrderList.id == OrderListItem.list_id)
        .where(OrderList.unit_id == (actor.buyer_unit_id or 0), OrderListItem.listing_id == Listing.id)
        .scalar_subquery()
    )
    first = query.order_by(listed.desc(), Listing.sold_units.desc(), Listing.id).limit(MOST_SUGGESTED)
    return session.scalars(first).unique().all()
