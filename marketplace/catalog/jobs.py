"""The index follows changes and the calendar: a certificate that expires loses its badge the same day."""

from __future__ import annotations

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import INDEX_LISTINGS, index_anew
from marketplace.catalog.indexing import index_listings, rebuild_index
from marketplace.catalog.models import Certificate, CertificateState, IndexTask, Listing
from marketplace.catalog.search.engine import SearchEngine
from marketplace.core.clock import today
from marketplace.web.jobs import Job


def follow_changes(session: Session) -> bool:
    """Bring changed listings into the index."""
    engine: SearchEngine = current_app.extensions["search"]
    if not engine.status().ok:
        rebuild_index(session, engine)
    return index_listings(session, engine)


def drop_expired_badges(session: Session) -> bool:
    """Have listings indexed anew whose certificate expired today; pages check the date themselves."""
    waiting = select(IndexTask.listing_id)
    expired = session.scalars(
        select(Listing.id)
        .distinct()
        .join(Certificate, Certificate.product_id == Listing.product_id)
        .where(
            Certificate.state == CertificateState.VALID,
            Certificate.expires_on == today(),
            Listing.id.not_in(waiting),
        )
    )
    index_anew(session, expired)
    return False


JOBS = (
    Job(INDEX_LISTINGS, follow_changes),
    Job("drop expired badges", drop_expired_badges, every_minutes=30),
)
