"""Keeping a unit's order lists, and filling its cart from lists, old orders, sheets and menus."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.cart.changes import seen_now
from marketplace.ordering.kinds import PERMISSION_OF
from marketplace.ordering.models import CartLine, OrderKind
from marketplace.ordering.wishes import MAX_LINES, check_quantity
from marketplace.procurement.lists.basket import Assessed, Wanted, assess
from marketplace.procurement.lists.models import OrderList, OrderListItem

MOST_LISTS = 50
MOST_NAME = 40
MOST_CEILING = 10**9


def make_list(session: Session, actor: Actor, *, name: str, wanted: Sequence[Wanted] = ()) -> OrderList:
    """A new list of the actor's unit with what is `wanted`, its prices of today noted.

    Raises Refused for a name that is empty, too long or taken, for too many lists or items; what is no longer for sale
    is left out.
    """
    unit_id = _own_unit(actor)
    text = name.strip()
    if not 1 <= len(text) <= MOST_NAME:
        raise Refused("list_name", N_("请给清单起个名字，最多 %(most)s 个字"), field="name", most=MOST_NAME)
    own = select(func.count()).select_from(OrderList).where(OrderList.unit_id == unit_id)
    if (session.scalar(own) or 0) >= MOST_LISTS:
        raise Refused(
            "too_many_lists", N_("最多保存 %(most)s 份清单，请先删去不用的"), field="name", most=MOST_LISTS
        )
    made = OrderList(unit_id=unit_id, name=text, made_by=actor.user_id)
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        raise Refused(
            "list_taken", N_("已经有一份“%(name)s”，请换个名字"), field="name", name=text
        ) from error
    for one in assess(session, wanted[:MAX_LINES]):
        if not one.price_fen:
            continue
        made.items.append(
            OrderListItem(
                listing=one.wanted.listing, usual_quantity=one.wanted.quantity, noted_fen=one.price_fen
            )
        )
    session.flush()
    _tell(session, actor, "procurement.make_list", made)
    return made


def _own_unit(actor: Actor) -> int:
    actor.require(Permission.ORDER_FOR_UNIT)
    if actor.buyer_unit_id is None:
        raise NotFound
    return actor.buyer_unit_id


def _require_own(actor: Actor, order_list: OrderList) -> None:
    if order_list.unit_id != _own_unit(actor):
        raise NotFound


def note_item(
    session: Session,
    actor: Actor,
    order_list: OrderList,
    *,
    listing: Listing,
    quantity: int,
    ceiling_fen: int | None = None,
) -> OrderListItem:
    """Put a listing on a list, or change how much of it is usual and the most it may cost; today's price is noted.

    Raises Refused for a quantity or a ceiling that cannot be or a full list, Conflict for what is not for sale.
    """
    _require_own(actor, order_list)
    check_quantity(quantity)
    if ceiling_fen is not None and not 1 <= ceiling_fen <= MOST_CEILING:
        raise Refused("ceiling", N_("最高价须大于 0；不限请留空"), field="ceiling")
    today = assess(session, [Wanted(listing, quantity)])[0]
    item = next((one for one in order_list.items if one.listing_id == listing.id), None)
    if item is None:
        if not today.price_fen:
            raise Conflict("not_for_sale", N_("“%(title)s”已下架，不能购买"), title=listing.product.name)
        if len(order_list.items) >= MAX_LINES:
            raise Refused("full_list", N_("一份清单最多 %(most)s 种产品"), most=MAX_LINES)
        item = OrderListItem(listing=listing, usual_quantity=quantity, noted_fen=today.price_fen)
        order_list.items.append(item)
    item.usual_quantity, item.ceiling_fen = quantity, ceiling_fen
    if today.price_fen:
        item.noted_fen = today.price_fen
    session.flush()
    return item


def drop_item(session: Session, actor: Actor, order_list: OrderList, *, listing_no: str) -> None:
    """Take a listing off a list. Raises NotFound when it is not on it."""
    _require_own(actor, order_list)
    item = next((one for one in order_list.items if one.listing.public_no == listing_no), None)
    if item is None:
        raise NotFound
    order_list.items.remove(item)
    session.flush()


def delete_list(session: Session, actor: Actor, order_list: OrderList) -> None:
    """Throw a list away; orders placed from it stay."""
    _require_own(actor, order_list)
    _tell(session, actor, "procurement.delete_list", order_list)
    session.delete(order_list)
    session.flush()


def fill_cart(
    session: Session,
    actor: Actor,
    *,
    kind: OrderKind,
    wanted: Sequence[Wanted],
    accepted: Collection[str] = (),
) -> tuple[list[Assessed], list[Assessed]]:
    """Set the cart's quantity of each listing wanted; returns what went in and what was left out.

    Left out is what cannot be bought, what there is too little of, and what costs more than its ceiling unless its
    number is among the `accepted`. Setting, not adding: the same again changes nothing. Raises Refused for a quantity
    that cannot be or more listings than an order may have; then nothing went in.
    """
    actor.require(PERMISSION_OF[kind])
    for wish in wanted:
        check_quantity(wish.quantity)
    own = select(CartLine).where(CartLine.user_id == actor.user_id, CartLine.kind == kind)
    present = {line.listing_id: line for line in session.scalars(own).unique()}
    assessed = assess(session, wanted)
    good = [one for one in assessed if one.is_ready or (_is_accepted(one, accepted))]
    left_out = [one for one in assessed if one not in good]
    if len(present.keys() | {one.wanted.listing.id for one in good}) > MAX_LINES:
        raise Refused("too_many_lines", N_("一张订单最多 %(most)s 种商品，请分开下单"), most=MAX_LINES)
    for one in good:
        line = present.get(one.wanted.listing.id)
        if line is None:
            line = CartLine(user_id=actor.user_id, kind=kind, listing=one.wanted.listing)
            session.add(line)
            present[one.wanted.listing.id] = line
        line.quantity = one.wanted.quantity
        for column, value in seen_now(one.wanted.listing).items():
            setattr(line, column, value)
    session.flush()
    return good, left_out


def _is_accepted(one: Assessed, accepted: Collection[str]) -> bool:
    """Whether somebody has said to buy it although it is over the ceiling, and it can be bought."""
    return (
        one.is_over_ceiling
        and one.wanted.listing.public_no in accepted
        and not one.is_barred
        and one.left >= one.wanted.quantity
    )


def _tell(session: Session, actor: Actor, action: str, order_list: OrderList) -> None:
    record_trail(
        session, actor, action, subject=("order_list", order_list.public_no), lines=len(order_list.items)
    )
    session.flush()
