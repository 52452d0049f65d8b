"""Reading the catalogue: listings, prices by quantity, what is in stock, what the policy asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.claims import organic_claim
from marketplace.catalog.certificates.queries import badges_of, gi_grams_left, may_claim_organic
from marketplace.catalog.lots.queries import FREE_G, in_date
from marketplace.catalog.models import (
    Category,
    Certificate,
    LinkageFloor,
    Listing,
    ListingState,
    ListingVersion,
    Product,
    ProductLot,
    ProductPicture,
)
from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Lot
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.web.tasks import Task

PROVINCE = "36"
MAX_PAGES = 400


def listings_by_nos(session: Session, numbers: Sequence[str]) -> list[Listing]:
    """The listings under `numbers`, in that order; unknown numbers are left out."""
    found = session.scalars(select(Listing).where(Listing.public_no.in_(numbers))).unique()
    by_no = {listing.public_no: listing for listing in found}
    return [by_no[number] for number in numbers if number in by_no]


def product_names(session: Session, numbers: Sequence[str]) -> list[str]:
    """The names of the products behind listings, each once, in the order of `numbers`."""
    query = (
        select(Listing.public_no, Product.name)
        .join(Product, Product.id == Listing.product_id)
        .where(Listing.public_no.in_(numbers))
    )
    names = dict(session.execute(query).all())
    return list(dict.fromkeys(names[number] for number in numbers if number in names))


def listing_by_no(session: Session, number: str) -> Listing:
    """A published listing of an admitted cooperative. Raises NotFound."""
    listing = session.scalar(select(Listing).where(Listing.public_no == number))
    if listing is None or sale_stop(listing, today()) is SaleStop.NOT_FOR_SALE:
        raise NotFound
    return listing


class SaleStop(LabelledEnum):
    """Why a listing cannot be bought now. The codes are those of the refusals."""

    NOT_FOR_SALE = "not_for_sale", N_("已下架")
    CERTIFICATE_LAPSED = "certificate_lapsed", N_("认证已失效，暂停销售")
    CLAIM_LAPSED = "claim_lapsed", N_("标题写有机，认证已失效，暂停销售")


def sale_stop(listing: Listing, on: date) -> SaleStop | None:
    """Why a listing cannot be bought on a day, None when it can: it is published by an admitted cooperative, its
    product has a certificate in force where its category needs one, and the organic one where its title says so."""
    version, product = listing.current_version, listing.product
    if (
        version is None
        or listing.state is not ListingState.PUBLISHED
        or product.cooperative.state is not CooperativeState.ADMITTED
    ):
        return SaleStop.NOT_FOR_SALE
    if product.category.needs_certificate and not badges_of(product, on):
        return SaleStop.CERTIFICATE_LAPSED
    if organic_claim(version.title) and not may_claim_organic(product, on):
        return SaleStop.CLAIM_LAPSED
    return None


def products_of(actor: Actor) -> Select[Product]:
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


def available_units(session: Session, product_ids: Iterable[int]) -> dict[int, int]:
    """Whole units in stock per product: the free grams of its lots that are in date over the net mass of a unit, at
    most what the agreement on a geographical indication still allows."""
    wanted = list(product_ids)
    query = (
        select(ProductLot.product_id, Product.net_mass_g, func.sum(FREE_G))
        .join(Lot, Lot.id == ProductLot.lot_id)
        .join(Product, Product.id == ProductLot.product_id)
        .where(ProductLot.product_id.in_(wanted), in_date(today()))
        .group_by(ProductLot.product_id, Product.net_mass_g)
    )
    units, caps = dict.fromkeys(wanted, 0), gi_grams_left(session, wanted, today())
    for product_id, net_mass_g, grams in session.execute(query):
        free_g = min(int(grams), caps.get(product_id, int(grams)))
        units[product_id] = max(0, free_g) // net_mass_g
    return units


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


def cooperative_names(session: Session, numbers: Sequence[str]) -> dict[str, str]:
    """The names of cooperatives by public number."""
    query = select(Cooperative.public_no, Cooperative.name).where(Cooperative.public_no.in_(numbers))
    return dict(session.execute(query).all())


def is_picture(session: Session, address: str, *, with_waiting: bool = False) -> bool:
    """Whether a product has a picture at that address of the file store; those nobody is shown yet only on demand."""
    query = select(ProductPicture.id).where(
        (ProductPicture.large_address == address) | (ProductPicture.small_address == address)
    )
    if not with_waiting:
        query = query.where(ProductPicture.waits.is_(False))
    return session.scalar(query.limit(1)) is not None


def certificate_of(session: Session, product: Product, number: str) -> Certificate | None:
    """The certificate of a product under its public number; None for an empty number. Raises NotFound."""
    if not number:
        return None
    certificate = session.scalar(
        select(Certificate).where(Certificate.product_id == product.id, Certificate.public_no == number)
    )
    if certificate is None:
        raise NotFound
    return certificate


def listings_of_products(session: Session, product_ids: Sequence[int]) -> dict[int, Listing]:
    """The listing of each product that has one."""
    found = session.scalars(select(Listing).where(Listing.product_id.in_(product_ids))).unique()
    return {listing.product_id: listing for listing in found}


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits for a cooperative's shop: products not for sale yet."""
    if not actor.can(Permission.MANAGE_LISTINGS) or actor.cooperative_id is None:
        return []
    listed = select(Listing.product_id).where(Listing.state == ListingState.PUBLISHED)
    unlisted = products_of(actor).where(Product.id.not_in(listed)).order_by(None)
    count = session.scalar(select(func.count()).select_from(unlisted.subquery())) or 0
    return [Task(NN_("%(count)s 个产品还没有上架"), count, "workshop.products")] if count else []
