"""A cooperative's account with the provider: asked for once, handed in on the provider's page, asked about ever after.

The row with its key is stored before the provider is called, in a transaction of its own (the caller's), and the answer
is kept in another. Messages of the provider only say that it is time to ask; an answer counts when its question was put
after that of the answer that stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from marketplace.core.clock import now
from marketplace.core.errors import NotFound
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.collecting.models import ProviderAccount
from marketplace.payments.gateways.connect import AccountStatus, AccountTold
from marketplace.payments.gateways.protocol import GatewayError
from marketplace.payments.gateways.stripe_connect import StripeCollector
from marketplace.registry.models import Cooperative

BATCH = 20
ASK_WAITING_EVERY = timedelta(minutes=30)
ASK_READY_EVERY = timedelta(days=1)
MAX_REASON = 120
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AccountQuestion:
    """What to ask the provider about an account, read before the transaction ended. An account that was never answered
    is opened again under its number, which is its key: the provider gives the first one."""

    account_id: int
    number: str
    name: str
    provider_ref: str | None
    asked_at: datetime

    def put(self, collector: StripeCollector) -> AccountTold:
        """Call the provider. Raises GatewayUnavailable, GatewayRefused."""
        if self.provider_ref is not None:
            return collector.find_account(self.provider_ref)
        return collector.open_account(
            reference=self.number, name=self.name, idempotency_key=f"account.{self.number}"
        )


def request_account(session: Session, actor: Actor) -> AccountQuestion:
    """The account of the actor's cooperative is to be opened; asked for again it is the first one.

    Raises Forbidden for who does not manage a cooperative.
    """
    actor.require(Permission.MANAGE_COOPERATIVE)
    if actor.cooperative_id is None:
        raise NotFound
    cooperative = session.get_one(Cooperative, actor.cooperative_id)
    account = account_of(session, cooperative.id)
    if account is None:
        account = _store(session, actor, cooperative)
    return question_about(account)


def _store(session: Session, actor: Actor, cooperative: Cooperative) -> ProviderAccount:
    account = ProviderAccount(cooperative_id=cooperative.id, opened_by=actor.user_id)
    try:
        with session.begin_nested():
            session.add(account)
    except IntegrityError:  # a colleague asked at the same moment
        return session.scalars(
            select(ProviderAccount).where(ProviderAccount.cooperative_id == cooperative.id)
        ).one()
    record_trail(session, actor, "payments.open_account", subject=("provider_account", account.public_no))
    return account


def account_of(session: Session, cooperative_id: int) -> ProviderAccount | None:
    """The account of a cooperative, None when it asked for none."""
    return session.scalar(select(ProviderAccount).where(ProviderAccount.cooperative_id == cooperative_id))


def question_about(account: ProviderAccount) -> AccountQuestion:
    """The question about an account as of now."""
    return AccountQuestion(
        account.id, account.public_no, account.cooperative.name, account.provider_ref, now()
    )


def keep_told(session: Session, question: AccountQuestion, told: AccountTold) -> ProviderAccount:
    """Keep an answer, unless a later question was answered already."""
    account = session.get_one(
        ProviderAccount,
        question.account_id,
        with_for_update={"of": ProviderAccount},
        populate_existing=True,
    )
    if account.asked_at is not None and account.asked_at > question.asked_at:
        return account
    before = account.status
    account.provider_ref, account.status, account.asked_at = told.ref, told.status, question.asked_at
    if account.noticed_at is not None and account.noticed_at <= question.asked_at:
        account.noticed_at = None
    account.wanted, account.due_at, account.reason = list(told.wanted), told.due_at, told.reason[:MAX_REASON]
    session.flush()
    if told.status is not before:
        record_trail(
            session,
            SYSTEM,
            f"payments.account_{told.status.value}",
            subject=("provider_account", account.public_no),
            cooperative_id=account.cooperative_id,
        )
    return account


def note_change(session: Session, provider_ref: str) -> ProviderAccount | None:
    """The provider says that an account changed: it is to be asked about. None when it is no account of ours."""
    query = select(ProviderAccount).where(ProviderAccount.provider_ref == provider_ref)
    account = session.scalar(query.with_for_update(of=ProviderAccount))
    if account is not None:
        account.noticed_at = now()
        session.flush()
    return account


def ask_about_accounts(session: Session, collector: StripeCollector, *, limit: int = BATCH) -> int:
    """Ask about up to `limit` accounts whose turn it is; returns how many were answered. Ends the caller's transaction
    before it calls."""
    questions = [question_about(account) for account in session.scalars(_to_ask(limit))]
    session.rollback()
    answers = [(question, _answer(question, collector)) for question in questions]
    kept = [keep_told(session, question, told) for question, told in answers if told is not None]
    return len(kept)


def _to_ask(limit: int) -> Select[tuple[ProviderAccount]]:
    """What a message spoke of first, then what was asked about longest ago. One that was restricted by the provider is
    asked about like one that is ready."""
    waits = ProviderAccount.status.in_(
        (AccountStatus.OPENING, AccountStatus.DETAILS_WANTED, AccountStatus.UNDER_REVIEW)
    )
    asked = func.coalesce(ProviderAccount.asked_at, ProviderAccount.opened_at)
    return (
        select(ProviderAccount)
        .where(
            or_(
                ProviderAccount.noticed_at.is_not(None),
                and_(waits, asked <= now() - ASK_WAITING_EVERY),
                asked <= now() - ASK_READY_EVERY,
            )
        )
        .options(joinedload(ProviderAccount.cooperative))
        .order_by(ProviderAccount.noticed_at.is_(None), asked, ProviderAccount.id)
        .limit(limit)
    )


def _answer(question: AccountQuestion, collector: StripeCollector) -> AccountTold | None:
    """The provider's answer; None when there is none or it refuses to speak of the account: asked again later."""
    try:
        return question.put(collector)
    except GatewayError as error:
        log.warning("account_not_answered", account=question.number, reason=error.code)
        return None
