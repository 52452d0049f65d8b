"""The life of a payout batch: prepared by one person, approved by another, sent as a file.

Each step is one transaction that changes state and ledger together, and each begins by holding the batch's row, so that
a step is done once however often it is tried, by whomever, and wherever the process died before. What the bank answers
is in `results`.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import business_day, now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ledger.queries import held_balances
from marketplace.payments.payouts.account_rules import number_of
from marketplace.payments.payouts.files import PayoutLine, bank_file, shipped_layouts
from marketplace.payments.payouts.models import BatchState, DropReason, Payout, PayoutBatch, PayoutState
from marketplace.payments.payouts.queries import (
    Scope,
    due_amounts,
    is_in_scope,
    payouts_of,
    plan_of,
    scope_of,
)
from marketplace.registry.models import Cooperative

DEFAULT_MINIMUM_FEN = 1_000
MOST_MINIMUM_FEN = 100_000_000


def prepare_batch(
    session: Session,
    actor: Actor,
    *,
    minimum_fen: int = DEFAULT_MINIMUM_FEN,
    up_to_on: date,
    layout_code: str,
    idempotency_key: str,
) -> PayoutBatch:
    """Gather what is due in the actor's scope: at least `minimum_fen` a household, credited up to `up_to_on`.

    One payout per cooperative and household with a valid account and none under way. The same key gives the first
    batch. Raises Forbidden without a scope, Refused when nothing can be paid or the input makes no sense.
    """
    actor.require(Permission.PREPARE_PAYOUTS)
    scope = scope_of(actor)
    first = session.scalar(select(PayoutBatch).where(PayoutBatch.idempotency_key == idempotency_key))
    if first is not None:
        if first.prepared_by != actor.user_id:
            raise NotFound
        return first
    layout = shipped_layouts().get(layout_code)
    if layout is None:
        raise Refused("unknown_layout", N_("请选择银行文件格式"), field="layout")
    if not 0 < minimum_fen <= MOST_MINIMUM_FEN:
        raise Refused("minimum_range", N_("起发金额应大于 0，不超过 100 万元"), field="minimum")
    if up_to_on > today():
        raise Refused("up_to_future", N_("截止日期不能晚于今天"), field="up_to_on")
    plan = plan_of(session, scope, minimum_fen=minimum_fen, up_to_on=up_to_on, layout=layout)
    if not plan.payable:
        raise Refused("nothing_to_pay", N_("没有可以发放的款项：余额都不到起发金额，或还没有可用的收款账号"))
    batch = PayoutBatch(
        idempotency_key=idempotency_key,
        cooperative_id=scope.cooperative_id,
        county_code=scope.county_code,
        minimum_fen=minimum_fen,
        up_to_on=up_to_on,
        layout=layout,
        payouts_count=len(plan.payable),
        total_fen=plan.total_fen,
        prepared_by=actor.user_id,
        prepared_at=now(),
    )
    session.add(batch)
    session.flush()
    session.add_all(
        Payout(
            batch_id=batch.id,
            household_id=due.household.id,
            cooperative_id=due.cooperative_id,
            account_id=due.account.id,
            prepared_fen=due.due_fen,
            amount_fen=due.due_fen,
        )
        for due in plan.payable
        if due.account is not None
    )
    session.flush()
    _trail(session, actor, "payments.prepare_payouts", batch)
    return batch


def approve_batch(session: Session, actor: Actor, batch: PayoutBatch) -> PayoutBatch:
    """A second person agrees: balances and accounts are looked at again, and each payout is posted as sent.

    A payout whose balance fell is lowered, one below the minimum or with a replaced account is dropped, and both are
    seen on the batch. Raises NotFound outside the scope, Forbidden for the one who prepared it, Conflict when it is
    approved or cancelled already, Refused when nothing is left to pay.
    """
    actor.require(Permission.APPROVE_PAYOUTS)
    _hold(session, actor, batch)
    if batch.prepared_by == actor.user_id:
        raise Forbidden("approver_prepared", N_("发放由两个人办：您做的单子要由另一位有复核权限的人复核"))
    if batch.state is not BatchState.PREPARED:
        raise Conflict("batch_not_prepared", N_("这一批已经复核或撤销，请刷新后再看"))
    payouts = [payout for payout, due_fen in _held_payouts(session, batch) if _recheck(payout, due_fen)]
    if not payouts:
        raise Refused("nothing_left", N_("各户余额或账号都已变化，本批没有可发放的款项，请撤销后重新制单"))
    at = now()
    entries = post_entries(session, [_sent(payout, actor, at) for payout in payouts])
    for payout, entry in zip(payouts, entries, strict=True):
        payout.state, payout.sent_entry_id = PayoutState.SENT, entry.id
    batch.state, batch.approved_by, batch.approved_at = BatchState.APPROVED, actor.user_id, at
    batch.payouts_count, batch.total_fen = len(payouts), sum(payout.amount_fen for payout in payouts)
    session.flush()
    _trail(session, actor, "payments.approve_payouts", batch)
    return batch


def _hold(session: Session, actor: Actor, batch: PayoutBatch) -> None:
    """Hold the batch until the end of the transaction, and look at its present state. Raises NotFound."""
    if not is_in_scope(actor, batch):
        raise NotFound
    hold_batch(session, batch)


def hold_batch(session: Session, batch: PayoutBatch) -> None:
    """Nobody else changes the batch until the end of the transaction."""
    session.execute(select(PayoutBatch.id).where(PayoutBatch.id == batch.id).with_for_update())
    session.refresh(batch)


def _held_payouts(session: Session, batch: PayoutBatch) -> list[tuple[Payout, int]]:
    """The batch's payouts with what is due to each now. Their ledger accounts are held, as a refund holds them."""
    payouts = list(session.scalars(payouts_of(batch, state=PayoutState.PREPARED)))
    held_balances(
        session,
        [AccountKey.household_payable(payout.cooperative_id, payout.household_id) for payout in payouts],
    )
    scope = Scope(batch.cooperative_id, batch.county_code)
    due = {
        (cooperative_id, household_id): int(fen)
        for cooperative_id, household_id, fen in session.execute(due_amounts(scope, batch.up_to_on))
    }
    return [(payout, due.get((payout.cooperative_id, payout.household_id), 0)) for payout in payouts]


def _recheck(payout: Payout, due_fen: int) -> bool:
    """Lower or drop a payout by what is due now; whether it stays."""
    if payout.account.replaced_at is not None:
        payout.state, payout.drop_reason = PayoutState.CANCELLED, DropReason.ACCOUNT
    elif due_fen < payout.batch.minimum_fen:
        payout.state, payout.drop_reason = PayoutState.CANCELLED, DropReason.BALANCE
    else:
        payout.amount_fen = min(payout.amount_fen, due_fen)
    return payout.state is PayoutState.PREPARED


def _sent(payout: Payout, actor: Actor, at: datetime) -> EntryDraft:
    return EntryDraft(
        kind=EntryKind.PAYOUT_SENT,
        idempotency_key=f"payout:{payout.public_no}:sent",
        occurred_at=at,
        transfers=(
            TransferDraft(
                AccountKey.household_payable(payout.cooperative_id, payout.household_id),
                AccountKey.payout_clearing(payout.cooperative_id),
                payout.amount_fen,
            ),
        ),
        subject=("payout", payout.id),
        cooperative_id=payout.cooperative_id,
        actor_user_id=actor.user_id,
    )


def cancel_batch(session: Session, actor: Actor, batch: PayoutBatch) -> PayoutBatch:
    """Take back a batch nobody has approved; its payouts may go into another. Raises NotFound, Conflict."""
    actor.require(Permission.PREPARE_PAYOUTS)
    _hold(session, actor, batch)
    if batch.state is not BatchState.PREPARED:
        raise Conflict("batch_not_prepared", N_("这一批已经复核或撤销，请刷新后再看"))
    for payout in session.scalars(payouts_of(batch, state=PayoutState.PREPARED)):
        payout.state, payout.drop_reason = PayoutState.CANCELLED, DropReason.CANCELLED
    batch.state, batch.payouts_count, batch.total_fen = BatchState.CANCELLED, 0, 0
    session.flush()
    _trail(session, actor, "payments.cancel_payouts", batch)
    return batch


def send_batch(session: Session, data_key: DataKey, files: FileStore, batch: PayoutBatch) -> PayoutBatch:
    """Write the bank's file of an approved batch from the database; one that has a file is left alone.

    The file is found by its content: written again after a crash it is the same one.
    """
    hold_batch(session, batch)
    if batch.state is not BatchState.APPROVED or batch.approved_at is None:
        return batch
    payouts = session.scalars(payouts_of(batch, state=PayoutState.SENT))
    lines = [
        PayoutLine(
            payout.public_no,
            payout.account.holder_name,
            number_of(data_key, payout.account),
            payout.account.bank_name,
            payout.amount_fen,
        )
        for payout in payouts
    ]
    content = bank_file(batch.layout, lines, batch_no=batch.public_no, on=business_day(batch.approved_at))
    file = StoredFile(
        address=files.put(content, sealed=True),
        sealed=True,
        name=f"{batch.public_no}.{batch.layout['extension']}",
        media_type="application/octet-stream",
        size_bytes=len(content),
        uploaded_by=batch.approved_by,
        organisation_id=None,  # nobody opens it as a stored file: it is downloaded from the batch, and that is logged
    )
    session.add(file)
    session.flush()
    batch.state, batch.file_id, batch.sent_at = BatchState.SENT, file.id, now()
    session.flush()
    _trail(session, SYSTEM, "payments.send_payouts", batch)
    return batch


def open_bank_file(session: Session, actor: Actor, files: FileStore, batch: PayoutBatch) -> bytes:
    """The bytes of a batch's file, for download; who took it is kept. Raises NotFound, Conflict without a file."""
    if not is_in_scope(actor, batch):
        raise NotFound
    if batch.file is None:
        raise Conflict("no_file_yet", N_("银行文件还在生成，请稍后刷新"))
    _trail(session, actor, "payments.download_payouts", batch)
    return files.read(batch.file.address, sealed=True)


def next_to_send(session: Session) -> PayoutBatch | None:
    """The oldest batch that is approved and has no file."""
    query = select(PayoutBatch).where(PayoutBatch.state == BatchState.APPROVED).order_by(PayoutBatch.id)
    return session.scalar(query.limit(1))


def _trail(session: Session, actor: Actor, action: str, batch: PayoutBatch) -> None:
    cooperative = session.get(Cooperative, batch.cooperative_id) if batch.cooperative_id else None
    record_trail(
        session,
        actor,
        action,
        subject=("payout_batch", batch.public_no),
        cooperative_id=batch.cooperative_id,
        county_code=batch.county_code or (cooperative.county_code if cooperative else None),
        payouts=batch.payouts_count,
        total_fen=batch.total_fen,
    )
