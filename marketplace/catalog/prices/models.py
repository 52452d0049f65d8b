"""Policies of the price guard, reference prices with their dates and sources, the explanations of prices beyond them,
and the check of each version.

A version's check is written with it and never changes: what the reference was when the price was set stays provable.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Category, Listing, ListingVersion, Product
from marketplace.catalog.prices.guard import Verdict
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.registry.models import Region

MOST_PER_KG_FEN = 100_000_000  # a million yuan a kilogram; keeps the comparison within 64 bits


def _figure_checks() -> tuple[CheckConstraint, ...]:
    return (
        CheckConstraint("above_bp BETWEEN 0 AND 10000 AND below_bp BETWEEN 0 AND 10000", name="bounds"),
        CheckConstraint("change_bp BETWEEN 0 AND 10000", name="change"),
        CheckConstraint("min_quotes BETWEEN 1 AND 100", name="min_quotes"),
        CheckConstraint("valid_days BETWEEN 1 AND 1000 AND explained_days BETWEEN 1 AND 1000", name="days"),
        CheckConstraint("basis <> ''", name="basis"),
    )


class PolicyFigures:
    """What a policy says, and a proposal of one.

    Rates are basis points: `above_bp` of the reference blocks, `below_bp` flags, `change_bp` of the price on sale is
    the most a price rises without a look. A live median needs `min_quotes` cooperatives; a reference is good for
    `valid_days`, an accepted explanation for `explained_days`.
    """

    from_on: Mapped[date]
    above_bp: Mapped[int]
    below_bp: Mapped[int]
    change_bp: Mapped[int]
    min_quotes: Mapped[int]
    valid_days: Mapped[int]
    explained_days: Mapped[int]
    basis: Mapped[str] = mapped_column(String(200))


class ProposalState(LabelledEnum):
    """A proposal waits until another person of the same place has decided it."""

    WAITING = "waiting", N_("待同事确认")
    CONFIRMED = "confirmed", N_("已确认")
    REFUSED = "refused", N_("未同意")
    WITHDRAWN = "withdrawn", N_("已撤回")


class PricePolicyProposal(PolicyFigures, Base):
    """How far prices shall lie from their reference in a jurisdiction, as one person proposes and another decides."""

    __tablename__ = "price_policy_proposal"
    __table_args__ = (
        *_figure_checks(),
        CheckConstraint("decided_by IS NULL OR decided_by <> proposed_by", name="two_people"),
        CheckConstraint("(state = 'waiting') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(state IN ('confirmed', 'refused')) = (decided_by IS NOT NULL)", name="by_another"),
        CheckConstraint("state <> 'refused' OR answer <> ''", name="answer"),
        Index(
            "uq_price_policy_proposal_waiting",
            "region_code",
            unique=True,
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PP"))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    state: Mapped[ProposalState] = mapped_column(
        code_of(ProposalState, "state"), default=ProposalState.WAITING
    )
    proposed_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    answer: Mapped[str] = mapped_column(String(300), default="")

    region: Mapped[Region] = relationship()
    proposer: Mapped[User] = relationship(foreign_keys=[proposed_by])
    decider: Mapped[User | None] = relationship(foreign_keys=[decided_by])


class PricePolicy(PolicyFigures, Base):
    """How far prices may lie from their reference in a jurisdiction from `from_on` on. Data, never a constant in code.

    Append-only: a later day takes the place of an earlier one. The database takes none but what a confirmed proposal
    of the same place says, figure by figure.
    """

    __tablename__ = "price_policy"
    __table_args__ = (
        UniqueConstraint("region_code", "from_on"),
        UniqueConstraint("proposal_id"),
        *_figure_checks(),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("price_policy_proposal.id"))

    region: Mapped[Region] = relationship()
    proposal: Mapped[PricePolicyProposal | None] = relationship()


class ReferenceSource(LabelledEnum):
    """Where a reference comes from. A published figure goes before the market's own median."""

    SHEET = "sheet", N_("主管部门发布")
    LIVE = "live", N_("平台在售中位数")


class ReferencePrice(Base):
    """What goods of one specification cost per kilogram at a place on a day. Append-only: a newer day takes its place.

    `spec_key` "" means every specification of the category; `quotes` are the prices a live median was taken of.
    """

    __tablename__ = "reference_price"
    __table_args__ = (
        UniqueConstraint("category_code", "spec_key", "region_code", "source", "observed_on"),
        CheckConstraint(f"per_kg_fen BETWEEN 1 AND {MOST_PER_KG_FEN}", name="price"),
        CheckConstraint("quotes >= 0 AND (source = 'live') = (quotes > 0)", name="quotes"),
        CheckConstraint("source_name <> ''", name="source_name"),
        Index("ix_reference_price_day", "observed_on", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"))
    spec_key: Mapped[str] = mapped_column(String(60))
    specification: Mapped[str] = mapped_column(String(60))
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    source: Mapped[ReferenceSource] = mapped_column(code_of(ReferenceSource, "source"))
    source_name: Mapped[str] = mapped_column(String(80))
    per_kg_fen: Mapped[int] = mapped_column(BigInteger)
    quotes: Mapped[int] = mapped_column(default=0)
    observed_on: Mapped[date]
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    category: Mapped[Category] = relationship(lazy="joined")


class ExplanationKind(LabelledEnum):
    """What is explained: a price above the bound, which waits for the answer, or one that looks too low."""

    ABOVE = "above", N_("高于参考价")
    LOW = "low", N_("低于参考价")


class ExplanationState(LabelledEnum):
    """A county decides what a cooperative has explained."""

    WAITING = "waiting", N_("待县里核定")
    ACCEPTED = "accepted", N_("已认可")
    RETURNED = "returned", N_("退回补充")
    REFUSED = "refused", N_("不予认可")


class PriceExplanation(Base):
    """Why a product costs what it costs, as its cooperative says and its county has decided. Two people."""

    __tablename__ = "price_explanation"
    __table_args__ = (
        CheckConstraint("unit_price_fen > 0 AND net_mass_g > 0", name="positive"),
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("(state = 'waiting') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(state = 'accepted') = (valid_until_on IS NOT NULL)", name="valid"),
        CheckConstraint("decided_by IS NULL OR decided_by <> explained_by", name="two_people"),
        Index(
            "uq_price_explanation_waiting",
            "product_id",
            unique=True,
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("uq_price_explanation_price", "id", "product_id", "unit_price_fen", unique=True),
        Index("ix_price_explanation_product", "product_id", "id"),
        Index("ix_price_explanation_cooperative", "cooperative_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PE"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    kind: Mapped[ExplanationKind] = mapped_column(code_of(ExplanationKind, "kind"))
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    net_mass_g: Mapped[int]
    reference_per_kg_fen: Mapped[int] = mapped_column(BigInteger)
    reference_on: Mapped[date]
    reference_from: Mapped[str] = mapped_column(String(80))
    reason: Mapped[str] = mapped_column(String(1000))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    state: Mapped[ExplanationState] = mapped_column(
        code_of(ExplanationState, "state"), default=ExplanationState.WAITING
    )
    explained_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    explained_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    valid_until_on: Mapped[date | None]

    product: Mapped[Product] = relationship()


def _held_checks(name: str) -> tuple[Any, ...]:
    """What makes a check whole, and keeps a price above the bound from passing without an explanation for it."""
    return (
        ForeignKeyConstraint(
            ["explanation_id", "product_id", "explained_fen"],
            ["price_explanation.id", "price_explanation.product_id", "price_explanation.unit_price_fen"],
            name=name,
        ),
        CheckConstraint("net_mass_g > 0 AND unit_price_fen > 0", name="positive"),
        CheckConstraint(f"reference_per_kg_fen BETWEEN 1 AND {MOST_PER_KG_FEN}", name="reference"),
        CheckConstraint(
            "(reference_per_kg_fen IS NULL) = (reference_on IS NULL)"
            " AND (reference_per_kg_fen IS NULL) = (reference_source IS NULL)"
            " AND (reference_per_kg_fen IS NULL) = (verdict = 'none')",
            name="whole",
        ),
        CheckConstraint("(explanation_id IS NULL) = (explained_fen IS NULL)", name="explained"),
        CheckConstraint("explained_fen IS NULL OR explained_fen >= unit_price_fen", name="as_explained"),
        CheckConstraint(
            "reference_per_kg_fen IS NULL OR explanation_id IS NOT NULL OR"
            " unit_price_fen * 10000000 <= reference_per_kg_fen * net_mass_g * (10000 + above_bp)",
            name="within",
        ),
    )


class HeldAgainst:
    """What a price was held against: fen a unit of so many grams, the bound, the reference as it was, and the accepted
    explanation where it is above."""

    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    net_mass_g: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[Verdict] = mapped_column(code_of(Verdict, "verdict"))
    above_bp: Mapped[int]
    reference_per_kg_fen: Mapped[int | None] = mapped_column(BigInteger)
    reference_on: Mapped[date | None]
    reference_source: Mapped[ReferenceSource | None] = mapped_column(
        code_of(ReferenceSource, "reference_source")
    )
    reference_from: Mapped[str] = mapped_column(String(80), default="")
    quotes: Mapped[int] = mapped_column(default=0)
    explanation_id: Mapped[int | None]
    explained_fen: Mapped[int | None] = mapped_column(BigInteger)


class AgreedPriceCheck(HeldAgainst, Base):
    """The check of a price that is agreed elsewhere than in a listing: an offer on a request, an order before the
    harvest. Append-only; what was agreed refers to it with its price and mass, so that nothing else can be agreed."""

    __tablename__ = "agreed_price_check"
    __table_args__ = (
        UniqueConstraint("id", "unit_price_fen", "net_mass_g"),
        *_held_checks("fk_agreed_price_check_explanation"),
        Index("ix_agreed_price_check_product", "product_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    checked_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class PriceCheck(HeldAgainst, Base):
    """The check of a version's price: the reference it was held against, frozen. Append-only, one for each version.

    The database holds that the price checked is the first tier's, and that one above the bound has an explanation of
    the same product for at least that price. `relists_id` is the earlier listing that these goods are known from.
    """

    __tablename__ = "price_check"
    __table_args__ = (
        ForeignKeyConstraint(
            ["version_id", "min_quantity", "unit_price_fen"],
            ["price_tier.version_id", "price_tier.min_quantity", "price_tier.unit_price_fen"],
            name="fk_price_check_tier",
        ),
        *_held_checks("fk_price_check_explanation"),
        CheckConstraint("min_quantity = 1", name="first_tier"),
        Index("ix_price_check_product", "product_id", "version_id"),
        Index("ix_price_check_verdict", "verdict", "version_id"),
        {"info": APPEND_ONLY},
    )

    version_id: Mapped[int] = mapped_column(
        ForeignKey("listing_version.id"), primary_key=True, autoincrement=False
    )
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    min_quantity: Mapped[int] = mapped_column(default=1)
    relists_id: Mapped[int | None] = mapped_column(ForeignKey("listing.id"))

    version: Mapped[ListingVersion] = relationship()
    product: Mapped[Product] = relationship()
    relists: Mapped[Listing | None] = relationship()
