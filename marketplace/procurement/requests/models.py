"""Requests of units with their versions, the offers made on them, the awards, and what cooperatives say will be ready.

An offer answers one version of a request and repeats its terms by key, so that the database itself refuses an offer
that came late, costs more than the ceiling, gives households less than asked, or would be delivered outside the window.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship, remote

from marketplace.catalog.models import Category, Listing, ListingVersion, Product
from marketplace.catalog.prices.models import AgreedPriceCheck
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.models import Lot
from marketplace.ordering.models import Order, PaymentStart
from marketplace.procurement.forward.models import ForwardOrder
from marketplace.registry.models import BuyerUnit, Cooperative, Region


class RequestState(LabelledEnum):
    """Where a request stands. What the clock decides is read from the deadline, never from the state alone."""

    DRAFT = "draft", N_("草稿")
    OPEN = "open", N_("报价中")
    CLOSED = "closed", N_("已截止")
    AWARDED = "awarded", N_("已定标")
    WITHDRAWN = "withdrawn", N_("已撤回")


class RequestEvent(LabelledEnum):
    """What moved a request."""

    POST = "post", N_("需求已写成草稿")
    AMEND = "amend", N_("需求已修改")
    OPEN = "open", N_("需求已发布")
    CLOSE = "close", N_("到期截止")
    WITHDRAW = "withdraw", N_("需求已撤回")
    AWARD = "award", N_("供货方已确定")
    REOPEN = "reopen", N_("需求重新开放定标")


class PurchaseRequest(Base):
    """What a unit wants to buy. What it says is in its newest version; history is in `RequestChange`."""

    __tablename__ = "purchase_request"
    __table_args__ = (
        UniqueConstraint("posted_by", "idempotency_key"),
        CheckConstraint("version >= 1", name="version"),
        Index("ix_purchase_request_unit", "buyer_unit_id", "id"),
        Index("ix_purchase_request_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("XQ"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    state: Mapped[RequestState] = mapped_column(code_of(RequestState, "state"), default=RequestState.DRAFT)
    version: Mapped[int] = mapped_column(default=1)
    posted_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    posted_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    opened_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    unit: Mapped[BuyerUnit] = relationship(lazy="joined")
    current: Mapped[RequestVersion] = relationship(
        primaryjoin=lambda: and_(
            PurchaseRequest.id == foreign(remote(RequestVersion.request_id)),
            PurchaseRequest.version == remote(RequestVersion.version),
        ),
        viewonly=True,
        lazy="joined",
        innerjoin=True,
    )
    changes: Mapped[list[RequestChange]] = relationship(order_by="RequestChange.id.desc()")
    awards: Mapped[list[RequestAward]] = relationship(
        order_by="RequestAward.round.desc()", back_populates="request"
    )

    @property
    def award(self) -> RequestAward | None:
        """The decision that stands."""
        last = self.awards[0] if self.awards else None
        return last if last is not None and last.reopening is None else None


class RequestVersion(Base):
    """What a request says from one moment on. Append-only.

    Mass in grams, the ceiling in fen per kilogram, the linkage share in basis points of the net value. `deadline_at` is
    exclusive, and `deadline_on` its day in China. The least number of households is never below five: asking for fewer
    would tell what is withheld.
    """

    __tablename__ = "request_version"
    __table_args__ = (
        UniqueConstraint("request_id", "version"),
        Index(  # what an offer repeats
            "uq_request_version_terms",
            "id",
            "request_id",
            "deadline_at",
            "ceiling_fen_per_kg",
            "min_linkage_bp",
            "deliver_from",
            "deliver_until",
            unique=True,
        ),
        CheckConstraint("mass_g > 0 AND ceiling_fen_per_kg > 0", name="positive"),
        CheckConstraint("deliver_until >= deliver_from", name="window"),
        CheckConstraint("deadline_on < deliver_until", name="deadline_before_window_ends"),
        CheckConstraint("min_linkage_bp >= 0 AND min_linkage_bp <= 10000", name="linkage"),
        CheckConstraint("min_households >= 5", name="households"),
        CheckConstraint("payment_days >= 1 AND payment_days <= 60", name="payment_days"),
        CheckConstraint("late_rate_bp >= 0 AND late_rate_bp <= 100", name="late_rate"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("purchase_request.id"), index=True)
    version: Mapped[int]
    title: Mapped[str] = mapped_column(String(80))
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"), index=True)
    specification: Mapped[str] = mapped_column(String(500))
    mass_g: Mapped[int] = mapped_column(BigInteger)
    deliver_from: Mapped[date]
    deliver_until: Mapped[date]
    county_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    ceiling_fen_per_kg: Mapped[int] = mapped_column(BigInteger)
    min_linkage_bp: Mapped[int]
    min_households: Mapped[int | None]
    deadline_at: Mapped[datetime] = mapped_column(UtcInstant, index=True)
    deadline_on: Mapped[date]
    payment_days: Mapped[int]
    payment_start: Mapped[PaymentStart] = mapped_column(code_of(PaymentStart, "payment_start"))
    late_rate_bp: Mapped[int]
    payment_basis: Mapped[str] = mapped_column(String(200))
    written_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    written_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    category: Mapped[Category] = relationship(lazy="joined", innerjoin=True)
    county: Mapped[Region | None] = relationship(lazy="joined")


class RequestChange(Base):
    """One step in the life of a request: what moved it, who, when, why. Append-only."""

    __tablename__ = "request_change"
    __table_args__ = ({"info": APPEND_ONLY},)

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("purchase_request.id"), index=True)
    event: Mapped[RequestEvent] = mapped_column(code_of(RequestEvent, "event"))
    state: Mapped[RequestState] = mapped_column(code_of(RequestState, "state"))
    version: Mapped[int]
    actor_user_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(String(300), default="")
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class OfferState(LabelledEnum):
    """What became of an offer."""

    STANDING = "standing", N_("有效")
    WITHDRAWN = "withdrawn", N_("已撤回")
    WON = "won", N_("中选")
    LOST = "lost", N_("未中选")
    VOID = "void", N_("需求已撤回")


OUTCOMES = (OfferState.WON, OfferState.LOST, OfferState.VOID)
IS_WON = text("state = 'won'")


class Offer(Base):
    """A cooperative's answer to a request: one for each pair. What it says is in its newest version.

    `outcome_read_at` is when the cooperative took note of what became of it.
    """

    __tablename__ = "offer"
    __table_args__ = (
        UniqueConstraint("request_id", "cooperative_id"),
        UniqueConstraint("id", "request_id"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("outcome_read_at IS NULL OR state IN ('won', 'lost', 'void')", name="outcome_read"),
        Index("uq_offer_won", "request_id", unique=True, sqlite_where=IS_WON, postgresql_where=IS_WON),
        Index("ix_offer_cooperative", "cooperative_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("BJ"))
    request_id: Mapped[int] = mapped_column(ForeignKey("purchase_request.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    state: Mapped[OfferState] = mapped_column(code_of(OfferState, "state"), default=OfferState.STANDING)
    version: Mapped[int] = mapped_column(default=1)
    outcome_read_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    request: Mapped[PurchaseRequest] = relationship()
    cooperative: Mapped[Cooperative] = relationship(lazy="joined", innerjoin=True)
    versions: Mapped[list[OfferVersion]] = relationship(
        primaryjoin=lambda: Offer.id == foreign(OfferVersion.offer_id),
        order_by="OfferVersion.version.desc()",
        viewonly=True,
    )
    current: Mapped[OfferVersion] = relationship(
        primaryjoin=lambda: and_(
            Offer.id == foreign(remote(OfferVersion.offer_id)),
            Offer.version == remote(OfferVersion.version),
        ),
        viewonly=True,
        lazy="joined",
        innerjoin=True,
    )


class OfferVersion(Base):
    """What an offer says from one moment on: units of a listing version at a price, on a day. Append-only.

    The listing's share for households and the number of households that take part are kept as they were, and what the
    price was held against: the database takes no offer without it.
    """

    __tablename__ = "offer_version"
    __table_args__ = (
        UniqueConstraint("offer_id", "version"),
        UniqueConstraint("offered_by", "idempotency_key"),
        ForeignKeyConstraint(["offer_id", "request_id"], ["offer.id", "offer.request_id"]),
        ForeignKeyConstraint(
            [
                "request_version_id",
                "request_id",
                "deadline_at",
                "ceiling_fen_per_kg",
                "min_linkage_bp",
                "deliver_from",
                "deliver_until",
            ],
            [
                "request_version.id",
                "request_version.request_id",
                "request_version.deadline_at",
                "request_version.ceiling_fen_per_kg",
                "request_version.min_linkage_bp",
                "request_version.deliver_from",
                "request_version.deliver_until",
            ],
            name="fk_offer_version_terms",
        ),
        ForeignKeyConstraint(
            ["price_check_id", "unit_price_fen", "net_mass_g"],
            ["agreed_price_check.id", "agreed_price_check.unit_price_fen", "agreed_price_check.net_mass_g"],
            name="fk_offer_version_price_check",
        ),
        CheckConstraint("units > 0 AND unit_price_fen > 0 AND net_mass_g > 0", name="positive"),
        CheckConstraint("offered_at < deadline_at", name="in_time"),
        CheckConstraint("unit_price_fen * 1000 <= ceiling_fen_per_kg * net_mass_g", name="ceiling"),
        CheckConstraint("linkage_bp >= min_linkage_bp", name="linkage"),
        CheckConstraint("deliver_on >= deliver_from AND deliver_on <= deliver_until", name="window"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    offer_id: Mapped[int] = mapped_column(index=True)
    version: Mapped[int]
    idempotency_key: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[int]
    request_version_id: Mapped[int]
    deadline_at: Mapped[datetime] = mapped_column(UtcInstant)
    ceiling_fen_per_kg: Mapped[int] = mapped_column(BigInteger)
    min_linkage_bp: Mapped[int]
    deliver_from: Mapped[date]
    deliver_until: Mapped[date]
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    listing_version_id: Mapped[int] = mapped_column(ForeignKey("listing_version.id"))
    units: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    net_mass_g: Mapped[int]
    price_check_id: Mapped[int | None]
    linkage_bp: Mapped[int]
    households: Mapped[int]
    certificate_no: Mapped[str] = mapped_column(String(40), default="")
    deliver_on: Mapped[date]
    note: Mapped[str] = mapped_column(String(300), default="")
    offered_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    offered_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    listing: Mapped[Listing] = relationship()
    listing_version: Mapped[ListingVersion] = relationship()
    price_check: Mapped[AgreedPriceCheck | None] = relationship(viewonly=True, lazy="joined")

    @property
    def mass_g(self) -> int:
        """Grams offered."""
        return self.units * self.net_mass_g

    @property
    def total_fen(self) -> int:
        """What all of it costs."""
        return self.units * self.unit_price_fen


class RequestReopening(Base):
    """A further round of decision: nothing came of the award before, whose order was not approved, was called off or
    declined. Append-only; an order reopens its request once."""

    __tablename__ = "request_reopening"
    __table_args__ = (
        UniqueConstraint("order_id"),
        UniqueConstraint("forward_id"),
        CheckConstraint("round >= 2", name="round"),
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("(order_id IS NULL) <> (forward_id IS NULL)", name="one_order"),
        {"info": APPEND_ONLY},
    )

    request_id: Mapped[int] = mapped_column(
        ForeignKey("purchase_request.id"), primary_key=True, autoincrement=False
    )
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"))
    forward_id: Mapped[int | None] = mapped_column(ForeignKey("forward_order.id"))
    reason: Mapped[str] = mapped_column(String(300))
    reopened_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    reopened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class RequestAward(Base):
    """The decision, with the order it became, or the order ahead of goods that are not there yet. Append-only.

    One for each round of a request; a further round needs that the request was reopened. A reason is kept whenever
    another offer was cheaper by the kilogram.
    """

    __tablename__ = "request_award"
    __table_args__ = (
        UniqueConstraint("order_id"),
        UniqueConstraint("forward_id"),
        ForeignKeyConstraint(["offer_id", "request_id"], ["offer.id", "offer.request_id"]),
        ForeignKeyConstraint(
            ["request_id", "reopened_round"],
            ["request_reopening.request_id", "request_reopening.round"],
            name="fk_request_award_reopened_round",
        ),
        CheckConstraint("is_cheapest OR reason <> ''", name="reason"),
        CheckConstraint("(order_id IS NULL) <> (forward_id IS NULL)", name="one_order"),
        CheckConstraint(
            "round >= 1 AND (round = 1) = (reopened_round IS NULL)"
            " AND (reopened_round IS NULL OR reopened_round = round)",
            name="round",
        ),
        Index("ix_request_award_offer", "offer_id"),
        {"info": APPEND_ONLY},
    )

    request_id: Mapped[int] = mapped_column(
        ForeignKey("purchase_request.id"), primary_key=True, autoincrement=False
    )
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    reopened_round: Mapped[int | None]
    offer_id: Mapped[int]
    offer_version_id: Mapped[int] = mapped_column(ForeignKey("offer_version.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"))
    forward_id: Mapped[int | None] = mapped_column(ForeignKey("forward_order.id"))
    is_cheapest: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(300), default="")
    awarded_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    awarder_name: Mapped[str] = mapped_column(String(60))
    awarded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    request: Mapped[PurchaseRequest] = relationship(back_populates="awards")
    offer: Mapped[Offer] = relationship(viewonly=True)
    offer_version: Mapped[OfferVersion] = relationship()
    order: Mapped[Order | None] = relationship()
    forward: Mapped[ForwardOrder | None] = relationship()
    reopening: Mapped[RequestReopening | None] = relationship(
        primaryjoin=lambda: and_(
            RequestAward.request_id == foreign(remote(RequestReopening.request_id)),
            RequestAward.round + 1 == foreign(remote(RequestReopening.round)),
        ),
        viewonly=True,
        lazy="joined",
    )


class Supply(Base):
    """What a cooperative says will be ready: grams of a commodity between two days, at an asking price in fen per
    kilogram, from one of its lots and for one of its products where it names them.

    Over when withdrawn, or with its last day.
    """

    __tablename__ = "supply"
    __table_args__ = (
        UniqueConstraint("posted_by", "idempotency_key"),
        CheckConstraint("mass_g > 0 AND ask_fen_per_kg > 0", name="positive"),
        CheckConstraint("ready_until >= ready_from", name="window"),
        CheckConstraint("commodity <> ''", name="commodity"),
        Index("ix_supply_cooperative", "cooperative_id", "id"),
        Index("ix_supply_ready", "ready_until"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("GY"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    category_code: Mapped[str] = mapped_column(ForeignKey("category.code"), index=True)
    commodity: Mapped[str] = mapped_column(String(60))
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"), index=True)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    village_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    mass_g: Mapped[int] = mapped_column(BigInteger)
    ask_fen_per_kg: Mapped[int] = mapped_column(BigInteger)
    ready_from: Mapped[date]
    ready_until: Mapped[date]
    note: Mapped[str] = mapped_column(String(300), default="")
    posted_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    posted_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    cooperative: Mapped[Cooperative] = relationship(lazy="joined", innerjoin=True)
    category: Mapped[Category] = relationship(lazy="joined", innerjoin=True)
    village: Mapped[Region] = relationship(lazy="joined", innerjoin=True)
    product: Mapped[Product | None] = relationship()
    lot: Mapped[Lot | None] = relationship()
