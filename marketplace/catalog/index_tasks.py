"""Leaving word that the search entry of a listing has to be made anew; `indexing.py` follows within seconds.

A lot that gains or loses goods leaves word by itself, by a trigger (migration 0052), and is followed within a minute.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from marketplace.catalog.models import IndexTask
from marketplace.core.waking import wake_after_commit

INDEX_LISTINGS = "index listings"  # the job


def index_anew(session: Session, listing_ids: Iterable[int]) -> None:
    """Have the search entries of listings made anew by the indexing job, as soon as this transaction is committed."""
    tasks = [IndexTask(listing_id=listing_id) for listing_id in sorted(set(listing_ids))]
    if tasks:
        session.add_all(tasks)
        wake_after_commit(session, INDEX_LISTINGS)
