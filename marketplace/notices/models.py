"""Messages to people, where their e-mail goes, and what they want to hear of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import User


class NoticeCategory(LabelledEnum):
    """What a message is about; people choose by it."""

    ORDERS = "orders", N_("订单与发货")
    MONEY = "money", N_("付款与退款")
    REVIEWS = "reviews", N_("审核结果")


class EmailState(LabelledEnum):
    """Where the e-mail of a message stands; most messages have none."""

    NONE = "none", N_("不发邮件")
    WAITING = "waiting", N_("待发送")
    SENT = "sent", N_("已发送")
    FAILED = "failed", N_("没有发出")


UNREAD = text("read_at IS NULL")
WAITS = text("email_state = 'waiting'")


class Message(Base):
    """One person is told of one row of the trail, once. `event` names the words (events.py); `subject_no` is what the
    words and the link are about."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("user_id", "trail_id"),
        CheckConstraint("(email_state = 'sent') = (emailed_at IS NOT NULL)", name="emailed"),
        Index("ix_message_user", "user_id", "id"),
        Index("ix_message_unread", "user_id", sqlite_where=UNREAD, postgresql_where=UNREAD),
        Index("ix_message_waiting", "id", sqlite_where=WAITS, postgresql_where=WAITS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("XX"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    trail_id: Mapped[int] = mapped_column(ForeignKey("trail_entry.id"), index=True)
    event: Mapped[str] = mapped_column(String(60))
    category: Mapped[NoticeCategory] = mapped_column(code_of(NoticeCategory, "category"))
    subject_no: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(UtcInstant)
    read_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    email_state: Mapped[EmailState] = mapped_column(
        code_of(EmailState, "email_state"), default=EmailState.NONE
    )
    email_tries: Mapped[int] = mapped_column(default=0)
    emailed_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    user: Mapped[User] = relationship()


class NoticeCursor(Base):
    """The last row of the trail that was looked at, and the last one from before there were inboxes, which is nobody's
    news. One row."""

    __tablename__ = "notice_cursor"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, default=1)
    trail_id: Mapped[int]
    begun_after_id: Mapped[int]


class EmailAddress(Base):
    """Where a person's e-mail goes. Nothing is sent there but the link that confirms it, until it is confirmed."""

    __tablename__ = "email_address"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True, autoincrement=False)
    address: Mapped[str] = mapped_column(String(200))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    asked_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    asked_mail_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    user: Mapped[User] = relationship()


class NoticePreference(Base):
    """What a person chose for a category; without a row both are on, e-mail as far as there is a confirmed address."""

    __tablename__ = "notice_preference"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True, autoincrement=False)
    category: Mapped[NoticeCategory] = mapped_column(code_of(NoticeCategory, "category"), primary_key=True)
    in_inbox: Mapped[bool]
    by_email: Mapped[bool]
