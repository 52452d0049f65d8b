"""The sweep of payouts: batches that are approved and have no file yet get it (see web/jobs.py)."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.payments.payouts.rules import next_to_send, send_batch
from marketplace.web.jobs import Job

SEND_PAYOUTS = "send payouts"


def send(session: Session) -> bool:
    """Write the bank's file of one approved batch."""
    batch = next_to_send(session)
    if batch is None:
        return False
    send_batch(session, current_app.extensions["data_key"], current_app.extensions["files"], batch)
    return True


JOBS = (Job(SEND_PAYOUTS, send),)
