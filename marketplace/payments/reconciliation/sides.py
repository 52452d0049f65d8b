"""The two sides of each thing that is compared, in fen: what the channel says and what the ledger says.

On line a payment is one thing: what came, what went back and what a dispute took, together. At the bank it is each
claim that a credit paid. Only what moved within the window and what differed before is looked at again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, func, or_, select, union
from sqlalchemy.orm import Session, aliased

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.payments.deposits.models import Deposit
from marketplace.payments.disputes.models import PaymentDispute
from marketplace.payments.gateways.balance import MoveKind
from marketplace.payments.models import BankLine, BankLineMatch, Payment, PaymentMethod, PaymentState
from marketplace.payments.reconciliation.models import ChannelMove
from marketplace.payments.refunds.models import Refund, RefundedLine, RefundState
from marketplace.payments.vouchers.models import VoucherBatch

ON_ITS_WAY = (RefundState.AGREED, RefundState.SENT, RefundState.FAILED)
CHUNK = 5_000


@dataclass(frozen=True)
class Sides:
    """One thing as both sides have it; `in_transit_fen` is booked here and not yet done there."""

    channel_fen: int
    ledger_fen: int
    in_transit_fen: int = 0

    @property
    def expected_fen(self) -> int:
        """What the channel should say."""
        return self.ledger_fen + self.in_transit_fen


def card_sides(
    session: Session, *, since: datetime, until: datetime, keys: Collection[str]
) -> dict[str, Sides]:
    """Payments on line that moved between two instants, and those of `keys`, as they stand at `until`."""
    refs = _card_refs(session, since, until) | {_after(key) for key in keys if key.startswith("payment:")}
    found: dict[str, Sides] = {}
    wanted = sorted(refs)
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        channel = _moves_by_payment(session, chunk, until)
        ledger = _ledger_by_payment(session, chunk, until)
        pending = _pending_by_payment(session, chunk, until)
        for ref in chunk:
            found[f"payment:{ref}"] = Sides(channel.get(ref, 0), ledger.get(ref, 0), pending.get(ref, 0))
    for ref, fen in _loose_moves(session, since, until, keys):
        found[f"move:{ref}"] = Sides(fen, 0)
    return found


def _after(key: str) -> str:
    return key.split(":", 1)[1]


def _card_refs(session: Session, since: datetime, until: datetime) -> set[str]:
    """The provider's references of payments that moved on either side."""
    moved = select(ChannelMove.payment_ref).where(
        ChannelMove.payment_ref.is_not(None),
        ChannelMove.occurred_at >= since,
        ChannelMove.occurred_at < until,
    )
    paid = select(_reference()).where(
        Payment.method == PaymentMethod.CARD,
        Payment.state == PaymentState.PAID,
        Payment.paid_at >= since,
        Payment.paid_at < until,
    )
    refunded = (
        select(_reference())
        .join(Refund, Refund.payment_id == Payment.id)
        .where(
            Refund.method == PaymentMethod.CARD,
            or_(Refund.state.in_(ON_ITS_WAY), Refund.decided_at >= since),
            Refund.decided_at < until,
        )
    )
    return {ref for ref in session.scalars(union(moved, paid, refunded)) if ref}


def _reference() -> ColumnElement[str]:
    """What names a payment on both sides: the provider's reference, or ours where it has none."""
    return func.coalesce(Payment.provider_payment_ref, Payment.public_no)


def _moves_by_payment(session: Session, refs: Collection[str], until: datetime) -> dict[str, int]:
    query = (
        select(ChannelMove.payment_ref, func.sum(ChannelMove.amount_fen))
        .where(ChannelMove.payment_ref.in_(refs), ChannelMove.occurred_at < until)
        .group_by(ChannelMove.payment_ref)
    )
    return {ref: int(fen) for ref, fen in session.execute(query) if ref is not None}


def _ledger_by_payment(session: Session, refs: Collection[str], until: datetime) -> dict[str, int]:
    """The postings on the channel's clearing account that belong to each payment."""
    received = (
        select(_reference().label("ref"), Entry.id.label("entry_id"))
        .join(Payment, (Entry.subject_kind == "payment") & (Entry.subject_id == Payment.id))
        .where(_reference().in_(refs), Payment.method == PaymentMethod.CARD)
    )
    refunded = (
        select(_reference().label("ref"), RefundedLine.entry_id)
        .join(Refund, Refund.id == RefundedLine.refund_id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(_reference().in_(refs), Refund.method == PaymentMethod.CARD)
        .distinct()
    )
    carried = (  # freight goes back beside the lines, in an entry of its own
        select(_reference().label("ref"), Entry.id.label("entry_id"))
        .join(Refund, Refund.payment_id == Payment.id)
        .join(Entry, (Entry.subject_kind == "order_part") & (Entry.subject_id == Refund.part_id))
        .where(
            _reference().in_(refs),
            Refund.method == PaymentMethod.CARD,
            Refund.freight_fen > 0,
            Entry.kind == EntryKind.REFUND,
        )
    )
    disputed = (
        select(_reference().label("ref"), Entry.id.label("entry_id"))
        .join(
            PaymentDispute,
            (Entry.subject_kind == "payment_dispute") & (Entry.subject_id == PaymentDispute.id),
        )
        .join(Payment, Payment.id == PaymentDispute.payment_id)
        .where(_reference().in_(refs))
    )
    own = received.union(refunded, carried, disputed).subquery()
    sums = clearing_sums(PaymentMethod.CARD.value, until).subquery()
    query = (
        select(own.c.ref, func.sum(sums.c.fen))
        .join(sums, sums.c.entry_id == own.c.entry_id)
        .group_by(own.c.ref)
    )
    return {ref: int(fen) for ref, fen in session.execute(query)}


def clearing_sums(channel: str, until: datetime, *, debits_only: bool = False) -> Select[tuple[int, int]]:
    """Per entry, what it debited the channel's clearing account less what it credited."""
    debit, credit = aliased(Account), aliased(Account)
    key = AccountKey.clearing(channel).text
    sign = case((debit.key == key, Transfer.amount_fen), else_=-Transfer.amount_fen)
    condition = debit.key == key if debits_only else or_(debit.key == key, credit.key == key)
    return (
        select(Transfer.entry_id.label("entry_id"), func.sum(sign).label("fen"))
        .join(debit, debit.id == Transfer.debit_account_id)
        .join(credit, credit.id == Transfer.credit_account_id)
        .join(Entry, Entry.id == Transfer.entry_id)
        .where(condition, Entry.occurred_at < until)
        .group_by(Transfer.entry_id)
    )


def _pending_by_payment(session: Session, refs: Collection[str], until: datetime) -> dict[str, int]:
    query = (
        select(_reference(), func.sum(Refund.own_fen))
        .join(Refund, Refund.payment_id == Payment.id)
        .where(
            _reference().in_(refs),
            Refund.method == PaymentMethod.CARD,
            or_(Refund.state.in_(ON_ITS_WAY), Refund.returned_at >= until),
            Refund.decided_at < until,
        )
        .group_by(_reference())
    )
    return {ref: int(fen) for ref, fen in session.execute(query)}


def _loose_moves(
    session: Session, since: datetime, until: datetime, keys: Collection[str]
) -> list[tuple[str, int]]:
    """Movements without a payment that are compared nowhere else, as payouts and transfers are."""
    named = [_after(key) for key in keys if key.startswith("move:")]
    query = select(ChannelMove.ref, ChannelMove.amount_fen).where(
        ChannelMove.payment_ref.is_(None),
        ChannelMove.kind.not_in((MoveKind.PAYOUT, MoveKind.TRANSFER)),
        ChannelMove.amount_fen != 0,
        ChannelMove.occurred_at < until,
        or_(ChannelMove.occurred_at >= since, ChannelMove.ref.in_(named)),
    )
    return [(ref, int(fen)) for ref, fen in session.execute(query)]


def bank_sides(
    session: Session, *, since: datetime, until: datetime, keys: Collection[str]
) -> dict[str, Sides]:
    """What credits of the bank paid, against what the ledger booked as money from the bank, by what it is for. Payouts
    of the provider are in payouts.py."""
    ledger: dict[str, int] = defaultdict(int)
    sums = clearing_sums(PaymentMethod.BANK_TRANSFER.value, until, debits_only=True).subquery()
    query = (
        select(Entry.subject_kind, Entry.subject_id, func.sum(sums.c.fen))
        .join(sums, sums.c.entry_id == Entry.id)
        .where(Entry.occurred_at >= since)
        .group_by(Entry.subject_kind, Entry.subject_id)
    )
    for kind, subject_id, fen in session.execute(query):
        ledger[f"{kind}:{subject_id}"] += int(fen)
    wanted = set(ledger) | {key for key in keys if not key.startswith("payout:")}
    channel = _claims_of_bank(session, wanted)
    return {key: Sides(channel.get(key, 0), ledger.get(key, 0)) for key in wanted}


def _claims_of_bank(session: Session, keys: Collection[str]) -> dict[str, int]:
    """What each of these claims got of the bank's credits."""
    ids: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        kind, _, number = key.partition(":")
        ids[kind].append(int(number))
    columns = {
        "payment": (BankLineMatch.payment_id, BankLineMatch.amount_fen),
        "late_interest": (BankLineMatch.interest_id, BankLineMatch.amount_fen),
        "deposit": (Deposit.id, BankLine.amount_fen),
        "voucher_batch": (VoucherBatch.id, BankLine.amount_fen),
    }
    found: dict[str, int] = {}
    for kind, (column, amount) in columns.items():
        query = select(column, amount)
        if kind in {"deposit", "voucher_batch"}:
            model = Deposit if kind == "deposit" else VoucherBatch
            query = query.join(BankLine, BankLine.id == model.bank_line_id)
        for start in range(0, len(ids[kind]), CHUNK):
            rows = session.execute(query.where(column.in_(ids[kind][start : start + CHUNK])))
            found |= {f"{kind}:{key}": int(fen) for key, fen in rows}
    return found
