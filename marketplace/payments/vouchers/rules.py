"""A batch of vouchers: asked for, approved by another person, paid by bank transfer, printed once, and at the end what
was not used goes back to the union. Redeeming is in counter.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.by_hand import keep_returned, require_serial, settle_line_as
from marketplace.payments.gateways.remittance_codes import new_code
from marketplace.payments.models import BankLine, QueueReason
from marketplace.payments.vouchers.models import (
    MOST_FACE_FEN,
    MOST_VOUCHERS,
    BatchState,
    Voucher,
    VoucherBatch,
    VoucherReturn,
    VoucherState,
)
from marketplace.payments.vouchers.posting import post_paid, post_returned
from marketplace.registry.models import Cooperative, CooperativeState

LONGEST_DAYS = 730
BATCH = 50
CODE_LENGTH = 16
LOOK_ALIKES = str.maketrans("OIL", "011")


@dataclass(frozen=True)
class Terms:
    """How many vouchers, what each is worth in fen, and the last day it is good."""

    count: int
    face_fen: int
    valid_until: date


def ask_batch(
    session: Session, actor: Actor, *, cooperative: Cooperative, terms: Terms, idempotency_key: str
) -> VoucherBatch:
    """Ask for a batch of a cooperative's vouchers. The same key of the same person gives the first one.

    Raises Refused naming the field for terms that cannot be, Conflict when the cooperative may not sell.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    if actor.buyer_unit_id is None or actor.user_id is None:
        raise Forbidden
    under_key = select(VoucherBatch).where(
        VoucherBatch.ordered_by == actor.user_id, VoucherBatch.idempotency_key == idempotency_key
    )
    first = session.scalar(under_key)
    if first is not None:
        return first
    _check_terms(terms)
    if cooperative.state is not CooperativeState.ADMITTED:
        raise Conflict("not_admitted", N_("这家合作社现在不能销售，请选择另一家"))
    batch = VoucherBatch(
        buyer_unit_id=actor.buyer_unit_id,
        cooperative_id=cooperative.id,
        count=terms.count,
        face_fen=terms.face_fen,
        total_fen=terms.count * terms.face_fen,
        valid_until=terms.valid_until,
        remittance_code=new_code(),
        idempotency_key=idempotency_key,
        ordered_by=actor.user_id,
    )
    try:
        with session.begin_nested():
            session.add(batch)
    except IntegrityError:  # the same submission came twice at the same moment, and the other one was first
        first = session.scalar(under_key)
        if first is None:
            raise
        return first
    note_batch(session, actor, batch, "ask_vouchers")
    return batch


def _check_terms(terms: Terms) -> None:
    if not 1 <= terms.count <= MOST_VOUCHERS:
        raise Refused("count", N_("一批提货券须在 1 到 %(most)s 张之间"), field="count", most=MOST_VOUCHERS)
    if not 1 <= terms.face_fen <= MOST_FACE_FEN:
        raise Refused("face", N_("面值须大于 0，最多 5000 元"), field="face")
    if not today() < terms.valid_until <= today() + timedelta(days=LONGEST_DAYS):
        raise Refused("valid_until", N_("有效期须在明天到两年之内"), field="valid_until")


def note_batch(session: Session, actor: Actor, batch: VoucherBatch, action: str) -> None:
    """Keep a step of a batch in the trail."""
    record_trail(
        session,
        actor,
        f"payments.{action}",
        subject=("voucher_batch", batch.public_no),
        cooperative_id=batch.cooperative_id,
        buyer_unit_id=batch.buyer_unit_id,
    )
    session.flush()


def _hold(session: Session, actor: Actor, batch: VoucherBatch, *states: BatchState) -> None:
    """Read an own batch anew, held against a second mover. Raises NotFound, or Conflict unless it is in `states`."""
    if batch.buyer_unit_id != actor.buyer_unit_id:
        raise NotFound
    session.refresh(batch, with_for_update={"of": VoucherBatch})
    if batch.state not in states:
        raise Conflict("batch_state", N_("这批提货券现在是“%(state)s”，不能这样办理"), state=batch.state)


def approve_batch(session: Session, actor: Actor, batch: VoucherBatch) -> VoucherBatch:
    """Let a batch be paid. Raises Forbidden for the person who asked for it, Conflict unless it waits."""
    actor.require(Permission.APPROVE_ORDERS)
    _hold(session, actor, batch, BatchState.AWAITING)
    if actor.user_id == batch.ordered_by:
        raise Forbidden("own_order", N_("申请人不能审批自己的申请"))
    batch.approved_by, batch.state = actor.user_id, BatchState.OPEN
    note_batch(session, actor, batch, "approve_vouchers")
    return batch


def cancel_batch(session: Session, actor: Actor, batch: VoucherBatch) -> VoucherBatch:
    """Call off a batch that is not paid: by who may ask or approve. Raises Conflict once it is paid."""
    if not (actor.can(Permission.ORDER_FOR_UNIT) or actor.can(Permission.APPROVE_ORDERS)):
        raise Forbidden
    _hold(session, actor, batch, BatchState.AWAITING, BatchState.OPEN)
    batch.state = BatchState.CANCELLED
    note_batch(session, actor, batch, "cancel_vouchers")
    return batch


def batch_named(session: Session, codes: Sequence[str]) -> VoucherBatch | None:
    """The one batch that the codes in a bank remark name, held; None when they name none or several."""
    query = select(VoucherBatch).where(VoucherBatch.remittance_code.in_(codes)).order_by(VoucherBatch.id)
    found = session.scalars(query.with_for_update(of=VoucherBatch)).all() if codes else []
    return found[0] if len(found) == 1 else None


def why_batch_not(batch: VoucherBatch, amount_fen: int) -> QueueReason | None:
    """Why a person must look at money that names a batch; None when it is exactly what is awaited."""
    if batch.paid_at is not None:
        return QueueReason.ALREADY_PAID
    if batch.state is not BatchState.OPEN:
        return QueueReason.CANCELLED
    return None if batch.total_fen == amount_fen else QueueReason.WRONG_AMOUNT


def take_batch(session: Session, batch: VoucherBatch, *, paid_at: datetime, line: BankLine) -> VoucherBatch:
    """The money of an open batch has come, exactly. Raises Conflict when it is not awaited any more."""
    session.refresh(batch, with_for_update={"of": VoucherBatch})
    if batch.state is not BatchState.OPEN:
        raise Conflict("batch_not_open", N_("这批提货券已经到账，或已取消"))
    batch.state, batch.paid_at, batch.bank_line_id = BatchState.PAID, paid_at, line.id
    post_paid(session, batch, at=paid_at)
    note_batch(session, SYSTEM, batch, "vouchers_paid")
    return batch


def match_batch(
    session: Session, actor: Actor, batch: VoucherBatch, line: BankLine, *, note: str
) -> VoucherBatch:
    """A person says that a queued bank line of the same amount pays for this batch. Raises as `settle_line_as`,
    Conflict when it is not awaited any more."""
    settle_line_as(session, actor, line, amount_fen=batch.total_fen, note=note)
    return take_batch(session, batch, paid_at=now(), line=line)


def print_vouchers(session: Session, actor: Actor, batch: VoucherBatch, key: DataKey) -> list[str]:
    """Make the vouchers of a paid batch, once, and return their codes, which are kept nowhere.

    Raises Conflict when they were made before or the batch is not paid.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    _hold(session, actor, batch, BatchState.PAID)
    made = session.execute(
        update(VoucherBatch)
        .where(VoucherBatch.id == batch.id, VoucherBatch.state == BatchState.PAID)
        .values(state=BatchState.ISSUED, issued_at=now())
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if not made:
        raise Conflict("printed", N_("这批提货券已经制过券，券码只显示一次"))
    session.refresh(batch)
    codes = [public_no("", length=CODE_LENGTH)[1:] for _ in range(batch.count)]
    session.add_all(
        Voucher(
            batch_id=batch.id,
            cooperative_id=batch.cooperative_id,
            face_fen=batch.face_fen,
            code_hash=hash_of(code, key),
        )
        for code in codes
    )
    note_batch(session, actor, batch, "print_vouchers")
    return codes


def hash_of(code: str, key: DataKey) -> bytes:
    """The keyed hash under which a code is found, however it was typed."""
    plain = "".join(one for one in code.upper() if one.isalnum()).translate(LOOK_ALIKES)
    return key.blind_index(plain, column="voucher.code")


def close_lapsed_batches(session: Session) -> int:
    """End paid batches after their last day: what is not redeemed lapses, and what was not used goes back to the union,
    once every redeemed voucher has paid its bill. Returns how many were closed."""
    pending = exists().where(
        Voucher.batch_id == VoucherBatch.id,
        Voucher.state == VoucherState.REDEEMED,
        Voucher.set_off_at.is_(None),
    )
    due = session.scalars(
        select(VoucherBatch)
        .where(
            VoucherBatch.state.in_((BatchState.PAID, BatchState.ISSUED)),
            VoucherBatch.valid_until < today(),
            ~pending,
        )
        .order_by(VoucherBatch.id)
        .limit(BATCH)
        .with_for_update(of=VoucherBatch, skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for batch in due:
        session.execute(
            update(Voucher)
            .where(Voucher.batch_id == batch.id, Voucher.state == VoucherState.ISSUED)
            .values(state=VoucherState.LAPSED)
            .execution_options(synchronize_session="fetch")
        )
        left_fen, batch.state = batch.left_fen, BatchState.CLOSED
        if left_fen:
            batch.returned_fen += left_fen
            session.add(VoucherReturn(batch_id=batch.id, amount_fen=left_fen))
            post_returned(session, batch, left_fen)
        note_batch(session, SYSTEM, batch, "close_vouchers")
    return len(due)


def mark_returned(
    session: Session, actor: Actor, going_back: VoucherReturn, *, serial_no: str
) -> VoucherReturn:
    """The cashier has transferred it: done, once, under the bank's serial number. Raises Refused without a number,
    Conflict when it was done or the number stands for another."""
    serial = require_serial(actor, serial_no)
    session.refresh(going_back, with_for_update={"of": VoucherReturn})
    if going_back.returned_at is not None:
        raise Conflict("returned", N_("这笔余款已经登记为退回"))
    keep_returned(session, actor, going_back, serial=serial)
    note_batch(session, actor, going_back.batch, "vouchers_sent_back")
    return going_back
