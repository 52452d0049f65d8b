"""The sweep of requests (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.procurement.requests.rules import BATCH, close_due_requests
from marketplace.web.jobs import Job


def close(session: Session) -> bool:
    """Mark requests whose deadline has passed as closed."""
    return close_due_requests(session) == BATCH


JOBS = (Job("close requests", close),)
