"""The sweep of orders before the harvest (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.procurement.forward.reserving import set_aside_waiting
from marketplace.web.jobs import Job


def reserve(session: Session) -> bool:
    """Set aside what was weighed in, or became free again, for orders that wait for it."""
    return set_aside_waiting(session) > 0


JOBS = (Job("set goods aside", reserve),)
