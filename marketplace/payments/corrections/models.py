"""Correction sets: what a registry event changes of the credits already given, frozen until two people agree."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User
from marketplace.registry.models import Household, Region

OPEN = text("state = 'proposed'")


class CorrectionKind(LabelledEnum):
    """What became of a household on the register."""

    INELIGIBLE = "ineligible", N_("不符合条件")
    MERGED = "merged", N_("并户")
    SPLIT = "split", N_("分户")
    MOVED = "moved", N_("迁移")


class CorrectionState(LabelledEnum):
    """One person proposes, another agrees or declines."""

    PROPOSED = "proposed", N_("待另一人复核")
    POSTED = "posted", N_("已记账")
    DECLINED = "declined", N_("未同意")


class CorrectionSet(Base):
    """A proposal. `content_hash` is of its lines: what is agreed to is what was read, or nothing.

    `cooperative_id` is set when only one cooperative's credits change; a household has one open set at a time.
    """

    __tablename__ = "correction_set"
    __table_args__ = (
        CheckConstraint("(state = 'proposed') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("decided_by <> proposed_by", name="two_people"),
        CheckConstraint("state <> 'declined' OR note <> ''", name="declined_with_reason"),
        CheckConstraint(
            "(kind IN ('merged', 'split')) = (other_household_id IS NOT NULL)", name="other_household"
        ),
        CheckConstraint("other_household_id <> household_id", name="two_households"),
        CheckConstraint("(kind = 'split') = (share_bp IS NOT NULL)", name="share_of_split"),
        CheckConstraint("share_bp > 0 AND share_bp < 10000", name="share"),
        CheckConstraint("(kind = 'moved') = (village_code IS NOT NULL)", name="village_of_move"),
        CheckConstraint(
            "taken_fen >= 0 AND given_fen >= 0 AND taken_fen = given_fen + unallocated_fen", name="amounts"
        ),
        Index(
            "uq_correction_set_open", "household_id", unique=True, sqlite_where=OPEN, postgresql_where=OPEN
        ),
        Index("ix_correction_set_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("GZ"))
    kind: Mapped[CorrectionKind] = mapped_column(code_of(CorrectionKind, "kind"))
    state: Mapped[CorrectionState] = mapped_column(
        code_of(CorrectionState, "state"), default=CorrectionState.PROPOSED
    )
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    other_household_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("cooperative.id"), index=True)
    county_code: Mapped[str] = mapped_column(ForeignKey("region.code"), index=True)
    from_on: Mapped[date]
    share_bp: Mapped[int | None]
    village_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    reason: Mapped[str] = mapped_column(String(300))
    pools: Mapped[int]
    taken_fen: Mapped[int] = mapped_column(BigInteger)
    given_fen: Mapped[int] = mapped_column(BigInteger)
    unallocated_fen: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[str] = mapped_column(String(64))
    proposed_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    note: Mapped[str] = mapped_column(String(300), default="")

    household: Mapped[Household] = relationship(foreign_keys=[household_id], lazy="joined")
    other_household: Mapped[Household | None] = relationship(foreign_keys=[other_household_id], lazy="joined")
    village: Mapped[Region | None] = relationship(foreign_keys=[village_code])
    proposer: Mapped[User] = relationship(foreign_keys=[proposed_by])
    decider: Mapped[User | None] = relationship(foreign_keys=[decided_by])


class CorrectionLine(Base):
    """What a household has of a pool before, and would have after. Append-only.

    A household that changes nothing of a pool has no line; what nobody is left to get goes back to what waits.
    """

    __tablename__ = "correction_line"
    __table_args__ = (
        UniqueConstraint("set_id", "pool_id", "household_id"),
        CheckConstraint("before_fen >= 0 AND after_fen >= 0 AND before_fen <> after_fen", name="change"),
        Index("ix_correction_line_pool", "pool_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    set_id: Mapped[int] = mapped_column(ForeignKey("correction_set.id"))
    pool_id: Mapped[int] = mapped_column(ForeignKey("linkage_pool.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    before_fen: Mapped[int] = mapped_column(BigInteger)
    after_fen: Mapped[int] = mapped_column(BigInteger)

    household: Mapped[Household] = relationship()
