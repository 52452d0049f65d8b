"""The market's medians, once a day."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.prices.rules import record_live_medians
from marketplace.web.jobs import Job


def take_medians(session: Session) -> bool:
    """Write the day's medians of what is on sale."""
    record_live_medians(session)
    return False


JOBS = (Job("take price medians", take_medians, every_minutes=120),)
