"""Stories of cooperatives and their versions. What is shown is the published version; an edit is a further version."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Product
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.registry.models import Cooperative

OPEN = text("state IN ('draft', 'waiting')")
PUBLISHED = text("state = 'published'")


class StoryState(LabelledEnum):
    """Whether a story is shown. One that its cooperative took down may come back as it was, one that the county took
    down only with a version reviewed anew."""

    UNPUBLISHED = "unpublished", N_("未发布")
    SHOWN = "shown", N_("已发布")
    WITHDRAWN = "withdrawn", N_("合作社已撤下")
    REMOVED = "removed", N_("县里已撤下")


class Story(Base):
    """A story of one cooperative. `reason` is why the county took it down."""

    __tablename__ = "story"
    __table_args__ = (
        CheckConstraint("(state = 'removed') = (reason <> '')", name="reason"),
        CheckConstraint("(state = 'unpublished') = (published_at IS NULL)", name="published"),
        CheckConstraint("(state IN ('withdrawn', 'removed')) = (ended_at IS NOT NULL)", name="ended"),
        Index("ix_story_shown", "state", "published_at"),
        Index("ix_story_cooperative", "cooperative_id", "state", "published_at"),
        Index("uq_story_idempotency_key", "cooperative_id", "idempotency_key", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("GS"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    state: Mapped[StoryState] = mapped_column(code_of(StoryState, "state"), default=StoryState.UNPUBLISHED)
    published_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    reason: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    idempotency_key: Mapped[str | None] = mapped_column(String(64))

    cooperative: Mapped[Cooperative] = relationship(lazy="joined")


class VersionState(LabelledEnum):
    """Where a version stands; a story has one that is a draft or waits at most, and one published at most."""

    DRAFT = "draft", N_("草稿")
    WAITING = "waiting", N_("待县里审核")
    PUBLISHED = "published", N_("已发布")
    REPLACED = "replaced", N_("已有新版")
    REFUSED = "refused", N_("未通过")


class StoryVersion(Base):
    """What a story says, with one picture in two re-encoded sizes by address in the file store.

    `answer` is what the county wrote when it sent the version back or refused it. Two people: whoever handed it in does
    not decide it.
    """

    __tablename__ = "story_version"
    __table_args__ = (
        UniqueConstraint("story_id", "version"),
        CheckConstraint("title <> ''", name="title"),
        CheckConstraint("state = 'draft' OR (text <> '' AND large_address <> '')", name="complete"),
        CheckConstraint("(large_address = '') = (small_address = '')", name="picture"),
        CheckConstraint("state = 'draft' OR submitted_at IS NOT NULL", name="submitted"),
        CheckConstraint("decided_by IS NULL OR decided_by <> submitted_by", name="two_people"),
        Index("uq_story_version_open", "story_id", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),
        Index(
            "uq_story_version_published",
            "story_id",
            unique=True,
            sqlite_where=PUBLISHED,
            postgresql_where=PUBLISHED,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("story.id"))
    version: Mapped[int]
    title: Mapped[str] = mapped_column(String(60))
    text: Mapped[str] = mapped_column(Text)
    large_address: Mapped[str] = mapped_column(String(64), default="")
    small_address: Mapped[str] = mapped_column(String(64), default="")
    alt_text: Mapped[str] = mapped_column(String(120), default="")
    state: Mapped[VersionState] = mapped_column(code_of(VersionState, "state"), default=VersionState.DRAFT)
    edited_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    edited_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    submitted_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    submitted_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    answer: Mapped[str] = mapped_column(String(500), default="")

    story: Mapped[Story] = relationship(lazy="joined")
    products: Mapped[list[Product]] = relationship(secondary="story_product", order_by="Product.id")


class StoryProduct(Base):
    """A product that a version of a story is about."""

    __tablename__ = "story_product"

    version_id: Mapped[int] = mapped_column(ForeignKey("story_version.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True, index=True)
