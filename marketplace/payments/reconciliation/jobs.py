"""The daily comparison: yesterday, once the provider has answered (see web/jobs.py)."""

from __future__ import annotations

from datetime import date, timedelta

import structlog
from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import start_of, today
from marketplace.payments.gateways.protocol import GatewayError, PaymentGateway
from marketplace.payments.reconciliation.models import Channel, ReconciliationRun
from marketplace.payments.reconciliation.moves import next_since
from marketplace.payments.reconciliation.rules import reconcile_bank, reconcile_card
from marketplace.web.jobs import Job

log = structlog.get_logger(__name__)


def reconcile_day(session: Session, day: date) -> list[ReconciliationRun]:
    """Compare both channels as of the end of `day`. No transaction is open while the provider is asked.

    Raises GatewayError when it does not answer: then nothing of the day is kept.
    """
    gateway: PaymentGateway | None = current_app.extensions["gateway"]
    since = next_since(session)
    session.rollback()
    until = start_of(day + timedelta(days=1))
    moves = gateway.balance_moves(since, until) if gateway is not None and since < until else []
    made = [reconcile_card(session, day, moves)] if gateway is not None else []
    return [*made, reconcile_bank(session, day)]


def reconcile_yesterday(session: Session) -> bool:
    """Compare yesterday, once."""
    day = today() - timedelta(days=1)
    done = select(ReconciliationRun.id).where(
        ReconciliationRun.channel == Channel.BANK_TRANSFER, ReconciliationRun.day == day
    )
    if session.scalar(done.limit(1)) is not None:
        return False
    try:
        reconcile_day(session, day)
    except GatewayError as error:  # asked again at the next round
        log.warning("not_reconciled", day=day.isoformat(), reason=error.code)
    return False


JOBS = (Job("reconcile yesterday", reconcile_yesterday, every_minutes=30),)
