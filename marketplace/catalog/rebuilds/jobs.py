"""The worker's side of a rebuild: read the listings, note how far it is, give up when asked to.

The one job that keeps no transaction open while it works: each step of progress is a transaction of its own, so that
the operator's page sees it and, on SQLite, others can write.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, current_app
from sqlalchemy.orm import Session

from marketplace.catalog.indexing import BATCH, count_published, published_documents
from marketplace.catalog.rebuilds import rules
from marketplace.catalog.rebuilds.models import IndexRebuild, RebuildState
from marketplace.catalog.rebuilds.queries import open_rebuild
from marketplace.catalog.search.engine import ListingDocument, SearchEngine, SearchUnavailable
from marketplace.web.jobs import Job, current_jobs
from marketplace.web.transaction import database, runner


class RebuildCancelledError(Exception):
    """Somebody asked to stop; the engine then leaves the index as it was."""


def follow_rebuilds(session: Session) -> bool:
    """Do the rebuild that waits, if one does; the job's own transaction is given back first."""
    engine: SearchEngine = current_app.extensions["search"]
    rebuild = open_rebuild(session)
    if rebuild is None or not rules.is_to_do(rebuild):
        return False
    app, rebuild_id = current_jobs().app, rebuild.id
    session.rollback()
    with runner(app) as own:
        rules.begin_rebuild(own.get_one(IndexRebuild, rebuild_id), total_count=count_published(own))
    _do_rebuild(app, engine, rebuild_id)
    return False


def _do_rebuild(app: Flask, engine: SearchEngine, rebuild_id: int) -> None:
    """Make the index anew for a rebuild that has begun, and note how it ended."""
    ended, reason = RebuildState.DONE, ""
    try:
        with database().reading() as reading:
            engine.rebuild(_watched(app, rebuild_id, published_documents(reading)))
    except RebuildCancelledError:
        ended = RebuildState.CANCELLED
    except SearchUnavailable as failure:
        ended, reason = RebuildState.FAILED, failure.reason
    with runner(app) as session:
        rebuild = session.get_one(IndexRebuild, rebuild_id)
        if ended is RebuildState.DONE:
            rules.note_progress(rebuild, done_count=rebuild.total_count)
        rules.end_rebuild(rebuild, ended, reason=reason)


def _watched(app: Flask, rebuild_id: int, documents: Iterator[ListingDocument]) -> Iterator[ListingDocument]:
    """The documents, with a look at what the operator wants before each batch."""
    for done_count, document in enumerate(documents):
        if done_count % BATCH == 0:
            with runner(app) as session:
                rebuild = session.get_one(IndexRebuild, rebuild_id)
                if rebuild.cancel_asked_at is not None:
                    raise RebuildCancelledError
                rules.note_progress(rebuild, done_count=done_count)
        yield document


REBUILD = "rebuild the search index"
JOBS = (Job(REBUILD, follow_rebuilds),)
