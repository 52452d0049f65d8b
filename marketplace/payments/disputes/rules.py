"""What a dispute moves.

    opened    clearing of the channel -> an account of its own: the provider has taken the money back
    won       the opposite
    lost      the cooperatives bear it: cooperative payable -> the held account; of a part that was never shipped the
              money lies in escrow and goes from there, and its goods are free again

A household keeps what it was credited, whether paid out or not. Messages come in any order: a status only moves
forward.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.core.money import split_by_weights
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ordering.models import OrderPart
from marketplace.ordering.rules import move_part
from marketplace.ordering.states import PartEvent
from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.gateways.disputes import DisputeStatus, DisputeTold
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.refunds.models import Refund, RefundedLine
from marketplace.payments.refunds.queries import BEFORE_SHIPPING

CLEARING = AccountKey.clearing(PaymentMethod.CARD.value)
HELD = AccountKey.clearing("card_disputed")
FORWARD = {status: place for place, status in enumerate(DisputeStatus)}
MAX_EVIDENCE = 2_000
ENDED = (DisputeStatus.WON, DisputeStatus.LOST)


def take_dispute(session: Session, payment: Payment, told: DisputeTold) -> PaymentDispute:
    """Keep what the provider says of a dispute of `payment` (held), and post what follows; safe to repeat."""
    dispute = session.scalar(
        select(PaymentDispute).where(PaymentDispute.provider_ref == told.ref).with_for_update()
    )
    if dispute is None:
        dispute = PaymentDispute(
            payment_id=payment.id,
            provider_ref=told.ref,
            amount_fen=told.amount_fen,
            reason=told.reason[:60],
            state=DisputeStatus.NEEDS_ANSWER,
            due_at=told.due_at,
            opened_at=told.opened_at,
        )
        session.add(dispute)
        session.flush()
        _post(
            session,
            dispute,
            EntryKind.DISPUTE_HELD,
            (TransferDraft(HELD, CLEARING, dispute.amount_fen),),
            told.opened_at,
        )
        _note(session, SYSTEM, "payments.dispute_opened", dispute)
    if FORWARD[told.status] > FORWARD[dispute.state] and dispute.state not in ENDED:
        _move_on(session, dispute, payment, told.status)
    return dispute


def _move_on(session: Session, dispute: PaymentDispute, payment: Payment, status: DisputeStatus) -> None:
    dispute.state = status
    if status in ENDED:
        dispute.ended_at = now()
    session.flush()
    if status is DisputeStatus.WON:
        back = (TransferDraft(CLEARING, HELD, dispute.amount_fen),)
        _post(session, dispute, EntryKind.DISPUTE_WON, back, now())
        _note(session, SYSTEM, "payments.dispute_won", dispute)
    elif status is DisputeStatus.LOST:
        _bear(session, dispute, payment)
        _note(session, SYSTEM, "payments.dispute_lost", dispute)


def _bear(session: Session, dispute: PaymentDispute, payment: Payment) -> None:
    """The cooperatives of the order bear a loss, each by what is left of its part, to the fen."""
    parts = sorted(payment.order.parts, key=lambda part: part.id)
    left = _left_of_parts(session, parts)
    weights = [max(left[part.id], 0) for part in parts]
    shares = split_by_weights(
        dispute.amount_fen, weights if any(weights) else [part.total_fen for part in parts]
    )
    is_whole = dispute.amount_fen == sum(weights)
    transfers = []
    for part, share in zip(parts, shares, strict=True):
        if not share:
            continue
        unshipped = is_whole and part.state in BEFORE_SHIPPING
        payer = AccountKey.escrow if unshipped else AccountKey.cooperative_payable
        transfers.append(TransferDraft(payer(part.cooperative_id), HELD, share))
        if unshipped:
            move_part(session, SYSTEM, part, PartEvent.DECLINE, note=N_("付款争议败诉"), system=True)
    for number, transfer in enumerate(transfers):
        _post(session, dispute, EntryKind.DISPUTE_LOST, (transfer,), now(), suffix=f":{number}")


def _left_of_parts(session: Session, parts: list[OrderPart]) -> dict[int, int]:
    """What each part cost less what was given back of it, in fen."""
    query = (
        select(Refund.part_id, func.sum(RefundedLine.amount_fen))
        .join(Refund, Refund.id == RefundedLine.refund_id)
        .where(Refund.part_id.in_([part.id for part in parts]))
        .group_by(Refund.part_id)
    )
    refunded = dict(session.execute(query).all())
    return {part.id: part.total_fen - int(refunded.get(part.id, 0)) for part in parts}


def _post(
    session: Session,
    dispute: PaymentDispute,
    kind: EntryKind,
    transfers: tuple[TransferDraft, ...],
    at: datetime,
    *,
    suffix: str = "",
) -> None:
    owners = {key.cooperative_id for one in transfers for key in (one.debit, one.credit)} - {None}
    draft = EntryDraft(
        kind=kind,
        idempotency_key=f"{kind.value}:{dispute.provider_ref}{suffix}",
        occurred_at=at,
        transfers=transfers,
        cooperative_id=owners.pop() if owners else None,
        subject=("payment_dispute", dispute.id),
    )
    post_entries(session, [draft])


def require_answerable(actor: Actor, dispute: PaymentDispute) -> None:
    """Raise Forbidden for who may not answer, Conflict when the bank wants nothing more."""
    actor.require(Permission.MATCH_BANK_LINES)
    if dispute.state is not DisputeStatus.NEEDS_ANSWER:
        raise Conflict("dispute_answered", N_("这笔争议已经提交过证据或已裁定，请刷新后查看"))


def evidence_of(text: str) -> str:
    """Evidence in words as it may be sent. Raises Refused when there is none or too much."""
    words = text.strip()
    if not words or len(words) > MAX_EVIDENCE:
        raise Refused("evidence", N_("请用 2000 字以内写明发货、签收和沟通的情况"), field="evidence")
    return words


def keep_answer(
    session: Session, actor: Actor, dispute: PaymentDispute, told: DisputeTold, *, evidence: str
) -> PaymentDispute:
    """What was sent to the provider, and where the dispute stands now."""
    dispute.evidence, dispute.answered_by, dispute.answered_at = evidence, actor.user_id, now()
    _note(session, actor, "payments.answer_dispute" if evidence else "payments.accept_dispute", dispute)
    return take_dispute(session, dispute.payment, told)


def _note(session: Session, actor: Actor, action: str, dispute: PaymentDispute) -> None:
    session.flush()
    record_trail(
        session, actor, action, subject=("payment_dispute", dispute.public_no), amount_fen=dispute.amount_fen
    )
