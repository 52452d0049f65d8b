"""Sheets that were uploaded to the catalogue: the file, what its check found, and whether its good rows were taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.sheet_work import STOPPED, SWEPT, WITHIN, SheetWork


class SheetKind(LabelledEnum):
    """What the rows of a sheet are."""

    REFERENCES = "references", N_("参考价表")
    LISTINGS = "listings", N_("商品表")


class CatalogSheet(SheetWork, Base):
    """One uploaded sheet of an organisation; `findings` name row, column, message and its params, never a cell's text.

    Counts are of the last check, or of what was taken.
    """

    __tablename__ = "catalog_sheet"
    __table_args__ = (
        Index("ix_catalog_sheet_organisation", "organisation_id", "kind", "id"),
        CheckConstraint("rows_good >= 0 AND rows_bad >= 0", name="not_negative"),
        CheckConstraint("(state = 'taken') = (taken_at IS NOT NULL)", name="taken"),
        Index("ix_catalog_sheet_going_on", "id", sqlite_where=SWEPT, postgresql_where=SWEPT),
        CheckConstraint(WITHIN, name="rows_done"),
        CheckConstraint(STOPPED, name="stopped"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("CS"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[SheetKind] = mapped_column(code_of(SheetKind, "kind"))
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    content_hash: Mapped[str] = mapped_column(String(64), index=True)
    file_name: Mapped[str] = mapped_column(String(200))
    uploaded_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)
