"""Orders before the harvest, and the deliveries taken under them.

The price of a delivery is the listing's on its day, but never below the floor the growers were promised nor above the
price the unit agreed to. What is delivered comes out of one lot, which its cooperative names once it is weighed in.
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
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Listing
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import half_up
from marketplace.linkage.models import Lot
from marketplace.ordering.models import Order, PaymentStart
from marketplace.registry.models import BuyerUnit, Cooperative


class ForwardState(LabelledEnum):
    """Where an order before the harvest stands."""

    AWAITING = "awaiting", N_("待审批")
    PROPOSED = "proposed", N_("待合作社确认")
    CONFIRMED = "confirmed", N_("待付订金")
    ACTIVE = "active", N_("待交货")
    DONE = "done", N_("已交完")
    ENDED = "ended", N_("已终止")
    DECLINED = "declined", N_("合作社未接受")
    WITHDRAWN = "withdrawn", N_("已撤回")


class ForwardEvent(LabelledEnum):
    """What moves it."""

    ORDER = "order", N_("提出预订申请")
    APPROVE = "approve", N_("审批通过")
    REJECT = "reject", N_("审批不通过")
    CONFIRM = "confirm", N_("合作社接受了预订")
    DECLINE = "decline", N_("合作社没有接受预订")
    WITHDRAW = "withdraw", N_("预订已撤回")
    PAY_DEPOSIT = "pay_deposit", N_("订金到账")
    NAME_LOT = "name_lot", N_("交货批次已指定")
    DELIVER = "deliver", N_("交货已安排")
    FINISH = "finish", N_("全部验收")
    END = "end", N_("预订已终止")


class ForwardOrder(Base):
    """Units of a listing ordered before the harvest. Prices in fen per kilogram; the deposit in basis points and fen.

    `delivered_units` counts the deliveries that had not been called off when the last one was arranged; `reserved_g`
    are the grams of its lot set aside for what is left, which nobody else can buy. One that was awarded has its exact
    price and terms of payment; another is billed by the policy in force when it is delivered.
    """

    __tablename__ = "forward_order"
    __table_args__ = (
        UniqueConstraint("ordered_by", "idempotency_key"),
        CheckConstraint("units > 0 AND net_mass_g > 0", name="positive"),
        CheckConstraint("floor_fen_per_kg > 0 AND floor_fen_per_kg <= price_fen_per_kg", name="prices"),
        CheckConstraint("deposit_bp > 0 AND deposit_bp <= 10000 AND deposit_fen > 0", name="deposit"),
        CheckConstraint("delivered_units >= 0 AND delivered_units <= units", name="delivered"),
        CheckConstraint("delivered_units = 0 OR lot_id IS NOT NULL", name="lot"),
        CheckConstraint(
            "reserved_g >= 0 AND reserved_g <= units * net_mass_g"
            " AND (reserved_g = 0 OR (lot_id IS NOT NULL AND state IN ('confirmed', 'active')))",
            name="reserved",
        ),
        CheckConstraint(
            "agreed_fen > 0 AND payment_days >= 1 AND payment_days <= 60 AND payment_start IS NOT NULL"
            " AND late_rate_bp >= 0 AND late_rate_bp <= 100 AND payment_basis <> ''"
            " OR agreed_fen IS NULL AND payment_days IS NULL AND payment_start IS NULL AND late_rate_bp IS NULL"
            " AND payment_basis = ''",
            name="agreed",
        ),
        ForeignKeyConstraint(
            ["price_check_id", "checked_fen", "net_mass_g"],
            ["agreed_price_check.id", "agreed_price_check.unit_price_fen", "agreed_price_check.net_mass_g"],
            name="fk_forward_order_price_check",
        ),
        CheckConstraint(
            "(price_check_id IS NULL) = (checked_fen IS NULL) AND (checked_fen IS NULL"
            " OR checked_fen = COALESCE(agreed_fen, (2 * price_fen_per_kg * net_mass_g + 1000) / 2000))",
            name="checked",
        ),
        CheckConstraint("approved_by IS NULL OR approved_by <> ordered_by", name="separate_duties"),
        CheckConstraint("approved_by IS NOT NULL OR state IN ('awaiting', 'withdrawn')", name="approved"),
        CheckConstraint("(state IN ('ended', 'declined', 'withdrawn')) = (reason <> '')", name="reason"),
        Index("ix_forward_order_unit", "buyer_unit_id", "id"),
        Index("ix_forward_order_cooperative", "cooperative_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("YD"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    title: Mapped[str] = mapped_column(String(80))
    unit_name: Mapped[str] = mapped_column(String(10))
    units: Mapped[int]
    net_mass_g: Mapped[int]
    price_fen_per_kg: Mapped[int] = mapped_column(BigInteger)
    floor_fen_per_kg: Mapped[int] = mapped_column(BigInteger)
    deposit_bp: Mapped[int]
    deposit_fen: Mapped[int] = mapped_column(BigInteger)
    harvest_on: Mapped[date]
    note: Mapped[str] = mapped_column(String(300), default="")
    state: Mapped[ForwardState] = mapped_column(code_of(ForwardState, "state"), default=ForwardState.AWAITING)
    reason: Mapped[str] = mapped_column(String(300), default="")
    delivered_units: Mapped[int] = mapped_column(default=0)
    reserved_g: Mapped[int] = mapped_column(BigInteger, default=0)
    agreed_fen: Mapped[int | None] = mapped_column(BigInteger)
    price_check_id: Mapped[int | None]
    checked_fen: Mapped[int | None] = mapped_column(BigInteger)
    payment_days: Mapped[int | None]
    payment_start: Mapped[PaymentStart | None] = mapped_column(code_of(PaymentStart, "payment_start"))
    late_rate_bp: Mapped[int | None]
    payment_basis: Mapped[str] = mapped_column(String(200), default="")
    ordered_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    ordered_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    unit: Mapped[BuyerUnit] = relationship(lazy="joined", innerjoin=True)
    cooperative: Mapped[Cooperative] = relationship(lazy="joined", innerjoin=True)
    listing: Mapped[Listing] = relationship()
    lot: Mapped[Lot | None] = relationship(lazy="joined")
    changes: Mapped[list[ForwardChange]] = relationship(order_by="ForwardChange.id.desc()")
    deliveries: Mapped[list[ForwardDelivery]] = relationship(order_by="ForwardDelivery.id")

    @property
    def left_units(self) -> int:
        """Units not delivered yet."""
        return self.units - self.delivered_units

    @property
    def highest_fen(self) -> int:
        """The most a unit costs: the fen that were agreed, or rounded half up once."""
        return self.agreed_fen or half_up(self.price_fen_per_kg * self.net_mass_g, 1000)

    @property
    def lowest_fen(self) -> int:
        """The least a unit costs: the fen that were agreed, or rounded half up once."""
        return self.agreed_fen or half_up(self.floor_fen_per_kg * self.net_mass_g, 1000)


class ForwardChange(Base):
    """One step in the life of an order before the harvest. Append-only."""

    __tablename__ = "forward_change"
    __table_args__ = ({"info": APPEND_ONLY},)

    id: Mapped[int] = mapped_column(primary_key=True)
    forward_id: Mapped[int] = mapped_column(ForeignKey("forward_order.id"), index=True)
    event: Mapped[ForwardEvent] = mapped_column(code_of(ForwardEvent, "event"))
    state: Mapped[ForwardState] = mapped_column(code_of(ForwardState, "state"))
    actor_user_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(String(300), default="")
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class ForwardDelivery(Base):
    """Units taken under an order before the harvest: an order of their own, in the usual flow. Append-only."""

    __tablename__ = "forward_delivery"
    __table_args__ = (
        UniqueConstraint("order_id"),
        CheckConstraint("units > 0 AND unit_price_fen > 0", name="positive"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    forward_id: Mapped[int] = mapped_column(ForeignKey("forward_order.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"))
    units: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    arranged_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    order: Mapped[Order] = relationship(lazy="joined")
