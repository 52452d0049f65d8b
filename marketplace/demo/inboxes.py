"""Inboxes in the demo: what happened in the last weeks, what is older than some days already read."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, update

from marketplace.demo.world import World
from marketplace.identity.models import TrailEntry
from marketplace.notices.collecting import collect_messages
from marketplace.notices.models import Message, NoticeCursor

NEWS_DAYS, UNREAD_DAYS = 21, 4


def fill_inboxes(world: World) -> None:
    """Tell everybody of the last three weeks."""
    session, present = world.session, world.present
    session.flush()
    old = session.scalar(
        select(func.max(TrailEntry.id)).where(TrailEntry.at < present - timedelta(days=NEWS_DAYS))
    )
    session.add(NoticeCursor(trail_id=old or 0, begun_after_id=old or 0))
    session.flush()
    while collect_messages(session):
        pass
    seen = update(Message).where(Message.at < present - timedelta(days=UNREAD_DAYS))
    session.execute(seen.values(read_at=Message.at))
