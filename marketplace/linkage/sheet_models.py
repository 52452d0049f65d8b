"""Sheets of evidence that were uploaded: the file, what its check found, and whether its good rows were taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.linkage.models import Lot
from marketplace.linkage.sheet_work import STOPPED, SWEPT, WITHIN, SheetWork


class EvidenceSheet(SheetWork, Base):
    """One uploaded sheet; `findings` name row, column, message and its params, never what stands in a cell.

    Sums are of the good rows of the last check, or of what was taken; `household_ids` are those the sums are of.
    """

    __tablename__ = "evidence_sheet"
    __table_args__ = (
        Index("ix_evidence_sheet_cooperative", "cooperative_id", "format", "id"),
        CheckConstraint("rows_good >= 0 AND rows_bad >= 0 AND amount_fen >= 0", name="not_negative"),
        CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name="taken"),
        Index("ix_evidence_sheet_going_on", "id", sqlite_where=SWEPT, postgresql_where=SWEPT),
        CheckConstraint(WITHIN, name="rows_done"),
        CheckConstraint(STOPPED, name="stopped"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("ES"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    format: Mapped[str] = mapped_column(String(40))
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    content_hash: Mapped[str] = mapped_column(String(64), index=True)
    file_name: Mapped[str] = mapped_column(String(200))
    households: Mapped[int] = mapped_column(default=0)
    household_ids: Mapped[list[int]] = mapped_column(JSON, default=list)
    amount_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    lot: Mapped[Lot | None] = relationship()
