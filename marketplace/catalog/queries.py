"""Reading the catalogue: listings, prices by quantity, what is in stock, what the policy asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import (
    Category,
    Certificate,
    CertificateState,
    LinkageFloor,
    Listing,
    ListingState,
    ListingVersion,
    Product,
    ProductLot,
)
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.linkage.models import Lot

PROVINCE = "36"


def listings_by_nos(session: Session, numbers: Sequence[str]) -> list[Listing]:
    """The listings under `numbers`, in that order; unknown numbers are left out."""
    found = session.scalars(select(Listing).where(Listing.public_no.in_(numbers))).unique()
    by_no = {listing.public_no: listing for listing in found}
    return [by_no[number] for number in numbers if number in by_no]


def listing_by_no(session: Session, number: str) -> Listing:
    """A published listing. Raises NotFound."""
    listing = session.scalar(
        select(Listing).where(Listing.public_no == number, Listing.state == ListingState.PUBLISHED)
    )
    if listing is None:
        raise NotFound
    return listing


def products_of(actor: Actor) -> Select[tuple[Product]]:
    """The products of the actor's cooperative, newest first."""
    return (
        select(Product)
        .where(Product.cooperative_id == actor.cooperative_id, Product.archived_at.is_(None))
        .order_by(Product.id.desc())
    )


def own_product(session: Session, actor: Actor, number: str) -> Product:
    """A product of the actor's cooperative. Raises NotFound."""
    product = session.scalar(products_of(actor).where(Product.public_no == number))
    if product is None:
        raise NotFound
    return product


def listing_of_product(session: Session, product: Product) -> Listing | None:
    """The listing of a product, if it ever had one."""
    return session.scalar(select(Listing).where(Listing.product_id == product.id))


def unit_price_fen(version: ListingVersion, quantity: int) -> int:
    """The unit price of `quantity` units: that of the highest tier reached (the first tier starts at one unit)."""
    reached = [tier for tier in version.tiers if tier.min_quantity <= quantity]
    return reached[-1].unit_price_fen


def price_per_kg_fen(unit_fen: int, net_mass_g: int) -> int:
    """Fen per kilogram, rounded half up, for comparing."""
    return (2 * unit_fen * 1000 + net_mass_g) // (2 * net_mass_g)


def available_units(session: Session, product_ids: Iterable[int]) -> dict[int, int]:
    """Whole units in stock per product: the free grams of its lots over the net mass of a unit."""
    wanted = list(product_ids)
    free = func.sum(Lot.received_g * Lot.yield_bp // 10_000 - Lot.committed_g)
    query = (
        select(ProductLot.product_id, Product.net_mass_g, free)
        .join(Lot, Lot.id == ProductLot.lot_id)
        .join(Product, Product.id == ProductLot.product_id)
        .where(ProductLot.product_id.in_(wanted))
        .group_by(ProductLot.product_id, Product.net_mass_g)
    )
    units = dict.fromkeys(wanted, 0)
    for product_id, net_mass_g, grams in session.execute(query):
        units[product_id] = max(0, int(grams)) // net_mass_g
    return units


def certificates_of(session: Session, product: Product) -> list[Certificate]:
    """All certificates of a product, newest first."""
    query = select(Certificate).where(Certificate.product_id == product.id).order_by(Certificate.id.desc())
    return list(session.scalars(query))


def is_in_force(certificate: Certificate | None, on: date) -> bool:
    """Whether a certificate shows its badge on a day: reviewed, begun, not expired. It ends with the day before
    `expires_on`."""
    return (
        certificate is not None
        and certificate.state is CertificateState.VALID
        and certificate.issued_on <= on < certificate.expires_on
    )


def linkage_floor_bp(session: Session, *, category_code: str, county_code: str, year: int) -> int:
    """The least linkage share for a category: the policy of the nearest jurisdiction and ancestor category.

    A county's row goes before the prefecture's and the province's; a category's own row before its ancestors'; the
    latest year not after `year`. Zero when no policy says anything.
    """
    path = session.scalar(select(Category.path).where(Category.code == category_code)) or category_code
    categories = path.split("/")[::-1]
    regions = [county_code, county_code[:4], PROVINCE]
    rows = session.scalars(
        select(LinkageFloor).where(
            LinkageFloor.category_code.in_(categories),
            LinkageFloor.region_code.in_(regions),
            LinkageFloor.year <= year,
        )
    ).all()
    if not rows:
        return 0
    nearest = min(
        rows, key=lambda row: (regions.index(row.region_code), categories.index(row.category_code), -row.year)
    )
    return nearest.min_bp


def category_tree(session: Session) -> list[Category]:
    """Every category, parents before their children."""
    return list(session.scalars(select(Category).order_by(Category.position)))
