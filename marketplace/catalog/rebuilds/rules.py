"""Asking for a rebuild of the search index and stopping it; how the job notes its way. Searches go on all the while."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from marketplace.catalog.rebuilds.models import IndexRebuild, RebuildState
from marketplace.catalog.rebuilds.queries import open_rebuild
from marketplace.core.clock import now
from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail

LEFT_BEHIND = timedelta(minutes=2)  # a rebuild without progress for so long has lost its worker


def ask_for_rebuild(session: Session, actor: Actor) -> IndexRebuild:
    """Have the index made anew by the next worker. Raises Conflict while another rebuild waits or runs."""
    actor.require(Permission.MANAGE_SEARCH)
    if open_rebuild(session) is not None:
        raise Conflict("rebuild_open", N_("已有一次重建在进行，请等它完成或先取消。"))
    rebuild = IndexRebuild(asked_by=actor.user_id)
    session.add(rebuild)
    session.flush()
    record_trail(session, actor, "search.ask_rebuild", subject=("index_rebuild", rebuild.public_no))
    return rebuild


def cancel_rebuild(session: Session, actor: Actor) -> IndexRebuild:
    """Stop the open rebuild: at once when it waits, at its next step when it runs. The index stays as it was.

    Raises Conflict when none is open.
    """
    actor.require(Permission.MANAGE_SEARCH)
    rebuild = open_rebuild(session)
    if rebuild is None:
        raise Conflict("no_rebuild", N_("没有正在进行的重建，可能刚刚完成。"))
    rebuild.cancel_asked_at = rebuild.cancel_asked_at or now()
    if rebuild.state is RebuildState.WAITING:
        end_rebuild(rebuild, RebuildState.CANCELLED)
    record_trail(session, actor, "search.cancel_rebuild", subject=("index_rebuild", rebuild.public_no))
    return rebuild


def begin_rebuild(rebuild: IndexRebuild, *, total_count: int) -> None:
    """A worker takes the rebuild on; `total_count` listings are to be read."""
    rebuild.state, rebuild.total_count, rebuild.done_count = RebuildState.RUNNING, total_count, 0
    rebuild.progressed_at = now()


def is_to_do(rebuild: IndexRebuild) -> bool:
    """Whether a worker should take the rebuild on: it waits, or the worker that had it is gone."""
    left = rebuild.progressed_at is not None and rebuild.progressed_at < now() - LEFT_BEHIND
    return rebuild.state is RebuildState.WAITING or left


def note_progress(rebuild: IndexRebuild, *, done_count: int) -> None:
    """So many listings are read."""
    rebuild.done_count, rebuild.progressed_at = min(done_count, rebuild.total_count), now()


def end_rebuild(rebuild: IndexRebuild, state: RebuildState, *, reason: str = "") -> None:
    """The rebuild is over in `state`; `reason` says why it failed."""
    rebuild.state, rebuild.open_mark, rebuild.finished_at, rebuild.reason = state, None, now(), reason[:200]
