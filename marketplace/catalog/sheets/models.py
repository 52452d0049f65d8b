"""Sheets that were uploaded to the catalogue: the file, what its check found, and whether its good rows were taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum


class SheetKind(LabelledEnum):
    """What the rows of a sheet are."""

    REFERENCES = "references", N_("参考价表")
    LISTINGS = "listings", N_("商品表")


class SheetState(LabelledEnum):
    """Checked: nothing is kept yet. Taken: the good rows are."""

    CHECKED = "checked", N_("待确认")
    TAKEN = "taken", N_("已录入")


class CatalogSheet(Base):
    """One uploaded sheet of an organisation; `findings` name row, column, message and its params, never a cell's text.

    Counts are of the last check, or of what was taken.
    """

    __tablename__ = "catalog_sheet"
    __table_args__ = (
        Index("ix_catalog_sheet_organisation", "organisation_id", "kind", "id"),
        CheckConstraint("rows_good >= 0 AND rows_bad >= 0", name="not_negative"),
        CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name="taken"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CS"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[SheetKind] = mapped_column(code_of(SheetKind, "kind"))
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    content_hash: Mapped[str] = mapped_column(String(64), index=True)
    file_name: Mapped[str] = mapped_column(String(200))
    state: Mapped[SheetState] = mapped_column(code_of(SheetState, "state"), default=SheetState.CHECKED)
    rows_good: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    uploaded_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)
