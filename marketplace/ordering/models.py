"""Buying: cart lines, orders, one part per cooperative, lines that pin the listing version, the grams they hold.

Stock is the free grams of a product's lots: a line commits grams when the order is placed and gives them back when its
part is cancelled; the lot's mass-balance constraint makes overselling impossible.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

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

from marketplace.catalog.models import Listing, ListingVersion
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.linkage.models import Lot
from marketplace.ordering.freight.models import FreightSheet
from marketplace.ordering.states import PartEvent, PartState
from marketplace.registry.models import BuyerUnit, Cooperative, Region


class OrderKind(LabelledEnum):
    """Whose money it is: a person's own, a canteen's, or a union's. Only what a canteen buys counts towards a quota."""

    PERSONAL = "personal", N_("个人订单")
    CANTEEN = "canteen", N_("食堂采购")
    UNION = "union", N_("工会福利")


class PaymentStart(LabelledEnum):
    """The day from which a unit's days to pay are counted."""

    DELIVERY = "delivery", N_("自收货之日")
    INSPECTION = "inspection", N_("自验收合格之日")


class PaymentPolicy(Base):
    """Terms of payment that a jurisdiction's units order by from `from_on` on. Data, never a constant in code.

    `default_days` hold where a contract says nothing, `cap_days` is the most a contract may say; `late_rate_bp` is owed
    a day on what is late. `basis` names the statute.
    """

    __tablename__ = "payment_policy"
    __table_args__ = (
        UniqueConstraint("region_code", "from_on"),
        CheckConstraint("default_days >= 1 AND default_days <= cap_days AND cap_days <= 60", name="days"),
        CheckConstraint("late_rate_bp >= 0 AND late_rate_bp <= 100", name="late_rate"),
        CheckConstraint("basis <> ''", name="basis"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    from_on: Mapped[date]
    default_days: Mapped[int]
    cap_days: Mapped[int]
    payment_start: Mapped[PaymentStart] = mapped_column(code_of(PaymentStart, "payment_start"))
    late_rate_bp: Mapped[int]
    basis: Mapped[str] = mapped_column(String(200))


class CartLine(Base):
    """A listing in a user's cart; personal and canteen carts are apart. `seen_version_id` is what the buyer last saw of
    it and agreed to, `seen_certificates` the kinds it showed then, between spaces (None: not known), so that the
    checkout can tell what has changed since."""

    __tablename__ = "cart_line"
    __table_args__ = (
        UniqueConstraint("user_id", "kind", "listing_id"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    kind: Mapped[OrderKind] = mapped_column(code_of(OrderKind, "kind"))
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"))
    quantity: Mapped[int]
    added_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    seen_version_id: Mapped[int | None] = mapped_column(ForeignKey("listing_version.id"))
    seen_certificates: Mapped[str | None] = mapped_column(String(200))

    listing: Mapped[Listing] = relationship(lazy="joined")
    seen_version: Mapped[ListingVersion | None] = relationship()


class Order(Base):
    """One submission of one buyer. The client's idempotency key makes a repeated submit the same order.

    A unit's order carries its terms of payment, frozen: `payment_days` from `payment_start`, then `late_rate_bp` of
    what is owed a day, and the legal basis of both (State Council Decree 728, revised as 802: at most 60 days).
    `deliver_on` is the day the buyer wants the goods, where one was named; `deliver_region_code` the county they go to,
    none outside the province. `total_fen` is goods and freight.
    """

    __tablename__ = "customer_order"
    __table_args__ = (
        UniqueConstraint("buyer_user_id", "idempotency_key"),
        CheckConstraint("(kind = 'personal') = (buyer_unit_id IS NULL)", name="unit_of_kind"),
        CheckConstraint(
            "(buyer_unit_id IS NULL) = (payment_days IS NULL) AND (buyer_unit_id IS NULL) = (payment_start IS NULL)"
            " AND (buyer_unit_id IS NULL) = (late_rate_bp IS NULL)",
            name="terms_of_unit",
        ),
        CheckConstraint("payment_days >= 1 AND payment_days <= 60", name="payment_days"),
        CheckConstraint("late_rate_bp >= 0 AND late_rate_bp <= 100", name="late_rate"),
        CheckConstraint("approved_by IS NULL OR approved_by <> buyer_user_id", name="separate_duties"),
        CheckConstraint("total_fen > 0", name="total"),
        Index("ix_customer_order_buyer", "buyer_user_id", "id"),
        Index("ix_customer_order_unit", "buyer_unit_id", "id"),
        Index(  # what approvals and budgets refer to, so that they know whose order it is
            "uq_customer_order_duties", "id", "buyer_unit_id", "buyer_user_id", unique=True
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("X"))
    kind: Mapped[OrderKind] = mapped_column(code_of(OrderKind, "kind"))
    buyer_user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    buyer_unit_id: Mapped[int | None] = mapped_column(ForeignKey("buyer_unit.id"))
    buyer_county_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    recipient_name: Mapped[str] = mapped_column(String(60))
    recipient_phone: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(200))
    deliver_region_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    note: Mapped[str] = mapped_column(String(300), default="")
    deliver_on: Mapped[date | None]
    payment_days: Mapped[int | None]
    payment_start: Mapped[PaymentStart | None] = mapped_column(code_of(PaymentStart, "payment_start"))
    late_rate_bp: Mapped[int | None]
    payment_basis: Mapped[str] = mapped_column(String(200), default="")
    total_fen: Mapped[int] = mapped_column(BigInteger)
    placed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now, index=True)
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    approved_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    rejection_reason: Mapped[str] = mapped_column(String(300), default="")

    buyer: Mapped[User] = relationship(foreign_keys=[buyer_user_id])
    buyer_unit: Mapped[BuyerUnit | None] = relationship(lazy="joined")
    deliver_region: Mapped[Region | None] = relationship(
        foreign_keys=[deliver_region_code], lazy="joined", viewonly=True
    )
    parts: Mapped[list[OrderPart]] = relationship(
        order_by="OrderPart.id", lazy="selectin", back_populates="order"
    )

    @property
    def full_address(self) -> str:
        """The address as a parcel needs it: with its county, where what was typed does not name it already."""
        region = self.deliver_region
        return (
            self.address
            if region is None or region.name in self.address
            else f"{region.full_name} {self.address}"
        )


FREIGHT_WAITS = text(
    "freight_fen > 0 AND freight_passed_at IS NULL AND accepted_at IS NOT NULL AND paid_at IS NOT NULL"
)
DUE = text("accepted_at IS NOT NULL AND paid_at IS NOT NULL AND settled_at IS NULL")


class OrderPart(Base):
    """What one cooperative delivers of an order. Its lines are due to settle from acceptance and payment on, until
    `settled_at`, when nothing of it was left to settle.

    `total_fen` is the goods alone. `freight_fen` is what carrying them cost the buyer, by the sheet of the cooperative
    that held then; it never counts as the price of goods, and goes to the cooperative at `freight_passed_at`.
    """

    __tablename__ = "order_part"
    __table_args__ = (
        UniqueConstraint("order_id", "cooperative_id"),
        CheckConstraint("total_fen > 0", name="total"),
        CheckConstraint(
            "evaluated_at IS NULL OR (accepted_at IS NOT NULL AND paid_at IS NOT NULL)", name="evaluated"
        ),
        CheckConstraint("invoiced_at IS NULL OR accepted_at IS NOT NULL", name="invoiced"),
        CheckConstraint(
            "freight_fen >= 0 AND (freight_fen = 0 OR freight_sheet_id IS NOT NULL)", name="freight"
        ),
        ForeignKeyConstraint(
            ["freight_sheet_id", "cooperative_id"], ["freight_sheet.id", "freight_sheet.cooperative_id"]
        ),
        Index("ix_order_part_cooperative", "cooperative_id", "state", "id"),
        Index("ix_order_part_settling", "state", "paid_at"),
        Index("ix_order_part_due", "id", sqlite_where=DUE, postgresql_where=DUE),
        Index("uq_order_part_terms", "id", "cooperative_id", "total_fen", unique=True),
        Index("ix_order_part_freight", "id", sqlite_where=FREIGHT_WAITS, postgresql_where=FREIGHT_WAITS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("Q"))
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), index=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    state: Mapped[PartState] = mapped_column(code_of(PartState, "state"))
    total_fen: Mapped[int] = mapped_column(BigInteger)
    freight_fen: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    freight_sheet_id: Mapped[int | None]
    carrier: Mapped[str] = mapped_column(String(40), default="")
    waybill_no: Mapped[str] = mapped_column(String(40), default="")
    shipped_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    received_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    paid_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    invoiced_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    evaluated_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    settled_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    freight_passed_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    order: Mapped[Order] = relationship(back_populates="parts", lazy="joined")
    freight_sheet: Mapped[FreightSheet | None] = relationship(viewonly=True)
    cooperative: Mapped[Cooperative] = relationship(lazy="joined")
    lines: Mapped[list[OrderLine]] = relationship(
        order_by="OrderLine.id", lazy="selectin", back_populates="part"
    )
    history: Mapped[list[PartChange]] = relationship(order_by="PartChange.id")

    def fen_less(self, off: Mapping[int, int]) -> int:
        """What the part costs in fen without the units that are taken off, by line id."""
        return self.total_fen - sum(off.get(line.id, 0) * line.unit_price_fen for line in self.lines)


class OrderLine(Base):
    """One listing version bought. Price, mass, certificate and what the same goods cost elsewhere (fen per kilogram,
    None when nobody knew) are frozen as they were at the time of sale."""

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("part_id", "listing_version_id"),
        CheckConstraint("quantity > 0 AND unit_price_fen > 0", name="positive"),
        CheckConstraint("net_fen = quantity * unit_price_fen", name="net"),
        Index("uq_order_line_sold", "id", "quantity", "unit_price_fen", unique=True),  # what refunds refer to
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("J"))
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), index=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"), index=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    listing_version_id: Mapped[int] = mapped_column(ForeignKey("listing_version.id"), index=True)
    title: Mapped[str] = mapped_column(String(80))
    unit_name: Mapped[str] = mapped_column(String(10))
    net_mass_g: Mapped[int]
    quantity: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    net_fen: Mapped[int] = mapped_column(BigInteger)
    certificate_no: Mapped[str] = mapped_column(String(40), default="")
    reference_per_kg_fen: Mapped[int | None] = mapped_column(BigInteger)

    part: Mapped[OrderPart] = relationship(back_populates="lines")
    listing_version: Mapped[ListingVersion] = relationship()
    lots: Mapped[list[LineLot]] = relationship(order_by="LineLot.lot_id", lazy="selectin")


class LineLot(Base):
    """The grams of a lot that a line drew. When its part is cancelled the lot gets them back; the row stays."""

    __tablename__ = "line_lot"
    __table_args__ = (
        UniqueConstraint("line_id", "lot_id"),
        CheckConstraint("mass_g > 0", name="mass"),
        Index("ix_line_lot_lot_id", "lot_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    mass_g: Mapped[int] = mapped_column(BigInteger)

    lot: Mapped[Lot] = relationship(lazy="joined")


class LineGiUse(Base):
    """The agreement on a geographical indication that a line was sold under, and the grams it took of the cap. When
    its part is cancelled the agreement gets them back; the row stays."""

    __tablename__ = "line_gi_use"
    __table_args__ = (
        CheckConstraint("mass_g > 0", name="mass"),
        Index("ix_line_gi_use_certificate", "certificate_id"),
        {"info": APPEND_ONLY},
    )

    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), primary_key=True, autoincrement=False)
    certificate_id: Mapped[int] = mapped_column(ForeignKey("gi_use.certificate_id"))
    mass_g: Mapped[int] = mapped_column(BigInteger)


class PartChange(Base):
    """One step in the life of a part: what moved it, who, when, why. Append-only."""

    __tablename__ = "part_change"
    __table_args__ = ({"info": APPEND_ONLY},)

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"), index=True)
    event: Mapped[PartEvent | None] = mapped_column(code_of(PartEvent, "event"))
    state: Mapped[PartState] = mapped_column(code_of(PartState, "state"))
    actor_user_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(String(300), default="")
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
