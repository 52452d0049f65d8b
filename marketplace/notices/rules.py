"""Reading messages, naming an e-mail address, and choosing what to hear of."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.notices.models import (
    EmailAddress,
    EmailState,
    Message,
    NoticeCategory,
    NoticePreference,
)

MOST_ADDRESS = 200
CONFIRM_HOURS = 48
ASK_AGAIN_MINUTES = 5


def read_message(session: Session, message: Message) -> Message:
    """The person has seen it; seen again it stays seen when it was."""
    if message.read_at is None:
        message.read_at = now()
        session.flush()
    return message


def read_all(session: Session, actor: Actor) -> int:
    """Mark everything as read; how many were not."""
    own = update(Message).where(Message.user_id == actor.user_id, Message.read_at.is_(None))
    return int(session.execute(own.values(read_at=now())).rowcount)  # type: ignore[attr-defined]


def name_email_address(session: Session, actor: Actor, address: str) -> EmailAddress:
    """Let e-mail go to an address once it is confirmed; naming it again sends the link again.

    Raises Refused for what is no address, Conflict when a link was asked for a few minutes ago.
    """
    if actor.user_id is None:
        raise NotFound
    text = address.strip()
    if not is_address(text):
        raise Refused("email_address", N_("请填写完整的邮箱地址，例如 name@example.cn"), field="address")
    kept = session.get(EmailAddress, actor.user_id, with_for_update=True)
    if kept is not None and kept.confirmed_at is not None and kept.address == text:
        return kept
    if kept is not None and now() - kept.asked_at < timedelta(minutes=ASK_AGAIN_MINUTES):
        raise Conflict("asked_already", N_("确认邮件刚刚已发出，请稍等几分钟再试"), field="address")
    token = secrets.token_urlsafe(32)
    if kept is None:
        kept = EmailAddress(user_id=actor.user_id, address=text, token=token)
        session.add(kept)
    else:
        kept.address, kept.token, kept.asked_at = text, token, now()
        kept.asked_mail_at = kept.confirmed_at = None
    session.flush()
    return kept


def is_address(text: str) -> bool:
    """Whether a text is one address with a domain, short enough to keep and safe in a header."""
    if not text.isascii() or len(text) > MOST_ADDRESS or any(c.isspace() for c in text):
        return False
    try:
        parsed = Address(addr_spec=text)
    except (ValueError, IndexError, HeaderParseError):
        return False
    return bool(parsed.username) and "." in parsed.domain.strip(".")


def confirm_email_address(session: Session, token: str) -> EmailAddress:
    """The link that was sent was opened. Raises NotFound for an unknown link or one older than two days."""
    kept = session.scalar(select(EmailAddress).where(EmailAddress.token == token))
    if kept is None or now() - kept.asked_at > timedelta(hours=CONFIRM_HOURS):
        raise NotFound
    kept.confirmed_at = kept.confirmed_at or now()
    session.flush()
    return kept


def forget_email_address(session: Session, actor: Actor) -> None:
    """No e-mail any more; what waited is not sent."""
    session.execute(delete(EmailAddress).where(EmailAddress.user_id == actor.user_id))
    waiting = update(Message).where(
        Message.user_id == actor.user_id, Message.email_state == EmailState.WAITING
    )
    session.execute(waiting.values(email_state=EmailState.NONE))


def choose_notices(
    session: Session, actor: Actor, wishes: Mapping[NoticeCategory, tuple[bool, bool]]
) -> None:
    """Keep what the actor wants of each category: in the inbox, by e-mail."""
    if actor.user_id is None:
        raise NotFound
    for category, (in_inbox, by_email) in wishes.items():
        kept = session.get(NoticePreference, (actor.user_id, category))
        if kept is None:
            kept = NoticePreference(user_id=actor.user_id, category=category)
            session.add(kept)
        kept.in_inbox, kept.by_email = in_inbox, by_email
    session.flush()
