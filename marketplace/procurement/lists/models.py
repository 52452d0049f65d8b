"""The lists a unit orders from again and again: a listing, how much of it is usual, and the most it may cost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.catalog.models import Listing
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no


class OrderList(Base):
    """A named list of a unit."""

    __tablename__ = "order_list"
    __table_args__ = (UniqueConstraint("unit_id", "name"), CheckConstraint("name <> ''", name="name"))

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("QD"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    name: Mapped[str] = mapped_column(String(40))
    made_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    made_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    items: Mapped[list[OrderListItem]] = relationship(
        order_by="OrderListItem.id", lazy="selectin", cascade="all, delete-orphan"
    )


class OrderListItem(Base):
    """A listing of a list: its usual quantity in units, the unit price when it was noted, and the most it may cost."""

    __tablename__ = "order_list_item"
    __table_args__ = (
        UniqueConstraint("list_id", "listing_id"),
        CheckConstraint("usual_quantity >= 1 AND usual_quantity <= 100000", name="quantity"),
        CheckConstraint("noted_fen > 0", name="noted"),
        CheckConstraint("ceiling_fen > 0", name="ceiling"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("order_list.id"))
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"), index=True)
    usual_quantity: Mapped[int]
    noted_fen: Mapped[int]
    ceiling_fen: Mapped[int | None]

    listing: Mapped[Listing] = relationship(lazy="joined")
