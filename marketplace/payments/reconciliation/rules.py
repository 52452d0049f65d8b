"""A day's reconciliation: compare both sides, keep the run, and queue what differs until two people have explained it.

    channel = ledger + what is on its way + what differs        (a run; the database holds it to be so)

A difference that goes away by itself is closed as such. Explaining one moves no money: where the ledger is wrong a
manual adjustment by two people corrects it, and the next run closes the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now, start_of
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.deposits.models import Deposit
from marketplace.payments.gateways.balance import BalanceMove
from marketplace.payments.models import BankLine, BankLineMatch, BankLineState, PaymentMethod
from marketplace.payments.reconciliation.models import (
    Channel,
    ChannelMove,
    ItemKind,
    ItemState,
    PayoutArrival,
    ReconciliationItem,
    ReconciliationRun,
)
from marketplace.payments.reconciliation.moves import keep_moves
from marketplace.payments.reconciliation.payouts import PayoutStanding, match_payouts, standings
from marketplace.payments.reconciliation.sides import ON_ITS_WAY, Sides, bank_sides, card_sides, clearing_sums
from marketplace.payments.reconciliation.transfer_sides import pending_transfers, transfer_sides
from marketplace.payments.refunds.models import Refund
from marketplace.payments.vouchers.models import VoucherBatch

WINDOW = timedelta(days=45)
UNSETTLED = (ItemState.OPEN, ItemState.PROPOSED)


def reconcile_card(
    session: Session, day: date, moves: Sequence[BalanceMove], *, actor: Actor = SYSTEM
) -> ReconciliationRun:
    """Compare the provider's balance with the ledger as of the end of `day`; `moves` is what it listed since the last.

    Raises Conflict for a day that is not over.
    """
    since, until = _span(day)
    keep_moves(session, moves)
    keys = _keys_to_look_at(session, Channel.CARD)
    match_payouts(session)
    sides = card_sides(session, since=since - WINDOW, until=until, keys=keys)
    sides |= transfer_sides(session, since=since - WINDOW, until=until, keys=keys)
    of_day = select(
        func.count(),
        func.coalesce(func.sum(ChannelMove.amount_fen), 0),
        func.coalesce(func.sum(ChannelMove.fee_fen), 0),
    ).where(ChannelMove.occurred_at >= since, ChannelMove.occurred_at < until)
    count, day_fen, fees_fen = session.execute(of_day).one()
    all_fen = select(func.coalesce(func.sum(ChannelMove.amount_fen - ChannelMove.fee_fen), 0))
    return _keep_run(
        session,
        actor,
        Channel.CARD,
        day,
        sides,
        day_count=int(count),
        day_fen=int(day_fen),
        fees_fen=max(int(fees_fen), 0),
        channel_fen=int(session.scalar(all_fen.where(ChannelMove.occurred_at < until)) or 0),
        ledger_fen=_clearing_fen(session, PaymentMethod.CARD.value, until),
        in_transit_fen=_pending_refunds(session, until) + pending_transfers(session, until),
    )


def reconcile_bank(session: Session, day: date, *, actor: Actor = SYSTEM) -> ReconciliationRun:
    """Compare the credits on the imported statements with what the ledger booked as money from the bank.

    Credits that wait in the cashier's queue, or were set aside with a note, are on their way; so are payouts of the
    provider that did not come yet, the other way round. Raises Conflict for a day that is not over.
    """
    since, until = _span(day)
    keys = _keys_to_look_at(session, Channel.BANK_TRANSFER)
    payouts = standings(session, day, until)
    sides = bank_sides(session, since=since - WINDOW, until=until, keys=keys)
    sides |= _payout_sides(payouts, since=since - WINDOW, until=until, keys=keys)
    credited = select(func.count(), func.coalesce(func.sum(BankLine.amount_fen), 0))
    count, day_fen = session.execute(credited.where(BankLine.booked_on == day)).one()
    total_fen = session.execute(credited.where(BankLine.booked_on <= day)).one()[1]
    return _keep_run(
        session,
        actor,
        Channel.BANK_TRANSFER,
        day,
        sides,
        day_count=int(count),
        day_fen=int(day_fen),
        fees_fen=0,
        channel_fen=int(total_fen),
        ledger_fen=_clearing_fen(session, PaymentMethod.BANK_TRANSFER.value, until, debits_only=True)
        + sum(payout.booked_fen for payout in payouts.values()),
        in_transit_fen=_unclaimed_credits(session, day)
        - sum(payout.on_its_way_fen(until) for payout in payouts.values()),
    )


def _payout_sides(
    payouts: Mapping[str, PayoutStanding], *, since: datetime, until: datetime, keys: Collection[str]
) -> dict[str, Sides]:
    """Payouts of late, and those that differed before: a credit that did not come within its days is missing."""
    return {
        f"payout:{ref}": Sides(one.arrived_fen, one.booked_fen, -one.on_its_way_fen(until))
        for ref, one in payouts.items()
        if one.last_at >= since or f"payout:{ref}" in keys
    }


def _span(day: date) -> tuple[datetime, datetime]:
    since, until = start_of(day), start_of(day + timedelta(days=1))
    if until > now():
        raise Conflict("day_not_over", N_("这一天还没有结束，请在第二天对账"))
    return since, until


def _keys_to_look_at(session: Session, channel: Channel) -> set[str]:
    """What differed at the last look, explained or not."""
    query = select(ReconciliationItem.key).where(
        ReconciliationItem.channel == channel, ReconciliationItem.state.in_(UNSETTLED)
    )
    return set(session.scalars(query))


def _clearing_fen(session: Session, channel: str, until: datetime, *, debits_only: bool = False) -> int:
    sums = clearing_sums(channel, until, debits_only=debits_only).subquery()
    return int(session.scalar(select(func.coalesce(func.sum(sums.c.fen), 0))) or 0)


def _pending_refunds(session: Session, until: datetime) -> int:
    query = select(func.coalesce(func.sum(Refund.own_fen), 0)).where(
        Refund.method == PaymentMethod.CARD,
        or_(Refund.state.in_(ON_ITS_WAY), Refund.returned_at >= until),
        Refund.decided_at < until,
    )
    return int(session.scalar(query) or 0)


def _unclaimed_credits(session: Session, day: date) -> int:
    """Credits that paid nothing: they wait for a person, or a person has set them aside."""
    paid = or_(
        select(BankLineMatch.id).where(BankLineMatch.line_id == BankLine.id).exists(),
        select(Deposit.id).where(Deposit.bank_line_id == BankLine.id).exists(),
        select(VoucherBatch.id).where(VoucherBatch.bank_line_id == BankLine.id).exists(),
        select(PayoutArrival.id).where(PayoutArrival.line_id == BankLine.id).exists(),
    )
    query = select(func.coalesce(func.sum(BankLine.amount_fen), 0)).where(
        BankLine.booked_on <= day, or_(BankLine.state == BankLineState.QUEUED, ~paid)
    )
    return int(session.scalar(query) or 0)


def _keep_run(
    session: Session,
    actor: Actor,
    channel: Channel,
    day: date,
    sides: Mapping[str, Sides],
    *,
    day_count: int,
    day_fen: int,
    fees_fen: int,
    channel_fen: int,
    ledger_fen: int,
    in_transit_fen: int,
) -> ReconciliationRun:
    run = ReconciliationRun(
        channel=channel,
        day=day,
        day_count=day_count,
        day_fen=day_fen,
        fees_fen=fees_fen,
        channel_fen=channel_fen,
        ledger_fen=ledger_fen,
        in_transit_fen=in_transit_fen,
        difference_fen=channel_fen - ledger_fen - in_transit_fen,
        ran_by=actor.user_id,
    )
    session.add(run)
    _keep_items(session, channel, day, sides)
    session.flush()
    record_trail(
        session,
        actor,
        "payments.reconcile",
        subject=("reconciliation_run", run.public_no),
        day=day.isoformat(),
    )
    return run


def _keep_items(session: Session, channel: Channel, day: date, sides: Mapping[str, Sides]) -> None:
    """Queue what differs, once; close what differs no more. An explained one stays explained while it is the same."""
    query = select(ReconciliationItem).where(
        ReconciliationItem.channel == channel, ReconciliationItem.key.in_(list(sides))
    )
    latest = {item.key: item for item in session.scalars(query.order_by(ReconciliationItem.id))}
    for key, side in sorted(sides.items()):
        item = latest.get(key)
        is_same = item is not None and (item.channel_fen, item.ledger_fen) == (
            side.channel_fen,
            side.expected_fen,
        )
        if item is not None and item.state in UNSETTLED and not is_same:
            item.state, item.ended_at = ItemState.CLEARED, now()
            session.flush()
        if side.channel_fen == side.expected_fen or (
            is_same and item and item.state is not ItemState.CLEARED
        ):
            continue
        session.add(
            ReconciliationItem(
                channel=channel,
                key=key,
                kind=_kind_of(side),
                channel_fen=side.channel_fen,
                ledger_fen=side.expected_fen,
                found_on=day,
            )
        )


def _kind_of(side: Sides) -> ItemKind:
    if not side.expected_fen:
        return ItemKind.NOT_IN_LEDGER
    return ItemKind.AMOUNT_DIFFERS if side.channel_fen else ItemKind.NOT_AT_CHANNEL


# --- the queue ---


def explain_item(
    session: Session, actor: Actor, item: ReconciliationItem, *, explanation: str
) -> ReconciliationItem:
    """The first person says what a difference is. Raises Conflict when it waits for nobody, Refused without words."""
    actor.require(Permission.MATCH_BANK_LINES)
    _hold(session, item)
    if item.state is not ItemState.OPEN:
        raise Conflict("item_taken", N_("这笔差异已经有人处理，请刷新后查看"))
    if not explanation.strip():
        raise Refused("explanation", N_("请写明差异的原因和处理办法"), field="explanation")
    item.state, item.explanation = ItemState.PROPOSED, explanation.strip()[:300]
    item.proposed_by, item.proposed_at = actor.user_id, now()
    return _noted(session, actor, item, "payments.explain_difference")


def confirm_item(session: Session, actor: Actor, item: ReconciliationItem) -> ReconciliationItem:
    """Another person agrees. Raises Refused for the one who explained it, Conflict when nobody has yet."""
    actor.require(Permission.MATCH_BANK_LINES)
    _hold(session, item)
    if item.state is not ItemState.PROPOSED:
        raise Conflict("item_taken", N_("这笔差异已经有人处理，请刷新后查看"))
    if actor.user_id == item.proposed_by:
        raise Refused("two_people", N_("说明差异的人不能自己复核，请由另一位同事复核"))
    item.state, item.resolved_by, item.ended_at = ItemState.RESOLVED, actor.user_id, now()
    return _noted(session, actor, item, "payments.confirm_difference")


def send_item_back(session: Session, actor: Actor, item: ReconciliationItem) -> ReconciliationItem:
    """The explanation does not convince: somebody has to look again. Raises Conflict when there is none."""
    actor.require(Permission.MATCH_BANK_LINES)
    _hold(session, item)
    if item.state is not ItemState.PROPOSED:
        raise Conflict("item_taken", N_("这笔差异已经有人处理，请刷新后查看"))
    item.state, item.proposed_by, item.proposed_at = ItemState.OPEN, None, None
    return _noted(session, actor, item, "payments.send_difference_back")


def _hold(session: Session, item: ReconciliationItem) -> None:
    session.refresh(item, with_for_update={"of": ReconciliationItem})


def _noted(session: Session, actor: Actor, item: ReconciliationItem, action: str) -> ReconciliationItem:
    session.flush()
    record_trail(
        session,
        actor,
        action,
        subject=("reconciliation_item", item.public_no),
        difference_fen=item.difference_fen,
        explanation=item.explanation,
    )
    return item


def item_by_no(session: Session, number: str) -> ReconciliationItem:
    """A difference. Raises NotFound."""
    item = session.scalar(select(ReconciliationItem).where(ReconciliationItem.public_no == number))
    if item is None:
        raise NotFound
    return item
