"""Rebuilds of the search index that somebody asked for. One at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User


class RebuildState(LabelledEnum):
    """How far a rebuild is."""

    WAITING = "waiting", N_("等待开始")
    RUNNING = "running", N_("正在重建")
    DONE = "done", N_("已完成")
    CANCELLED = "cancelled", N_("已取消")
    FAILED = "failed", N_("未完成")


class IndexRebuild(Base):
    """A rebuild: who asked for it, how many listings of how many are read, how it ended.

    `open_mark` is 1 until it has ended and NULL after that, so that the database holds one open rebuild at most.
    """

    __tablename__ = "index_rebuild"
    __table_args__ = (
        CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="finished"),
        CheckConstraint("(finished_at IS NULL) = (open_mark IS NOT NULL)", name="open"),
        CheckConstraint("open_mark = 1", name="open_mark"),
        CheckConstraint("done_count >= 0 AND total_count >= 0", name="counts"),
        Index("uq_index_rebuild_open", "open_mark", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("X"))
    asked_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    state: Mapped[RebuildState] = mapped_column(code_of(RebuildState, "state"), default=RebuildState.WAITING)
    open_mark: Mapped[int | None] = mapped_column(default=1)
    done_count: Mapped[int] = mapped_column(default=0)
    total_count: Mapped[int] = mapped_column(default=0)
    progressed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    cancel_asked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    finished_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    reason: Mapped[str] = mapped_column(String(200), default="")

    asker: Mapped[User] = relationship(lazy="joined")
