"""Where a person has goods sent: kept under the person's own account, shown to nobody else."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.registry.models import Region

IS_DEFAULT = text("is_default")


class SavedAddress(Base):
    """A person, a telephone and a place. `region_code` is a county of the province, none outside of it; one address of
    a person may be the default."""

    __tablename__ = "saved_address"
    __table_args__ = (
        Index("ix_saved_address_user", "user_id", "id"),
        Index(
            "uq_saved_address_default",
            "user_id",
            unique=True,
            sqlite_where=IS_DEFAULT,
            postgresql_where=IS_DEFAULT,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("SD"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    recipient_name: Mapped[str] = mapped_column(String(60))
    recipient_phone: Mapped[str] = mapped_column(String(20))
    region_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    address: Mapped[str] = mapped_column(String(200))
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    region: Mapped[Region | None] = relationship(lazy="joined")
