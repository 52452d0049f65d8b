"""The sweep of deliveries nobody inspected in time (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.procurement.receiving.rules import BATCH, accept_overdue
from marketplace.web.jobs import Job, nudge


def deem_accepted(session: Session) -> bool:
    """Deem accepted what nobody inspected by its last day."""
    accepted = accept_overdue(session)
    if accepted:
        nudge("bill accepted parts")
        nudge("settle lines")
    return accepted == BATCH


JOBS = (Job("accept uninspected goods", deem_accepted, every_minutes=10),)
