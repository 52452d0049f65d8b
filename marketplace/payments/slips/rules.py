"""Issuing income slips, and withdrawing them.

A household issues its own; a cooperative, a village clerk or a reviewer hands one over to a household that has no
telephone. Auditors read and change nothing, so they issue none.
"""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now, start_of, today
from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.slips.models import TOKEN_LENGTH, IncomeSlip, SlipWithdrawal
from marketplace.payments.slips.queries import content_hash, figures_of
from marketplace.payments.withdrawing import withdrawal_reason
from marketplace.registry.models import Household
from marketplace.registry.queries import household_by_no

MOST_DAYS = 5 * 366
MOST_A_DAY = 20  # slips of one household; more are an accident or an attack


def may_issue(actor: Actor, household: Household) -> bool:
    """Whether the actor may issue a slip of a household it sees: the household itself, and who works with it."""
    if household.user_id is not None and household.user_id == actor.user_id:
        return actor.can(Permission.READ_OWN_INCOME)
    return actor.can(Permission.READ_HOUSEHOLDS) and not actor.can(Permission.READ_AUDIT)


def issue_slip(
    session: Session, actor: Actor, *, household: Household, since: date, until: date, idempotency_key: str
) -> IncomeSlip:
    """Issue the slip of a household over the days [since, until], both included; a cooperative's of its money alone.

    The same key gives the same slip again. Raises NotFound, Forbidden, Refused.
    """
    household = household_by_no(session, actor, household.public_no)
    if not may_issue(actor, household):
        raise Forbidden
    first = session.scalar(
        select(IncomeSlip).where(
            IncomeSlip.household_id == household.id, IncomeSlip.idempotency_key == idempotency_key
        )
    )
    if first is not None:
        return first
    _check_days(since, until)
    _check_number(session, household)
    number, token, issued_at = public_no("SL"), public_no("T", length=TOKEN_LENGTH), now()
    figures = figures_of(
        session, household.id, since, until, known_at=issued_at, cooperative_id=actor.cooperative_id
    ).document()
    slip = IncomeSlip(
        public_no=number,
        token=token,
        household=household,
        cooperative_id=actor.cooperative_id,
        since_on=since,
        until_on=until,
        figures=figures,
        content_hash=content_hash(
            number=number, token=token, since=since, until=until, issued_at=issued_at, figures=figures
        ),
        idempotency_key=idempotency_key,
        issued_by=actor.user_id,
        issued_at=issued_at,
    )
    session.add(slip)
    session.flush()
    record_trail(
        session,
        actor,
        "payments.issue_slip",
        subject=("income_slip", slip.public_no),
        household_id=household.id,
        county_code=household.county_code,
        amount_fen=figures["credited_fen"],
    )
    return slip


def _check_days(since: date, until: date) -> None:
    if since > until:
        raise Refused("slip_span", N_("开始日期不能晚于结束日期"), field="since")
    if until > today():
        raise Refused("slip_future", N_("结束日期不能晚于今天"), field="until")
    if until - since >= timedelta(days=MOST_DAYS):
        raise Refused("slip_long", N_("一张凭条最多写五年，请分开出具"), field="since")


def _check_number(session: Session, household: Household) -> None:
    issued = session.scalar(
        select(func.count(IncomeSlip.id)).where(
            IncomeSlip.household_id == household.id, IncomeSlip.issued_at >= start_of(today())
        )
    )
    if (issued or 0) >= MOST_A_DAY:
        raise Refused("slip_too_many", N_("这户今天已经出具了 %(most)s 张凭条，请明天再来"), most=MOST_A_DAY)


def withdraw_slip(session: Session, actor: Actor, slip: IncomeSlip, *, reason: str) -> SlipWithdrawal:
    """Say that a slip no longer counts: for the household itself, and for who issued it.

    Raises Forbidden, Refused, Conflict.
    """
    is_own = slip.household.user_id is not None and slip.household.user_id == actor.user_id
    if not is_own and slip.issued_by != actor.user_id:
        raise Forbidden
    if not may_issue(actor, slip.household):
        raise Forbidden
    why = withdrawal_reason(reason)
    if session.get(SlipWithdrawal, slip.id) is not None:
        raise Conflict("slip_withdrawn", N_("这张凭条已经作废了"))
    withdrawal = SlipWithdrawal(slip_id=slip.id, reason=why, withdrawn_by=actor.user_id)
    session.add(withdrawal)
    session.flush()
    session.expire(slip, ["withdrawal"])
    record_trail(
        session,
        actor,
        "payments.withdraw_slip",
        subject=("income_slip", slip.public_no),
        household_id=slip.household_id,
        county_code=slip.household.county_code,
    )
    return withdrawal
