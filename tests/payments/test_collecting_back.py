"""What was transferred comes back with a refund or a lost dispute; two workers and the database keep it right."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.db import session_maker
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ReversalState,
    TransferReversal,
    TransferState,
    TransferWithholding,
)
from marketplace.payments.collecting.planning import plan_transfers
from marketplace.payments.collecting.sending import send_transfers
from marketplace.payments.collecting.verify import CHECKS
from marketplace.payments.refunds.models import Refund
from tests.conftest import HeldClock
from tests.factories.refunds import asked, refunded
from tests.payments.collecting_world import OWN_SHARE_FEN, Market, collector_of
from tests.payments.stripe_world import StripeWorld


@pytest.fixture
def market(session: Session, stripe_emulator: StripeWorld, clock: HeldClock) -> Market:
    return Market(session, stripe_emulator, clock)


# --- money that goes back ---


def test_a_refund_after_the_transfer_takes_back_the_cooperative_s_share_of_it(
    market: Market, session: Session
):
    market.ready()
    market.fund()
    order = market.sells(3)
    market.work()
    refunded(session, order, 1)
    market.refunds_go_back()
    assert market.owed() == -OWN_SHARE_FEN
    market.work()
    (back,) = market.reversals()
    assert (back.state, back.amount_fen, back.before_fen, back.after_fen) == (
        ReversalState.DONE,
        OWN_SHARE_FEN,
        0,
        OWN_SHARE_FEN,
    )
    refunded(session, order, 2, key="the-second-refund")
    market.refunds_go_back()
    market.work()
    assert [row.amount_fen for row in market.reversals()] == [4_500, 9_000]
    assert [(sent, gone) for _, sent, gone in market.at_provider()] == [(13_500, 13_500)]
    assert (market.owed(), market.plan(), market.findings()) == (0, 0, [])


def test_a_refund_before_the_transfer_needs_no_reversal(market: Market, session: Session):
    market.ready()
    market.fund()
    order = market.sells(3)
    refunded(session, order, 1)
    market.refunds_go_back()
    market.work()
    assert [row.amount_fen for row in market.transfers()] == [9_000]
    assert (market.reversals(), market.owed()) == ([], 0)


def test_while_a_refund_is_asked_for_nothing_goes_out(market: Market, session: Session):
    market.ready()
    market.fund()
    order = market.sells(2)
    request = asked(session, market.buyer, order.parts[0], 1)
    session.commit()
    assert market.plan() == 0
    session.execute(
        update(Refund)
        .where(Refund.id == request.id)
        .values(
            state="declined", note="无货损", decided_at=market.clock.now, decided_by=market.manager.user_id
        )
    )
    session.commit()
    assert market.plan() == 1


def test_a_reversal_that_is_refused_is_withheld_from_what_is_next(market: Market, session: Session):
    account = market.ready()
    market.fund()
    order = market.sells(2)
    market.work()
    market.stripe.control(f"accounts/{account.provider_ref}", drain=True)
    refunded(session, order, 2)
    market.refunds_go_back()
    market.work()
    (back,) = market.reversals()
    assert (back.state, back.failure, market.owed()) == (
        ReversalState.REFUSED,
        "balance_insufficient",
        -9_000,
    )
    market.sells(1)
    market.work()
    market.sells(3)
    market.work()
    shown = [(row.amount_fen, row.withheld_fen, row.state) for row in market.transfers()]
    assert shown == [
        (9_000, 0, TransferState.DONE),
        (0, 4_500, TransferState.DONE),
        (9_000, 4_500, TransferState.DONE),
    ]
    kept = session.execute(
        select(TransferWithholding.before_fen, TransferWithholding.after_fen).order_by(TransferWithholding.id)
    ).all()
    assert kept == [(0, 4_500), (4_500, 9_000)]
    assert [sent for _, sent, _ in market.at_provider()] == [9_000, 9_000]
    assert (market.owed(), market.plan(), market.findings()) == (0, 0, [])


def test_a_lost_reversal_answer_is_asked_for_under_the_same_key(market: Market, session: Session):
    market.ready()
    market.fund()
    order = market.sells(2)
    market.work()
    refunded(session, order, 1)
    market.refunds_go_back()
    market.plan()
    market.stripe.control("outages", mode="lost", path="/v1/transfers/", times=1)
    market.send(collector_of(market.stripe, timeout_s=0.3))
    assert market.reversals()[0].state is ReversalState.PLANNED
    market.clock.advance(days=1)
    market.work()
    assert [(row.state, row.amount_fen) for row in market.reversals()] == [
        (ReversalState.DONE, OWN_SHARE_FEN)
    ]
    assert [gone for _, _, gone in market.at_provider()] == [OWN_SHARE_FEN]
    assert (market.owed(), market.findings()) == (0, [])


# --- disputes ---


def test_a_dispute_stops_what_was_not_sent_and_a_won_one_lets_it_go(market: Market):
    market.ready()
    market.fund()
    order = market.sells(2)
    market.plan()
    dispute = _disputed(market, order)
    assert (market.send(), market.plan()) == (0, 0)
    market.stripe.control(f"disputes/{dispute}/decide", won=True)
    market.hear()
    market.work()
    assert [row.state for row in market.transfers()] == [TransferState.DONE]
    assert (market.owed(), market.reversals()) == (0, [])


def test_a_lost_dispute_takes_back_what_was_transferred(market: Market):
    market.ready()
    market.fund()
    order = market.sells(2)
    market.work()
    dispute = _disputed(market, order)
    market.work()
    assert market.reversals() == []  # the bank has not decided
    market.stripe.control(f"disputes/{dispute}/decide", won=False)
    market.hear(backwards=True, twice=True)
    assert market.owed() == -10_000
    market.work()
    assert [row.amount_fen for row in market.reversals()] == [9_000]
    assert market.owed() == -1_000  # the households keep theirs; the cooperative bears it
    assert (market.plan(), market.findings()) == (0, [])
    market.sells(1)
    market.work()
    assert [row.amount_fen for row in market.transfers()] == [9_000, 3_500]
    assert (market.owed(), market.findings()) == (0, [])


def _disputed(market: Market, order) -> str:  # type: ignore[no-untyped-def]
    query = text("SELECT provider_payment_ref FROM payment WHERE order_id = :order AND state = 'paid'")
    ref = market.session.scalar(query, {"order": order.id})
    market.session.commit()
    answer = market.stripe.control(f"charges/{ref}/dispute")
    market.hear()
    return str(answer["id"])


# --- two workers, and what the database refuses ---


def test_two_workers_plan_and_send_each_part_once(market: Market, engine: Engine):
    market.ready()
    market.fund()
    for _ in range(4):
        market.sells(1)
    gate, maker, failures = threading.Barrier(3), session_maker(engine), []

    def work() -> None:
        with maker() as own:
            try:
                gate.wait()
                for _ in range(3):
                    plan_transfers(own)
                    own.commit()
                    send_transfers(own, collector_of(market.stripe))
                    own.commit()
            except Exception as error:  # noqa: BLE001 - told to the test
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    market.work()
    assert [sent for _, sent, _ in market.at_provider()] == [OWN_SHARE_FEN] * 4
    assert [row.state for row in market.transfers()] == [TransferState.DONE] * 4
    assert (market.owed(), market.findings()) == (0, [])


def _again(row: CooperativeTransfer, **changes: object) -> CooperativeTransfer:
    wish = {
        "part_id": row.part_id,
        "payment_id": row.payment_id,
        "cooperative_id": row.cooperative_id,
        "account_id": row.account_id,
        "amount_fen": 0,
        "withheld_fen": 1,
        "left_fen": 0,
        "state": TransferState.DONE,
        "done_at": row.planned_at,
        "idempotency_key": "another-key",
        **changes,
    }
    return CooperativeTransfer(**wish)


def _insert(session: Session, row: CooperativeTransfer | TransferReversal) -> None:
    with session.begin_nested():
        session.add(row)


def test_the_database_refuses_more_than_a_part_gave(market: Market, session: Session):
    market.ready()
    market.fund()
    market.sells(1)
    market.work()
    (row,) = market.transfers()
    with pytest.raises(IntegrityError, match="more than the part gave"):
        _insert(session, _again(row))
    assert len(market.transfers()) == 1


def test_the_database_refuses_a_second_transfer_under_way(market: Market, session: Session):
    market.ready()
    market.sells(1)
    market.plan()
    (row,) = market.transfers()
    with pytest.raises(IntegrityError):
        _insert(session, _again(row, state=TransferState.PLANNED, done_at=None))
    assert len(market.transfers()) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE cooperative_transfer SET amount_fen = amount_fen - 1",
        "UPDATE cooperative_transfer SET state = 'planned', done_at = NULL, provider_ref = NULL",
        "DELETE FROM cooperative_transfer",
        "UPDATE transfer_reversal SET amount_fen = amount_fen - 1, after_fen = after_fen - 1",
        "UPDATE transfer_reversal SET failure = 'x', state = 'refused'",
        "DELETE FROM transfer_reversal",
    ],
)
def test_what_was_transferred_and_taken_back_is_not_rewritten(market: Market, session: Session, change: str):
    market.ready()
    market.fund()
    order = market.sells(2)
    market.work()
    refunded(session, order, 1)
    market.refunds_go_back()
    market.work()
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text(change))
    assert [(row.amount_fen, row.state) for row in market.transfers()] == [(9_000, TransferState.DONE)]
    assert [(row.amount_fen, row.state) for row in market.reversals()] == [(4_500, ReversalState.DONE)]


def test_a_reversal_never_takes_back_more_than_was_sent(market: Market, session: Session):
    market.ready()
    market.fund()
    market.sells(1)
    market.work()
    (row,) = market.transfers()
    more = TransferReversal(
        transfer_id=row.id,
        cooperative_id=row.cooperative_id,
        transfer_fen=row.amount_fen,
        before_fen=0,
        amount_fen=row.amount_fen + 1,
        after_fen=row.amount_fen + 1,
    )
    with pytest.raises(IntegrityError):
        _insert(session, more)
    assert market.reversals() == []


def test_verify_names_a_transfer_that_is_not_posted_as_it_is(market: Market, session: Session):
    market.ready()
    market.fund()
    market.sells(1)
    market.work()
    key = AccountKey.clearing("card")
    stray = EntryDraft(
        kind=EntryKind.TRANSFERRED,
        idempotency_key="nobody planned this",
        occurred_at=market.clock.now,
        transfers=(TransferDraft(AccountKey.cooperative_payable(market.cooperative.id), key, 1),),
        subject=("order_part", 1),
    )
    post_entry(session, stray)
    codes = {finding.check for result in run_checks(session, CHECKS) for finding in result.findings}
    assert codes == {"transferred_is_posted"}
    assert len(market.transfers()) == 1
