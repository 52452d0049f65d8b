"""Random histories of sales, evidence, refunds, corrections, guarantees, closings and payouts: whatever comes in
whatever order, all money of households adds up both ways, is derived again to the fen, and cash is never taken back."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, note, settings, strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.audit.recompute.run import recompute_everything
from marketplace.core.files import FileStore
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balance
from marketplace.linkage.attribution import reversal_target
from marketplace.linkage.models import Charge
from marketplace.payments.charge_models import ChargeCollection
from marketplace.payments.closing.models import GuaranteePosting
from marketplace.payments.closing.standing import CHANGE_FEN
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.payments.payouts.models import Payout, PayoutState
from marketplace.payments.refunds.models import CreditReversal
from marketplace.payments.refunds.standing import refunded_after_settlement
from tests.audit.history_world import GOODS, HOUSEHOLDS, Event, HistoryWorld
from tests.conftest import HeldClock
from tests.factories.refunds import standing

MORE = int(os.environ.get("HISTORIES", "0"))  # so many other histories, to look for trouble


def histories(examples: int) -> settings:
    """So many examples, always the same ones."""
    return settings(
        max_examples=MORE or examples,
        deadline=None,
        derandomize=not MORE,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


CORRECTIONS = frozenset({"unfit", "merge", "part"})
LEFT = (PayoutState.SENT, PayoutState.UNKNOWN, PayoutState.PAID)
WHO, LOT = st.integers(0, HOUSEHOLDS - 1), st.integers(0, 1)
WORDS = st.lists(st.sampled_from(("paid", "paid", "failed", "unknown")), min_size=1, max_size=3).map(tuple)
PAIR = st.permutations(range(HOUSEHOLDS)).map(lambda order: tuple(order[:2]))
UNITS = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)
LINES = st.lists(
    st.tuples(st.integers(0, GOODS - 1), st.integers(1, 7)),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
)
JOBS = st.sampled_from(("sweep", "sweep", "settle", "distribute", "guarantee", "collect")).map(Event)


def events(name: str, *given: st.SearchStrategy[object]) -> st.SearchStrategy[Event]:
    return st.tuples(*given).map(lambda values: Event(name, values))


SALES = LINES.map(lambda lines: Event("sale", tuple(lines)))
REFUNDS = events("refund", st.integers(0, 3), UNITS)
PAYOUTS = events("payout", st.sampled_from((1, 50, 500)), WORDS) | events("answer", WORDS)
EVIDENCE = st.one_of(
    events("slip", WHO, LOT, st.integers(1, 3_000)),
    events("rent", WHO, st.integers(1, 9)),
    events("work", WHO, st.integers(1, 300), st.none() | LOT, st.integers(0, 9)),
    events("yielded", WHO, st.integers(1, 9_000_000)),
    events("village_rent", st.integers(1, 2_000)),
    events("surplus", st.integers(1, 50_000), st.sampled_from((0, 100))),
    events("advance", WHO, st.integers(1, 2_000)),
)
CHANGES = st.one_of(
    events("unfit", WHO),
    PAIR.map(lambda pair: Event("merge", pair)),
    st.tuples(PAIR, st.sampled_from((1, 3_333, 9_999))).map(lambda one: Event("part", (*one[0], one[1]))),
)
TIME = events("days", st.sampled_from((1, 20, 35))) | st.just(Event("close"))
OFTEN = {SALES: 2, JOBS: 6, EVIDENCE: 4, REFUNDS: 5, PAYOUTS: 4, TIME: 2, CHANGES: 2}
ANYTHING = st.sampled_from([kind for kind, times in OFTEN.items() for _ in range(times)]).flatmap(
    lambda kind: kind
)
START = st.lists(EVIDENCE, min_size=2, max_size=6)
REST = st.lists(ANYTHING, min_size=7, max_size=14)


@pytest.mark.timeout(600)
@histories(8)
@given(before=START, first=SALES, rest=REST)
def test_whatever_happens_all_money_adds_up_and_is_derived_again(
    session: Session, world: HistoryWorld, before: list[Event], first: Event, rest: list[Event]
) -> None:
    live(world, [*before, first, *rest])
    adds_up_both_ways(session, world)
    each_household_has_what_its_rows_say(session, world)
    finds_nothing(session)


@pytest.mark.timeout(600)
@histories(4)
@given(before=START, first=SALES, rest=REST)
def test_refunds_split_and_turned_around_end_at_the_same_fen(
    session: Session, world: HistoryWorld, before: list[Event], first: Event, rest: list[Event]
) -> None:
    """And put off to the end, where no correction comes between: then others than the first may have been paid out,
    but what stands of the credits is the same."""
    history = [*before, first, Event("settle"), *rest]
    live(world, history)
    stands, has = standing(session), world.payables()
    live(world, history, split=True)
    assert (standing(session), world.payables()) == (stands, has)
    finds_nothing(session)
    if not any(event.name in CORRECTIONS for event in history):
        live(world, history, split=True, late=True)
        assert _something(standing(session)) == _something(stands)
        finds_nothing(session)


@pytest.fixture
def world(session: Session, clock: HeldClock, files: FileStore) -> HistoryWorld:
    return HistoryWorld(session, clock, files)


def live(world: HistoryWorld, history: Sequence[Event], **how: bool) -> None:
    """A history from the first day on. After each event nobody has less than nothing, and cash stays where it went."""
    world.begin(**how)
    note(repr(history))
    cash, bank = world.confirmed(), world.money.bank()
    for event in history:
        world.happen(event)
        assert min(world.payables()) >= 0, event
        assert min(standing(world.session).values(), default=0) >= 0, event
        now = world.confirmed()
        assert all(after >= before for after, before in zip(now, cash, strict=True)), event
        assert bank - world.money.bank() == sum(now) - sum(cash), event
        assert event.name in {"payout", "answer"} or now == cash, event
        cash, bank = now, world.money.bank()
    world.finish()
    assert world.confirmed() == cash


def _something(fen: dict[int, int]) -> dict[int, int]:
    """The figures without those of nothing."""
    return {key: value for key, value in fen.items() if value}


def adds_up_both_ways(session: Session, world: HistoryWorld) -> None:
    """By line as by household; and what stands and what waits is what the pools are, less what refunds took."""
    own = Credit.cooperative_id == world.cooperative.id
    sums = [
        sum(
            int(fen)
            for _, fen in session.execute(select(key, func.sum(Credit.amount_fen)).where(own).group_by(key))
        )
        for key in (Credit.line_id, Credit.household_id)
    ]
    shared = (
        select(func.sum(LinkagePool.pool_fen))
        .join(PoolDistribution, PoolDistribution.pool_id == LinkagePool.id)
        .join(Settlement, Settlement.line_id == LinkagePool.line_id)
        .where(Settlement.cooperative_id == world.cooperative.id)
    )
    assert sums == [session.scalar(shared) or 0] * 2
    pools = session.execute(
        select(LinkagePool.line_id, LinkagePool.pool_fen, Settlement.net_fen)
        .join(Settlement, Settlement.line_id == LinkagePool.line_id)
        .where(Settlement.cooperative_id == world.cooperative.id)
    ).all()
    refunded = refunded_after_settlement(session, {line_id for line_id, _, _ in pools})
    kept = sum(fen - reversal_target(fen, net, refunded.get(line, 0)) for line, fen, net in pools)
    waiting = balance(session, AccountKey.unallocated(world.cooperative.id))
    assert sum(standing(session).values()) + waiting == kept


def each_household_has_what_its_rows_say(session: Session, world: HistoryWorld) -> None:
    """The balance in the ledger is credits less reversals, relief, guarantees, less charges and payouts."""
    rows = (
        select(CreditReversal.household_id, func.sum(CreditReversal.relief_fen)).group_by(
            CreditReversal.household_id
        ),
        select(GuaranteePosting.household_id, func.sum(CHANGE_FEN)).group_by(GuaranteePosting.household_id),
        select(Charge.household_id, -func.sum(ChargeCollection.amount_fen))
        .join(Charge, Charge.id == ChargeCollection.charge_id)
        .group_by(Charge.household_id),
        select(Payout.household_id, -func.sum(Payout.amount_fen))
        .where(Payout.state.in_(LEFT))
        .group_by(Payout.household_id),
    )
    found = [standing(session), *(dict(session.execute(query).all()) for query in rows)]
    expected = [sum(int(one.get(key, 0)) for one in found) for key in world.household_ids]
    assert world.payables() == expected


def finds_nothing(session: Session) -> None:
    """Neither the checks of the ledger nor the recomputation."""
    session.flush()
    assert [str(one) for result in run_checks(session, CHECKS) for one in result.findings] == []
    assert recompute_everything(session).first == []
