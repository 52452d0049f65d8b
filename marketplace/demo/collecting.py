"""The platform collects: one cooperative's account is ready and gets its transfers, another's still wants details, and
the provider's payouts are found at the bank.

The demo has a year of payments on line that no provider knows. So that the emulator goes on where the demo ends, it is
told the accounts, the transfers and the balance (`keep_at_emulator`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core import clock
from marketplace.core.money import format_yuan
from marketplace.demo.entry import Seller
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import actor_of
from marketplace.ordering.models import Order, OrderPart
from marketplace.payments.collecting.account_rules import keep_told, request_account
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ProviderAccount,
    ReversalState,
    TransferReversal,
    TransferState,
)
from marketplace.payments.collecting.planning import plan_transfers
from marketplace.payments.collecting.sending import keep_reversal, keep_transfer
from marketplace.payments.gateways.balance import BalanceMove, MoveKind
from marketplace.payments.gateways.connect import AccountStatus, AccountTold, MoneyMoved
from marketplace.payments.reconciliation.models import ChannelMove
from marketplace.payments.statements import import_statement
from marketplace.payments.stripe_emulator.connect import WANTED, enter_stage
from marketplace.payments.stripe_emulator.emulator import Emulator, Options
from marketplace.payments.stripe_emulator.faults import Json
from marketplace.payments.stripe_emulator.store import Store

OPENED_DAYS, SENT_DAYS, PAID_OUT_DAYS = 20, (19, 5, 1), 4  # before the last day
PAYOUT_FEN = 30_000
STAGES = {AccountStatus.READY: "verified", AccountStatus.DETAILS_WANTED: "new"}


class Collecting:
    """Plays what the provider does for the platform on the timeline."""

    def __init__(self, world: World, sellers: list[Seller]) -> None:
        self.world = world
        self.sellers = sellers
        self._transfers, self._reversals = count(1), count(1)

    def plan(self) -> None:
        """Plan the accounts of two cooperatives, three rounds of transfers, and a payout that came to the bank."""
        at, last_on = self.world.timeline.at, self.world.last_on
        opened_on = last_on - timedelta(days=OPENED_DAYS)
        statuses = (AccountStatus.READY, AccountStatus.DETAILS_WANTED)
        for minute, (seller, status) in enumerate(zip(self.sellers, statuses, strict=False)):
            at(at_hour(opened_on, 14, minute), partial(self._open, seller, status))
        for days in SENT_DAYS:
            at(at_hour(last_on - timedelta(days=days), 9, 30), self._send)
        arrived_on = last_on - timedelta(days=PAID_OUT_DAYS - 2)
        at(at_hour(arrived_on, 10, 10), self._import_payout)

    def _open(self, seller: Seller, status: AccountStatus) -> None:
        session = self.world.session
        question = request_account(session, seller.acting)
        wanted = WANTED if status is AccountStatus.DETAILS_WANTED else ()
        keep_told(session, question, AccountTold(f"acct_demo{seller.place + 1:06d}", status, wanted))

    def _send(self) -> None:
        """What is due goes out and what is to come back does, as the provider would answer."""
        session = self.world.session
        while plan_transfers(session):
            for transfer in _planned(session):
                ref = f"tr_demo{next(self._transfers):06d}"
                keep_transfer(
                    session,
                    transfer.id,
                    transfer.idempotency_key,
                    MoneyMoved(ref, transfer.amount_fen, clock.now()),
                )
            back = select(TransferReversal).where(TransferReversal.state == ReversalState.PLANNED)
            for reversal in session.scalars(back.order_by(TransferReversal.id)).all():
                ref = f"trr_demo{next(self._reversals):06d}"
                keep_reversal(session, reversal.id, MoneyMoved(ref, reversal.amount_fen, clock.now()))

    def _import_payout(self) -> None:
        """The cashier imports a statement on which the provider's payout stands; the day's comparison finds it."""
        if self.world.operator is None:
            raise ValueError("the operator comes first")
        on = clock.today()
        row = f"{on:%Y-%m-%d},STR{on:%Y%m%d}0001,{format_yuan(PAYOUT_FEN)},,STRIPE PAYMENTS,PAYOUT"
        content = f"交易日期,交易流水号,收入金额,支出金额,对方户名,附言\n{row}\n".encode()
        import_statement(
            self.world.session,
            actor_of(self.world.operator),
            self.world.tools.files,
            content=content,
            file_name=f"通道提现{on:%m%d}.csv",
        )


def _planned(session: Session) -> list[CooperativeTransfer]:
    query = select(CooperativeTransfer).where(CooperativeTransfer.state == TransferState.PLANNED)
    return list(session.scalars(query.order_by(CooperativeTransfer.id)))


def moves_of_platform(world: World, until: datetime) -> list[BalanceMove]:
    """What the provider's list holds besides charges and refunds: transfers, reversals and two payouts, one of which
    has not come to the bank yet. The caller numbers them."""
    session = world.session
    sent = select(
        CooperativeTransfer.provider_ref, CooperativeTransfer.amount_fen, CooperativeTransfer.done_at
    )
    rows = [
        (MoveKind.TRANSFER, ref, -fen, at)
        for ref, fen, at in session.execute(sent.where(CooperativeTransfer.amount_fen > 0))
        if ref and at
    ]
    back = select(TransferReversal.provider_ref, TransferReversal.amount_fen, TransferReversal.done_at)
    rows += [(MoveKind.TRANSFER, ref, fen, at) for ref, fen, at in session.execute(back) if ref and at]
    for number, days in enumerate((PAID_OUT_DAYS, 1), start=1):
        at = at_hour(world.last_on - timedelta(days=days), 8)
        rows.append((MoveKind.PAYOUT, f"po_demo{number:06d}", -PAYOUT_FEN - 100 * number + 100, at))
    return [BalanceMove("", kind, ref, None, fen, 0, at) for kind, ref, fen, at in rows if at < until]


def keep_at_emulator(session: Session, path: Path) -> None:
    """Tell the emulator's file what stands at the provider where the demo ends: accounts, transfers, the balance."""
    store = Store(path)
    emulator = Emulator(Options(), store)
    for account in session.scalars(select(ProviderAccount).order_by(ProviderAccount.id)):
        _keep_account(emulator, account)
    query = (
        select(CooperativeTransfer, Order.public_no)
        .join(OrderPart, OrderPart.id == CooperativeTransfer.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .where(CooperativeTransfer.provider_ref.is_not(None))
        .order_by(CooperativeTransfer.id)
    )
    for transfer, group in session.execute(query):
        _keep_transfer(store, transfer, group)
    total = session.scalar(select(func.sum(ChannelMove.amount_fen - ChannelMove.fee_fen))) or 0
    first_at = session.scalar(select(func.min(ChannelMove.occurred_at)))
    if first_at is not None:
        _keep_balance(store, int(total), int(first_at.timestamp()))
    store.close()


def _keep_account(emulator: Emulator, account: ProviderAccount) -> None:
    row: Json = {
        "id": account.provider_ref,
        "object": "account",
        "business_profile": {"name": account.cooperative.name},
        "business_type": "company",
        "capabilities": {"transfers": "inactive"},
        "country": "HK",
        "created": int(account.opened_at.timestamp()),
        "default_currency": "cny",
        "email": None,
        "metadata": {"reference": account.public_no},
        "type": "express",
        "_balance": 0,
    }
    enter_stage(emulator, row, STAGES[account.status])


def _keep_transfer(store: Store, transfer: CooperativeTransfer, group: str) -> None:
    back = sum(one.amount_fen for one in transfer.reversals if one.state is ReversalState.DONE)
    account = store.one("account", transfer.account.provider_ref or "")
    account["_balance"] += transfer.amount_fen - back
    store.put("account", account)
    store.put(
        "transfer",
        {
            "id": transfer.provider_ref,
            "object": "transfer",
            "amount": transfer.amount_fen,
            "amount_reversed": back,
            "balance_transaction": None,
            "created": int(transfer.planned_at.timestamp()),
            "currency": "cny",
            "description": None,
            "destination": account["id"],
            "livemode": False,
            "metadata": {"reference": transfer.public_no},
            "reversed": back == transfer.amount_fen,
            "source_transaction": None,
            "transfer_group": group,
        },
    )


def _keep_balance(store: Store, total_fen: int, created: int) -> None:
    """One movement for the whole year, as old as its first day: what is asked for later does not list it."""
    store.put(
        "balance_transaction",
        {
            "id": "txn_demo_opening",
            "object": "balance_transaction",
            "amount": total_fen,
            "available_on": created,
            "created": created,
            "currency": "cny",
            "description": None,
            "fee": 0,
            "net": total_fen,
            "reporting_category": "other_adjustment",
            "source": None,
            "status": "available",
            "type": "adjustment",
        },
    )
