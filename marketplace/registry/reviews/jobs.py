"""What is done for reviews while nobody waits."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.registry.reviews import rules
from marketplace.web.jobs import Job

ROUND = 200


def close_notices(session: Session) -> bool:
    """Pass on the cases whose notice ran out without an open objection."""
    return (
        rules.close_notices(session, outcomes=current_app.extensions["review_outcomes"], limit=ROUND) == ROUND
    )


JOBS = (Job("close_notices", close_notices, every_minutes=10),)
