"""Edits of listings: kept as drafts, handed in, published at once or after the county has looked at them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Certificate, ListingVersion, Product
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum

OPEN = text("state IN ('draft', 'waiting')")


class EditState(LabelledEnum):
    """Where an edit stands; a product has one that is a draft or waits at most."""

    DRAFT = "draft", N_("草稿")
    WAITING = "waiting", N_("待县里核对")
    PUBLISHED = "published", N_("已发布")
    REFUSED = "refused", N_("未通过")
    DROPPED = "dropped", N_("已放弃")


class Matter(LabelledEnum):
    """What of an edit the county looks at before it shows. Everything else shows at once."""

    TITLE = "title", N_("标题")
    DESCRIPTION = "description", N_("介绍")
    PICTURE = "picture", N_("图片")
    CERTIFICATE = "certificate", N_("认证证书")
    PRICE = "price", N_("涨价")
    TERMS = "terms", N_("降低归农户比例")
    RELISTED = "relisted", N_("同一件商品重新上架")


class ListingEdit(Base):
    """What a listing shall say: `tiers` as pairs of least quantity and fen, `terms` as basis points by mechanism.

    `base_version_id` is the version it was made from, `version_id` the one it became; `matters` are the codes of what
    the county looks at, `answer` is what it wrote when it sent the edit back. Two people: whoever handed it in does not
    decide it.
    """

    __tablename__ = "listing_edit"
    __table_args__ = (
        CheckConstraint("(state = 'published') = (version_id IS NOT NULL)", name="published"),
        CheckConstraint("state IN ('draft', 'dropped') OR submitted_at IS NOT NULL", name="submitted"),
        CheckConstraint("decided_by IS NULL OR decided_by <> submitted_by", name="two_people"),
        Index("uq_listing_edit_open", "product_id", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
        Index("uq_listing_edit_version_id", "version_id", unique=True),
        Index("ix_listing_edit_product", "product_id", "id"),
        Index("ix_listing_edit_cooperative", "cooperative_id", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("LE"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    base_version_id: Mapped[int | None] = mapped_column(ForeignKey("listing_version.id"))
    title: Mapped[str] = mapped_column(String(80))
    description: Mapped[str] = mapped_column(Text)
    tiers: Mapped[list[list[int]]] = mapped_column(JSON)
    terms: Mapped[dict[str, int]] = mapped_column(JSON)
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))
    matters: Mapped[list[Any]] = mapped_column(JSON, default=list)
    state: Mapped[EditState] = mapped_column(code_of(EditState, "state"), default=EditState.DRAFT)
    edited_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    edited_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    submitted_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    submitted_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    answer: Mapped[str] = mapped_column(String(500), default="")
    version_id: Mapped[int | None] = mapped_column(ForeignKey("listing_version.id"))

    product: Mapped[Product] = relationship()
    base_version: Mapped[ListingVersion | None] = relationship(foreign_keys=[base_version_id])
    certificate: Mapped[Certificate | None] = relationship()
