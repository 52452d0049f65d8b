"""Rent receipts of village assets, and the households each is shared among: the evidence of asset leases.

The village keeps its part of a rent; the rest is its households', by the weights of the village's resolution. A
receipt's number is used once for an asset, whoever records it.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.core.money import BASIS
from marketplace.identity.models import StoredFile
from marketplace.linkage.models import Evidence, LinkagePeriod
from marketplace.registry.models import Cooperative, Region

MOST_RENT_FEN = 10_000_000_000  # a hundred million yuan
MOST_WEIGHT = 1_000_000


class AssetRentReceipt(Base):
    """One rent paid for an asset of a village, with what the village keeps of it. Append-only."""

    __tablename__ = "asset_rent_receipt"
    __table_args__ = (
        UniqueConstraint("asset_no", "receipt_no"),
        CheckConstraint(f"rent_fen > 0 AND rent_fen <= {MOST_RENT_FEN}", name="rent"),
        CheckConstraint(f"retain_bp >= 0 AND retain_bp < {BASIS}", name="retain"),
        CheckConstraint(f"retained_fen = rent_fen * retain_bp / {BASIS}", name="retained"),
        Index("ix_asset_rent_receipt_asset", "cooperative_id", "asset_no"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("N"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    village_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    period_id: Mapped[int] = mapped_column(ForeignKey("linkage_period.id"), index=True)
    asset_no: Mapped[str] = mapped_column(String(30))
    receipt_no: Mapped[str] = mapped_column(String(30))
    lease_no: Mapped[str] = mapped_column(String(40))
    resolution_no: Mapped[str] = mapped_column(String(40))
    rent_fen: Mapped[int] = mapped_column(BigInteger)
    retain_bp: Mapped[int]
    retained_fen: Mapped[int] = mapped_column(BigInteger)
    received_on: Mapped[date]
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    cooperative: Mapped[Cooperative] = relationship()
    village: Mapped[Region] = relationship()
    period: Mapped[LinkagePeriod] = relationship()
    file: Mapped[StoredFile | None] = relationship()


class AssetRentShare(Base):
    """One household's place in the roster a receipt was shared by. Append-only; shares its id with its evidence."""

    __tablename__ = "asset_rent_share"
    __table_args__ = (
        UniqueConstraint("receipt_id", "household_id"),
        CheckConstraint(f"plan_weight > 0 AND plan_weight <= {MOST_WEIGHT}", name="weight"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    receipt_id: Mapped[int] = mapped_column(ForeignKey("asset_rent_receipt.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    plan_weight: Mapped[int]

    evidence: Mapped[Evidence] = relationship()
    receipt: Mapped[AssetRentReceipt] = relationship()
