"""The sweep of pages that were left open at the provider (see web/jobs.py)."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.payments.gateways.protocol import PaymentGateway
from marketplace.payments.online.closing import close_page, keep_closed, left_pages
from marketplace.web.jobs import Job


def close_left_pages(session: Session) -> bool:
    """Close pages nobody shall pay at any more. No transaction is open during the calls."""
    pages = left_pages(session)
    session.rollback()
    gateway: PaymentGateway | None = current_app.extensions["gateway"]
    answers = {key: close_page(gateway, ref) for key, ref in pages if ref} if gateway else {}
    for key, ref in pages:
        if ref is None or answers.get(key) is not None:
            keep_closed(session, key, answers.get(key))
    return False


JOBS = (Job("close left pages", close_left_pages),)
