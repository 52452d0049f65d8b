"""How e-mail leaves: to an SMTP server, or, where none is set, into a folder as files that any mail program opens."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from marketplace.core.clock import now
from marketplace.core.errors import DomainError
from marketplace.core.labels import N_

TIMEOUT_SECONDS = 20


class MailUnavailable(DomainError):
    """The server did not take the mail now; it is tried again."""

    status = 503

    def __init__(self, reason: str) -> None:
        super().__init__("mail_unavailable", N_("邮件暂时发不出去，稍后会再试"))
        self.reason = reason


class MailRefused(DomainError):
    """The server will not take this mail; trying again is of no use."""

    def __init__(self, reason: str) -> None:
        super().__init__("mail_refused", N_("邮件被收件服务器拒收，请核对邮箱地址"))
        self.reason = reason


@dataclass(frozen=True)
class Mail:
    """One mail: plain text; `key` names it, so that a mail that leaves twice is recognised as one."""

    to: str
    subject: str
    text: str
    key: str


class Mailer(Protocol):
    """Takes mails."""

    def send(self, mail: Mail) -> None:
        """Hand a mail over. Raises MailUnavailable to be tried again, MailRefused for good."""
        ...


def written(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it goes over the wire."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
    message["Date"] = format_datetime(now())
    message["Message-ID"] = f"<{mail.key}@{make_msgid().rpartition('@')[2]}"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


class FolderMailer:
    """Writes each mail into a folder."""

    def __init__(self, folder: Path, sender: str) -> None:
        self.folder = folder
        self.sender = sender

    def send(self, mail: Mail) -> None:
        """Write it under its key; a second time writes the same file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{mail.key}.eml").write_bytes(bytes(written(mail, self.sender)))


class SmtpMailer:
    """Speaks to a server: smtp://user:password@host:587 (STARTTLS where offered) or smtps://…:465."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("SMTP_URL is smtp://user:password@host:port or smtps://…")
        self.host, self.is_secure = parts.hostname, parts.scheme == "smtps"
        self.port = parts.port or (465 if self.is_secure else 587)
        self.user, self.password = unquote(parts.username or ""), unquote(parts.password or "")
        self.sender = sender

    def send(self, mail: Mail) -> None:
        """Hand it over in a connection of its own."""
        try:
            with self._open() as server:
                server.send_message(written(mail, self.sender))
        except smtplib.SMTPRecipientsRefused as error:
            raise MailRefused(str(error)) from error
        except smtplib.SMTPResponseException as error:
            kind = MailRefused if error.smtp_code >= 500 and error.smtp_code != 535 else MailUnavailable
            raise kind(f"{error.smtp_code}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailUnavailable(type(error).__name__) from error

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.is_secure:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
            elif self.user:  # a password is never said aloud
                server.close()
                raise MailUnavailable("STARTTLS is not offered")
        if self.user:
            server.login(self.user, self.password)
        return server
