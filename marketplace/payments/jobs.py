"""The sweeps of payments: each does one bounded pass and says whether more waits (see web/jobs.py)."""

from __future__ import annotations

import structlog
from flask import current_app
from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError
from marketplace.payments import expiry, freight, notices, rules, statements
from marketplace.payments.charges import collect_charges
from marketplace.payments.closing.shortfalls import post_due_guarantees
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.gateways.protocol import PaymentFound, PaymentGateway
from marketplace.payments.models import Payment
from marketplace.payments.online import jobs as online_jobs
from marketplace.payments.online.closing import close_page
from marketplace.payments.settlement import settle_lines
from marketplace.web.jobs import Job, nudge

LINES_A_PASS = 500
log = structlog.get_logger(__name__)


def bill(session: Session) -> bool:
    """Bill accepted canteen parts."""
    return rules.bill_accepted_parts(session) > 0


def take_statements(session: Session) -> bool:
    """Take in the next lines of the oldest statement that waits."""
    statement = statements.next_statement(session)
    if statement is None:
        return False
    statements.take_statement_lines(session, current_app.extensions["files"], statement)
    nudge("settle lines")
    return True


def apply_waiting_notices(session: Session) -> bool:
    """Apply what the gateway told."""
    applied = notices.apply_notices(session)
    if applied:
        nudge("settle lines")
    return applied > 0


def settle(session: Session) -> bool:
    """Settle accepted and paid lines."""
    return settle_lines(session, limit=LINES_A_PASS) == LINES_A_PASS


def pass_freight(session: Session) -> bool:
    """Give cooperatives the freight of parts that are accepted and paid."""
    return freight.pass_freight_on(session, limit=LINES_A_PASS) == LINES_A_PASS


def distribute(session: Session) -> bool:
    """Share out pools whose evidence arrived."""
    return distribute_pools(session, limit=LINES_A_PASS) == LINES_A_PASS


def guarantee(session: Session) -> bool:
    """Post what is missing in lots that fell due and in closed linkage periods."""
    return post_due_guarantees(session, limit=LINES_A_PASS) == LINES_A_PASS


def collect(session: Session) -> bool:
    """Collect charges that money of their agreement covers by now."""
    return collect_charges(session, limit=LINES_A_PASS) == LINES_A_PASS


def expire(session: Session) -> bool:
    """Close payments whose time is over, at the provider first: the money may have come without a notice.

    No transaction is open during the calls. A payment about which the provider does not answer is asked about again;
    where paying on line was switched off nobody can be asked, and the page has ended by itself.
    """
    overdue = [(payment.id, payment.provider_ref) for payment in expiry.overdue_card_payments(session)]
    session.rollback()
    gateway: PaymentGateway | None = current_app.extensions["gateway"]
    found = {key: close_page(gateway, ref) for key, ref in overdue if ref} if gateway else {}
    for key, ref in overdue:
        may_be_open = gateway is not None and ref is not None
        _close(session, session.get_one(Payment, key), found.get(key), may_be_open=may_be_open)
    expiry.expire_unasked_orders(session)
    return False


def _close(session: Session, payment: Payment, answer: PaymentFound | None, *, may_be_open: bool) -> None:
    """End one payment; one that cannot be ended keeps none of the others waiting."""
    try:
        with session.begin_nested():
            if answer is not None:
                notices.settle_lookup(session, payment, answer)
            elif not may_be_open:
                rules.expire_payment(session, payment)
    except DomainError as refusal:
        log.warning("payment_not_closed", payment=payment.public_no, reason=refusal.code)


JOBS = (
    Job("apply notices", apply_waiting_notices),
    Job(statements.TAKE_STATEMENTS, take_statements),
    Job("bill accepted parts", bill),
    Job("settle lines", settle),
    Job("pass freight on", pass_freight),
    Job("distribute pools", distribute),
    Job("post guarantees", guarantee, every_minutes=10),
    Job("collect charges", collect, every_minutes=5),
    Job("expire card payments", expire),
    *online_jobs.JOBS,
)
