"""What a cooperative does to sell: products, pictures, certificates, listing versions.

A listing may be published by an admitted cooperative when its linkage terms reach the policy floor of its category and
stay within the whole, and when its category's certificate, where one is needed, is in force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.claims import refuse_organic_claim
from marketplace.catalog.certificates.queries import badges_of, is_in_force, may_claim_organic
from marketplace.catalog.index_tasks import index_anew
from marketplace.catalog.listings.differences import Content
from marketplace.catalog.listings.matters import find_matters
from marketplace.catalog.listings.models import EditState, ListingEdit
from marketplace.catalog.listings.queries import hold_open_edit
from marketplace.catalog.models import (
    Category,
    Certificate,
    LinkageTerm,
    Listing,
    ListingState,
    ListingVersion,
    PriceTier,
    Product,
    ProductPicture,
)
from marketplace.catalog.pictures import prepare_picture
from marketplace.catalog.prices.rules import PriceFinding, assess_price, freeze_check, require_fair
from marketplace.catalog.queries import linkage_floor_bp, listing_of_product
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.core.money import BASIS
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Mechanism
from marketplace.registry.models import Cooperative, CooperativeState, Region, RegionLevel

MAX_PICTURES = 8
MAX_TIERS = 6
MAX_TIER_QUANTITY = 100_000
MAX_PRICE_FEN = 100_000_00
MAX_MASS_G = 1_000_000
MAX_GROSS_G = 2 * MAX_MASS_G
MAX_SHELF_DAYS = 3_650


def _own_cooperative(session: Session, actor: Actor) -> Cooperative:
    actor.require(Permission.MANAGE_LISTINGS)
    cooperative = session.get(Cooperative, actor.cooperative_id) if actor.cooperative_id else None
    if cooperative is None:
        raise NotFound
    return cooperative


def _require_own(actor: Actor, cooperative_id: int) -> None:
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != cooperative_id:
        raise NotFound


def _words(text: str, most: int, field: str) -> str:
    """The text, trimmed. Raises Refused for `field` when there is none, or more than `most` characters."""
    words = text.strip()
    if not words:
        raise Refused("words_missing", N_("请填写这一项"), field=field)
    if len(words) > most:
        raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field=field, most=most)
    return words


def add_product(
    session: Session,
    actor: Actor,
    *,
    category_code: str,
    village_code: str,
    name: str,
    specification: str,
    unit_name: str,
    net_mass_g: int,
    gross_mass_g: int,
    shelf_life_days: int | None = None,
    storage: str = "",
    description: str = "",
    idempotency_key: str | None = None,
) -> Product:
    """Describe goods of the actor's cooperative; a repeated key gives the first. Raises Refused for a category that is
    not a leaf, a village that is none, masses (grams) or days it keeps that cannot be."""
    cooperative = _own_cooperative(session, actor)
    same_key = Product.idempotency_key == idempotency_key
    if idempotency_key and (
        first := session.scalar(select(Product).where(Product.cooperative_id == cooperative.id, same_key))
    ):
        return first
    category = session.get(Category, category_code)
    has_children = session.scalar(select(Category.code).where(Category.parent_code == category_code).limit(1))
    if category is None or has_children:
        raise Refused("category", N_("请选择最末一级的品类"), field="category_code")
    village = session.get(Region, village_code)
    if village is None or village.level is not RegionLevel.VILLAGE:
        raise Refused("village", N_("请选择产地所在的村"), field="village_code")
    if not village.code.startswith(cooperative.county_code):
        raise Refused("village_elsewhere", N_("产地须在合作社所在的县"), field="village_code")
    if not 0 < net_mass_g <= MAX_MASS_G:
        raise Refused("net_mass", N_("净重须大于 0 且不超过 1000 千克"), field="net_mass_g")
    if gross_mass_g < net_mass_g:
        raise Refused("gross_mass", N_("毛重不能小于净重"), field="gross_mass_g")
    if gross_mass_g > MAX_GROSS_G:
        raise Refused("gross_mass", N_("毛重不能超过 2000 千克"), field="gross_mass_g")
    if shelf_life_days is not None and not 1 <= shelf_life_days <= MAX_SHELF_DAYS:
        raise Refused("shelf_life", N_("保质期须在 1 到 3650 天之间"), field="shelf_life_days")
    product = Product(
        cooperative_id=cooperative.id,
        category_code=category_code,
        village_code=village_code,
        name=_words(name, 60, "name"),
        specification=_words(specification, 60, "specification"),
        unit_name=_words(unit_name, 10, "unit_name"),
        net_mass_g=net_mass_g,
        gross_mass_g=gross_mass_g,
        shelf_life_days=shelf_life_days,
        storage=storage.strip(),
        description=description.strip(),
        idempotency_key=idempotency_key or None,
    )
    session.add(product)
    session.flush()
    record_trail(session, actor, "catalog.add_product", subject=("product", product.public_no))
    return product


def add_picture(
    session: Session, actor: Actor, files: FileStore, product: Product, *, content: bytes, alt_text: str
) -> ProductPicture:
    """Keep a picture in two sizes; of goods that are or were on sale it waits for its edit.

    Raises Refused when it is no picture, too many, or there already; Conflict while the county looks at an edit, which
    would show it unseen.
    """
    _require_own(actor, product.cooperative_id)
    edit = hold_open_edit(session, product)
    if edit is not None and edit.state is EditState.WAITING:
        raise Conflict("edit_waits", N_("上一次修改正在县里核对，核对后才能再改"))
    kept = session.scalars(
        select(ProductPicture.large_address).where(ProductPicture.product_id == product.id)
    ).all()
    if len(kept) >= MAX_PICTURES:
        raise Refused(
            "too_many_pictures", N_("每个产品最多 %(most)s 张图片"), field="picture", most=MAX_PICTURES
        )
    prepared, listing = prepare_picture(content), listing_of_product(session, product)
    large = files.put(prepared.large)
    if large in kept:
        raise Refused("same_picture", N_("这张图片已经上传过了"), field="picture")
    picture = ProductPicture(
        product_id=product.id,
        position=len(kept),
        large_address=large,
        small_address=files.put(prepared.small),
        width=prepared.width,
        height=prepared.height,
        alt_text=alt_text.strip() or product.name,
        waits=listing is not None and listing.current_version_id is not None,
    )
    session.add(picture)
    session.flush()
    session.expire(product, ["pictures"])
    return picture


@dataclass(frozen=True)
class Said:
    """What a version shall say: `tiers` are (least quantity, unit price in fen), `terms` basis points of the net line
    value by mechanism."""

    title: str
    description: str
    tiers: Sequence[tuple[int, int]]
    terms: Mapping[Mechanism, int]
    certificate: Certificate | None = None

    @property
    def content(self) -> Content:
        """The same, to compare."""
        ordered = tuple((least, price) for least, price in sorted(self.tiers))
        number = self.certificate.number if self.certificate else ""
        return Content(self.title.strip(), self.description.strip(), ordered, self.terms, number)


def check_said(session: Session, actor: Actor, product: Product, said: Said) -> PriceFinding:
    """What the price of an offer is held against. Raises Refused naming the field when something does not hold."""
    _require_own(actor, product.cooperative_id)
    if _own_cooperative(session, actor).state is not CooperativeState.ADMITTED:
        raise Refused("not_admitted", N_("合作社通过准入审核后才能上架商品"))
    check_tiers(said.tiers)
    check_terms(session, product=product, terms=said.terms)
    _check_certificate(product, said.certificate)
    if not may_claim_organic(product, today()):
        refuse_organic_claim(said.title, field="title")
        refuse_organic_claim(said.description, field="description")
    finding = assess_price(session, product, said.tiers)
    require_fair(finding)
    _words(said.title, 80, "title")
    _words(said.description, 2000, "description")
    return finding


def publish_listing(
    session: Session,
    actor: Actor,
    *,
    product: Product,
    title: str,
    description: str,
    tiers: Sequence[tuple[int, int]],
    terms: Mapping[Mechanism, int],
    certificate: Certificate | None = None,
    edit: ListingEdit | None = None,
) -> Listing:
    """Offer a product, or change the offer: always a new version, of an `edit` where one was handed in.

    `tiers` are (least quantity, unit price in fen), `terms` basis points of the net line value by mechanism. What the
    price was held against is kept with the version. Raises Refused naming the field when something does not hold,
    Conflict when the county has to look at something of it and has not.
    """
    said = Said(title, description, tiers, terms, certificate)
    finding = check_said(session, actor, product, said)
    listing = listing_of_product(session, product)
    before = listing.current_version if listing else None
    if (edit is None or edit.decided_by is None) and find_matters(session, product, before, said.content):
        raise Conflict("needs_review", N_("这次修改要由县里核对后才能展示，请保存后提交核对"))
    if listing is None:
        listing = Listing(product=product, cooperative_id=product.cooperative_id)
        session.add(listing)
        session.flush()
    version = _version_of(listing, said, actor)
    session.add(version)
    session.flush()
    freeze_check(session, version, finding)
    if edit is not None:
        edit.version_id, edit.state = version.id, EditState.PUBLISHED
        session.flush()
    listing.current_version = version
    listing.state = ListingState.PUBLISHED
    listing.published_at = listing.published_at or now()
    ask_for_index(session, product)
    session.flush()
    record_trail(
        session, actor, "catalog.publish", subject=("listing", listing.public_no), version=version.version
    )
    return listing


def _version_of(listing: Listing, said: Said, actor: Actor) -> ListingVersion:
    """The next version of a listing."""
    return ListingVersion(
        listing_id=listing.id,
        version=(listing.current_version.version if listing.current_version else 0) + 1,
        title=said.title.strip(),
        description=said.description.strip(),
        unit_name=listing.product.unit_name,
        net_mass_g=listing.product.net_mass_g,
        certificate=said.certificate,
        created_by=actor.user_id,
        tiers=[PriceTier(min_quantity=least, unit_price_fen=price) for least, price in sorted(said.tiers)],
        terms=[
            LinkageTerm(mechanism=mechanism, rate_bp=said.terms[mechanism])
            for mechanism in Mechanism
            if said.terms.get(mechanism)
        ],
    )


def check_tiers(tiers: Sequence[tuple[int, int]]) -> None:
    """Raise Refused unless tiers start at one unit, rise in quantity and never rise in price."""
    if not tiers or len(tiers) > MAX_TIERS:
        raise Refused("tiers", N_("请填写 1 到 %(most)s 档价格"), field="tiers", most=MAX_TIERS)
    ordered = sorted(tiers)
    if any(not 1 <= least <= MAX_TIER_QUANTITY or not 0 < price <= MAX_PRICE_FEN for least, price in ordered):
        raise Refused(
            "tier_values", N_("起订数量须在 1 到 10 万之间，单价须大于 0 且不超过 10 万元"), field="tiers"
        )
    if ordered[0][0] != 1:
        raise Refused("first_tier", N_("第一档须从 1 件起订"), field="tiers")
    if len({least for least, _ in ordered}) < len(ordered):
        raise Refused("tier_twice", N_("两档价格的起订数量不能相同"), field="tiers")
    if any(later > earlier for (_, earlier), (_, later) in pairwise(ordered)):
        raise Refused("tier_rises", N_("数量多的一档，单价不能更高"), field="tiers")


def check_terms(session: Session, *, product: Product, terms: Mapping[Mechanism, int]) -> None:
    """Raise Refused unless the linkage terms lie between the policy floor of the category and the whole."""
    if any(rate and mechanism not in MECHANISMS for mechanism, rate in terms.items()):
        raise Refused("term_mechanism", N_("这种联结机制还没有开通，请改用其他机制"), field="terms")
    if any(rate < 0 or rate > BASIS for rate in terms.values()):
        raise Refused("term_rate", N_("每种机制的比例须在 0 到 100% 之间"), field="terms")
    total = sum(terms.values())
    if total > BASIS:
        raise Refused("terms_above_whole", N_("各机制比例之和不能超过 100%"), field="terms")
    floor = linkage_floor_bp(
        session,
        category_code=product.category_code,
        county_code=product.cooperative.county_code,
        year=today().year,
    )
    if total < max(floor, 1):
        raise Refused(
            "terms_below_floor",
            N_("利益联结比例合计 %(total)s，低于这个品类的政策下限 %(floor)s，请提高"),
            field="terms",
            total=percent_of(total),
            floor=percent_of(max(floor, 1)),
        )


def percent_of(rate_bp: int) -> str:
    """Basis points as a percentage with two decimals, for messages."""
    return f"{rate_bp // 100}.{rate_bp % 100:02d}%"


def _check_certificate(product: Product, certificate: Certificate | None) -> None:
    if certificate is not None and certificate.product_id != product.id:
        raise NotFound
    if certificate is not None and not is_in_force(certificate, today()):
        raise Refused(
            "certificate_not_in_force", N_("所选证书未通过审核或已过期，不能用于上架"), field="certificate"
        )
    if product.category.needs_certificate and not badges_of(product, today()):
        raise Refused(
            "certificate_missing",
            N_("“%(category)s”类商品须凭有效认证证书上架，请先提交证书"),
            field="certificate",
            category=product.category.name_zh,
        )


def withdraw_listing(session: Session, actor: Actor, listing: Listing) -> Listing:
    """Take a listing off sale; orders already placed are untouched. Publishing again brings it back."""
    _require_own(actor, listing.cooperative_id)
    if listing.state is not ListingState.PUBLISHED:
        raise Conflict("not_published", N_("这件商品现在不在售"))
    listing.state = ListingState.WITHDRAWN
    ask_for_index(session, listing.product)
    session.flush()
    record_trail(session, actor, "catalog.withdraw", subject=("listing", listing.public_no))
    return listing


def ask_for_index(session: Session, product: Product) -> None:
    """Have the search entry of a product's listing made anew by the indexing job."""
    listing = listing_of_product(session, product)
    if listing is not None:
        index_anew(session, [listing.id])


def count_sold(session: Session, units_by_listing: Mapping[int, int]) -> None:
    """Add accepted units to the listings' sold counters, in the order of ids."""
    index_anew(session, units_by_listing)
    for listing_id in sorted(units_by_listing):
        session.execute(
            update(Listing)
            .where(Listing.id == listing_id)
            .values(sold_units=Listing.sold_units + units_by_listing[listing_id])
            .execution_options(synchronize_session=False)
        )
