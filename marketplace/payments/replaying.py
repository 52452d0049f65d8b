"""Notices as they were stored, and applying one again: after a mistake was mended, or a kind was learnt.

The bytes were verified when they came, so they are read anew without a signature. Applying twice moves nothing twice:
the rules look at facts, not at the notice.
"""

from __future__ import annotations

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.gateways.protocol import EventKind, PaymentGateway
from marketplace.payments.models import GatewayNotice, NoticeOutcome

REPLAYABLE = (NoticeOutcome.QUEUED, NoticeOutcome.IGNORED, NoticeOutcome.REPEATED)
MOST_AT_ONCE = 1_000


def notices_of(outcome: NoticeOutcome | None) -> Select[GatewayNotice]:
    """Stored notices, the latest first; of one outcome when it is given."""
    query = select(GatewayNotice).order_by(GatewayNotice.id.desc())
    return query if outcome is None else query.where(GatewayNotice.outcome == outcome)


def counts_of_notices(session: Session) -> dict[NoticeOutcome, int]:
    """How many notices there are of each outcome."""
    query = select(GatewayNotice.outcome, func.count()).group_by(GatewayNotice.outcome)
    return {outcome: int(count) for outcome, count in session.execute(query)}


def replay_notice(
    session: Session, actor: Actor, gateway: PaymentGateway | None, event_id: str
) -> GatewayNotice:
    """Let a notice wait to be applied again, read anew from its bytes.

    Raises NotFound for an unknown one, Conflict for one that was applied or that a person has settled.
    """
    actor.require(Permission.MATCH_BANK_LINES)
    notice = session.scalar(select(GatewayNotice).where(GatewayNotice.event_id == event_id).with_for_update())
    if notice is None:
        raise NotFound
    if notice.outcome not in REPLAYABLE:
        raise Conflict("not_replayable", N_("这条通知已经处理过或正在处理，不需要重放"))
    _put_back(notice, gateway)
    record_trail(session, actor, "payments.replay_notice", subject=("gateway_notice", notice.event_id))
    session.flush()
    return notice


def replay_unknown(session: Session, gateway: PaymentGateway | None, *, everything: bool = False) -> int:
    """Let notices of kinds that were not understood wait again, with `everything` also those that wait for a person;
    returns how many, at most MOST_AT_ONCE."""
    outcomes = (NoticeOutcome.IGNORED, NoticeOutcome.QUEUED) if everything else (NoticeOutcome.IGNORED,)
    query = select(GatewayNotice).where(GatewayNotice.outcome.in_(outcomes)).order_by(GatewayNotice.id)
    if not everything:
        query = query.where(GatewayNotice.kind == EventKind.OTHER)
    found = session.scalars(query.limit(MOST_AT_ONCE).with_for_update(skip_locked=True)).all()
    for notice in found:
        _put_back(notice, gateway)
    session.flush()
    return len(found)


def _put_back(notice: GatewayNotice, gateway: PaymentGateway | None) -> None:
    notice.outcome, notice.reason, notice.applied_at = NoticeOutcome.WAITING, "", None
    if not notice.payload or gateway is None:
        return  # found by a look-up, or nobody here can read it
    event = gateway.reread_event(notice.payload.encode())
    notice.kind, notice.amount_fen, notice.failure = event.kind, event.amount_fen, event.failure[:60]
    notice.reference, notice.currency = event.reference[:40], event.currency
    notice.provider_ref, notice.payment_ref = event.provider_ref, event.payment_ref
