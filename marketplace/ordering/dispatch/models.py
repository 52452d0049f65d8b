"""When a cooperative's goods leave. A plan never changes: a new one follows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant


class DispatchPlan(Base):
    """The weekdays on which goods leave, or are brought to units, and the days it takes to prepare them. Append-only.

    `weekdays` has a bit for each, Monday the lowest; `lead_days` lie between the day of an order and the first day its
    goods can leave.
    """

    __tablename__ = "dispatch_plan"
    __table_args__ = (
        UniqueConstraint("cooperative_id", "version"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("weekdays BETWEEN 1 AND 127", name="weekdays"),
        CheckConstraint("lead_days BETWEEN 0 AND 30", name="lead_days"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    version: Mapped[int]
    weekdays: Mapped[int]
    lead_days: Mapped[int]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
