"""The rows of a roster between checking and taking: read once, checked across each other, then taken set-based.

Removed when the roster is taken. ID numbers are sealed for the household member they become.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.core.db import Base, code_of
from marketplace.registry.models import HouseholdStatusKind


class RosterRow(Base):
    """One person of a roster. What could not be read is None, and the row is then not good.

    `household_no`, `member_no` and `enrolment_no` are the public numbers of the rows it may become.
    """

    __tablename__ = "roster_row"
    __table_args__ = (
        UniqueConstraint("import_id", "row"),
        Index("ix_roster_row_household", "import_id", "registry_no", "row"),
        Index("ix_roster_row_person", "import_id", "id_number_index"),
        Index("ix_roster_row_number", "import_id", "person_no"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("roster_import.id"))
    row: Mapped[int]
    is_good: Mapped[bool]
    registry_no: Mapped[str | None] = mapped_column(String(10))
    head_name: Mapped[str | None] = mapped_column(String(60))
    village_code: Mapped[str | None] = mapped_column(String(12))
    person_no: Mapped[str | None] = mapped_column(String(12))
    name: Mapped[str | None] = mapped_column(String(60))
    relation: Mapped[str | None] = mapped_column(String(20))
    is_head: Mapped[bool] = mapped_column(default=False)
    id_number_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    id_number_index: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    status: Mapped[HouseholdStatusKind | None] = mapped_column(code_of(HouseholdStatusKind, "status"))
    valid_from: Mapped[date | None]
    phone: Mapped[str | None] = mapped_column(String(20))
    household_no: Mapped[str] = mapped_column(String(16))
    member_no: Mapped[str] = mapped_column(String(16))
    enrolment_no: Mapped[str] = mapped_column(String(16))
