"""The sweeps of vouchers (see web/jobs.py)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.payments.vouchers.counter import set_off_vouchers
from marketplace.payments.vouchers.rules import BATCH, close_lapsed_batches
from marketplace.payments.vouchers.spending import BATCH as RELEASED, release_vouchers
from marketplace.web.jobs import Job, nudge


def set_off(session: Session) -> bool:
    """Let redeemed vouchers pay their bills."""
    paid = set_off_vouchers(session)
    if paid:
        nudge("settle lines")
    return paid == BATCH


def lapse(session: Session) -> bool:
    """End batches after their last day."""
    return close_lapsed_batches(session) == BATCH


def release(session: Session) -> bool:
    """Let go what was promised to orders that were called off."""
    return release_vouchers(session) == RELEASED


JOBS = (
    Job("set off vouchers", set_off),
    Job("release vouchers", release),
    Job("close lapsed vouchers", lapse, every_minutes=30),
)
