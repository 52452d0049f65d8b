"""Late interest through its life: claimed when the late money came, paid by a transfer of its own, or waived.

    claimed    receivable of the unit -> cooperative payable       outside the line value and its linkage pools
    paid       clearing -> receivable
    waived     cooperative payable -> receivable                   reverses what was claimed, if anything was

The bill itself never waits for its interest: the sum of the bill marks the part paid, whatever becomes of the claim.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, now
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ordering.rules import required_reason
from marketplace.payments.gateways.remittance_codes import new_code
from marketplace.payments.late_interest.models import (
    InterestSpan,
    InterestState,
    InterestWaiver,
    LateInterest,
)
from marketplace.payments.late_interest.queries import accruals, interest_of, waiver_of
from marketplace.payments.models import Payment, PaymentMethod, PaymentState


def claim_interest(session: Session, bill: Payment, *, paid_at: datetime) -> LateInterest | None:
    """Claim the interest of a unit's bill whose money came at `paid_at` (called by payments, which holds the bill).

    None when it came in time, when the interest is less than half a fen, or when the cooperative waived it before.
    """
    part, unit_id = bill.part, bill.order.buyer_unit_id
    if part is None or unit_id is None or bill.due_on is None:
        return None
    paid_on = business_day(paid_at)
    accrual = accruals(session, [bill], on=paid_on).get(bill.id)
    if accrual is None or not accrual.amount_fen:
        return None
    entry = post_entry(
        session,
        EntryDraft(
            kind=EntryKind.LATE_INTEREST,
            idempotency_key=f"interest:{bill.public_no}",
            occurred_at=paid_at,
            transfers=(
                TransferDraft(
                    AccountKey.buyer_receivable(unit_id),
                    AccountKey.cooperative_payable(part.cooperative_id),
                    accrual.amount_fen,
                ),
            ),
            cooperative_id=part.cooperative_id,
            subject=("order_part", part.id),
        ),
    )
    claim = LateInterest(
        payment_id=bill.id,
        cooperative_id=part.cooperative_id,
        buyer_unit_id=unit_id,
        due_on=bill.due_on,
        paid_on=paid_on,
        days_late=accrual.days,
        late_rate_bp=accrual.late_rate_bp,
        fen_days=accrual.fen_days,
        amount_fen=accrual.amount_fen,
        remittance_code=new_code(),
        entry_id=entry.id,
        spans=[InterestSpan(**vars(span)) for span in accrual.spans],
    )
    session.add(claim)
    session.flush()
    _note(session, SYSTEM, "payments.claim_interest", claim)
    return claim


def pay_interest(session: Session, claim: LateInterest, *, paid_at: datetime) -> LateInterest:
    """The money of a claim has come, whole. Raises Conflict when it came before or the claim was waived."""
    session.refresh(claim, with_for_update={"of": LateInterest})
    if claim.state is not InterestState.OPEN:
        raise Conflict("interest_not_open", N_("这笔逾期利息已经付清或免收"))
    post_entry(
        session,
        EntryDraft(
            kind=EntryKind.PAYMENT_RECEIVED,
            idempotency_key=f"paid:{claim.public_no}",
            occurred_at=paid_at,
            transfers=(
                TransferDraft(
                    AccountKey.clearing(PaymentMethod.BANK_TRANSFER.value),
                    AccountKey.buyer_receivable(claim.buyer_unit_id),
                    claim.amount_fen,
                ),
            ),
            cooperative_id=claim.cooperative_id,
            subject=("late_interest", claim.id),
        ),
    )
    claim.state, claim.paid_at = InterestState.PAID, paid_at
    session.flush()
    _note(session, SYSTEM, "payments.interest_received", claim)
    return claim


def waive_interest(session: Session, actor: Actor, bill: Payment, *, reason: str) -> InterestWaiver:
    """The cooperative asks no interest on a bill, before or after its money came; what was posted is taken back.

    Raises Forbidden for a buyer, NotFound for another cooperative's bill, Refused without a reason, Conflict when the
    interest was waived or paid already, or when the bill is closed and was in time.
    """
    actor.require(Permission.FULFIL_ORDERS)
    if bill.part is None or bill.part.cooperative_id != actor.cooperative_id:
        raise NotFound
    note = required_reason(reason, N_("请写明免收利息的原因，付款单位会看到"))
    session.refresh(bill, with_for_update={"of": Payment})
    if waiver_of(session, bill.id) is not None:
        raise Conflict("interest_waived", N_("这笔货款的逾期利息已经免收"))
    claim = interest_of(session, bill.id)
    if claim is None and bill.state is not PaymentState.OPEN:
        raise Conflict("no_interest", N_("这笔货款没有逾期利息"))
    entry = _take_back(session, actor, claim, note) if claim is not None else None
    waiver = InterestWaiver(
        payment_id=bill.id, reason=note, entry_id=entry.id if entry else None, waived_by=actor.user_id
    )
    session.add(waiver)
    session.flush()
    record_trail(
        session,
        actor,
        "payments.waive_interest",
        subject=("payment", bill.public_no),
        cooperative_id=bill.part.cooperative_id,
        buyer_unit_id=bill.order.buyer_unit_id,
        amount_fen=claim.amount_fen if claim else 0,
    )
    return waiver


def _take_back(session: Session, actor: Actor, claim: LateInterest, reason: str) -> Entry:
    session.refresh(claim, with_for_update={"of": LateInterest})
    if claim.state is not InterestState.OPEN:
        raise Conflict("interest_not_open", N_("这笔逾期利息已经付清或免收"))
    entry = post_entry(
        session,
        EntryDraft(
            kind=EntryKind.REVERSAL,
            idempotency_key=f"waive:{claim.public_no}",
            occurred_at=now(),
            transfers=(
                TransferDraft(
                    AccountKey.cooperative_payable(claim.cooperative_id),
                    AccountKey.buyer_receivable(claim.buyer_unit_id),
                    claim.amount_fen,
                ),
            ),
            cooperative_id=claim.cooperative_id,
            subject=("late_interest", claim.id),
            actor_user_id=actor.user_id,
            reverses=claim.entry_id,
            reason=reason,
        ),
    )
    claim.state = InterestState.WAIVED
    return entry


def _note(session: Session, actor: Actor, action: str, claim: LateInterest) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("late_interest", claim.public_no),
        cooperative_id=claim.cooperative_id,
        buyer_unit_id=claim.buyer_unit_id,
        amount_fen=claim.amount_fen,
    )
