"""Placing many orders at once, for those who order by plan: the rows that `place_order` would write for each, in a
number of statements that does not grow with the orders.

Each draft succeeds or is refused on its own; a refused one holds nothing and leaves the others alone. Not for carts:
nothing is taken out of them. Two callers with the same draft at the same moment are kept apart by the unique key of the
order, whose refusal ends the later transaction; callers that may meet lock what their drafts come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import INDEX_LISTINGS
from marketplace.catalog.models import IndexTask, Listing
from marketplace.catalog.queries import listings_by_nos
from marketplace.core.bulk import Rows, next_ids
from marketplace.core.clock import business_day, now
from marketplace.core.db import Base
from marketplace.core.errors import DomainError, Forbidden, Refused
from marketplace.core.ids import public_nos
from marketplace.core.labels import N_
from marketplace.core.waking import wake_after_commit
from marketplace.identity.actors import Actor
from marketplace.identity.models import TrailEntry
from marketplace.identity.trail import trail_row
from marketplace.ordering.gi_caps import Caps
from marketplace.ordering.kinds import FIRST_STATE
from marketplace.ordering.models import LineGiUse, LineLot, Order, OrderKind, OrderLine, OrderPart, PartChange
from marketplace.ordering.rules import Delivery, check_delivery, destination
from marketplace.ordering.states import PartState
from marketplace.ordering.stock import Shelves, Taken
from marketplace.ordering.terms import NO_TERMS, PaymentTerms, terms_of_units
from marketplace.ordering.wishes import Wish, frozen_facts, goods_of, reference_fens, units_wanted, wishes_of
from marketplace.registry.models import BuyerUnit


@dataclass(frozen=True)
class Approval:
    """Who let an order pass beforehand, and when: another person than its buyer."""

    user_id: int
    at: datetime


@dataclass(frozen=True)
class Draft:
    """One order to place for `actor`: (listing number, units) `lines`, with `prices` agreed elsewhere in fen a unit.

    Approved beforehand it goes straight to its cooperatives; without `approval` it waits for what its kind waits for.
    Without `terms` a unit's order has those of the policy in force.
    """

    actor: Actor
    kind: OrderKind
    idempotency_key: str
    lines: Sequence[tuple[str, int]]
    delivery: Delivery
    prices: Mapping[str, int] = field(default_factory=dict)
    terms: PaymentTerms | None = None
    deliver_on: date | None = None
    approval: Approval | None = None

    @property
    def key(self) -> tuple[int | None, str]:
        """What makes a repeated draft the same order."""
        return self.actor.user_id, self.idempotency_key


@dataclass(frozen=True)
class Placed:
    """An order that stands: the new one, or the first one under its key."""

    order_id: int
    order_no: str
    total_fen: int


@dataclass(frozen=True)
class _Ready:
    """A draft whose goods are taken."""

    draft: Draft
    unit: BuyerUnit | None
    wanted: list[Wish]
    taken: dict[int, Taken]
    gi_uses: dict[int, int]  # the agreement that goods are sold under, by product

    @property
    def state(self) -> PartState:
        return PartState.PLACED if self.draft.approval else FIRST_STATE[self.draft.kind]

    @property
    def parts(self) -> list[list[Wish]]:
        """What each cooperative delivers, in the order of their ids."""
        own: dict[int, list[Wish]] = {}
        for wish in self.wanted:
            own.setdefault(wish.listing.cooperative_id, []).append(wish)
        return [own[cooperative_id] for cooperative_id in sorted(own)]


def place_orders(session: Session, drafts: Sequence[Draft]) -> list[Placed | DomainError]:
    """Place each of `drafts`, in their order; returns for each the order or why it was refused (see `place_order`).

    The permission to order is the caller's to check. A draft whose key has an order gets that order.
    """
    known = _under_keys(session, drafts)
    new = {draft.key: draft for draft in reversed(drafts) if draft.key not in known}
    answers: dict[tuple[int | None, str], Placed | DomainError] = dict(known)
    if new:
        answers |= _place_new(session, [draft for draft in drafts if new.get(draft.key) is draft])
    return [answers[draft.key] for draft in drafts]


def _under_keys(session: Session, drafts: Sequence[Draft]) -> dict[tuple[int | None, str], Placed]:
    query = select(
        Order.buyer_user_id, Order.idempotency_key, Order.id, Order.public_no, Order.total_fen
    ).where(
        Order.buyer_user_id.in_({draft.actor.user_id for draft in drafts}),
        Order.idempotency_key.in_({draft.idempotency_key for draft in drafts}),
    )
    return {
        (user_id, key): Placed(order_id, order_no, total_fen)
        for user_id, key, order_id, order_no, total_fen in session.execute(query)
    }


def _place_new(
    session: Session, drafts: Sequence[Draft]
) -> dict[tuple[int | None, str], Placed | DomainError]:
    numbers = sorted({number for draft in drafts for number, _units in draft.lines})
    listings = {listing.public_no: listing for listing in listings_by_nos(session, numbers)}
    unit_ids = {draft.actor.buyer_unit_id for draft in drafts if draft.kind is not OrderKind.PERSONAL}
    units = {unit.id: unit for unit in session.scalars(select(BuyerUnit).where(BuyerUnit.id.in_(unit_ids)))}
    product_ids = sorted({listing.product_id for listing in listings.values()})
    shelves, caps = Shelves(session, product_ids), Caps(session, product_ids)
    answers: dict[tuple[int | None, str], Placed | DomainError] = {}
    ready: list[_Ready] = []
    for draft in drafts:
        try:
            ready.append(_made_ready(draft, listings, units, shelves, caps))
        except DomainError as refusal:
            answers[draft.key] = refusal
    shelves.hold()
    caps.hold()
    placed = _write(session, ready)
    return answers | {one.draft.key: order for one, order in zip(ready, placed, strict=True)}


def _made_ready(
    draft: Draft,
    listings: Mapping[str, Listing],
    units: Mapping[int, BuyerUnit],
    shelves: Shelves,
    caps: Caps,
) -> _Ready:
    """The draft with its goods taken. Raises DomainError; then nothing of it is taken."""
    if draft.approval and draft.approval.user_id == draft.actor.user_id:
        raise Forbidden("own_order", N_("下单人不能审批自己的采购单，请由另一位审批人办理"))
    if any(price_fen < 1 for price_fen in draft.prices.values()):
        raise Refused("price", N_("单价须大于零"), field="price")
    check_delivery(draft.delivery)
    unit = units.get(draft.actor.buyer_unit_id or 0) if draft.kind is not OrderKind.PERSONAL else None
    if unit is None and draft.kind is not OrderKind.PERSONAL:
        raise Forbidden
    wanted = wishes_of(listings, units_wanted(draft.lines), prices=draft.prices)
    goods = [goods_of(wish) for wish in wanted]
    uses = caps.find(goods)
    taken = shelves.take(goods)
    caps.take(goods, uses)
    return _Ready(draft, unit, wanted, taken, uses)


def _write(session: Session, ready: Sequence[_Ready]) -> list[Placed]:
    """The rows of orders, their parts, lines, lots and history, the trail, and what search has to learn."""
    if not ready:
        return []
    at, rows = now(), Rows(session)
    orders = _order_rows(session, ready, at)
    parts: list[dict[str, Any]] = []
    wishes: list[tuple[dict[str, Any], Wish, Taken]] = []  # the part of each line
    uses: list[int | None] = []  # the agreement of each line
    for one, order in zip(ready, orders, strict=True):
        for wanted in one.parts:
            total_fen = sum(wish.price_fen * wish.quantity for wish in wanted)
            part = {
                "order_id": order["id"],
                "cooperative_id": wanted[0].listing.cooperative_id,
                "state": one.state,
                "total_fen": total_fen,
                "carrier": "",
                "waybill_no": "",
            }
            parts.append(part)
            wishes += [(part, wish, one.taken[wish.listing.product_id]) for wish in wanted]
            uses += [one.gi_uses.get(wish.listing.product_id) for wish in wanted]
    _number(session, OrderPart, "Q", parts)
    references = reference_fens(session, (wish for _part, wish, _taken in wishes))
    lines = [
        {"order_id": part["order_id"], "part_id": part["id"], **frozen_facts(wish, references)}
        for part, wish, _taken in wishes
    ]
    _number(session, OrderLine, "J", lines)
    _add(rows, Order, orders)
    _add(rows, OrderPart, parts)
    _add(rows, OrderLine, lines)
    _add(rows, LineLot, _lot_rows(lines, [taken for _part, _wish, taken in wishes]))
    _add(rows, LineGiUse, _use_rows(lines, uses))
    _add(rows, PartChange, _history_rows(ready, orders, parts, at))
    sold_out = [wish.listing.id for _part, wish, taken in wishes if taken.sold_out]
    _add(rows, IndexTask, [{"listing_id": listing_id, "asked_at": at} for listing_id in sold_out])
    if sold_out:
        wake_after_commit(session, INDEX_LISTINGS)
    rows.write()
    _write_trail(session, ready, orders, parts)
    return [Placed(order["id"], order["public_no"], order["total_fen"]) for order in orders]


def _order_rows(session: Session, ready: Sequence[_Ready], at: datetime) -> list[dict[str, Any]]:
    terms = terms_of_units(session, [one.unit for one in ready if one.unit], business_day(at))
    orders = [
        {
            "kind": one.draft.kind,
            "buyer_user_id": one.draft.actor.user_id,
            "idempotency_key": one.draft.idempotency_key,
            **NO_TERMS,
            **destination(
                one.draft.actor,
                one.unit,
                one.draft.delivery,
                one.draft.terms or (terms[one.unit.id] if one.unit else None),
            ),
            "deliver_on": one.draft.deliver_on,
            "total_fen": sum(wish.price_fen * wish.quantity for wish in one.wanted),
            "placed_at": at,
            "approved_by": one.draft.approval.user_id if one.draft.approval else None,
            "approved_at": one.draft.approval.at if one.draft.approval else None,
            "rejection_reason": "",
        }
        for one in ready
    ]
    _number(session, Order, "X", orders)
    return orders


def _number(session: Session, model: type[Base], prefix: str, rows: Sequence[dict[str, Any]]) -> None:
    """Give new rows their ids and public numbers."""
    ids, numbers = next_ids(session, model, len(rows)), public_nos(prefix, len(rows))
    for row, row_id, number in zip(rows, ids, numbers, strict=True):
        row["id"], row["public_no"] = row_id, number


def _lot_rows(lines: Sequence[Mapping[str, Any]], taken: Sequence[Taken]) -> list[dict[str, Any]]:
    return [
        {"line_id": line["id"], "lot_id": lot_id, "mass_g": mass_g}
        for line, one in zip(lines, taken, strict=True)
        for lot_id, mass_g in one.shares
    ]


def _use_rows(lines: Sequence[Mapping[str, Any]], uses: Sequence[int | None]) -> list[dict[str, Any]]:
    return [
        {"line_id": line["id"], "certificate_id": use, "mass_g": line["quantity"] * line["net_mass_g"]}
        for line, use in zip(lines, uses, strict=True)
        if use is not None
    ]


def _history_rows(
    ready: Sequence[_Ready],
    orders: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    at: datetime,
) -> list[dict[str, Any]]:
    actors = {order["id"]: one.draft.actor for one, order in zip(ready, orders, strict=True)}
    return [
        {
            "part_id": part["id"],
            "event": None,
            "state": part["state"],
            "actor_user_id": actors[part["order_id"]].user_id,
            "actor_name": actors[part["order_id"]].name,
            "note": "",
            "at": at,
        }
        for part in parts
    ]


def _add(rows: Rows, model: type[Base], given: Sequence[Mapping[str, Any]]) -> None:
    if given:
        columns = list(given[0])
        rows.add(model, columns, ([_code(row[name]) for name in columns] for row in given))


def _code(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _write_trail(
    session: Session,
    ready: Sequence[_Ready],
    orders: Sequence[Mapping[str, Any]],
    parts: Iterable[Mapping[str, Any]],
) -> None:
    """A row an order; and a row a part of what nobody has to approve any more, for its cooperative to hear of it."""
    drafts = {order["id"]: one.draft for one, order in zip(ready, orders, strict=True)}
    trail = [
        trail_row(
            drafts[order["id"]].actor,
            "ordering.place",
            subject=("order", order["public_no"]),
            total_fen=order["total_fen"],
        )
        for order in orders
    ]
    trail += [
        trail_row(
            drafts[part["order_id"]].actor,
            "ordering.pass_on",
            subject=("order_part", part["public_no"]),
            cooperative_id=part["cooperative_id"],
        )
        for part in parts
        if drafts[part["order_id"]].approval
    ]
    session.execute(insert(TrailEntry), trail)
