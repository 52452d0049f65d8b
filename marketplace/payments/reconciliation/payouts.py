"""Payouts of the provider to the platform's bank account, found again on its statements.

A payout is booked when the provider lists it and awaited until a credit of the bank is it. By itself that is a credit
of exactly the sum that names the provider or the payout, and only where neither could be another; anything else waits
for a person. A payout that the bank sent back is awaited no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Select, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from marketplace.core.clock import business_day
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.trail import record_trail
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.payments.by_hand import close_line, hold_queued, require_note
from marketplace.payments.gateways.balance import MoveKind
from marketplace.payments.models import BankLine, BankLineState, BankStatement, QueueReason
from marketplace.payments.reconciliation.models import ChannelMove, PayoutArrival

PROVIDER = "stripe"  # stands in the payer's name or the remark of its transfers
ARRIVES_WITHIN = timedelta(days=7)
FOUND_WITHIN = timedelta(days=30)
MOST = 500
MOST_LINES = 20


def payouts(*, awaited: bool | None = None) -> Select[tuple[ChannelMove]]:
    """Payouts, the latest first: all, those that a bank line is still awaited for, or the others."""
    query = select(ChannelMove).where(ChannelMove.kind == MoveKind.PAYOUT, ChannelMove.amount_fen < 0)
    query = query.order_by(ChannelMove.occurred_at.desc(), ChannelMove.id.desc())
    if awaited is None:
        return query
    return query.where(_is_awaited() if awaited else ~_is_awaited())


def _is_awaited() -> ColumnElement[bool]:
    back = aliased(ChannelMove)
    arrived = exists().where(PayoutArrival.move_id == ChannelMove.id)
    came_back = exists().where(
        back.source_ref == ChannelMove.source_ref, back.kind == MoveKind.PAYOUT, back.amount_fen > 0
    )
    return ~arrived & ~came_back


def payout_by_ref(session: Session, ref: str) -> ChannelMove:
    """A payout by the provider's number. Raises NotFound."""
    found = session.scalar(payouts().where(ChannelMove.source_ref == ref).limit(1))
    if found is None:
        raise NotFound
    return found


def arrivals_of(session: Session, moves: Collection[ChannelMove]) -> dict[int, PayoutArrival]:
    """How these payouts came to the bank, by the movement's id."""
    query = (
        select(PayoutArrival)
        .where(PayoutArrival.move_id.in_([move.id for move in moves]))
        .options(joinedload(PayoutArrival.line))
    )
    return {arrival.move_id: arrival for arrival in session.scalars(query)}


def came_back(session: Session, moves: Collection[ChannelMove]) -> set[str]:
    """The provider's numbers of those payouts that the bank sent back."""
    query = select(ChannelMove.source_ref).where(
        ChannelMove.source_ref.in_([move.source_ref for move in moves]),
        ChannelMove.kind == MoveKind.PAYOUT,
        ChannelMove.amount_fen > 0,
    )
    return set(session.scalars(query))


def match_payouts(session: Session) -> int:
    """Pair awaited payouts with credits that wait for a person; returns how many. Safe to repeat."""
    awaited = session.scalars(payouts(awaited=True).limit(MOST)).all()
    if not awaited:
        return 0
    query = (
        select(BankLine)
        .where(
            BankLine.state == BankLineState.QUEUED,
            BankLine.reason.in_(
                (QueueReason.NO_CODE, QueueReason.UNKNOWN_CODE)
            ),  # its number may look like a code
            BankLine.amount_fen.in_({-move.amount_fen for move in awaited}),
        )
        .order_by(BankLine.id)
        .limit(MOST)
        .with_for_update(of=BankLine, skip_locked=True)
    )
    lines = [line for line in session.scalars(query) if _names_provider(line)]
    pairs = [(move, line) for move in awaited for line in lines if _may_be(move, line)]
    by_move, by_line = Counter(move.id for move, _ in pairs), Counter(line.id for _, line in pairs)
    sure = [(move, line) for move, line in pairs if by_move[move.id] == by_line[line.id] == 1]
    for move, line in sure:
        line.state, line.reason = BankLineState.MATCHED, None
        session.get_one(BankStatement, line.statement_id).lines_matched += 1
        session.add(
            PayoutArrival(
                move_id=move.id, line_id=line.id, payout_fen=-move.amount_fen, line_fen=line.amount_fen
            )
        )
    session.flush()
    return len(sure)


def _names_provider(line: BankLine) -> bool:
    words = f"{line.payer_name} {line.remark}".lower()
    return PROVIDER in words or "po_" in words


def _may_be(move: ChannelMove, line: BankLine) -> bool:
    """Whether a credit can be a payout: the sum, the day, and no other payout named."""
    sent_on = business_day(move.occurred_at)
    remark = line.remark.lower()
    names_another = "po_" in remark and move.source_ref.lower() not in remark
    in_time = sent_on <= line.booked_on <= sent_on + FOUND_WITHIN
    return line.amount_fen == -move.amount_fen and in_time and not names_another


def lines_for(session: Session, move: ChannelMove) -> list[BankLine]:
    """Credits that wait for a person and came no earlier than a payout was sent: those of its sum first."""
    query = (
        select(BankLine)
        .where(
            BankLine.state == BankLineState.QUEUED,
            BankLine.booked_on >= business_day(move.occurred_at),
            or_(BankLine.amount_fen == -move.amount_fen, BankLine.reason == QueueReason.NO_CODE),
        )
        .order_by(func.abs(BankLine.amount_fen + move.amount_fen), BankLine.id)
        .limit(MOST_LINES)
    )
    return list(session.scalars(query))


def payouts_of_amount(session: Session, amount_fen: int) -> list[ChannelMove]:
    """Awaited payouts of exactly this sum."""
    query = payouts(awaited=True).where(ChannelMove.amount_fen == -amount_fen)
    return list(session.scalars(query.limit(MOST_LINES)))


def take_payout(
    session: Session, actor: Actor, move: ChannelMove, *, line_no: str, note: str
) -> PayoutArrival:
    """A person says which credit a payout is. Another sum is taken with its reason, and is a difference of the day.

    Raises NotFound when the credit does not wait for a person, Refused without a note, Conflict when the payout came
    already or was sent back.
    """
    line = session.scalar(select(BankLine).where(BankLine.public_no == line_no))
    if line is None:
        raise NotFound
    hold_queued(session, actor, line)
    reason = require_note(note)
    if session.scalar(payouts(awaited=True).where(ChannelMove.id == move.id)) is None:
        raise Conflict("payout_not_awaited", N_("这笔提现已经核对到账，或已被银行退回"))
    arrival = PayoutArrival(
        move_id=move.id,
        line_id=line.id,
        payout_fen=-move.amount_fen,
        line_fen=line.amount_fen,
        note=reason,
        matched_by=actor.user_id,
    )
    session.add(arrival)
    close_line(session, actor, line, note=reason)
    record_trail(
        session,
        actor,
        "payments.match_payout",
        subject=("bank_line", line.public_no),
        payout=move.source_ref,
        amount_fen=line.amount_fen,
    )
    return arrival


# --- for the day's comparison ---


@dataclass(frozen=True)
class PayoutStanding:
    """A payout at the end of a day: what the ledger booked to the bank, and what credits brought of it."""

    booked_fen: int
    arrived_fen: int
    last_at: datetime

    def on_its_way_fen(self, until: datetime) -> int:
        """What may still come, as of an instant."""
        waits = not self.arrived_fen and self.last_at >= until - ARRIVES_WITHIN
        return self.booked_fen if waits else 0


def standings(session: Session, day: date, until: datetime) -> dict[str, PayoutStanding]:
    """Every payout booked before `until` by the provider's number; there is about one a day."""
    debit, credit, bank = aliased(Account), aliased(Account), AccountKey.bank().text
    change = case((debit.key == bank, Transfer.amount_fen), else_=-Transfer.amount_fen)
    booked = (
        select(ChannelMove.source_ref, func.sum(change), func.max(ChannelMove.occurred_at))
        .select_from(Entry)
        .join(ChannelMove, (Entry.subject_kind == "channel_move") & (Entry.subject_id == ChannelMove.id))
        .join(Transfer, Transfer.entry_id == Entry.id)
        .join(debit, debit.id == Transfer.debit_account_id)
        .join(credit, credit.id == Transfer.credit_account_id)
        .where(
            Entry.kind == EntryKind.CHANNEL_PAYOUT,
            Entry.occurred_at < until,
            or_(debit.key == bank, credit.key == bank),
        )
        .group_by(ChannelMove.source_ref)
    )
    arrived = (
        select(ChannelMove.source_ref, func.sum(PayoutArrival.line_fen))
        .select_from(PayoutArrival)
        .join(ChannelMove, ChannelMove.id == PayoutArrival.move_id)
        .join(BankLine, BankLine.id == PayoutArrival.line_id)
        .where(BankLine.booked_on <= day)
        .group_by(ChannelMove.source_ref)
    )
    came = {ref: int(fen) for ref, fen in session.execute(arrived)}
    return {
        ref: PayoutStanding(int(fen), came.get(ref, 0), last_at)
        for ref, fen, last_at in session.execute(booked)
    }
