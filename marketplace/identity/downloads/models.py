"""Files somebody asked for that the worker makes. The bytes lie sealed in a folder; the row says how far they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User


class FileState(LabelledEnum):
    """Where a file stands. Only one that is ready can be taken, and only until it expires."""

    WAITING = "waiting", N_("等待开始")
    RUNNING = "running", N_("正在准备")
    READY = "ready", N_("可以下载")
    CANCELLED = "cancelled", N_("已取消")
    FAILED = "failed", N_("没有做成")
    EXPIRED = "expired", N_("已到期删除")


OPEN = (FileState.WAITING, FileState.RUNNING)


class PreparedFile(Base):
    """A file: who asked for it, of what (`kind` with `params`), how many of its rows are written, how it ended.

    `open_key` names what was asked until it has ended and is NULL after that: the database holds one open file of a
    kind with the same params for a person. `attempt` counts the workers that took it on, so that one which was given
    up as lost can no longer say anything.
    """

    __tablename__ = "prepared_file"
    __table_args__ = (
        UniqueConstraint("asked_by", "open_key"),
        CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="finished"),
        CheckConstraint("(finished_at IS NULL) = (open_key IS NOT NULL)", name="open"),
        CheckConstraint("(state IN ('ready', 'expired')) = (expires_at IS NOT NULL)", name="expires"),
        CheckConstraint("(state = 'failed') = (reason <> '')", name="reason"),
        CheckConstraint(
            "done_count >= 0 AND total_count >= 0 AND size_bytes >= 0 AND attempt >= 0", name="not_negative"
        ),
        Index("ix_prepared_file_asked_by", "asked_by", "id"),
        Index("ix_prepared_file_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("DL"))
    asked_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    kind: Mapped[str] = mapped_column(String(40))
    params: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    locale: Mapped[str] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(200))
    state: Mapped[FileState] = mapped_column(code_of(FileState, "state"), default=FileState.WAITING)
    open_key: Mapped[str | None] = mapped_column(String(64))
    attempt: Mapped[int] = mapped_column(default=0)
    done_count: Mapped[int] = mapped_column(default=0)
    total_count: Mapped[int] = mapped_column(default=0)
    progressed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    finished_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    reason: Mapped[str] = mapped_column(String(200), default="")

    asker: Mapped[User] = relationship()

    @property
    def stored_name(self) -> str:
        """What its bytes are called in the folder; those of an attempt that was given up have another name."""
        return f"{self.public_no}.{self.attempt}"
