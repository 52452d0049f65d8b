"""Corrections among refunds: whatever came first, nobody keeps a fen too much, and two people at once post once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from marketplace.core.db import session_maker
from marketplace.core.errors import DomainError
from marketplace.payments.corrections.models import CorrectionSet, CorrectionState
from marketplace.payments.corrections.rules import agree_correction
from marketplace.payments.refunds.models import CreditReversal, Refund, ReversalCause
from marketplace.payments.refunds.rules import agree_refund
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.refunds import asked, buyer_of, refunded, shared_offer, standing
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import sell
from tests.payments.test_corrections import county, findings, ineligible, proposed

UNITS = 17
HISTORIES = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WEIGHTS = st.lists(st.integers(1, 9), min_size=2, max_size=4)
PARTS = st.lists(st.integers(1, 5), min_size=1, max_size=3)


@HISTORIES
@given(weights=WEIGHTS, refunds=PARTS, gone=st.lists(st.integers(0, 3), min_size=1, max_size=2, unique=True))
def test_any_history_ends_at_zero_when_everything_is_refunded(
    session: Session, clock: HeldClock, weights: list[int], refunds: list[int], gone: list[int]
) -> None:
    session.rollback()  # of one example nothing is left for the next
    offered, households = shared_offer(session, CooperativeFactory(), *weights)
    order = sell(session, offered, units=UNITS)
    settle_lines(session)
    leaving = [households[index] for index in gone if index < len(households)]
    left, lost = UNITS, set[int]()
    for number, units in enumerate([*refunds, 0]):
        if leaving and number:
            household = leaving.pop()
            if _own(session, households)[household]:
                agree_correction(session, county(), proposed(session, ineligible(session, household)))
            lost.add(household)
        now = _own(session, households)
        assert all(now[household] == 0 for household in lost)
        assert sum(now.values()) == (left if lost < set(households) else 0)
        if units:
            refunded(session, order, units, key=f"refund-number-{number}")
            left -= units
            after = _own(session, households)
            assert all(0 <= after[household] <= now[household] for household in households)
    refunded(session, order, left, key="whatever-is-left")
    assert _own(session, households) == dict.fromkeys(households, 0)
    assert findings(session) == []


def _own(session: Session, households: list[int]) -> dict[int, int]:
    """What these households have now."""
    found = standing(session)
    return {household: found.get(household, 0) for household in households}


def at_once(engine: Engine, *works: Callable[[Session], object]) -> list[str]:
    start, outcomes, maker = threading.Barrier(len(works)), list[str](), session_maker(engine)

    def run(work: Callable[[Session], object]) -> None:
        with maker() as own:
            start.wait()
            try:
                work(own)
            except DomainError as refusal:
                own.rollback()
                outcomes.append(refusal.code)
            else:
                own.commit()
                outcomes.append("done")

    workers = [threading.Thread(target=run, args=(work,)) for work in works]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(outcomes)


@pytest.mark.databases("postgresql")
def test_two_people_who_agree_at_the_same_moment_post_once(
    engine: Engine, session: Session, clock: HeldClock
) -> None:
    offered, (first, second) = shared_offer(session, CooperativeFactory(), 4, 6)
    sell(session, offered, units=10)
    settle_lines(session)
    key = proposed(session, ineligible(session, second)).id
    people = [county(), county()]
    session.commit()

    outcomes = at_once(
        engine,
        *(lambda own, who=who: agree_correction(own, who, own.get_one(CorrectionSet, key)) for who in people),
    )
    assert outcomes == ["decided", "done"]
    session.rollback()
    assert standing(session) == {first: 10, second: 0}
    assert findings(session) == []


@pytest.mark.databases("postgresql")
def test_a_refund_beside_a_correction_waits_or_refuses_it(
    engine: Engine, session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, (first, second) = shared_offer(session, cooperative, 4, 6)
    order = sell(session, offered, units=10)
    settle_lines(session)
    key = proposed(session, ineligible(session, second)).id
    refund_id = asked(session, buyer_of(session, order), order.parts[0], 5).id
    reviewer, manager = county(), actor_at(cooperative)
    session.commit()

    outcomes = at_once(
        engine,
        lambda own: agree_correction(own, reviewer, own.get_one(CorrectionSet, key)),
        lambda own: agree_refund(own, manager, own.get_one(Refund, refund_id)),
    )
    session.rollback()
    corrected = session.get_one(CorrectionSet, key).state is CorrectionState.POSTED
    assert outcomes == (["done", "done"] if corrected else ["done", "ground_moved"])
    assert standing(session) == ({first: 5, second: 0} if corrected else {first: 2, second: 3})
    causes = set(session.scalars(select(CreditReversal.cause)))
    assert causes == {ReversalCause.REFUND} | ({ReversalCause.CORRECTION} if corrected else set())
    assert findings(session) == []
