"""Checks of late interest: what was claimed follows from its row, and stands in the ledger as its state says.

They read the rows alone (see ledger/checks.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select
from sqlalchemy.orm import Session, joinedload

from marketplace.core.labels import N_
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import (
    CHUNK,
    MAX_FINDINGS,
    Answer,
    Check,
    Finding,
    count_of,
    rows_found,
)
from marketplace.ledger.models import Account, Entry, Transfer
from marketplace.ordering.models import Order
from marketplace.payments.late_interest.computing import Span, days_late, fen_days_of, interest_fen
from marketplace.payments.late_interest.models import InterestState, InterestWaiver, LateInterest
from marketplace.payments.models import Payment


def _interest_of_spans(session: Session) -> Answer:
    """Days, spans and rate give the claimed amount; the spans are unbroken, and end with what the bill was paid."""
    examined, findings, last = 0, list[Finding](), 0
    while len(findings) < MAX_FINDINGS:
        claims = session.scalars(
            select(LateInterest)
            .where(LateInterest.id > last)
            .order_by(LateInterest.id)
            .limit(CHUNK)
            .options(
                joinedload(LateInterest.spans),
                joinedload(LateInterest.payment).joinedload(Payment.order).lazyload(Order.parts),
            )
            .execution_options(populate_existing=True)
        ).unique()
        rows = claims.all()
        if not rows:
            break
        examined, last = examined + len(rows), rows[-1].id
        findings += [_wrong(claim) for claim in rows if not _follows(claim)]
    return examined, findings[:MAX_FINDINGS]


def _follows(claim: LateInterest) -> bool:
    spans = [Span(span.starts_on, span.days, span.owed_fen) for span in claim.spans]
    unbroken = claim.due_on
    for span in spans:
        if span.starts_on != unbroken:
            return False
        unbroken = span.starts_on.fromordinal(span.starts_on.toordinal() + span.days)
    return (
        unbroken == claim.paid_on
        and claim.days_late == days_late(claim.due_on, claim.paid_on)
        and claim.due_on == claim.payment.due_on
        and claim.late_rate_bp == claim.payment.order.late_rate_bp
        and claim.fen_days == fen_days_of(spans)
        and claim.amount_fen == interest_fen(fen_days_of(spans), claim.late_rate_bp)
    )


def _wrong(claim: LateInterest) -> Finding:
    message = N_("逾期利息 %(claim)s 金额 %(amount_fen)s 分，与逾期天数、欠款和利率算出的不符")
    return Finding("interest_of_spans", message, {"claim": claim.public_no, "amount_fen": claim.amount_fen})


def _interest_is_posted(session: Session) -> Answer:
    """What the ledger holds of a claim: all of it while open, all and its payment once paid, nothing once waived."""
    receivable = Account.kind == AccountKind.BUYER_RECEIVABLE
    claimed = _moved(Transfer.debit_account_id, receivable)
    taken = _moved(Transfer.credit_account_id, receivable)
    after = (
        select(Entry.subject_id, func.sum(taken.c.fen).label("fen"))
        .join(taken, taken.c.entry_id == Entry.id)
        .where(Entry.subject_kind == "late_interest")
        .group_by(Entry.subject_id)
        .subquery()
    )
    claimed_fen, after_fen = func.coalesce(claimed.c.fen, 0), func.coalesce(after.c.fen, 0)
    left = case((LateInterest.state == InterestState.OPEN, LateInterest.amount_fen), else_=0)
    waived = LateInterest.state == InterestState.WAIVED
    query = (
        select(
            LateInterest.public_no.label("claim"),
            LateInterest.amount_fen,
            claimed_fen.label("posted_fen"),
            after_fen.label("closed_fen"),
        )
        .outerjoin(claimed, claimed.c.entry_id == LateInterest.entry_id)
        .outerjoin(after, after.c.subject_id == LateInterest.id)
        .outerjoin(
            InterestWaiver,
            and_(InterestWaiver.payment_id == LateInterest.payment_id, InterestWaiver.entry_id.is_not(None)),
        )
        .where(
            or_(
                claimed_fen != LateInterest.amount_fen,
                claimed_fen - after_fen != left,
                waived != InterestWaiver.payment_id.is_not(None),
            )
        )
        .order_by(LateInterest.id)
    )
    message = N_(
        "逾期利息 %(claim)s 金额 %(amount_fen)s 分，记账 %(posted_fen)s 分，收到或免收 %(closed_fen)s 分"
    )
    return count_of(session, LateInterest), rows_found(session, "interest_is_posted", message, query)


def _moved(side: Any, condition: ColumnElement[bool]) -> Subquery:
    """What each entry moved on one side of the accounts that meet `condition`."""
    return (
        select(Transfer.entry_id, func.sum(Transfer.amount_fen).label("fen"))
        .join(Account, Account.id == side)
        .where(condition)
        .group_by(Transfer.entry_id)
        .subquery()
    )


CHECKS: tuple[Check, ...] = (
    Check("interest_of_spans", N_("逾期利息等于欠款乘天数乘利率，一次四舍五入"), _interest_of_spans),
    Check("interest_is_posted", N_("逾期利息按原额记账，付清或免收后不再挂账"), _interest_is_posted),
)
