"""The sweep of standing orders: windows whose cut-off has passed become orders (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.procurement.standing.generation import generate_deliveries
from marketplace.web.jobs import Job


def generate(session: Session) -> bool:
    """Order, hold or skip the windows that are due."""
    return generate_deliveries(session) > 0


JOBS = (Job("generate deliveries", generate, every_minutes=5),)
