"""From the trail to inboxes: a sweep over the rows written since the last pass.

Rows of the trail may become visible a little out of order, so each pass also looks again at the last `LOOK_BACK` rows
before its cursor; a message exists once per person and row. A person is never told of an own deed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, exists, func, insert, literal, select
from sqlalchemy.orm import Session

from marketplace.core.ids import public_nos
from marketplace.identity.models import TrailEntry, User, UserRole
from marketplace.identity.permissions import ROLE_PERMISSIONS, Permission
from marketplace.notices.events import ACTIONS, EVENTS, Audience, Event, Link
from marketplace.notices.models import (
    EmailAddress,
    EmailState,
    Message,
    NoticeCategory,
    NoticeCursor,
    NoticePreference,
)
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.models import Payment
from marketplace.payments.refunds.models import Refund
from marketplace.payments.vouchers.models import Voucher

LOOK_BACK = 500
A_PASS = 500


@dataclass(frozen=True)
class _Behind:
    """The order behind a row of the trail, and its personal buyer; None of a unit's order. `awaits_approval` now;
    `is_handed_over` at a counter for a voucher, all its steps in one moment."""

    order_no: str
    buyer_user_id: int | None
    awaits_approval: bool
    is_handed_over: bool


def collect_messages(session: Session, *, limit: int = A_PASS) -> bool:
    """Tell people of up to `limit` further rows of the trail; whether more wait. Repeating is harmless."""
    cursor = session.get(NoticeCursor, 1, with_for_update=True)
    if cursor is None:
        newest = session.scalar(select(func.max(TrailEntry.id))) or 0
        session.add(NoticeCursor(trail_id=newest, begun_after_id=newest))
        session.flush()
        return False
    after = cursor.trail_id
    first = max(after - LOOK_BACK, cursor.begun_after_id)
    query = select(TrailEntry).where(TrailEntry.id > first).order_by(TrailEntry.id)
    rows = session.scalars(query.limit(limit + LOOK_BACK)).all()
    _tell(session, [row for row in rows if row.action in ACTIONS])
    cursor.trail_id = max([after, *(row.id for row in rows)])
    session.flush()
    return len(rows) == limit + LOOK_BACK


def _tell(session: Session, rows: Sequence[TrailEntry]) -> None:
    behind = _orders_behind(session, rows)
    duties = _people_with_duties(session, rows)
    wanted: dict[tuple[int, int], tuple[TrailEntry, Event, str]] = {}
    for row in rows:
        for event in _events_of(row, behind.get(row.id)):
            number = _number(row, event, behind)
            for user_id in _audience(row, event, behind, duties):
                if user_id != row.actor_user_id and number:
                    wanted.setdefault((user_id, row.id), (row, event, number))
    told = _told_already(session, [row.id for row in rows])
    new = {key: value for key, value in wanted.items() if key not in told}
    _write(session, new)


def _events_of(row: TrailEntry, order: _Behind | None) -> list[Event]:
    if order is not None and order.is_handed_over:
        return []  # nothing of it waits for anybody
    awaits = order is not None and order.awaits_approval
    return [event for event in EVENTS if event.action == row.action and (awaits or not event.asks_approval)]


def _number(row: TrailEntry, event: Event, behind: dict[int, _Behind]) -> str:
    """What the link of a message names."""
    if event.link is Link.ORDER:
        return behind[row.id].order_no if row.id in behind else ""
    return row.subject_no


def _audience(
    row: TrailEntry,
    event: Event,
    behind: dict[int, _Behind],
    duties: dict[tuple[int, Permission], set[int]],
) -> Iterable[int]:
    order = behind.get(row.id)
    buyer_id = order.buyer_user_id if order else None
    if event.audience is Audience.BUYER:
        return [] if buyer_id is None else [buyer_id]
    if event.audience is Audience.UNIT and buyer_id is not None:
        return []  # what one of its people buys at home is no business of a unit
    body = row.cooperative_id if event.audience is Audience.COOPERATIVE else row.buyer_unit_id
    if body is None or event.duty is None:
        return []
    return duties.get((body, event.duty), set())


def _orders_behind(session: Session, rows: Sequence[TrailEntry]) -> dict[int, _Behind]:
    """The order behind each row that is about one, a part, a payment or a refund of one, in a statement a kind."""
    numbers: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        numbers.setdefault(row.subject_kind, {}).setdefault(row.subject_no, []).append(row.id)
    found: dict[int, _Behind] = {}
    for kind, query in _ORDER_OF.items():
        asked = numbers.get(kind, {})
        for number, order_no, buyer_id, unit_id, *facts in (
            session.execute(query(list(asked))) if asked else ()
        ):
            for row_id in asked[number]:
                found[row_id] = _Behind(order_no, None if unit_id else buyer_id, *facts)
    return found


_BEHIND = (
    Order.public_no.label("order_no"),
    Order.buyer_user_id,
    Order.buyer_unit_id,
    exists()
    .where(OrderPart.order_id == Order.id, OrderPart.state == PartState.AWAITING_APPROVAL)
    .correlate(Order),
    exists().where(Voucher.order_id == Order.id, Order.kind == OrderKind.UNION).correlate(Order),
)


def _order(numbers: list[str]) -> Select[Any]:
    return select(Order.public_no, *_BEHIND).where(Order.public_no.in_(numbers))


def _of(model: type[OrderPart | Payment | Refund], numbers: list[str]) -> Select[Any]:
    query = select(model.public_no, *_BEHIND)
    return query.join(Order, Order.id == model.order_id).where(model.public_no.in_(numbers))


_ORDER_OF = {
    "order": _order,
    "order_part": lambda numbers: _of(OrderPart, numbers),
    "payment": lambda numbers: _of(Payment, numbers),
    "refund": lambda numbers: _of(Refund, numbers),
}


def _people_with_duties(
    session: Session, rows: Sequence[TrailEntry]
) -> dict[tuple[int, Permission], set[int]]:
    """The user ids of each organisation of the rows who have a duty, by (organisation id, duty)."""
    bodies = {body for row in rows for body in (row.cooperative_id, row.buyer_unit_id) if body is not None}
    if not bodies:
        return {}
    query = (
        select(User.organisation_id, UserRole.role, User.id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(User.organisation_id.in_(bodies), User.disabled_at.is_(None))
    )
    found: dict[tuple[int, Permission], set[int]] = {}
    for body, role, user_id in session.execute(query):
        for permission in ROLE_PERMISSIONS[role]:
            found.setdefault((body, permission), set()).add(user_id)
    return found


def _told_already(session: Session, trail_ids: Collection[int]) -> set[tuple[int, int]]:
    query = select(Message.user_id, Message.trail_id).where(Message.trail_id.in_(trail_ids))
    return {(user_id, trail_id) for user_id, trail_id in session.execute(query)}


def _write(session: Session, new: dict[tuple[int, int], tuple[TrailEntry, Event, str]]) -> None:
    if not new:
        return
    wishes = _wishes(session, {user_id for user_id, _row_id in new})
    numbers = public_nos("XX", len(new))
    given = [
        {
            "public_no": number,
            "user_id": user_id,
            "trail_id": row.id,
            "event": event.name,
            "category": event.category,
            "subject_no": subject_no,
            "at": row.at,
            "email_state": EmailState.WAITING if by_email else EmailState.NONE,
        }
        for ((user_id, _row_id), (row, event, subject_no)), number in zip(new.items(), numbers, strict=True)
        for in_inbox, by_email in [wishes.get((user_id, event.category), (True, False))]
        if in_inbox or by_email
    ]
    if given:
        session.execute(insert(Message), given)


def _wishes(
    session: Session, user_ids: Collection[int]
) -> dict[tuple[int, NoticeCategory], tuple[bool, bool]]:
    """(in the inbox, by e-mail) of these people by category; e-mail as far as there is a confirmed address."""
    confirmed = and_(EmailAddress.user_id == User.id, EmailAddress.confirmed_at.is_not(None))
    found: dict[tuple[int, NoticeCategory], tuple[bool, bool]] = {}
    for category in NoticeCategory:
        chosen = and_(NoticePreference.user_id == User.id, NoticePreference.category == category)
        query = (
            select(
                User.id,
                func.coalesce(NoticePreference.in_inbox, literal(True)),
                func.coalesce(NoticePreference.by_email, literal(True)),
                EmailAddress.user_id,
            )
            .outerjoin(NoticePreference, chosen)
            .outerjoin(EmailAddress, confirmed)
            .where(User.id.in_(user_ids))
        )
        for user_id, in_inbox, by_email, has_address in session.execute(query):
            found[user_id, category] = (bool(in_inbox), bool(by_email) and has_address is not None)
    return found
