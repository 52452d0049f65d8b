"""Group purchases: the basket, who takes part, and what each wants.

The deadline and the body are part of the keys of those who take part, so that the database itself lets nobody in
after the one or from outside of the other.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Listing
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import Organisation, User
from marketplace.ordering.models import Order
from marketplace.ordering.wishes import MAX_QUANTITY


class Paying(LabelledEnum):
    """Whose money it is."""

    EACH = "each", N_("各付各的")
    UNION = "union", N_("工会统一付款")


class GroupState(LabelledEnum):
    """Where a group purchase stands. What the clock decides is read from the deadline, never from the state alone."""

    OPEN = "open", N_("拼单中")
    ORDERED = "ordered", N_("已下单")
    EMPTY = "empty", N_("未成单")
    CANCELLED = "cancelled", N_("已取消")


class Shortfall(LabelledEnum):
    """Why nothing was ordered for somebody when the group closed."""

    OUT_OF_STOCK = "out_of_stock", N_("截止时货不够了")
    NOT_FOR_SALE = "not_for_sale", N_("商品已停售")
    NOT_ORDERED = "not_ordered", N_("未能下单")


class GroupPurchase(Base):
    """A shared basket of the people of one body, ordered when its deadline has passed.

    `order_id` is the union's one order; where each pays, the order is that of the member.
    """

    __tablename__ = "group_purchase"
    __table_args__ = (
        UniqueConstraint("organiser_id", "idempotency_key"),
        CheckConstraint("deadline_at > opened_at", name="deadline"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("paying <> 'union' OR buyer_unit_id IS NOT NULL", name="union_of_unit"),
        CheckConstraint("buyer_unit_id IS NULL OR buyer_unit_id = organisation_id", name="own_unit"),
        CheckConstraint("order_id IS NULL OR (paying = 'union' AND state = 'ordered')", name="union_order"),
        CheckConstraint("paying <> 'union' OR state <> 'ordered' OR order_id IS NOT NULL", name="ordered"),
        Index("ix_group_purchase_organisation", "organisation_id", "id"),
        Index("ix_group_purchase_due", "state", "deadline_at"),
        Index("uq_group_purchase_terms", "id", "organisation_id", "deadline_at", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PD"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    buyer_unit_id: Mapped[int | None] = mapped_column(ForeignKey("buyer_unit.id"))
    organiser_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(60))
    paying: Mapped[Paying] = mapped_column(code_of(Paying, "paying"))
    recipient_name: Mapped[str] = mapped_column(String(60))
    recipient_phone: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(150), default="")
    deadline_at: Mapped[datetime] = mapped_column(UtcInstant)
    opened_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    state: Mapped[GroupState] = mapped_column(code_of(GroupState, "state"), default=GroupState.OPEN)
    closed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"), unique=True)

    organiser: Mapped[User] = relationship(lazy="joined")
    organisation: Mapped[Organisation] = relationship(lazy="joined")
    order: Mapped[Order | None] = relationship()


class GroupMember(Base):
    """Somebody who takes part, under the name to write on the bag; what became of it; and who handed it over."""

    __tablename__ = "group_member"
    __table_args__ = (
        UniqueConstraint("group_id", "user_id"),
        ForeignKeyConstraint(
            ["group_id", "organisation_id", "deadline_at"],
            ["group_purchase.id", "group_purchase.organisation_id", "group_purchase.deadline_at"],
            name="fk_group_member_terms",
        ),
        CheckConstraint("joined_at < deadline_at", name="in_time"),
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("order_id IS NULL OR shortfall IS NULL", name="outcome"),
        CheckConstraint("(handed_at IS NULL) = (handed_by IS NULL)", name="handed"),
        CheckConstraint("handed_at IS NULL OR shortfall IS NULL", name="handed_something"),
        Index("uq_group_member_terms", "id", "group_id", "deadline_at", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("PM"))
    group_id: Mapped[int]
    organisation_id: Mapped[int]
    deadline_at: Mapped[datetime] = mapped_column(UtcInstant)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    joined_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"), unique=True)
    shortfall: Mapped[Shortfall | None] = mapped_column(code_of(Shortfall, "shortfall"))
    shortfall_title: Mapped[str] = mapped_column(String(80), default="")
    handed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    handed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    user: Mapped[User] = relationship(foreign_keys=[user_id])
    order: Mapped[Order | None] = relationship()
    shares: Mapped[list[GroupShare]] = relationship(
        order_by="GroupShare.id", lazy="selectin", cascade="all, delete-orphan"
    )


class GroupShare(Base):
    """The units of one listing that somebody wants."""

    __tablename__ = "group_share"
    __table_args__ = (
        UniqueConstraint("group_id", "member_id", "listing_id"),
        ForeignKeyConstraint(
            ["member_id", "group_id", "deadline_at"],
            ["group_member.id", "group_member.group_id", "group_member.deadline_at"],
            name="fk_group_share_terms",
        ),
        CheckConstraint(f"quantity BETWEEN 1 AND {MAX_QUANTITY}", name="quantity"),
        CheckConstraint("put_at < deadline_at", name="in_time"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int]
    member_id: Mapped[int] = mapped_column(index=True)
    deadline_at: Mapped[datetime] = mapped_column(UtcInstant)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    quantity: Mapped[int]
    put_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    listing: Mapped[Listing] = relationship(lazy="joined")
