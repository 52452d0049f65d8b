"""Reading files somebody asked for: one's own, and no one else's."""

from __future__ import annotations

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.downloads.models import OPEN, FileState, PreparedFile


def files_of(actor: Actor) -> Select[PreparedFile]:
    """What the actor asked for in its present organisation, newest first."""
    return (
        select(PreparedFile)
        .where(
            PreparedFile.asked_by == actor.user_id,
            PreparedFile.organisation_id.is_not_distinct_from(actor.organisation_id),
        )
        .order_by(PreparedFile.id.desc())
    )


def file_by_no(session: Session, actor: Actor, number: str) -> PreparedFile:
    """One of these. Raises NotFound for anybody else's."""
    found = session.scalar(files_of(actor).where(PreparedFile.public_no == number))
    if found is None:
        raise NotFound
    return found


def open_file(session: Session, actor: Actor, open_key: str) -> PreparedFile | None:
    """The file the actor waits for already."""
    return session.scalar(files_of(actor).where(PreparedFile.open_key == open_key))


def count_open(session: Session, actor: Actor) -> int:
    """How many files the actor waits for."""
    query = select(func.count()).select_from(PreparedFile)
    return (
        session.scalar(query.where(PreparedFile.asked_by == actor.user_id, PreparedFile.state.in_(OPEN))) or 0
    )


def stored_names(session: Session) -> set[str]:
    """What the bytes of all files are called that are wanted: those being made and those that can be taken."""
    query = select(PreparedFile.public_no, PreparedFile.attempt).where(
        PreparedFile.state.in_((FileState.RUNNING, FileState.READY))
    )
    return {f"{number}.{attempt}" for number, attempt in session.execute(query)}
