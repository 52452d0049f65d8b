"""What is paid on line reaches the cooperatives behind it: once, in full, and no more than is theirs."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.crypto import DataKey
from marketplace.core.files import FileStore
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.payments.collecting.models import (
    TransferState,
)
from marketplace.payments.collecting.sending import KEY_LIVES, TRY_AGAIN_AFTER
from marketplace.payments.freight import pass_freight_on
from marketplace.payments.gateways.stripe_connect import StripeCollector
from marketplace.payments.models import GatewayNotice, NoticeOutcome
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.refunds import refunded
from tests.factories.registry import actor_at
from tests.factories.trade import bill, buy, deliver
from tests.payments.collecting_world import OWN_SHARE_FEN, Market, collector_of
from tests.payments.stripe_world import StripeWorld
from tests.payments.voucher_world import Union


@pytest.fixture
def market(session: Session, stripe_emulator: StripeWorld, clock: HeldClock) -> Market:
    return Market(session, stripe_emulator, clock)


# --- what is transferred ---


def test_the_net_value_less_the_households_share_goes_to_the_cooperative(market: Market, session: Session):
    market.ready()
    market.fund()
    order = market.sells(2)
    assert market.plan() == 1
    (planned,) = market.transfers()
    assert (planned.state, planned.amount_fen, planned.provider_ref) == (TransferState.PLANNED, 9_000, None)
    assert (planned.idempotency_key, market.owed()) == (f"{planned.public_no}.1", 0)
    assert market.send() == 1
    (done,) = market.transfers()
    assert (done.state, done.withheld_fen, done.left_fen) == (TransferState.DONE, 0, 0)
    assert market.at_provider() == [(done.public_no, 9_000, 0)]
    sent = market.client.v1.transfers.retrieve(done.provider_ref or "")
    assert (sent.transfer_group, sent.destination) == (order.public_no, done.account.provider_ref)
    entry = session.get_one(Entry, done.entry_id)
    assert (entry.kind, entry.subject_kind, entry.subject_id) == (
        EntryKind.TRANSFERRED,
        "order_part",
        order.parts[0].id,
    )
    assert (market.plan(), market.send(), market.findings()) == (0, 0, [])


def test_each_cooperative_of_an_order_gets_its_own_part(market: Market):
    market.ready(0)
    market.ready(1)
    market.fund()
    market.sells(3, both=True)
    market.work()
    assert [(row.cooperative_id, row.amount_fen) for row in market.transfers()] == [
        (goods.cooperative.id, 3 * OWN_SHARE_FEN) for goods in market.goods
    ]
    assert len({row.part.order.public_no for row in market.transfers()}) == 1
    assert (market.owed(0), market.owed(1), market.findings()) == (0, 0, [])


def test_nothing_is_planned_before_the_account_is_ready_and_everything_after(market: Market):
    market.fund()
    market.sells(1)
    assert market.plan() == 0
    account = market.opened()
    for stage in ("new", "submitted", "refused", "past_due"):
        market.stage(account, stage)
        assert (market.plan(), market.owed()) == (0, OWN_SHARE_FEN), stage
    market.stage(account, "verified")
    market.work()
    assert [(row.amount_fen, row.state) for row in market.transfers()] == [
        (OWN_SHARE_FEN, TransferState.DONE)
    ]


def test_what_is_not_settled_or_came_through_the_bank_is_not_transferred(market: Market, session: Session):
    market.ready()
    market.fund()
    bill(session, market.goods[0], 2)
    unpaid = buy(session, market.buyer, (market.goods[0], 1), key="never-paid-by-anybody")
    paid = buy(session, market.buyer, (market.goods[0], 1), key="paid-and-not-delivered")
    market.pay(paid, "paid-and-not-delivered")
    session.commit()
    assert (market.plan(), market.transfers(), unpaid.parts[0].settled_at) == (0, [], None)


def test_freight_goes_along_and_what_vouchers_paid_does_not(
    market: Market, session: Session, files: FileStore, data_key: DataKey
):
    """Three units and their freight, 120.00 yuan of it by voucher: only what came on line can go on."""
    market.ready()
    market.fund()
    cooperative = market.cooperative
    rates = (Rate("", 1_200, 500, 3, 7),)
    write_freight_sheet(session, actor_at(cooperative), rates=rates, free_from_fen=None)
    union = Union(session, files, data_key, market.goods[0])
    _batch, codes = union.printed()
    key = "paid-by-voucher-and-card"
    order = buy(session, market.buyer, (market.goods[0], 3), key=key, carriage=Carriage(""))
    freight_fen = order.parts[0].freight_fen
    union.spend(market.buyer, order, codes[0])
    market.pay(order, key)
    deliver(session, order.parts[0], market.buyer)
    settle_lines(session)
    session.commit()
    assert market.plan() == 0  # the freight is not passed on yet
    pass_freight_on(session)
    market.work()
    assert freight_fen > 0
    assert [row.amount_fen for row in market.transfers()] == [3_000 + freight_fen]
    assert market.owed() == 3 * OWN_SHARE_FEN - 3_000
    assert (market.plan(), market.findings()) == (0, [])


def test_what_a_cooperative_owes_itself_is_left_to_it(market: Market, session: Session):
    """A guarantee it had to bear comes first; what was left goes out once the ledger owes it again."""
    market.ready()
    market.fund()
    market.sells(2)
    household = market.goods[0].cooperative.id
    owed, taken = AccountKey.cooperative_payable(market.cooperative.id), AccountKey.unallocated(household)
    lent = EntryDraft(
        kind=EntryKind.ADJUSTMENT,
        idempotency_key="borne",
        occurred_at=market.clock.now,
        transfers=(TransferDraft(owed, taken, 8_000),),
        subject=("test", 1),
        reason="承担",
    )
    post_entry(session, lent)
    market.work()
    (first,) = market.transfers()
    assert (first.amount_fen, first.left_fen, market.owed()) == (1_000, 8_000, 0)
    back = EntryDraft(
        kind=EntryKind.ADJUSTMENT,
        idempotency_key="given back",
        occurred_at=market.clock.now,
        transfers=(TransferDraft(taken, owed, 9_500),),
        subject=("test", 1),
        reason="退回",
    )
    post_entry(
        session,
        EntryDraft(
            kind=EntryKind.ADJUSTMENT,
            idempotency_key="more",
            occurred_at=market.clock.now,
            transfers=(TransferDraft(AccountKey.clearing("card"), taken, 1_500),),
            subject=("test", 1),
            reason="补入",
        ),
    )
    post_entry(session, back)
    market.work()
    assert [(row.amount_fen, row.left_fen) for row in market.transfers()] == [(1_000, 8_000), (8_000, 0)]
    assert market.owed() == 1_500  # not money of an order paid on line
    assert market.findings() == []


# --- refusals and silence ---


def test_a_balance_that_is_too_small_is_tried_again_under_a_new_key(market: Market):
    market.ready()
    market.sells(1)  # 50.00 less a fee of 0.30 covers one transfer of 45.00, not two
    market.work()
    market.stripe.client().v1.payouts.create({"amount": 400, "currency": "cny"})
    market.sells(1)
    market.stripe.client().v1.payouts.create({"amount": 600, "currency": "cny"})
    market.work()
    _first, second = market.transfers()
    assert (second.state, second.attempt, second.failure) == (
        TransferState.PLANNED,
        2,
        "balance_insufficient",
    )
    assert second.idempotency_key == f"{second.public_no}.2"
    assert second.next_try_at == market.clock.now + TRY_AGAIN_AFTER
    market.fund()
    assert market.send() == 0  # not yet
    market.clock.advance(hours=1)
    market.work()
    (_first, second) = market.transfers()
    assert (second.state, second.failure) == (TransferState.DONE, "")
    assert [sent for _, sent, _ in market.at_provider()] == [OWN_SHARE_FEN] * 2
    assert market.findings() == []


def test_an_account_that_lost_its_right_is_asked_about_and_waits(market: Market):
    account = market.ready()
    market.fund()
    market.sells(1)
    market.plan()
    market.stripe.control(f"accounts/{account.provider_ref}", stage="past_due")
    market.send()
    (row,) = market.transfers()
    assert (row.state, row.failure) == (TransferState.PLANNED, "insufficient_capabilities_for_transfer")
    assert row.account.noticed_at is not None
    market.stage(account, "past_due")
    market.clock.advance(hours=2)
    assert market.send() == 0
    market.stage(account, "verified")
    assert market.send() == 1
    assert [sent for _, sent, _ in market.at_provider()] == [OWN_SHARE_FEN]


@pytest.mark.parametrize("mode", ["error", "timeout", "lost"])
def test_a_call_without_an_answer_is_made_again_under_the_same_key(market: Market, mode: str):
    market.ready()
    market.fund()
    market.sells(1)
    market.plan()
    (before,) = market.transfers()
    key = before.idempotency_key
    market.stripe.control("outages", mode=mode, path="/v1/transfers", times=1)
    assert market.send(collector_of(market.stripe, timeout_s=0.3)) == 0
    (silent,) = market.transfers()
    assert (silent.state, silent.idempotency_key, silent.failure) == (TransferState.PLANNED, key, "")
    assert market.send() == 1
    assert [sent for _, sent, _ in market.at_provider()] == [OWN_SHARE_FEN]
    assert market.findings() == []


def test_a_key_that_may_be_forgotten_is_not_trusted_alone(market: Market):
    """The answer was lost and the machine stood still for a day: the transfer is found by our number."""
    market.ready()
    market.fund()
    market.sells(1)
    market.plan()
    market.stripe.control("outages", mode="lost", path="/v1/transfers", times=1)
    market.send(collector_of(market.stripe, timeout_s=0.3))
    market.clock.advance(seconds=int(KEY_LIVES.total_seconds()) + 1)
    ((number, _, _),) = market.at_provider()
    asked_for: list[str] = []

    class Watched(StripeCollector):
        def send_transfer(self, request):  # type: ignore[no-untyped-def]
            asked_for.append(request.reference)
            return super().send_transfer(request)

    watched = Watched("sk_test_of_the_tests", api_base=market.stripe.base_url, retries=0)
    assert (market.send(watched), asked_for) == (1, [])
    assert market.transfers()[0].public_no == number
    assert len(market.at_provider()) == 1


# --- messages ---


def test_a_message_finishes_a_transfer_whose_answer_was_lost(market: Market, session: Session):
    market.ready()
    market.fund()
    market.sells(1)
    market.plan()
    market.stripe.control("outages", mode="lost", path="/v1/transfers", times=1)
    market.send(collector_of(market.stripe, timeout_s=0.3))
    market.hear(backwards=True, twice=True)
    (row,) = market.transfers()
    assert row.state is TransferState.DONE
    assert market.send() == 0
    outcomes = session.execute(
        select(GatewayNotice.raw_type, GatewayNotice.outcome).where(
            GatewayNotice.raw_type == "transfer.created"
        )
    ).all()
    assert outcomes == [("transfer.created", NoticeOutcome.APPLIED)]


def test_a_message_after_the_answer_is_a_repetition_and_a_strange_one_waits(market: Market, session: Session):
    account = market.ready()
    market.fund()
    market.sells(1)
    market.work()
    by_hand = {"amount": 77, "currency": "cny", "destination": account.provider_ref or ""}
    market.client.v1.transfers.create(by_hand)  # type: ignore[arg-type]
    sent = market.transfers()[0].provider_ref or ""
    market.client.v1.transfers.reversals.create(sent, {"amount": 5})
    market.hear(backwards=True, twice=True)
    query = select(GatewayNotice.amount_fen, GatewayNotice.outcome).where(
        GatewayNotice.raw_type.in_(("transfer.created", "transfer.reversed"))
    )
    assert set(session.execute(query).all()) == {
        (OWN_SHARE_FEN, NoticeOutcome.REPEATED),
        (77, NoticeOutcome.QUEUED),
        (5, NoticeOutcome.QUEUED),
    }


def test_our_own_reversal_needs_nobody(market: Market, session: Session):
    market.ready()
    market.fund()
    order = market.sells(2)
    market.work()
    refunded(session, order, 1)
    market.refunds_go_back()
    market.work()
    market.hear()
    query = select(GatewayNotice.outcome).where(GatewayNotice.raw_type == "transfer.reversed")
    assert list(session.scalars(query)) == [NoticeOutcome.APPLIED]
