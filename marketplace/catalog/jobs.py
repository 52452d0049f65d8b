"""The index follows changes and the calendar: a certificate that expires loses its badge the same day, and goods past
their shelf life are in stock no more."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import INDEX_LISTINGS, index_anew
from marketplace.catalog.indexing import index_listings, rebuild_index
from marketplace.catalog.models import Certificate, CertificateState, IndexTask, Listing, ProductLot
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
    expired = (Certificate.state == CertificateState.VALID, Certificate.expires_on == today())
    certified = select(Listing.id).join(Certificate, Certificate.product_id == Listing.product_id)
    return _index_once(session, certified.where(*expired))


def drop_overdue_goods(session: Session) -> bool:
    """Have listings indexed anew whose goods, or some of them, may be sold no more since today."""
    stocked = select(Listing.id).join(ProductLot, ProductLot.product_id == Listing.product_id)
    return _index_once(session, stocked.where(ProductLot.best_until == today() - timedelta(days=1)))


def _index_once(session: Session, listings: Select[int]) -> bool:
    """Leave word for listings that nobody has left word for yet."""
    waiting = select(IndexTask.listing_id)
    index_anew(session, session.scalars(listings.distinct().where(Listing.id.not_in(waiting))))
    return False


JOBS = (
    Job(INDEX_LISTINGS, follow_changes),
    Job("drop expired badges", drop_expired_badges, every_minutes=30),
    Job("drop overdue goods", drop_overdue_goods, every_minutes=30),
)
