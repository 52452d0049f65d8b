"""The sweeps of deposits (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.payments.deposits import rules
from marketplace.procurement.forward.delivering import finish_forwards
from marketplace.web.jobs import Job, nudge


def ask(session: Session) -> bool:
    """Ask for the deposits of confirmed orders before the harvest."""
    return rules.ask_deposits(session) == rules.BATCH


def set_off(session: Session) -> bool:
    """Set deposits off against bills, and give back what is left when nothing more can come."""
    paid = rules.set_off_deposits(session)
    finish_forwards(session)
    rules.return_deposits(session)
    if paid:
        nudge("settle lines")
    return paid == rules.BATCH


JOBS = (Job("ask deposits", ask), Job("set off deposits", set_off))
