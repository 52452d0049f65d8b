"""Sending what was planned: transfers to the cooperatives' accounts, and reversals of them.

The provider is called with the stored key and with no transaction open. Killed between the call and its record, the
next run asks the same under the same key and is told what was done. A key the provider may have forgotten by then is
not trusted alone: first our number is looked for there.

    no answer      the same again, under the same key
    a clear no     a transfer gets a new key and is tried again later, unless its account is not ready meanwhile; a
                   reversal is withheld from later transfers of the cooperative
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.identity.actors import SYSTEM
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ProviderAccount,
    ReversalState,
    TransferReversal,
    TransferState,
)
from marketplace.payments.collecting.planning import CLEARING
from marketplace.payments.collecting.standing import is_disputed
from marketplace.payments.gateways.connect import AccountStatus, MoneyMoved, TransferRequest
from marketplace.payments.gateways.protocol import GatewayRefused, GatewayUnavailable
from marketplace.payments.gateways.stripe_connect import StripeCollector

BATCH = 20
TRY_AGAIN_AFTER = timedelta(hours=1)
KEY_LIVES = timedelta(hours=12)  # the provider keeps keys for a day
NO_BALANCE = "balance_insufficient"
KEY_TAKEN = "idempotency_error"
MAX_FAILURE = 120
FIRST_REPEAT = 2
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Transfer:
    """A planned transfer as it was read before the transaction ended."""

    row_id: int
    request: TransferRequest
    keyed_at: datetime


@dataclass(frozen=True)
class _Reversal:
    """A planned reversal, likewise. Its number is its key: it is asked for once."""

    row_id: int
    number: str
    transfer_ref: str
    amount_fen: int
    planned_at: datetime


def send_transfers(session: Session, collector: StripeCollector, *, limit: int = BATCH) -> int:
    """Send up to `limit` planned transfers and as many reversals; returns how many were answered. Ends the caller's
    transaction before it calls."""
    transfers, reversals = _transfers_to_send(session, limit), _reversals_to_send(session, limit)
    session.rollback()
    sent = [(one, _answer_to(partial(_send, collector, one))) for one in transfers]
    back = [(one, _answer_to(partial(_take_back, collector, one))) for one in reversals]
    answered = [
        keep_transfer(session, one.row_id, one.request.idempotency_key, answer)
        for one, answer in sent
        if answer
    ]
    answered += [keep_reversal(session, one.row_id, answer) for one, answer in back if answer]
    session.flush()
    return len(answered)


def _transfers_to_send(session: Session, limit: int) -> list[_Transfer]:
    """Planned transfers whose time has come: the account is ready, the payment is not disputed."""
    query = (
        select(
            CooperativeTransfer.id,
            ProviderAccount.provider_ref,
            CooperativeTransfer.amount_fen,
            Order.public_no,
            CooperativeTransfer.public_no,
            CooperativeTransfer.idempotency_key,
            CooperativeTransfer.keyed_at,
        )
        .join(ProviderAccount, ProviderAccount.id == CooperativeTransfer.account_id)
        .join(OrderPart, OrderPart.id == CooperativeTransfer.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .where(
            CooperativeTransfer.state == TransferState.PLANNED,
            ProviderAccount.status == AccountStatus.READY,
            or_(CooperativeTransfer.next_try_at.is_(None), CooperativeTransfer.next_try_at <= now()),
            ~is_disputed(CooperativeTransfer.payment_id),
        )
        .order_by(CooperativeTransfer.id)
        .limit(limit)
    )
    return [
        _Transfer(row_id, TransferRequest(account_ref or "", fen, group, number, key), keyed_at)
        for row_id, account_ref, fen, group, number, key, keyed_at in session.execute(query)
    ]


def _reversals_to_send(session: Session, limit: int) -> list[_Reversal]:
    query = (
        select(
            TransferReversal.id,
            TransferReversal.public_no,
            CooperativeTransfer.provider_ref,
            TransferReversal.amount_fen,
            TransferReversal.planned_at,
        )
        .join(CooperativeTransfer, CooperativeTransfer.id == TransferReversal.transfer_id)
        .where(TransferReversal.state == ReversalState.PLANNED)
        .order_by(TransferReversal.id)
        .limit(limit)
    )
    return [
        _Reversal(row_id, number, ref or "", fen, at)
        for row_id, number, ref, fen, at in session.execute(query)
    ]


def _send(collector: StripeCollector, one: _Transfer) -> MoneyMoved:
    asked = one.request
    if now() - one.keyed_at > KEY_LIVES:
        found = collector.find_transfer(group=asked.group, reference=asked.reference)
        if found is not None:
            return found
    return collector.send_transfer(asked)


def _take_back(collector: StripeCollector, one: _Reversal) -> MoneyMoved:
    if now() - one.planned_at > KEY_LIVES:
        found = collector.find_reversal(one.transfer_ref, reference=one.number)
        if found is not None:
            return found
    return collector.reverse_transfer(
        one.transfer_ref, one.amount_fen, reference=one.number, idempotency_key=one.number
    )


def _answer_to(call: Callable[[], MoneyMoved]) -> MoneyMoved | GatewayRefused | None:
    """The provider's answer, None when it did not answer: then the same is asked again later."""
    try:
        return call()
    except GatewayRefused as refusal:
        return refusal
    except GatewayUnavailable:
        return None


def keep_transfer(
    session: Session, row_id: int, key: str, answer: MoneyMoved | GatewayRefused
) -> CooperativeTransfer:
    """Keep what the provider answered about a planned transfer asked for under `key`; one that is done, or that has
    another key by now, was answered to another worker."""
    row = session.get_one(
        CooperativeTransfer, row_id, with_for_update={"of": CooperativeTransfer}, populate_existing=True
    )
    if row.state is not TransferState.PLANNED or (
        row.idempotency_key != key and isinstance(answer, GatewayRefused)
    ):
        return row
    if isinstance(answer, GatewayRefused):
        _put_off(session, row, answer)
        return row
    row.state, row.provider_ref, row.done_at, row.failure = (
        TransferState.DONE,
        answer.ref,
        answer.moved_at,
        "",
    )
    session.flush()
    _note(session, "payments.transfer_done", row)
    return row


def _put_off(session: Session, row: CooperativeTransfer, refusal: GatewayRefused) -> None:
    """A clear no: nothing was moved, so that a new key is safe. What an account lacks is asked about at once."""
    row.attempt += 1
    if refusal.code != KEY_TAKEN:  # something was sent under the key: a new one might send it twice
        row.idempotency_key, row.keyed_at = f"{row.public_no}.{row.attempt}", now()
    row.next_try_at, row.failure = now() + TRY_AGAIN_AFTER, refusal.code[:MAX_FAILURE]
    if refusal.code != NO_BALANCE:
        row.account.noticed_at = now()
    log.warning("transfer_refused", transfer=row.public_no, reason=refusal.code, detail=refusal.detail)
    session.flush()
    if row.attempt == FIRST_REPEAT:  # said once, not every hour
        _note(session, "payments.transfer_refused", row)


def keep_reversal(session: Session, row_id: int, answer: MoneyMoved | GatewayRefused) -> TransferReversal:
    """Keep what the provider answered about a planned reversal, and post it; one that was answered stays."""
    row = session.get_one(
        TransferReversal, row_id, with_for_update={"of": TransferReversal}, populate_existing=True
    )
    if row.state is not ReversalState.PLANNED:
        return row
    if isinstance(answer, GatewayRefused):
        row.state, row.failure = ReversalState.REFUSED, answer.code[:MAX_FAILURE]
        session.flush()
        log.warning("reversal_refused", reversal=row.public_no, reason=answer.code, detail=answer.detail)
        _note(session, "payments.transfer_withheld", row)
        return row
    entry = post_entry(
        session,
        EntryDraft(
            kind=EntryKind.TRANSFER_REVERSED,
            idempotency_key=f"transfer_reversal:{row.public_no}",
            occurred_at=answer.moved_at,
            transfers=(
                TransferDraft(CLEARING, AccountKey.cooperative_payable(row.cooperative_id), row.amount_fen),
            ),
            cooperative_id=row.cooperative_id,
            subject=("transfer_reversal", row.id),
        ),
    )
    row.state, row.provider_ref, row.done_at = ReversalState.DONE, answer.ref, answer.moved_at
    row.entry_id = entry.id
    session.flush()
    _note(session, "payments.transfer_reversed", row)
    return row


def _note(session: Session, action: str, row: CooperativeTransfer | TransferReversal) -> None:
    kind = "cooperative_transfer" if isinstance(row, CooperativeTransfer) else "transfer_reversal"
    record_trail(
        session,
        SYSTEM,
        action,
        subject=(kind, row.public_no),
        cooperative_id=row.cooperative_id,
        amount_fen=row.amount_fen,
    )
