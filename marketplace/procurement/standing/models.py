"""Standing orders: what a unit wants on which days, agreed once with one cooperative, and each of its deliveries.

A delivery window is one day of the schedule; `planned_on` is its name for good, wherever it is moved to. Whatever
people do to an order or a window is a further row of StandingChange, and a change of what is delivered brings its own
lines, so that the plan and every change of it stay readable. One window has at most one order (the key of WindowOrder).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Listing
from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.ordering.models import Order
from marketplace.registry.models import BuyerUnit, Cooperative


class SpanKind(LabelledEnum):
    """What a stretch of a unit's year is. A unit with terms takes deliveries in its terms only."""

    TERM = "term", N_("学期")
    HOLIDAY = "holiday", N_("放假")


class UnitSpan(Base):
    """A term or a holiday of a unit, both days included."""

    __tablename__ = "unit_span"
    __table_args__ = (
        UniqueConstraint("buyer_unit_id", "kind", "starts_on"),
        CheckConstraint("ends_on >= starts_on", name="days"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    kind: Mapped[SpanKind] = mapped_column(code_of(SpanKind, "kind"))
    name: Mapped[str] = mapped_column(String(40))
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    added_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    added_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class StandingState(LabelledEnum):
    """Where a standing order stands: the unit approves it, then the cooperative confirms it."""

    AWAITING_APPROVAL = "awaiting_approval", N_("待本单位审批")
    REJECTED = "rejected", N_("审批未通过")
    AWAITING_CONFIRMATION = "awaiting_confirmation", N_("待合作社确认")
    DECLINED = "declined", N_("合作社未接受")
    ACTIVE = "active", N_("执行中")
    PAUSED = "paused", N_("已暂停")
    ENDED = "ended", N_("已终止")


class PriceRule(LabelledEnum):
    """Which price a line is bought at."""

    FIXED = "fixed", N_("固定价")
    CEILING = "ceiling", N_("随行就市，不高于上限")


class StandingOrder(Base):
    """What a unit takes from one cooperative on which weekdays, between two days.

    `weekdays` has a bit for each, Monday the lowest; `every_weeks` counts from the week of `starts_on`. Times of the
    day are minutes after local midnight. A window can be changed until `cutoff_min` of the day `cutoff_days` before it.
    The approver lets up to `approved_windows` deliveries of together `approved_fen` pass; `used_*` is what has been
    ordered of that.
    """

    __tablename__ = "standing_order"
    __table_args__ = (
        UniqueConstraint("ordered_by", "idempotency_key"),
        CheckConstraint("weekdays BETWEEN 1 AND 127", name="weekdays"),
        CheckConstraint("every_weeks BETWEEN 1 AND 8", name="every_weeks"),
        CheckConstraint("ends_on >= starts_on", name="span"),
        CheckConstraint(
            "slot_from_min >= 0 AND slot_from_min < slot_to_min AND slot_to_min <= 1440", name="slot"
        ),
        CheckConstraint("cutoff_days BETWEEN 0 AND 30 AND cutoff_min BETWEEN 0 AND 1439", name="cutoff"),
        CheckConstraint("cutoff_days > 0 OR cutoff_min <= slot_from_min", name="cutoff_first"),
        CheckConstraint("approved_by IS NULL OR approved_by <> ordered_by", name="separate_duties"),
        CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL) AND (approved_by IS NULL) = (approved_fen IS NULL)"
            " AND (approved_by IS NULL) = (approved_windows IS NULL)",
            name="approved_whole",
        ),
        CheckConstraint(
            "state IN ('awaiting_approval', 'rejected', 'ended') OR approved_by IS NOT NULL", name="approved"
        ),
        CheckConstraint(
            "used_fen >= 0 AND used_windows >= 0 AND used_fen <= coalesce(approved_fen, 0)"
            " AND used_windows <= coalesce(approved_windows, 0)",
            name="within_approval",
        ),
        CheckConstraint("(state = 'paused') = (paused_at IS NOT NULL)", name="paused"),
        Index("ix_standing_order_unit", "buyer_unit_id", "id"),
        Index("ix_standing_order_cooperative", "cooperative_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CD"))
    buyer_unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    state: Mapped[StandingState] = mapped_column(
        code_of(StandingState, "state"), default=StandingState.AWAITING_APPROVAL
    )
    name: Mapped[str] = mapped_column(String(60))
    ordered_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    weekdays: Mapped[int]
    every_weeks: Mapped[int]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    skips_public_holidays: Mapped[bool]
    slot_from_min: Mapped[int]
    slot_to_min: Mapped[int]
    cutoff_days: Mapped[int]
    cutoff_min: Mapped[int]
    recipient_name: Mapped[str] = mapped_column(String(60))
    recipient_phone: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(300), default="")
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    approved_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    approved_fen: Mapped[int | None] = mapped_column(BigInteger)
    approved_windows: Mapped[int | None]
    used_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    used_windows: Mapped[int] = mapped_column(default=0)
    paused_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    buyer_unit: Mapped[BuyerUnit] = relationship(lazy="joined")
    cooperative: Mapped[Cooperative] = relationship(lazy="joined")
    orderer: Mapped[User] = relationship(foreign_keys=[ordered_by])
    lines: Mapped[list[StandingLine]] = relationship(order_by="StandingLine.id", lazy="selectin")


class StandingLine(Base):
    """Units of a listing in every window. `price_fen` is the fixed price of a unit, or the most it may cost."""

    __tablename__ = "standing_line"
    __table_args__ = (
        UniqueConstraint("standing_order_id", "listing_id"),
        CheckConstraint("quantity > 0 AND price_fen > 0", name="positive"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    standing_order_id: Mapped[int] = mapped_column(ForeignKey("standing_order.id"))
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    quantity: Mapped[int]
    price_rule: Mapped[PriceRule] = mapped_column(code_of(PriceRule, "price_rule"))
    price_fen: Mapped[int]

    listing: Mapped[Listing] = relationship(lazy="joined")


class ChangeEvent(LabelledEnum):
    """What happened to a standing order or to one of its windows."""

    OPEN = "open", N_("长期订单已提交")
    APPROVE = "approve", N_("审批通过")
    REJECT = "reject", N_("审批不通过")
    CONFIRM = "confirm", N_("合作社确认供货")
    DECLINE = "decline", N_("合作社不接受")
    PAUSE = "pause", N_("暂停送货")
    RESUME = "resume", N_("恢复送货")
    END = "end", N_("已终止")
    SKIP = "skip", N_("跳过了一次送货")
    RESTORE = "restore", N_("恢复了一次送货")
    CHANGE = "change", N_("改了一次送货")
    HOLD = "hold", N_("暂缓下单")
    ANSWER = "answer", N_("处理暂缓")
    DECLINE_WINDOW = "decline_window", N_("合作社这一次无法供货")
    PROPOSE = "propose", N_("合作社提出替代品")
    CONSENT = "consent", N_("同意替代")
    REFUSE = "refuse", N_("不同意替代")
    ORDER = "order", N_("生成订单")
    LAPSE = "lapse", N_("过期未下单")


class StandingChange(Base):
    """Who did what to a standing order, or to one window of it, when and why. Append-only."""

    __tablename__ = "standing_change"
    __table_args__ = (
        Index("ix_standing_change_order", "standing_order_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    standing_order_id: Mapped[int] = mapped_column(ForeignKey("standing_order.id"))
    window_id: Mapped[int | None] = mapped_column(
        ForeignKey("delivery_window.id", use_alter=True, name="fk_standing_change_window_id"), index=True
    )
    event: Mapped[ChangeEvent] = mapped_column(code_of(ChangeEvent, "event"))
    actor_user_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(String(60))
    reason: Mapped[str] = mapped_column(String(300), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class ChangedLine(Base):
    """What a change makes of one window: units of a listing, in place of the standing lines. Append-only."""

    __tablename__ = "standing_changed_line"
    __table_args__ = (
        UniqueConstraint("change_id", "listing_id"),
        CheckConstraint("quantity > 0 AND price_fen > 0", name="positive"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("standing_change.id"))
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    quantity: Mapped[int]
    price_rule: Mapped[PriceRule] = mapped_column(code_of(PriceRule, "price_rule"))
    price_fen: Mapped[int]

    listing: Mapped[Listing] = relationship(lazy="joined")


class WindowState(LabelledEnum):
    """Where a delivery stands. What is held waits for the unit's word until its window begins."""

    PLANNED = "planned", N_("已计划")
    SKIPPED = "skipped", N_("已跳过")
    DECLINED = "declined", N_("合作社无法供货")
    HELD = "held", N_("暂缓，待本单位处理")
    ORDERED = "ordered", N_("已下单")
    LAPSED = "lapsed", N_("过期未下单")


class HoldReason(LabelledEnum):
    """Why a delivery is not ordered of itself."""

    OUT_OF_STOCK = "out_of_stock", N_("库存不足")
    OVER_CEILING = "over_ceiling", N_("价格高于上限")
    NOT_FOR_SALE = "not_for_sale", N_("商品已停售")
    SUBSTITUTION_OPEN = "substitution_open", N_("替代品还没有答复")
    REFUSED = "refused", N_("无法下单")


OPEN_STATES = text("state IN ('planned', 'held', 'ordered')")


class DeliveryWindow(Base):
    """One delivery: its day, slot and cut-off, and what has become of it. Its lines are those of the standing order, or
    those of the change `lines_change_id`."""

    __tablename__ = "delivery_window"
    __table_args__ = (
        UniqueConstraint("standing_order_id", "planned_on"),
        Index(
            "uq_delivery_window_day",
            "standing_order_id",
            "deliver_on",
            unique=True,
            sqlite_where=OPEN_STATES,
            postgresql_where=OPEN_STATES,
        ),
        CheckConstraint(
            "slot_from_min >= 0 AND slot_from_min < slot_to_min AND slot_to_min <= 1440", name="slot"
        ),
        CheckConstraint("cutoff_at <= starts_at", name="cutoff_first"),
        CheckConstraint("(state = 'held') = (hold_reason IS NOT NULL)", name="held_for_a_reason"),
        Index("ix_delivery_window_due", "state", "cutoff_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    standing_order_id: Mapped[int] = mapped_column(ForeignKey("standing_order.id"))
    planned_on: Mapped[date]
    deliver_on: Mapped[date]
    slot_from_min: Mapped[int]
    slot_to_min: Mapped[int]
    cutoff_at: Mapped[datetime] = mapped_column(UtcInstant)
    starts_at: Mapped[datetime] = mapped_column(UtcInstant)
    state: Mapped[WindowState] = mapped_column(code_of(WindowState, "state"), default=WindowState.PLANNED)
    hold_reason: Mapped[HoldReason | None] = mapped_column(code_of(HoldReason, "hold_reason"))
    lines_change_id: Mapped[int | None] = mapped_column(ForeignKey("standing_change.id"))

    standing: Mapped[StandingOrder] = relationship(lazy="joined")
    ordered: Mapped[WindowOrder | None] = relationship(lazy="joined")

    @property
    def is_changed(self) -> bool:
        """Whether this delivery differs from the others of its standing order."""
        standing = self.standing
        return (
            self.lines_change_id is not None
            or self.deliver_on != self.planned_on
            or (self.slot_from_min, self.slot_to_min) != (standing.slot_from_min, standing.slot_to_min)
        )


class WindowOrder(Base):
    """The one order of a window, and whether the approval of the standing order covers it. Append-only."""

    __tablename__ = "window_order"
    __table_args__ = (
        Index("ix_window_order_standing", "standing_order_id", "window_id"),
        {"info": APPEND_ONLY},
    )

    window_id: Mapped[int] = mapped_column(
        ForeignKey("delivery_window.id"), primary_key=True, autoincrement=False
    )
    standing_order_id: Mapped[int] = mapped_column(ForeignKey("standing_order.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), unique=True)
    total_fen: Mapped[int] = mapped_column(BigInteger)
    is_covered: Mapped[bool]
    made_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    order: Mapped[Order] = relationship(lazy="joined")


class SubstitutionState(LabelledEnum):
    """A proposal stands until the unit answers it or the delivery goes another way."""

    PROPOSED = "proposed", N_("待采购单位答复")
    CONSENTED = "consented", N_("已同意")
    REFUSED = "refused", N_("未同意")
    DROPPED = "dropped", N_("已失效")


PROPOSED = text("state = 'proposed'")


class Substitution(Base):
    """Another listing of the same cooperative, at the same price or a lower one, for one line of one delivery."""

    __tablename__ = "substitution"
    __table_args__ = (
        CheckConstraint("substitute_id <> listing_id", name="another"),
        CheckConstraint("quantity > 0 AND unit_price_fen > 0", name="positive"),
        CheckConstraint("(state IN ('consented', 'refused')) = (decided_by IS NOT NULL)", name="decided"),
        Index(
            "uq_substitution_open",
            "window_id",
            "listing_id",
            unique=True,
            sqlite_where=PROPOSED,
            postgresql_where=PROPOSED,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("TD"))
    window_id: Mapped[int] = mapped_column(ForeignKey("delivery_window.id"), index=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"))
    substitute_id: Mapped[int] = mapped_column(ForeignKey("listing.id"))
    quantity: Mapped[int]
    unit_price_fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[SubstitutionState] = mapped_column(
        code_of(SubstitutionState, "state"), default=SubstitutionState.PROPOSED
    )
    proposed_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    window: Mapped[DeliveryWindow] = relationship()
    listing: Mapped[Listing] = relationship(foreign_keys=[listing_id])
    substitute: Mapped[Listing] = relationship(foreign_keys=[substitute_id])


class DayCapacity(Base):
    """Units of a listing that its cooperative can deliver on a day by standing orders, and how many it has promised."""

    __tablename__ = "day_capacity"
    __table_args__ = (
        UniqueConstraint("listing_id", "day"),
        CheckConstraint("promised_units >= 0 AND promised_units <= capacity_units", name="promised"),
        Index("ix_day_capacity_cooperative", "cooperative_id", "day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"))
    day: Mapped[date]
    capacity_units: Mapped[int]
    promised_units: Mapped[int] = mapped_column(default=0)

    listing: Mapped[Listing] = relationship(lazy="joined")
