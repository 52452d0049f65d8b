"""Recognitions follow the calendar: one lapses with its certificate or its cooperative."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.recognition.rules import lapse_recognitions
from marketplace.web.jobs import Job

ROUND = 200


def lapse(session: Session) -> bool:
    """Let end what has lost its ground."""
    return lapse_recognitions(session, limit=ROUND) == ROUND


JOBS = (Job("lapse recognitions", lapse, every_minutes=30),)
