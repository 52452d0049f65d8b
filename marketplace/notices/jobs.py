"""The sweeps of notices."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from config import Settings
from marketplace.notices import sending
from marketplace.notices.collecting import collect_messages
from marketplace.notices.mailers import Mailer
from marketplace.web.jobs import Job


def _mailer() -> Mailer:
    found: Mailer = current_app.extensions["mailer"]
    return found


def _whole(path: str) -> str:
    settings: Settings = current_app.config["SETTINGS"]
    return settings.public_url + path


def confirm(session: Session) -> bool:
    """Send the links that confirm addresses."""
    return sending.send_confirmations(session, _mailer(), _whole) >= sending.BATCH


def send(session: Session) -> bool:
    """Send messages by e-mail; what could not leave waits for the next round."""
    return sending.send_messages(session, _mailer(), _whole) >= sending.BATCH


JOBS = (
    Job("collect messages", collect_messages),
    Job("confirm e-mail addresses", confirm),
    Job("send messages", send),
)
