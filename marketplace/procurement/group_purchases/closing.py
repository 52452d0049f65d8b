"""Closing a group purchase: its deadline has passed, and what the members want becomes orders, once.

Shares are met in the order of joining; whose share cannot be met is told, and the others go on. The keys of the
orders come from the group and the member, so that no second run can order anything twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.queries import unit_price_fen
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, DomainError
from marketplace.identity.actors import SYSTEM, actor_of
from marketplace.identity.trail import record_trail
from marketplace.ordering.models import OrderKind
from marketplace.ordering.rules import MAX_NOTE, Delivery, place_order
from marketplace.ordering.stock import Shelves
from marketplace.ordering.wishes import goods_of, wishes_of
from marketplace.procurement.group_purchases.models import (
    GroupMember,
    GroupPurchase,
    GroupState,
    Paying,
    Shortfall,
)
from marketplace.procurement.group_purchases.queries import members_of

REASONS = {
    "out_of_stock": Shortfall.OUT_OF_STOCK,
    "not_for_sale": Shortfall.NOT_FOR_SALE,
    "certificate_lapsed": Shortfall.NOT_FOR_SALE,
    "claim_lapsed": Shortfall.NOT_FOR_SALE,
}


def close_next_group(session: Session) -> bool:
    """Close the group that waits longest since its deadline; returns whether there was one.

    One a transaction, so that goods are not held longer than the orders of one group take.
    """
    group = session.scalar(
        select(GroupPurchase)
        .where(GroupPurchase.state == GroupState.OPEN, GroupPurchase.deadline_at <= now())
        .order_by(GroupPurchase.deadline_at, GroupPurchase.id)
        .limit(1)
        .with_for_update(of=GroupPurchase, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return group is not None and close_group(session, group)


def close_group(session: Session, group: GroupPurchase) -> bool:
    """Order what the members of a group want, once its deadline has passed; returns whether this call closed it.

    Each member has a personal order at the price of the group's whole quantity, or the union one order. A group in
    which nothing could be ordered ends as empty, and each member is told why.
    """
    won = session.execute(
        update(GroupPurchase)
        .where(
            GroupPurchase.id == group.id,
            GroupPurchase.state == GroupState.OPEN,
            GroupPurchase.deadline_at <= now(),
        )
        .values(state=GroupState.EMPTY, closed_at=now())
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if not won:
        return False
    session.refresh(group)
    met = _members_met(session, members_of(session, group))
    if group.paying is Paying.UNION:
        _order_for_union(session, group, met)
    else:
        _order_for_each(session, group, met)
    ordered = [member for member in met if member.shortfall is None]
    if ordered:
        group.state = GroupState.ORDERED
    record_trail(
        session,
        SYSTEM,
        "procurement.close_group",
        subject=("group_purchase", group.public_no),
        buyer_unit_id=group.buyer_unit_id,
        ordered_for=len(ordered),
    )
    session.flush()
    return True


def _members_met(session: Session, members: Sequence[GroupMember]) -> list[GroupMember]:
    """Those whose whole share is there, in the order of joining; the goods are locked, and taken by the orders."""
    shelves = Shelves(session, sorted({share.listing.product_id for one in members for share in one.shares}))
    met: list[GroupMember] = []
    for member in members:
        listings = {share.listing.public_no: share.listing for share in member.shares}
        units = {share.listing.public_no: share.quantity for share in member.shares}
        try:
            shelves.take([goods_of(wish) for wish in wishes_of(listings, units)])
        except Conflict as refusal:
            _tell(member, refusal)
        else:
            met.append(member)
    return met


def _tell(member: GroupMember, refusal: DomainError) -> None:
    member.shortfall = REASONS.get(refusal.code, Shortfall.NOT_ORDERED)
    member.shortfall_title = str(refusal.params.get("title", ""))


def _units(members: Sequence[GroupMember]) -> dict[str, int]:
    units: dict[str, int] = {}
    for share in (share for member in members for share in member.shares):
        units[share.listing.public_no] = units.get(share.listing.public_no, 0) + share.quantity
    return units


def _prices(members: Sequence[GroupMember]) -> dict[str, int]:
    """The fen a unit of each listing at the quantity of all of them, by listing number."""
    units = _units(members)
    versions = {
        share.listing.public_no: share.listing.current_version for one in members for share in one.shares
    }
    return {
        number: unit_price_fen(version, units[number])
        for number, version in versions.items()
        if version is not None
    }


def _order_for_each(session: Session, group: GroupPurchase, met: Sequence[GroupMember]) -> None:
    prices = _prices(met)
    for member in met:
        if member.user.disabled_at is not None:
            member.shortfall = Shortfall.NOT_ORDERED
            continue
        wanted = _units([member])
        try:
            with session.begin_nested():
                order = place_order(
                    session,
                    actor_of(member.user),
                    kind=OrderKind.PERSONAL,
                    idempotency_key=f"{group.public_no}.{member.public_no}",
                    lines=list(wanted.items()),
                    delivery=_delivery(group, member.name),
                    prices={number: prices[number] for number in wanted},
                )
        except DomainError as refusal:
            _tell(member, refusal)
        else:
            member.order_id = order.id


def _order_for_union(session: Session, group: GroupPurchase, met: Sequence[GroupMember]) -> None:
    if not met:
        return
    try:
        with session.begin_nested():
            order = place_order(
                session,
                actor_of(group.organiser),
                kind=OrderKind.UNION,
                idempotency_key=group.public_no,
                lines=list(_units(met).items()),
                delivery=_delivery(group, ""),
                prices=_prices(met),
            )
    except DomainError as refusal:
        for member in met:
            _tell(member, refusal)
    else:
        group.order_id, group.state = order.id, GroupState.ORDERED


def _delivery(group: GroupPurchase, for_whom: str) -> Delivery:
    words = (group.name, for_whom, group.note)
    note = " · ".join(word for word in words if word)
    return Delivery(group.recipient_name, group.recipient_phone, group.address, note[:MAX_NOTE])
