"""Closing a linkage period: one person prepares the figures, another of the same cooperative confirms them.

Confirming posts what households miss and what village collectives keep, and locks the period, in one transaction.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ledger.writing import account_ids
from marketplace.linkage.as_of import last_entitlement_id
from marketplace.linkage.mechanisms.asset_lease.queries import retained_by_village
from marketplace.linkage.models import LinkagePeriod, PeriodState
from marketplace.payments.closing.models import ClosingState, PeriodClosing
from marketplace.payments.closing.queries import closing_of, figures_hash, is_over, totals_of_period
from marketplace.payments.closing.shortfalls import create_accounts, post_shortfalls, shortfalls


def prepare_closing(session: Session, actor: Actor, period: LinkagePeriod) -> PeriodClosing:
    """Freeze the figures of a period for another person to confirm, in place of what was prepared before.

    Raises Refused while the period is not over, Conflict when it is closed, NotFound for another cooperative's.
    """
    user_id = _require_own(actor, period)
    _hold(session, period)
    before = closing_of(session, period.id)
    if before is not None:
        before.state = ClosingState.CANCELLED
        session.flush()
    figures = totals_of_period(session, period.id)
    closing = PeriodClosing(
        period_id=period.id,
        period=period,
        as_of_entitlement_id=session.scalar(select(last_entitlement_id())) or 0,
        figures_hash=figures_hash(session, period.id),
        households=figures.households,
        due_fen=figures.due_fen,
        credited_fen=figures.credited_fen,
        standing_fen=figures.standing_fen,
        top_up_fen=figures.top_up_fen,
        village_fen=sum(retained_by_village(session, period.id).values()),
        prepared_by=user_id,
    )
    session.add(closing)
    session.flush()
    _record(session, actor, "payments.prepare_closing", closing)
    return closing


def withdraw_closing(session: Session, actor: Actor, closing: PeriodClosing) -> PeriodClosing:
    """Give up what was prepared. Raises Conflict when it is not waiting any more."""
    _require_own(actor, closing.period)
    _hold(session, closing.period)
    _refuse_settled(session, closing)
    closing.state = ClosingState.CANCELLED
    _record(session, actor, "payments.withdraw_closing", closing)
    return closing


def confirm_closing(session: Session, actor: Actor, closing: PeriodClosing) -> PeriodClosing:
    """Post what is missing and lock the period.

    Raises Refused for the person who prepared it, Conflict when it is closed already, was withdrawn, or the figures
    have changed since; NotFound for another cooperative's. Then nothing has changed.
    """
    user_id = _require_own(actor, closing.period)
    period = closing.period
    create_accounts(session, shortfalls(session, lots=(), periods=(period.id,), closed_only=False))
    account_ids(session, {_village(period, code) for code in retained_by_village(session, period.id)})
    _hold(session, period)
    _refuse_settled(session, closing)
    if closing.prepared_by == user_id:
        raise Refused("same_person", N_("准备关账的人不能自己确认，请另一位同事确认"))
    if figures_hash(session, period.id) != closing.figures_hash:
        raise Conflict("figures_changed", N_("准备之后又有新的凭据或入账，数字变了，请重新准备关账"))
    found = shortfalls(session, lots=(), periods=(period.id,), closed_only=False)
    post_shortfalls(session, found, actor_user_id=user_id)
    _post_village_rents(session, period, user_id)
    period.state = PeriodState.CLOSED
    closing.state, closing.confirmed_by, closing.confirmed_at = ClosingState.CONFIRMED, user_id, now()
    session.flush()
    _record(session, actor, "payments.confirm_closing", closing)
    return closing


def _require_own(actor: Actor, period: LinkagePeriod) -> int:
    """The actor's user id. Raises Forbidden, or NotFound for another cooperative's period."""
    actor.require(Permission.CLOSE_PERIODS)
    if actor.cooperative_id is None or actor.user_id is None:
        raise Forbidden
    if period.cooperative_id != actor.cooperative_id:
        raise NotFound
    return actor.user_id


def _hold(session: Session, period: LinkagePeriod) -> None:
    """Hold the period against credits and entitlements. Raises Conflict when closed, Refused when not over."""
    session.refresh(period, with_for_update={"of": LinkagePeriod})
    if period.state is PeriodState.CLOSED:
        raise Conflict("period_closed", N_("这个联结期已经关账"))
    if not is_over(period):
        message = N_("联结期到 %(day)s 才结束，结束以后才能关账")
        raise Refused("period_not_over", message, day=period.ends_on.isoformat())


def _refuse_settled(session: Session, closing: PeriodClosing) -> None:
    session.refresh(closing, ["state"])
    if closing.state is not ClosingState.PREPARED:
        raise Conflict("closing_withdrawn", N_("这次关账准备已撤回，请重新准备"))


def _village(period: LinkagePeriod, village_code: str) -> AccountKey:
    return AccountKey.village_payable(village_code, period.cooperative_id)


def _post_village_rents(session: Session, period: LinkagePeriod, user_id: int) -> None:
    """What the village collectives keep of the rents of the period, by one entry."""
    source = AccountKey.cooperative_payable(period.cooperative_id)
    transfers = tuple(
        TransferDraft(source, _village(period, code), fen)
        for code, fen in sorted(retained_by_village(session, period.id).items())
        if fen
    )
    if not transfers:
        return
    post_entry(
        session,
        EntryDraft(
            kind=EntryKind.VILLAGE_RENT,
            idempotency_key=f"village_rent:period:{period.id}",
            occurred_at=now(),
            transfers=transfers,
            cooperative_id=period.cooperative_id,
            subject=("linkage_period", period.id),
            actor_user_id=user_id,
        ),
    )


def _record(session: Session, actor: Actor, action: str, closing: PeriodClosing) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("linkage_period", closing.period.public_no),
        top_up_fen=closing.top_up_fen,
        households=closing.households,
        closing=closing.public_no,
    )
