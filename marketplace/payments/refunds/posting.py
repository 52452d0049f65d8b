"""What an agreed refund moves, line by line, and the rows that keep it. For rules.py, which holds payment and parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.identity.actors import Actor
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.payments.models import LinkagePool, Payment, PaymentMethod, PaymentState, Settlement
from marketplace.payments.purchase_certificates.rules import withdraw_refunded
from marketplace.payments.refunds.models import Refund, RefundedLine, RefundLine, ReversalCause
from marketplace.payments.refunds.reversing import Reversal, Taking, reverse_credits
from marketplace.payments.refunds.standing import PoolStanding, refunded_after_settlement, standing_of_pools
from marketplace.payments.refunds.ways import spread
from marketplace.procurement.budgets.rules import release_budget

Goes = dict[AccountKey, int]  # fen by the account that they go to


def post_refund(session: Session, actor: Actor, refund: Refund, payment: Payment) -> None:
    """Post a refund that was agreed to, one entry a line, and keep what was given back of each line."""
    ids = [line.line_id for line in refund.lines]
    query = select(Settlement.line_id, Settlement.entry_id).where(Settlement.line_id.in_(ids))
    entries_of = dict(session.execute(query).all())
    settled = [line for line in refund.lines if line.line_id in entries_of]
    unsettled = [line for line in refund.lines if line.line_id not in entries_of]
    freight, *of_lines = _targets(refund, payment)
    targets = {line.line_id: goes for line, goes in zip(refund.lines, of_lines, strict=True)}
    entries = dict(
        zip(
            (line.line_id for line in unsettled),
            post_entries(
                session, [_early_entry(actor, refund, line, targets[line.line_id]) for line in unsettled]
            ),
            strict=True,
        )
    )
    reversals = _reversals(session, actor, refund, settled, entries_of, targets)
    entries |= dict(zip((line.line_id for line in settled), reverse_credits(session, reversals), strict=True))
    if refund.freight_fen:
        post_entries(session, [_freight_entry(actor, refund, freight)])
    _keep(session, refund, {line_id: entry.id for line_id, entry in entries.items()}, set(entries_of))
    release_budget(session, part=refund.part, refund_no=refund.public_no, amount_fen=refund.amount_fen)
    withdraw_refunded(session, ids)


def _targets(refund: Refund, payment: Payment) -> list[Goes]:
    """Where the money of the freight and of each line goes, in fen by account: back through the channels it came
    through, to the cooperative where a dispute took it before, off what a unit owes where it had not come yet."""
    unit_id = refund.order.buyer_unit_id
    amounts = [refund.freight_fen, *(line.amount_fen for line in refund.lines)]
    if payment.state is not PaymentState.PAID and unit_id is not None:
        return [{AccountKey.buyer_receivable(unit_id): amount} for amount in amounts]
    pots = {
        AccountKey.cooperative_payable(refund.cooperative_id): refund.lost_fen,
        AccountKey.clearing(payment.method.value): refund.own_fen,
    }
    by_hand = AccountKey.clearing(PaymentMethod.BANK_TRANSFER.value)  # what vouchers paid came from the bank
    pots[by_hand] = pots.get(by_hand, 0) + refund.voucher_fen
    rows = spread(list(pots.values()), amounts)
    return [{key: fen for key, fen in zip(pots, row, strict=True) if fen} for row in rows]


def _out_of(source: AccountKey, goes: Goes) -> tuple[TransferDraft, ...]:
    return tuple(TransferDraft(source, target, fen) for target, fen in goes.items())


def _key_of(refund: Refund, line: RefundLine) -> str:
    return f"refund:{refund.public_no}:{line.line_id}"


def _early_entry(actor: Actor, refund: Refund, line: RefundLine, goes: Goes) -> EntryDraft:
    """Before the line settled its money lies in escrow."""
    return EntryDraft(
        kind=EntryKind.REFUND,
        idempotency_key=_key_of(refund, line),
        occurred_at=refund.decided_at or now(),
        transfers=_out_of(AccountKey.escrow(refund.cooperative_id), goes),
        subject=("order_line", line.line_id),
        cooperative_id=refund.cooperative_id,
        actor_user_id=actor.user_id,
        reason=refund.reason,
    )


def _freight_entry(actor: Actor, refund: Refund, goes: Goes) -> EntryDraft:
    """Goods that were never carried cost no freight: it is still in escrow."""
    return EntryDraft(
        kind=EntryKind.REFUND,
        idempotency_key=f"refund:{refund.public_no}:freight",
        occurred_at=refund.decided_at or now(),
        transfers=_out_of(AccountKey.escrow(refund.cooperative_id), goes),
        subject=("order_part", refund.part_id),
        cooperative_id=refund.cooperative_id,
        actor_user_id=actor.user_id,
        reason=refund.reason,
    )


def _reversals(
    session: Session,
    actor: Actor,
    refund: Refund,
    lines: Sequence[RefundLine],
    entries_of: dict[int, int],
    targets: dict[int, Goes],
) -> list[Reversal]:
    """What a refund takes back of settled lines. The pools are held, so that none is shared out meanwhile."""
    if not lines:
        return []
    ids = [line.line_id for line in lines]
    held = select(LinkagePool.id).where(LinkagePool.line_id.in_(ids)).order_by(LinkagePool.id)
    session.execute(held.with_for_update()).all()
    pools = standing_of_pools(session, line_ids=ids)
    refunded = refunded_after_settlement(session, ids)
    reversals = []
    for line in lines:
        before = refunded.get(line.line_id, 0)
        own = [pool for pool in pools if pool.line_id == line.line_id]
        cooperative = AccountKey.cooperative_payable(refund.cooperative_id)
        waiting = _out_of_waiting(refund, own, before, before + line.amount_fen)
        reversals.append(
            Reversal(
                key=_key_of(refund, line),
                cause=ReversalCause.REFUND,
                line_id=line.line_id,
                cooperative_id=refund.cooperative_id,
                takings=tuple(
                    Taking(pool, pool.to_take(before + line.amount_fen)) for pool in own if pool.base
                ),
                reverses=entries_of[line.line_id],
                reason=refund.reason,
                at=refund.decided_at or now(),
                actor_user_id=actor.user_id,
                transfers=(*waiting, *_out_of(cooperative, targets[line.line_id])),
            )
        )
    return reversals


def _out_of_waiting(
    refund: Refund, pools: Sequence[PoolStanding], before_fen: int, after_fen: int
) -> list[TransferDraft]:
    """The share of pools that nobody was credited from, out of what waits."""
    fen = sum(pool.target_fen(after_fen) - pool.target_fen(before_fen) for pool in pools if not pool.base)
    if not fen:
        return []
    waiting = AccountKey.unallocated(refund.cooperative_id)
    return [TransferDraft(waiting, AccountKey.cooperative_payable(refund.cooperative_id), fen)]


def _keep(session: Session, refund: Refund, entry_ids: dict[int, int], settled: set[int]) -> None:
    query = (
        select(RefundedLine.line_id, func.max(RefundedLine.after_quantity))
        .where(RefundedLine.line_id.in_(entry_ids))
        .group_by(RefundedLine.line_id)
    )
    so_far = dict(session.execute(query).all())
    rows: list[dict[str, Any]] = [
        {
            "refund_id": refund.id,
            "line_id": line.line_id,
            "line_quantity": line.line.quantity,
            "unit_price_fen": line.unit_price_fen,
            "before_quantity": so_far.get(line.line_id, 0),
            "follows_quantity": so_far.get(line.line_id),
            "quantity": line.quantity,
            "after_quantity": so_far.get(line.line_id, 0) + line.quantity,
            "amount_fen": line.amount_fen,
            "after_settlement": line.line_id in settled,
            "entry_id": entry_ids[line.line_id],
            "refunded_at": refund.decided_at or now(),
        }
        for line in refund.lines
    ]
    session.execute(insert(RefundedLine), rows)
