"""Reading group purchases, as far as an actor may see them: those of the own body, and nobody else's bags."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session, joinedload

from marketplace.catalog.models import Listing
from marketplace.catalog.queries import sale_stop, unit_price_fen
from marketplace.core.clock import now, today
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import OrderPart
from marketplace.ordering.queries import works_for_unit
from marketplace.ordering.states import PartState
from marketplace.procurement.group_purchases.models import GroupMember, GroupPurchase, GroupShare, GroupState
from marketplace.web.tasks import Task

GONE = frozenset({PartState.CANCELLED, PartState.RETURNED})


def may_see_groups(actor: Actor) -> bool:
    """Whether group purchases concern the actor at all."""
    concerned = actor.can(Permission.BUY_PERSONALLY) or works_for_unit(actor)
    return actor.organisation_id is not None and concerned


def groups_visible_to(actor: Actor) -> Select[GroupPurchase]:
    """The group purchases of the actor's body, newest first."""
    query = select(GroupPurchase).order_by(GroupPurchase.id.desc())
    if not may_see_groups(actor):
        return query.where(false())
    return query.where(GroupPurchase.organisation_id == actor.organisation_id)


def group_by_no(session: Session, actor: Actor, number: str) -> GroupPurchase:
    """A group purchase of the actor's body. Raises NotFound, for that of another body too."""
    group = session.scalar(groups_visible_to(actor).where(GroupPurchase.public_no == number))
    if group is None:
        raise NotFound
    return group


def open_groups(actor: Actor) -> Select[GroupPurchase]:
    """Those one may still join, the most urgent first."""
    return (
        groups_visible_to(actor)
        .where(GroupPurchase.state == GroupState.OPEN, GroupPurchase.deadline_at > now())
        .order_by(None)
        .order_by(GroupPurchase.deadline_at, GroupPurchase.id)
    )


def is_open(group: GroupPurchase) -> bool:
    """Whether one may still join and change, by the clock of this server."""
    return group.state is GroupState.OPEN and group.deadline_at > now()


def members_of(session: Session, group: GroupPurchase) -> list[GroupMember]:
    """Who takes part, in the order of joining, with what each wants and the order it became."""
    query = (
        select(GroupMember)
        .where(GroupMember.group_id == group.id)
        .options(joinedload(GroupMember.order))
        .order_by(GroupMember.id)
    )
    return list(session.scalars(query).unique())


def member_of(session: Session, actor: Actor, group: GroupPurchase) -> GroupMember | None:
    """The actor's own part."""
    query = select(GroupMember).where(GroupMember.group_id == group.id, GroupMember.user_id == actor.user_id)
    return session.scalar(query)


def members_counts(session: Session, group_ids: Collection[int]) -> dict[int, int]:
    """How many take part in each group, in one statement."""
    query = (
        select(GroupMember.group_id, func.count())
        .where(GroupMember.group_id.in_(group_ids))
        .group_by(GroupMember.group_id)
    )
    return dict(session.execute(query).all())


@dataclass(frozen=True)
class Total:
    """What the group wants of one listing, and the fen a unit at that quantity; None when it is not for sale now."""

    listing: Listing
    quantity: int
    price_fen: int | None


def totals_of(members: Sequence[GroupMember]) -> list[Total]:
    """What the members want together, by listing."""
    units: dict[int, int] = {}
    listings: dict[int, Listing] = {}
    for share in (share for member in members for share in member.shares):
        listings[share.listing_id] = share.listing
        units[share.listing_id] = units.get(share.listing_id, 0) + share.quantity
    return [Total(listings[key], units[key], _price(listings[key], units[key])) for key in sorted(units)]


def _price(listing: Listing, quantity: int) -> int | None:
    version = listing.current_version
    if version is None or sale_stop(listing, today()) is not None:
        return None
    return unit_price_fen(version, quantity)


def units_in_group(session: Session, group: GroupPurchase, *, but: int | None) -> dict[int, int]:
    """The units of each listing in a group, by listing id, those of the member `but` left out."""
    query = (
        select(GroupShare.listing_id, func.sum(GroupShare.quantity))
        .where(GroupShare.group_id == group.id, GroupShare.member_id != (but or 0))
        .group_by(GroupShare.listing_id)
    )
    return {listing_id: int(quantity) for listing_id, quantity in session.execute(query)}


def may_hand_out(actor: Actor, group: GroupPurchase) -> bool:
    """Whether the packing list, with everybody's name, is the actor's to read: as organiser or the unit's receiver."""
    receives = actor.can(Permission.RECEIVE_FOR_UNIT) and actor.organisation_id == group.organisation_id
    return receives or actor.user_id == group.organiser_id


def gets_goods(group: GroupPurchase, member: GroupMember) -> bool:
    """Whether there is something to hand over to a member: ordered, and not called off or left unpaid."""
    if group.state is not GroupState.ORDERED or member.shortfall is not None or not member.shares:
        return False
    order = member.order or group.order
    if order is None:
        return False
    return any(
        part.state not in GONE and part.state is not PartState.AWAITING_PAYMENT for part in order.parts
    )


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Own parts of closed groups that wait for payment, and groups of the own body one may still join."""
    if not may_see_groups(actor) or not actor.can(Permission.BUY_PERSONALLY):
        return []
    unpaid = (
        select(func.count(GroupMember.id.distinct()))
        .join(OrderPart, OrderPart.order_id == GroupMember.order_id)
        .where(GroupMember.user_id == actor.user_id, OrderPart.state == PartState.AWAITING_PAYMENT)
    )
    joined = select(GroupMember.group_id).where(GroupMember.user_id == actor.user_id)
    joinable = open_groups(actor).where(GroupPurchase.id.not_in(joined)).order_by(None)
    counts = (
        (NN_("拼单已截止，%(count)s 笔订单请在一小时内付款"), session.scalar(unpaid) or 0),
        (
            NN_("本单位有 %(count)s 个拼单可以参加"),
            session.scalar(select(func.count()).select_from(joinable.subquery())) or 0,
        ),
    )
    return [Task(message, count, "group_purchases.index") for message, count in counts if count]
