"""What is done for rosters while nobody waits: checking them step by step, and taking those that are confirmed."""

from __future__ import annotations

import threading

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.registry.models import ImportState
from marketplace.registry.roster.checking import Step, prepare_step, write_step
from marketplace.registry.roster.queries import next_roster, next_to_take
from marketplace.registry.roster.rules import take_roster
from marketplace.web.jobs import Job
from marketplace.web.transaction import database

CHECK_ROSTERS = "check_rosters"
TAKE_ROSTERS = "take_rosters"
_one_at_a_time = (
    threading.Lock()
)  # a nudge and the clock may wake it together; twice would be twice the reading


def check_rosters(session: Session) -> bool:
    """One step of the oldest roster that waits to be checked. Looks before `session` begins to hold the database."""
    if not _one_at_a_time.acquire(blocking=False):
        return False
    try:
        step = _look()
        if step is None:
            return False
        write_step(session, step)
        return True
    finally:
        _one_at_a_time.release()


def _look() -> Step | None:
    with database().reading() as looking:
        roster = next_roster(looking)
        if roster is None:
            return None
        extensions = current_app.extensions
        return prepare_step(looking, extensions["data_key"], extensions["files"], roster)


def take_rosters(session: Session) -> bool:
    """Take the oldest confirmed roster, whole."""
    roster = next_to_take(session)
    if roster is None:
        return False
    return take_roster(session, roster).state is ImportState.TAKEN


JOBS = (Job(CHECK_ROSTERS, check_rosters), Job(TAKE_ROSTERS, take_rosters))
