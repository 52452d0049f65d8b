"""What a dispute moves.

    inquiry   nothing: the payer's bank only asks; it is closed, or becomes a dispute
    opened    clearing of the channel -> an account of its own: the provider has taken the money back
    won       the opposite
    lost      the cooperatives bear it: cooperative payable -> the held account. A refund that was agreed to and not
              sent is met by it: clearing -> cooperative payable. When the whole payment is lost, a part
              that was never shipped is called off and its money leaves escrow: what was lost goes to the cooperative
              that bore it, what vouchers paid to their unit; its goods are free again

A household keeps what it was credited, whether paid out or not. Messages come in any order: a status only moves
forward.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.core.money import split_by_weights
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ordering.models import OrderPart
from marketplace.payments.disputes.models import DisputeLoss, PaymentDispute
from marketplace.payments.disputes.queries import INQUIRED
from marketplace.payments.gateways.disputes import DisputeStatus, DisputeTold
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.refunds.lost_parts import refund_lost_part
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.payments.refunds.queries import BEFORE_SHIPPING
from marketplace.payments.refunds.ways import left_of
from marketplace.payments.rules import hold_payment

CLEARING = AccountKey.clearing(PaymentMethod.CARD.value)
HELD = AccountKey.clearing("card_disputed")
FORWARD = {status: place for place, status in enumerate(DisputeStatus)}
MET_BY_LOSS = N_("买方的银行已把这笔款退给买方，不再另退")
MAX_EVIDENCE = 2_000
ENDED = (DisputeStatus.CLOSED, DisputeStatus.WON, DisputeStatus.LOST)


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
            state=DisputeStatus.INQUIRY if told.status in INQUIRED else DisputeStatus.NEEDS_ANSWER,
            due_at=told.due_at,
            opened_at=told.opened_at,
        )
        session.add(dispute)
        session.flush()
        if dispute.state is DisputeStatus.INQUIRY:
            _note(session, SYSTEM, "payments.dispute_inquired", dispute)
        else:
            _hold_money(session, dispute, payment, told.opened_at)
    if FORWARD[told.status] > FORWARD[dispute.state] and dispute.state not in ENDED:
        _move_on(session, dispute, payment, told)
    return dispute


def _hold_money(session: Session, dispute: PaymentDispute, payment: Payment, at: datetime) -> None:
    held = (TransferDraft(HELD, CLEARING, dispute.amount_fen),)
    _post(session, dispute, EntryKind.DISPUTE_HELD, held, at)
    _tell(session, dispute, payment, "opened")


def _move_on(session: Session, dispute: PaymentDispute, payment: Payment, told: DisputeTold) -> None:
    status = told.status
    if dispute.state is DisputeStatus.INQUIRY and status is not DisputeStatus.CLOSED:
        dispute.due_at = told.due_at
        _hold_money(session, dispute, payment, now())
    dispute.state = status
    if status in ENDED:
        dispute.ended_at = now()
    session.flush()
    if status is DisputeStatus.WON:
        back = (TransferDraft(CLEARING, HELD, dispute.amount_fen),)
        _post(session, dispute, EntryKind.DISPUTE_WON, back, now())
        _tell(session, dispute, payment, "won")
    elif status is DisputeStatus.LOST:
        _bear(session, dispute, payment)
        _tell(session, dispute, payment, "lost")
    elif status is DisputeStatus.CLOSED:
        _note(session, SYSTEM, "payments.dispute_closed", dispute)


def _bear(session: Session, dispute: PaymentDispute, payment: Payment) -> None:
    """The cooperatives of the order bear a loss, each by what was here of the payment for its part."""
    parts = sorted(payment.order.parts, key=lambda part: part.id)
    left = {part.id: left_of(session, part, payment).own_fen for part in parts}
    unsent = _unsent_refunds(session, payment)
    here = [left[part.id] + sum(one.own_fen for one in unsent if one.part_id == part.id) for part in parts]
    weights = here if any(here) else [part.total_fen + part.freight_fen for part in parts]
    for part, share in zip(parts, split_by_weights(dispute.amount_fen, weights), strict=True):
        if share:
            _keep_loss(session, dispute, part, share)
    session.flush()
    if dispute.amount_fen < sum(here):
        return
    for refund in unsent:
        _meet_by_loss(session, dispute, refund)
    for part in parts:
        if left[part.id] and part.state in BEFORE_SHIPPING:
            refund_lost_part(session, dispute, part, payment, lost_fen=left[part.id])


def _unsent_refunds(session: Session, payment: Payment) -> list[Refund]:
    """Refunds of the payment that were agreed to and never left: the buyer's bank took their money as well."""
    query = select(Refund).where(
        Refund.payment_id == payment.id,
        Refund.method == PaymentMethod.CARD,
        Refund.state.in_((RefundState.AGREED, RefundState.FAILED)),
    )
    return list(session.scalars(query.order_by(Refund.id).with_for_update(of=Refund)))


def _keep_loss(session: Session, dispute: PaymentDispute, part: OrderPart, fen: int) -> None:
    transfer = TransferDraft(AccountKey.cooperative_payable(part.cooperative_id), HELD, fen)
    entry = _post(session, dispute, EntryKind.DISPUTE_LOST, (transfer,), now(), suffix=f":{part.id}")
    session.add(DisputeLoss(dispute_id=dispute.id, part_id=part.id, amount_fen=fen, entry_id=entry.id))


def _meet_by_loss(session: Session, dispute: PaymentDispute, refund: Refund) -> None:
    """What a refund was to send to the buyer came by the dispute: it is not sent, and who gave it has it back."""
    back = TransferDraft(CLEARING, AccountKey.cooperative_payable(refund.cooperative_id), refund.own_fen)
    _post(session, dispute, EntryKind.DISPUTE_LOST, (back,), now(), suffix=f":refund:{refund.id}")
    refund.state, refund.failure, refund.returned_at = RefundState.RETURNED, MET_BY_LOSS, now()
    session.flush()


def _post(
    session: Session,
    dispute: PaymentDispute,
    kind: EntryKind,
    transfers: tuple[TransferDraft, ...],
    at: datetime,
    *,
    suffix: str = "",
) -> Entry:
    owners = {key.cooperative_id for one in transfers for key in (one.debit, one.credit)} - {None}
    draft = EntryDraft(
        kind=kind,
        idempotency_key=f"{kind.value}:{dispute.provider_ref}{suffix}",
        occurred_at=at,
        transfers=transfers,
        cooperative_id=owners.pop() if owners else None,
        subject=("payment_dispute", dispute.id),
    )
    return post_entries(session, [draft])[0]


def require_answerable(actor: Actor, dispute: PaymentDispute) -> None:
    """Raise Forbidden for who may not answer, Conflict when the bank wants nothing more."""
    actor.require(Permission.MATCH_BANK_LINES)
    if not dispute.wants_answer:
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
    """What was sent to the provider, and where the dispute stands now. Its payment is held first, as a notice does."""
    hold_payment(session, dispute.payment)
    session.refresh(dispute, with_for_update={"of": PaymentDispute})
    dispute.evidence, dispute.answered_by, dispute.answered_at = evidence, actor.user_id, now()
    _note(session, actor, "payments.answer_dispute" if evidence else "payments.accept_dispute", dispute)
    return take_dispute(session, dispute.payment, told)


def _tell(session: Session, dispute: PaymentDispute, payment: Payment, action: str) -> None:
    """The trail of the dispute, and of each part for the cooperative that delivers it."""
    _note(session, SYSTEM, f"payments.dispute_{action}", dispute)
    for part in payment.order.parts:
        record_trail(
            session,
            SYSTEM,
            f"payments.part_dispute_{action}",
            subject=("order_part", part.public_no),
            cooperative_id=part.cooperative_id,
        )


def _note(session: Session, actor: Actor, action: str, dispute: PaymentDispute) -> None:
    session.flush()
    record_trail(
        session, actor, action, subject=("payment_dispute", dispute.public_no), amount_fen=dispute.amount_fen
    )
