"""What is for sale: categories with their linkage floors, products, pictures, certificates, versioned listings.

A listing never changes: it gets a new version, and an order line pins the version it saw, so prices, linkage terms and
certificates can always be told as they were at the time of sale.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.prices.specs import goods_key_of, spec_key_of
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now, today
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.models import Lot, Mechanism
from marketplace.registry.models import Cooperative, Region


class Category(Base):
    """A node of the category tree: two roots (forest, farm), the families of the work plan, their kinds."""

    __tablename__ = "category"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    parent_code: Mapped[str | None] = mapped_column(ForeignKey("category.code"), index=True)
    name_zh: Mapped[str] = mapped_column(String(40))
    name_en: Mapped[str] = mapped_column(String(80))
    path: Mapped[str] = mapped_column(String(160))
    needs_certificate: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int]


class LinkageFloor(Base):
    """The least share of the net line value, in basis points, that linkage terms must give in a category: policy of a
    jurisdiction and a year. Data, never a constant."""

    __tablename__ = "linkage_floor"
    __table_args__ = (
        UniqueConstraint("region_code", "year", "category_code"),
        CheckConstraint("min_bp >= 0 AND min_bp <= 10000", name="min_bp"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    year: Mapped[int]
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"))
    min_bp: Mapped[int]


def _spec_key(context: Any) -> str:
    given = context.get_current_parameters()
    return spec_key_of(given["specification"], given["name"])


def _goods_key(context: Any) -> str:
    return goods_key_of(context.get_current_parameters()["name"])


class Product(Base):
    """Goods of one cooperative in one specification. `spec_key` and `goods_key` say which others are the same (see
    prices/specs.py)."""

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("net_mass_g > 0 AND gross_mass_g >= net_mass_g", name="mass"),
        Index("ix_product_cooperative", "cooperative_id", "id"),
        Index("ix_product_spec", "category_code", "spec_key"),
        Index("ix_product_goods", "cooperative_id", "category_code", "goods_key"),
        Index("uq_product_idempotency_key", "cooperative_id", "idempotency_key", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("D"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"), index=True)
    village_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    name: Mapped[str] = mapped_column(String(60))
    specification: Mapped[str] = mapped_column(String(60))
    spec_key: Mapped[str] = mapped_column(String(60), default=_spec_key)
    goods_key: Mapped[str] = mapped_column(String(60), default=_goods_key)
    unit_name: Mapped[str] = mapped_column(String(10))
    net_mass_g: Mapped[int]
    gross_mass_g: Mapped[int]
    shelf_life_days: Mapped[int | None]
    storage: Mapped[str] = mapped_column(String(120), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    archived_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    idempotency_key: Mapped[str | None] = mapped_column(String(64))

    cooperative: Mapped[Cooperative] = relationship(lazy="joined")
    category: Mapped[Category] = relationship(lazy="joined")
    village: Mapped[Region] = relationship()
    certificates: Mapped[list[Certificate]] = relationship(
        back_populates="product", order_by="Certificate.id.desc()", lazy="selectin"
    )
    pictures: Mapped[list[ProductPicture]] = relationship(
        primaryjoin="and_(Product.id == ProductPicture.product_id, ProductPicture.waits.is_(False))",
        order_by="ProductPicture.position",
        lazy="selectin",
    )


class ProductPicture(Base):
    """A picture of a product in two re-encoded sizes, by address in the file store; shown in order of position. One
    that is added to a listing on sale waits until its edit is published."""

    __tablename__ = "product_picture"
    __table_args__ = (UniqueConstraint("product_id", "large_address"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    position: Mapped[int]
    large_address: Mapped[str] = mapped_column(String(64), index=True)
    small_address: Mapped[str] = mapped_column(String(64), index=True)
    width: Mapped[int]
    height: Mapped[int]
    alt_text: Mapped[str] = mapped_column(String(120))
    waits: Mapped[bool] = mapped_column(default=False)


class ProductLot(Base):
    """Which product a lot is sold as. A lot belongs to one product; a product draws on many lots, oldest first.

    `produced_on` is the day the goods were made or packed, None when that was the day of the harvest; `best_until` the
    last day they may be sold, None for goods that keep. The database works it out again and keeps both while some is
    ordered or promised (migration 0053).
    """

    __tablename__ = "product_lot"
    __table_args__ = (Index("ix_product_lot_best_until", "best_until"),)

    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), primary_key=True, autoincrement=False)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    produced_on: Mapped[date | None]
    best_until: Mapped[date | None]

    lot: Mapped[Lot] = relationship(lazy="joined")

    @property
    def is_over(self) -> bool:
        """Whether its shelf life is over."""
        return self.best_until is not None and self.best_until < today()


class CertificateKind(LabelledEnum):
    """Kinds of certificate. What each means and how its number is read is in certificates/kinds.py."""

    GREEN_FOOD = "green_food", N_("绿色食品")
    ORGANIC = "organic", N_("有机产品")
    ORGANIC_CONVERSION = "organic_conversion", N_("有机转换期认证")
    GI_FARM_PRODUCT = "gi_farm_product", N_("农产品地理标志")
    GI_PROTECTED = "gi_protected", N_("地理标志保护产品")
    GI_MARK = "gi_mark", N_("地理标志证明商标")
    FOREST_ECOLABEL = "forest_ecolabel", N_("森林生态标志产品")
    FOREST_FOOD_BASE = "forest_food_base", N_("森林食品基地")


class CertificateState(LabelledEnum):
    """A certificate shows its badge only while valid and unexpired. What is revoked stays revoked."""

    UNDER_REVIEW = "under_review", N_("审核中")
    VALID = "valid", N_("有效")
    REJECTED = "rejected", N_("未通过")
    RETURNED = "returned", N_("退回补正")
    SUSPENDED = "suspended", N_("暂停使用")
    REVOKED = "revoked", N_("已撤销")


SHARED_NUMBERS = "kind IN ('gi_farm_product', 'gi_protected', 'gi_mark', 'organic', 'organic_conversion')"
CAME_BACK = "state IN ('returned', 'rejected')"


class Certificate(Base):
    """A certificate of one product, under the number of its issuer. A product may have several.

    The number of a geographical indication is its holder's, and that of an organic certificate stays when it is
    renewed: there each right of a period is a row of its own. Once valid, the database refuses a change of kind,
    number, product or days; see certificates/models.py for the history.
    """

    __tablename__ = "certificate"
    __table_args__ = (
        Index(
            "uq_certificate_own_number",
            "kind",
            "number",
            unique=True,
            sqlite_where=text(f"NOT ({SHARED_NUMBERS})"),
            postgresql_where=text(f"NOT ({SHARED_NUMBERS})"),
        ),
        UniqueConstraint("kind", "number", "product_id", "issued_on"),
        CheckConstraint("expires_on > issued_on", name="dates"),
        CheckConstraint("renews_id <> id", name="renews_another"),
        Index(
            "uq_certificate_renews",
            "renews_id",
            unique=True,
            sqlite_where=text(f"NOT ({CAME_BACK})"),
            postgresql_where=text(f"NOT ({CAME_BACK})"),
        ),
        Index("ix_certificate_product", "product_id", "state"),
        Index("ix_certificate_cooperative", "cooperative_id", "state", "expires_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("Z"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    kind: Mapped[CertificateKind] = mapped_column(code_of(CertificateKind, "kind"))
    number: Mapped[str] = mapped_column(String(40))
    enterprise_no: Mapped[str] = mapped_column(String(40), default="")
    issuer: Mapped[str] = mapped_column(String(80), default="")
    issued_on: Mapped[date]
    expires_on: Mapped[date]
    state: Mapped[CertificateState] = mapped_column(
        code_of(CertificateState, "state"), default=CertificateState.UNDER_REVIEW
    )
    renews_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    product: Mapped[Product] = relationship(back_populates="certificates")


class ListingState(LabelledEnum):
    """Only a published listing of an admitted cooperative is for sale."""

    DRAFT = "draft", N_("草稿")
    PUBLISHED = "published", N_("在售")
    WITHDRAWN = "withdrawn", N_("已下架")


class Listing(Base):
    """An offer to sell a product; what it says is in its current version."""

    __tablename__ = "listing"
    __table_args__ = (
        UniqueConstraint("product_id"),
        CheckConstraint(
            "state <> 'published' OR current_version_id IS NOT NULL", name="published_has_version"
        ),
        Index("ix_listing_state", "state", "published_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("N"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    state: Mapped[ListingState] = mapped_column(code_of(ListingState, "state"), default=ListingState.DRAFT)
    current_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("listing_version.id", use_alter=True, name="fk_listing_current_version_id")
    )
    published_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    sold_units: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    product: Mapped[Product] = relationship(lazy="joined")
    current_version: Mapped[ListingVersion | None] = relationship(
        foreign_keys=[current_version_id], lazy="joined"
    )


class ListingVersion(Base):
    """What a listing says from one moment on. Append-only, with its tiers and terms."""

    __tablename__ = "listing_version"
    __table_args__ = (UniqueConstraint("listing_id", "version"), {"info": APPEND_ONLY})

    id: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    version: Mapped[int]
    title: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(Text)
    unit_name: Mapped[str] = mapped_column(String(10))
    net_mass_g: Mapped[int]
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    listing: Mapped[Listing] = relationship(foreign_keys=[listing_id])
    certificate: Mapped[Certificate | None] = relationship(lazy="joined")
    tiers: Mapped[list[PriceTier]] = relationship(order_by="PriceTier.min_quantity", lazy="selectin")
    terms: Mapped[list[LinkageTerm]] = relationship(order_by="LinkageTerm.id", lazy="selectin")


class PriceTier(Base):
    """The unit price from a quantity on. Append-only."""

    __tablename__ = "price_tier"
    __table_args__ = (
        UniqueConstraint("version_id", "min_quantity"),
        CheckConstraint("min_quantity > 0 AND unit_price_fen > 0", name="positive"),
        Index("uq_price_tier_price", "version_id", "min_quantity", "unit_price_fen", unique=True),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("listing_version.id"), index=True)
    min_quantity: Mapped[int]
    unit_price_fen: Mapped[int]


class LinkageTerm(Base):
    """The share of the net line value that a version gives through one mechanism, in basis points. Append-only; the
    terms of a version sum to at most 10000."""

    __tablename__ = "linkage_term"
    __table_args__ = (
        UniqueConstraint("version_id", "mechanism"),
        CheckConstraint("rate_bp > 0 AND rate_bp <= 10000", name="rate"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("listing_version.id"), index=True)
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    rate_bp: Mapped[int]


class IndexTask(Base):
    """A listing whose search entry must be made anew; written with its cause, removed by the indexing job."""

    __tablename__ = "index_task"

    id: Mapped[int] = mapped_column(primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    asked_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
