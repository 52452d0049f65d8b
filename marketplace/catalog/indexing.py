"""Keeping the search index in step: what a listing looks like to search, the job that follows changes, the rebuild.

Rules only leave an IndexTask with their change. The job writes the index and then removes the tasks in the same pass;
if it dies in between, the tasks are done again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.queries import badges_of
from marketplace.catalog.models import Category, IndexTask, Listing, ListingState
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.queries import available_units, sale_stop
from marketplace.catalog.recognition.queries import Badge, recognised_of
from marketplace.catalog.search.engine import ListingDocument, SearchEngine
from marketplace.catalog.search.priority import priority_score
from marketplace.core.clock import today
from marketplace.core.labels import LabelledEnum
from marketplace.registry.queries import acknowledged_counts

BATCH = 200


def index_listings(session: Session, engine: SearchEngine) -> bool:
    """One pass: bring up to BATCH changed listings into the index; returns whether more wait."""
    tasks = session.execute(
        select(IndexTask.id, IndexTask.listing_id).order_by(IndexTask.id).limit(BATCH)
    ).all()
    if not tasks:
        return False
    listing_ids = sorted({listing_id for _, listing_id in tasks})
    listings = session.scalars(select(Listing).where(Listing.id.in_(listing_ids))).unique().all()
    for_sale = [listing for listing in listings if sale_stop(listing, today()) is None]
    engine.index(documents_of(session, for_sale))
    gone = sorted({listing.public_no for listing in listings} - {listing.public_no for listing in for_sale})
    if gone:
        engine.remove(gone)
    session.execute(delete(IndexTask).where(IndexTask.id.in_([task_id for task_id, _ in tasks])))
    return len(tasks) == BATCH


def rebuild_index(session: Session, engine: SearchEngine) -> int:
    """Replace the whole index by what is for sale; searches see the old one until it is done."""
    return engine.rebuild(published_documents(session))


def count_published(session: Session) -> int:
    """How many listings are published; those whose sale is stopped are among them."""
    published = select(func.count()).select_from(Listing).where(Listing.state == ListingState.PUBLISHED)
    return session.scalar(published) or 0


def published_documents(session: Session) -> Iterator[ListingDocument]:
    """What is for sale, as search sees it, batch by batch."""
    last = 0
    while True:
        query = (
            select(Listing)
            .where(Listing.state == ListingState.PUBLISHED, Listing.id > last)
            .order_by(Listing.id)
            .limit(BATCH)
        )
        listings = session.scalars(query).unique().all()
        if not listings:
            return
        yield from documents_of(session, [row for row in listings if sale_stop(row, today()) is None])
        last = listings[-1].id


def documents_of(session: Session, listings: Sequence[Listing]) -> list[ListingDocument]:
    """What search sees of published listings, in a fixed number of statements."""
    stock = available_units(session, [listing.product_id for listing in listings])
    households = acknowledged_counts(session, sorted({listing.cooperative_id for listing in listings}))
    categories = {category.code: category for category in session.scalars(select(Category))}
    recognised = recognised_of(session, [listing.product_id for listing in listings], today())
    return [
        _document(
            listing,
            stock[listing.product_id],
            households.get(listing.cooperative_id, 0),
            categories,
            is_recognised=listing.product_id in recognised,
        )
        for listing in listings
        if listing.current_version is not None
    ]


def _document(
    listing: Listing, stock: int, households: int, categories: dict[str, Category], *, is_recognised: bool
) -> ListingDocument:
    version, product, cooperative = listing.current_version, listing.product, listing.product.cooperative
    if version is None:
        raise ValueError("a listing without a version is not for sale")
    path = tuple(product.category.path.split("/"))
    badges: list[LabelledEnum] = [certificate.kind for certificate in badges_of(product, today())]
    if is_recognised:
        badges.append(Badge.RECOGNISED)
    names = [name for code in path for name in (categories[code].name_zh, categories[code].name_en)]
    price_fen = version.tiers[0].unit_price_fen
    return ListingDocument(
        listing_no=listing.public_no,
        title=version.title,
        product_name=product.name,
        cooperative_no=cooperative.public_no,
        cooperative_name=cooperative.name,
        category_code=product.category_code,
        category_path=path,
        county_code=cooperative.county_code,
        county_name=cooperative.county.name,
        price_fen=price_fen,
        price_per_kg_fen=per_kg_fen(price_fen, version.net_mass_g),
        certificates=tuple(str(badge.value) for badge in badges),
        keywords=(*names, *(badge.label for badge in badges)),
        priority=priority_score(households),
        sold=listing.sold_units,
        published_at=listing.published_at,
        description=version.description,
        in_stock=stock > 0,
    )
