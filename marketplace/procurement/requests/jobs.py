"""The sweeps of requests (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.procurement.requests.reopening import reopen_fallen
from marketplace.procurement.requests.rules import BATCH, close_due_requests
from marketplace.web.jobs import Job


def close(session: Session) -> bool:
    """Mark requests whose deadline has passed as closed."""
    return close_due_requests(session) == BATCH


def reopen(session: Session) -> bool:
    """Take up again the requests of which nothing came."""
    return reopen_fallen(session) == BATCH


JOBS = (Job("close requests", close), Job("reopen requests", reopen))
