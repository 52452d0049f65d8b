"""The sweep of refunds: money goes back through the card gateway (see web/jobs.py)."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.payments.gateways.protocol import PaymentGateway
from marketplace.payments.refunds.sending import BATCH, send_refunds
from marketplace.web.jobs import Job


def send(session: Session) -> bool:
    """Send card refunds back to the buyers."""
    gateway: PaymentGateway | None = current_app.extensions["gateway"]
    return gateway is not None and send_refunds(session, gateway) == BATCH


JOBS = (Job("send refunds", send),)
