"""E-mail leaves: links that confirm an address, and messages whose people want them by e-mail.

The mailer is called with no transaction open: a batch is handed over whole, then recorded. A crash between sends the
same mails once more, under the same Message-IDs, which mail programs show once.
"""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import force_locale, gettext
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.notices.events import BY_NAME
from marketplace.notices.mailers import Mail, Mailer, MailRefused, MailUnavailable
from marketplace.notices.models import EmailAddress, EmailState, Message
from marketplace.notices.queries import MOST_TRIES, waiting_confirmations, waiting_mails

BATCH = 20
AddressOf = Callable[[str], str]  # the whole address of a path


def send_confirmations(session: Session, mailer: Mailer, address_of: AddressOf) -> int:
    """Send the links that confirm addresses; returns how many left."""
    mails = {row.user_id: _confirming(row, address_of) for row in waiting_confirmations(session, limit=BATCH)}
    session.rollback()
    states = {user_id: _hand_over(mailer, mail) for user_id, mail in mails.items()}
    sent = 0
    for user_id, state in states.items():
        row = session.get(EmailAddress, user_id)
        if row is not None and state is not None and mails[user_id].key.endswith(row.token[:12]):
            row.asked_mail_at = now()
            sent += state is EmailState.SENT
    session.flush()
    return sent


def send_messages(session: Session, mailer: Mailer, address_of: AddressOf) -> int:
    """Send messages that wait; returns how many were taken or given up."""
    mails = {row.id: _telling(row, to, address_of) for row, to in waiting_mails(session, limit=BATCH)}
    session.rollback()
    states = {message_id: _hand_over(mailer, mail) for message_id, mail in mails.items()}
    done = 0
    for message_id, state in states.items():
        message = session.get_one(Message, message_id)
        if message.email_state is not EmailState.WAITING:
            continue  # another worker was quicker, or the person wants no e-mail any more
        message.email_tries += 1
        is_last = message.email_tries >= MOST_TRIES
        if state is not None or is_last:
            message.email_state = state or EmailState.FAILED
            message.emailed_at = now() if state is EmailState.SENT else None
            done += 1
    session.flush()
    return done


def _hand_over(mailer: Mailer, mail: Mail) -> EmailState | None:
    """What became of it; None when it is to be tried again."""
    try:
        mailer.send(mail)
    except MailRefused:
        return EmailState.FAILED
    except MailUnavailable:
        return None
    return EmailState.SENT


def _confirming(row: EmailAddress, address_of: AddressOf) -> Mail:
    with force_locale(row.user.locale):
        lines = (
            gettext("%(name)s，您好：", name=row.user.display_name),
            "",
            gettext("请打开下面的链接，确认今后的通知发到这个邮箱。链接两天内有效。"),
            address_of(f"/account/notices/confirm/{row.token}"),
            "",
            gettext("如果不是您本人操作，请不用理会这封邮件。"),
        )
        return Mail(row.address, gettext("确认您的邮箱"), "\n".join(lines), f"confirm-{row.token[:12]}")


def _telling(row: Message, to: str, address_of: AddressOf) -> Mail:
    with force_locale(row.user.locale):
        title = title_of(row)
        lines = (
            gettext("%(name)s，您好：", name=row.user.display_name),
            "",
            title,
            address_of(f"/inbox/{row.public_no}"),
            "",
            gettext("在“消息 → 通知设置”里可以选择收哪些邮件。"),
        )
        return Mail(to, title, "\n".join(lines), row.public_no)


def title_of(message: Message) -> str:
    """The words of a message in the reader's language; the bare number when its event is no longer known."""
    event = BY_NAME.get(message.event)
    return gettext(event.title, no=message.subject_no) if event else message.subject_no
