"""Reading one's own messages and wishes."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.notices.models import (
    EmailAddress,
    EmailState,
    Message,
    NoticeCategory,
    NoticePreference,
)

MOST_TRIES = 12  # the last one after a day and a half


def messages_of(actor: Actor, *, only_unread: bool = False) -> Select[tuple[Message]]:
    """The actor's messages, newest first."""
    query = select(Message).where(Message.user_id == actor.user_id).order_by(Message.id.desc())
    return query.where(Message.read_at.is_(None)) if only_unread else query


def message_by_no(session: Session, actor: Actor, number: str) -> Message:
    """One of the actor's messages. Raises NotFound."""
    found = session.scalar(messages_of(actor).where(Message.public_no == number))
    if found is None:
        raise NotFound
    return found


def unread_count(session: Session, actor: Actor) -> int:
    """How many messages of the actor are unread."""
    own = select(func.count()).where(Message.user_id == actor.user_id, Message.read_at.is_(None))
    return session.scalar(own) or 0


def wishes_of(session: Session, actor: Actor) -> dict[NoticeCategory, tuple[bool, bool]]:
    """(in the inbox, by e-mail) for each category."""
    rows = session.scalars(select(NoticePreference).where(NoticePreference.user_id == actor.user_id))
    chosen = {row.category: (row.in_inbox, row.by_email) for row in rows}
    return {category: chosen.get(category, (True, True)) for category in NoticeCategory}


def address_of(session: Session, actor: Actor) -> EmailAddress | None:
    """Where the actor's e-mail goes, confirmed or not."""
    return session.get(EmailAddress, actor.user_id) if actor.user_id is not None else None


def waiting_mails(session: Session, *, limit: int) -> list[tuple[Message, str]]:
    """Messages whose e-mail is to be tried now, with the confirmed address: those tried least first, of these the
    oldest. After k tries the next one is due 2^k minutes after what is told, so that a server may be down for a day."""
    query = (
        select(Message, EmailAddress.address)
        .join(EmailAddress, EmailAddress.user_id == Message.user_id)
        .where(Message.email_state == EmailState.WAITING, EmailAddress.confirmed_at.is_not(None), _is_due())
        .order_by(Message.email_tries, Message.id)
        .limit(limit)
    )
    return [(message, address) for message, address in session.execute(query)]


def _is_due() -> ColumnElement[bool]:
    spaced = (
        (Message.email_tries == tries) & (Message.at <= now() - timedelta(minutes=2**tries))
        for tries in range(1, MOST_TRIES)
    )
    return or_(Message.email_tries == 0, *spaced)


def waiting_confirmations(session: Session, *, limit: int) -> list[EmailAddress]:
    """Addresses to which the confirming link was not sent yet."""
    query = select(EmailAddress).where(EmailAddress.asked_mail_at.is_(None)).limit(limit)
    return list(session.scalars(query.order_by(EmailAddress.user_id)))
