"""The transfers killed with SIGKILL at random points, and run again: each part is transferred and taken back once; and
any mix of sales, refunds, refusals and empty accounts ends with every fen where it belongs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from sqlalchemy.orm import Session

from marketplace.ordering.models import Order
from marketplace.payments.collecting.models import ReversalState, TransferState
from tests.conftest import HeldClock
from tests.factories.refunds import refunded
from tests.payments.collecting_world import OWN_SHARE_FEN, Market
from tests.payments.killing import Worker, worker
from tests.payments.stripe_world import StripeWorld

SEED = 20_261_130
KILLS = 12


class Process:
    """The process beside the test. `run` returns the steps it took and how it ended, and kills it at `stop_at`."""

    def __init__(self, beside: Worker, url: str, stripe: StripeWorld) -> None:
        self.beside, self.url, self.stripe = beside, url, stripe

    def run(self, *, stop_at: int = 0) -> tuple[int, int]:
        """Do the work of both jobs; the exit status is -9 when it was killed."""
        return self.beside.do({"url": self.url, "stripe": self.stripe.base_url, "stop_at": stop_at})


@contextmanager
def running(url: str, stripe: StripeWorld) -> Iterator[Process]:
    """The process, imports done."""
    with worker("tests.payments.collecting_process") as beside:
        yield Process(beside, url, stripe)


def arrange(market: Market) -> None:
    """One order to transfer, and one that was transferred and then refunded in part."""
    before = market.sells(2)
    market.work()
    refunded(market.session, before, 1, key=f"refund-of-{before.public_no}")
    market.refunds_go_back()
    market.sells(1)


@pytest.mark.timeout(300)
def test_killed_anywhere_each_part_is_transferred_and_taken_back_once(
    session: Session, database_url: str, stripe_emulator: StripeWorld
) -> None:
    """The real clock: the process beside has it too."""
    market = Market(session, stripe_emulator, RealClock())
    market.ready()
    market.fund()
    with running(database_url, stripe_emulator) as process:
        arrange(market)
        assert process.run()[1] == 0
        arrange(market)
        steps, status = process.run()
        assert (status, steps > 30) == (0, True)
        points = Random(SEED).sample(range(1, steps + 1), KILLS)
        for rounds, point in enumerate(points, 3):
            arrange(market)
            assert process.run(stop_at=point) == (point, -signal.SIGKILL)
            assert process.run()[1] == 0
            assert [(sent, back) for _, sent, back in market.at_provider()] == [
                (2 * OWN_SHARE_FEN, OWN_SHARE_FEN),
                (OWN_SHARE_FEN, 0),
            ] * rounds
            assert {row.state for row in market.transfers()} == {TransferState.DONE}
            assert {row.state for row in market.reversals()} == {ReversalState.DONE}
            assert market.owed() == 0
            session.commit()
    assert market.findings() == []


class RealClock(HeldClock):
    """The clock that nobody holds."""

    def __init__(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize("seed", range(6))
def test_any_mix_of_events_ends_with_every_fen_where_it_belongs(
    session: Session, stripe_emulator: StripeWorld, clock: HeldClock, seed: int
) -> None:
    """After whatever happened: what the account got and did not give back, plus what is owed still, is what the
    cooperative earned; no part ever got more than it gave."""
    market, draw = Market(session, stripe_emulator, clock), Random(seed)
    account = market.ready()
    market.fund()
    orders: list[tuple[Order, int]] = []
    earned = 0
    for number in range(14):
        deed = draw.choice(("sell", "sell", "refund", "refund", "drain", "restrict", "work"))
        if deed == "sell":
            units = draw.randrange(1, 5)
            orders.append((market.sells(units), units))
            earned += units * OWN_SHARE_FEN
        elif deed == "refund" and orders:
            order, left = orders.pop(draw.randrange(len(orders)))
            units = draw.randrange(1, left + 1)
            refunded(session, order, units, key=f"refund-number-{number:04d}")
            market.refunds_go_back()
            earned -= units * OWN_SHARE_FEN
            if left > units:
                orders.append((order, left - units))
        elif deed == "drain":
            market.stripe.control(f"accounts/{account.provider_ref}", drain=True)
        elif deed == "restrict":
            market.stage(account, draw.choice(("past_due", "verified")))
        market.work()
        _assert_sums(market, earned)
    market.stage(account, "verified")
    clock.advance(hours=2)
    market.work()
    _assert_sums(market, earned)
    assert {row.state for row in market.transfers()} <= {TransferState.DONE}


def _assert_sums(market: Market, earned: int) -> None:
    sent = sum(fen for _, fen, _ in market.at_provider())
    back = sum(fen for _, _, fen in market.at_provider())
    planned = sum(row.amount_fen for row in market.transfers() if row.state is TransferState.PLANNED)
    assert sent - back + planned + market.owed() == earned
    assert market.findings() == []
