"""Late corrections: what was found after a linkage period was closed. Append-only.

A household that came off too short gets an entitlement in the open period, by evidence of its own that names what it
corrects. A household that came off too well keeps what it has: that is noted and nothing is posted.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.identity.models import StoredFile
from marketplace.linkage.models import Agreement, Entitlement, Evidence, LinkagePeriod


class LateCorrection(Base):
    """What a closed period should have said of one agreement, and did not.

    `amount_fen` is what the household was short of; negative what it was given too much, without an entitlement.
    `key` is the global key of its evidence: what is corrected, and which correction of it this is. `evidence_id` is
    the correction's own evidence, `corrects_evidence_id` the piece it corrects when there is one.
    """

    __tablename__ = "late_correction"
    __table_args__ = (
        CheckConstraint("amount_fen <> 0", name="amount"),
        CheckConstraint(
            "(amount_fen > 0) = (entitlement_id IS NOT NULL AND evidence_id IS NOT NULL)", name="upwards"
        ),
        CheckConstraint("reason <> ''", name="reason"),
        Index("ix_late_correction_period", "corrects_period_id", "id"),
        Index("ix_late_correction_evidence", "corrects_evidence_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("N"))
    key: Mapped[str] = mapped_column(String(120), unique=True)
    corrects_period_id: Mapped[int] = mapped_column(ForeignKey("linkage_period.id"))
    corrects_evidence_id: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"))
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), index=True)
    evidence_id: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"), unique=True)
    entitlement_id: Mapped[int | None] = mapped_column(ForeignKey("entitlement.id"), unique=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(300))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    period: Mapped[LinkagePeriod] = relationship()
    agreement: Mapped[Agreement] = relationship()
    entitlement: Mapped[Entitlement | None] = relationship()
    evidence: Mapped[Evidence | None] = relationship(foreign_keys=[evidence_id])
    corrected: Mapped[Evidence | None] = relationship(foreign_keys=[corrects_evidence_id])
    file: Mapped[StoredFile | None] = relationship()
