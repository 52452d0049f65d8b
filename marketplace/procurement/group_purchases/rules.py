"""A group purchase before it closes: opened, joined, changed, left, called off; and handed out afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ordering.rules import Delivery, check_delivery
from marketplace.ordering.wishes import MAX_LINES, MAX_QUANTITY, check_quantity, require_for_sale
from marketplace.procurement.group_purchases.models import (
    GroupMember,
    GroupPurchase,
    GroupShare,
    GroupState,
    Paying,
)
from marketplace.procurement.group_purchases.queries import (
    gets_goods,
    is_open,
    may_hand_out,
    member_of,
    units_in_group,
)

LONGEST = timedelta(days=60)
MOST_MEMBERS = 200
MAX_NAME = 60
MAX_GROUP_NOTE = 150


@dataclass(frozen=True)
class Plan:
    """What the organiser says of a group purchase: its name, until when, whose money, and where the goods go."""

    name: str
    deadline_at: datetime
    paying: Paying
    delivery: Delivery


def open_group(session: Session, actor: Actor, *, plan: Plan, idempotency_key: str) -> GroupPurchase:
    """Open a shared basket for the people of the actor's body. The same key of the same person gives the first one.

    Raises Forbidden without the duty (a union's money is its orderer's to spend), Refused naming the field for a plan
    that cannot be.
    """
    body_id = actor.organisation_id
    duties = (
        (Permission.ORDER_FOR_UNIT,)
        if plan.paying is Paying.UNION
        else (Permission.BUY_PERSONALLY, Permission.ORDER_FOR_UNIT)
    )
    if actor.user_id is None or not any(actor.can(duty) for duty in duties):
        raise Forbidden
    if body_id is None:
        raise Refused("no_body", N_("您的账号还没有归属单位，请联系单位或平台管理员"))
    if plan.paying is Paying.UNION and actor.buyer_unit_id is None:
        raise Forbidden
    first = _group_under_key(session, actor, idempotency_key)
    if first is not None:
        return first
    _check_plan(plan)
    group = GroupPurchase(
        organisation_id=body_id,
        buyer_unit_id=actor.buyer_unit_id,
        organiser_id=actor.user_id,
        idempotency_key=idempotency_key,
        name=plan.name.strip(),
        paying=plan.paying,
        recipient_name=plan.delivery.recipient_name.strip(),
        recipient_phone=plan.delivery.recipient_phone.strip(),
        address=plan.delivery.address.strip(),
        note=plan.delivery.note.strip(),
        deadline_at=plan.deadline_at,
        opened_at=now(),
    )
    try:
        with session.begin_nested():
            session.add(group)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = _group_under_key(session, actor, idempotency_key)
        if first is None:
            raise
        return first
    _note(session, actor, group, "open_group")
    return group


def _group_under_key(session: Session, actor: Actor, key: str) -> GroupPurchase | None:
    query = select(GroupPurchase).where(
        GroupPurchase.organiser_id == actor.user_id, GroupPurchase.idempotency_key == key
    )
    return session.scalar(query)


def _check_plan(plan: Plan) -> None:
    if not plan.name.strip():
        raise Refused("name_missing", N_("请填写这一项"), field="name")
    if len(plan.name.strip()) > MAX_NAME:
        raise Refused("name_long", N_("这一项最多 %(most)s 个字"), field="name", most=MAX_NAME)
    if plan.deadline_at <= now():
        raise Refused("deadline_past", N_("截止时间须晚于现在"), field="deadline")
    if plan.deadline_at > now() + LONGEST:
        raise Refused("deadline_far", N_("截止时间最远在 60 天以内"), field="deadline")
    check_delivery(plan.delivery)
    if len(plan.delivery.note.strip()) > MAX_GROUP_NOTE:
        raise Refused("note_long", N_("这一项最多 %(most)s 个字"), field="note", most=MAX_GROUP_NOTE)


def _note(session: Session, actor: Actor, group: GroupPurchase, action: str) -> None:
    record_trail(
        session,
        actor,
        f"procurement.{action}",
        subject=("group_purchase", group.public_no),
        buyer_unit_id=group.buyer_unit_id,
    )
    session.flush()


def _hold_open(session: Session, actor: Actor, group: GroupPurchase) -> None:
    """Read a group anew, held against its closing. Raises NotFound for another body's, Conflict when it is over."""
    if actor.organisation_id != group.organisation_id:
        raise NotFound
    session.refresh(group, ["state"], with_for_update={"of": GroupPurchase})
    if group.state is GroupState.CANCELLED:
        raise Conflict("group_cancelled", N_("这个拼单已取消"))
    if not is_open(group):
        raise Conflict("group_over", N_("拼单已经截止，不能再参加、修改或退出"))


def put_share(
    session: Session, actor: Actor, group: GroupPurchase, *, listing: Listing, quantity: int, name: str = ""
) -> GroupMember:
    """Want so many units of a listing, instead of those wanted before; who takes part for the first time gives the
    `name` to write on the bag.

    Raises NotFound for another body's group, Conflict when it is over, full or the listing is not for sale, Refused
    for a quantity that cannot be.
    """
    actor.require(Permission.BUY_PERSONALLY)
    _hold_open(session, actor, group)
    check_quantity(quantity)
    require_for_sale(listing)
    member = member_of(session, actor, group) or _join(session, actor, group, name)
    if name.strip():
        member.name = _checked_name(name)
    others = units_in_group(session, group, but=member.id)
    kinds = {*others, *(share.listing_id for share in member.shares), listing.id}
    if len(kinds) > MAX_LINES:
        raise Refused("too_many_lines", N_("一个拼单最多 %(most)s 种商品"), most=MAX_LINES)
    if others.get(listing.id, 0) + quantity > MAX_QUANTITY:
        raise Refused("quantity", N_("数量须在 1 到 %(most)s 之间"), field="quantity", most=MAX_QUANTITY)
    share = next((share for share in member.shares if share.listing_id == listing.id), None)
    if share is None:
        member.shares.append(
            GroupShare(
                group_id=group.id,
                deadline_at=group.deadline_at,
                listing=listing,
                quantity=quantity,
                put_at=now(),
            )
        )
    else:
        share.quantity, share.put_at = quantity, now()
    session.flush()
    return member


def _join(session: Session, actor: Actor, group: GroupPurchase, name: str) -> GroupMember:
    checked = _checked_name(name)
    count = select(func.count()).where(GroupMember.group_id == group.id)
    if (session.scalar(count) or 0) >= MOST_MEMBERS:
        raise Conflict("group_full", N_("一个拼单最多 %(most)s 人，请另开一个"), most=MOST_MEMBERS)
    member = GroupMember(
        group_id=group.id,
        organisation_id=group.organisation_id,
        deadline_at=group.deadline_at,
        user_id=actor.user_id,
        name=checked,
        joined_at=now(),
    )
    session.add(member)
    session.flush()
    _note(session, actor, group, "join_group")
    return member


def _checked_name(name: str) -> str:
    checked = name.strip()
    if not checked:
        raise Refused("name_missing", N_("请写明分装时贴的姓名"), field="name")
    if len(checked) > MAX_NAME:
        raise Refused("name_long", N_("这一项最多 %(most)s 个字"), field="name", most=MAX_NAME)
    return checked


def take_out_share(session: Session, actor: Actor, group: GroupPurchase, *, listing_no: str) -> None:
    """Want nothing of a listing any more; who wants nothing at all has left. Raises as `leave_group`."""
    _hold_open(session, actor, group)
    member = member_of(session, actor, group)
    share = (
        next((one for one in member.shares if one.listing.public_no == listing_no), None) if member else None
    )
    if member is None or share is None:
        raise NotFound
    member.shares.remove(share)
    session.flush()
    if not member.shares:
        leave_group(session, actor, group)


def leave_group(session: Session, actor: Actor, group: GroupPurchase) -> None:
    """Take no part any more. Raises NotFound for who takes none, Conflict when the group is over."""
    _hold_open(session, actor, group)
    member = member_of(session, actor, group)
    if member is None:
        raise NotFound
    session.delete(member)
    _note(session, actor, group, "leave_group")


def cancel_group(session: Session, actor: Actor, group: GroupPurchase) -> GroupPurchase:
    """The organiser calls an open group off; nothing is ordered. Raises Forbidden for anybody else, Conflict when it
    is over."""
    _hold_open(session, actor, group)
    if actor.user_id != group.organiser_id:
        raise Forbidden
    group.state, group.closed_at = GroupState.CANCELLED, now()
    _note(session, actor, group, "cancel_group")
    return group


def hand_over(session: Session, actor: Actor, group: GroupPurchase, *, member_no: str) -> GroupMember:
    """Tick that a member has got the goods; a second tick changes nothing.

    Raises NotFound for who does not hand out or an unknown member, Conflict when there is nothing to hand over.
    """
    if not may_hand_out(actor, group):
        raise NotFound
    member = session.scalar(
        select(GroupMember).where(GroupMember.group_id == group.id, GroupMember.public_no == member_no)
    )
    if member is None:
        raise NotFound
    if not gets_goods(group, member):
        raise Conflict("nothing_to_hand", N_("这一位没有要分发的商品：没有下单、没有付款，或订单已取消"))
    ticked = session.execute(
        update(GroupMember)
        .where(GroupMember.id == member.id, GroupMember.handed_at.is_(None))
        .values(handed_at=now(), handed_by=actor.user_id)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    session.refresh(member, ["handed_at", "handed_by"])
    if ticked:
        _note(session, actor, group, "hand_over")
    return member
