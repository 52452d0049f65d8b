"""Sheets of evidence that were uploaded: the file, what its check found, and whether its good rows were taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.models import Lot


class SheetState(LabelledEnum):
    """Checked: nothing is recorded yet. Taken: the good rows are."""

    CHECKED = "checked", N_("待确认")
    TAKEN = "taken", N_("已入账")


class EvidenceSheet(Base):
    """One uploaded sheet; `findings` name row, column, message and its params, never what stands in a cell.

    Sums are of the good rows of the last check, or of what was taken.
    """

    __tablename__ = "evidence_sheet"
    __table_args__ = (
        Index("ix_evidence_sheet_cooperative", "cooperative_id", "format", "id"),
        CheckConstraint("rows_good >= 0 AND rows_bad >= 0 AND amount_fen >= 0", name="not_negative"),
        CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name="taken"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("ES"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    format: Mapped[str] = mapped_column(String(40))
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    content_hash: Mapped[str] = mapped_column(String(64), index=True)
    file_name: Mapped[str] = mapped_column(String(200))
    state: Mapped[SheetState] = mapped_column(code_of(SheetState, "state"), default=SheetState.CHECKED)
    rows_good: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    households: Mapped[int] = mapped_column(default=0)
    amount_fen: Mapped[int] = mapped_column(BigInteger, default=0)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    lot: Mapped[Lot | None] = relationship()
