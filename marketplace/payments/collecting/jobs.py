"""The sweeps of a platform that collects: what is due is planned, what is planned is sent, accounts are asked about.

They do nothing where the platform does not collect (see web/jobs.py and `Settings.card_collection`).
"""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.payments.collecting.account_rules import ask_about_accounts
from marketplace.payments.collecting.planning import plan_transfers
from marketplace.payments.collecting.sending import BATCH, send_transfers
from marketplace.payments.gateways.stripe_connect import StripeCollector
from marketplace.web.jobs import Job, nudge

SEND = "send transfers"


def current_collector() -> StripeCollector | None:
    """The provider as a platform that collects uses it, None where this one does not."""
    collector: StripeCollector | None = current_app.extensions["collector"]
    return collector


def plan(session: Session) -> bool:
    """Plan transfers of what is due to cooperatives, and what is to be taken back."""
    planned = plan_transfers(session) if current_collector() is not None else 0
    if planned:
        nudge(SEND)
    return planned > 0


def send(session: Session) -> bool:
    """Send planned transfers and reversals."""
    collector = current_collector()
    return collector is not None and send_transfers(session, collector) >= BATCH


def ask(session: Session) -> bool:
    """Ask about accounts of which the provider said that they changed, and now and then about all."""
    collector = current_collector()
    if collector is not None:
        ask_about_accounts(session, collector)
    return False


JOBS = (
    Job("ask about accounts", ask),
    Job("plan transfers", plan, every_minutes=10),
    Job(SEND, send),
)
