"""What was collected of charges: repaid advances and service fees, taken from money of the same agreement."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant


class ChargeCollection(Base):
    """One collection of a charge, and the entry that moved it. Append-only.

    The collections of a charge form one chain: each names the position and the sum of the one before it by a foreign
    key, and the amount of the charge itself. So the database keeps their sum within the charge, and no two workers go
    on from the same place. `money_fen` is the money of the agreement it was taken from.
    """

    __tablename__ = "charge_collection"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("collected_after_fen = collected_before_fen + amount_fen", name="sum"),
        CheckConstraint("collected_after_fen <= charge_fen", name="within"),
        CheckConstraint(
            "(position = 1 AND previous_position IS NULL AND collected_before_fen = 0) "
            "OR (position > 1 AND previous_position IS NOT NULL AND previous_position = position - 1)",
            name="position",
        ),
        UniqueConstraint("charge_id", "position"),
        UniqueConstraint(
            "charge_id", "position", "collected_after_fen", name="uq_charge_collection_standing"
        ),
        ForeignKeyConstraint(("charge_id", "charge_fen"), ("charge.id", "charge.amount_fen")),
        ForeignKeyConstraint(
            ("charge_id", "previous_position", "collected_before_fen"),
            (
                "charge_collection.charge_id",
                "charge_collection.position",
                "charge_collection.collected_after_fen",
            ),
            name="fk_charge_collection_previous",
        ),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    charge_id: Mapped[int]
    charge_fen: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int]
    previous_position: Mapped[int | None]
    collected_before_fen: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    collected_after_fen: Mapped[int] = mapped_column(BigInteger)
    money_fen: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), ForeignKey("entry.id"), unique=True
    )
    rule_version: Mapped[int]
    collected_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
