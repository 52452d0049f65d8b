"""Reading rebuilds of the search index."""

from __future__ import annotations

from sqlalchemy import Select, distinct, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import IndexTask
from marketplace.catalog.rebuilds.models import IndexRebuild


def open_rebuild(session: Session) -> IndexRebuild | None:
    """The rebuild that waits or runs, if there is one."""
    return session.scalar(select(IndexRebuild).where(IndexRebuild.open_mark == 1))


def rebuilds() -> Select[IndexRebuild]:
    """Every rebuild, newest first."""
    return select(IndexRebuild).order_by(IndexRebuild.id.desc())


def waiting_changes(session: Session) -> int:
    """How many changed listings wait to be indexed."""
    return session.scalar(select(func.count(distinct(IndexTask.listing_id)))) or 0
