"""Refunds do not depend on their path: any split in any order, before or after the evidence, ends at the same fen."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core.db import session_maker
from marketplace.core.errors import DomainError
from marketplace.identity.actors import Actor
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import Settlement
from marketplace.payments.refunds.models import CreditReversal, Refund, RefundedLine, RefundState
from marketplace.payments.refunds.rules import agree_refund
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.refunds import asked, buyer_of, deliverer, refunded, shared_offer, standing
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import sell

UNITS = 12
PATHS = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=4)
SPLITS = st.lists(st.integers(1, 5), min_size=1, max_size=5).filter(lambda units: sum(units) <= UNITS)


@PATHS
@given(weights=WEIGHTS, split=SPLITS, evidence_after=st.integers(0, 5))
def test_any_split_ends_where_one_refund_of_the_sum_ends(
    session: Session, clock: HeldClock, weights: list[int], split: list[int], evidence_after: int
) -> None:
    """`evidence_after`: how many of the partial refunds come while the pool still waits."""
    session.rollback()  # of one example nothing is left for the next
    whole = _refunded_at_once(session, weights, sum(split))
    cooperative = CooperativeFactory()
    offered, _ = shared_offer(session, cooperative)
    order = sell(session, offered, units=UNITS, key="an-order-in-pieces")
    settle_lines(session)
    households = []
    for number, units in enumerate([*split, 0]):
        if number == min(evidence_after, len(split)):
            households = [deliverer(cooperative, offered, weight).household_id for weight in weights]
            distribute_pools(session)
        if units:
            refunded(session, order, units, key=f"piece-number-{number}")
    now = standing(session)
    assert [now.get(household, 0) for household in households] == whole
    keys = [AccountKey.household_payable(cooperative.id, household) for household in households]
    found = balances(session, keys)
    assert [found[key] for key in keys] == whole
    assert [one for result in run_checks(session, CHECKS) for one in result.findings] == []


def _refunded_at_once(session: Session, weights: list[int], units: int) -> list[int]:
    """What households of these weights have left after one refund."""
    offered, households = shared_offer(session, CooperativeFactory(), *weights)
    order = sell(session, offered, units=UNITS, key="an-order-at-once")
    settle_lines(session)
    refunded(session, order, units, key="all-at-once")
    left = standing(session)
    return [left.get(household, 0) for household in households]  # a share may be less than a fen


@pytest.mark.databases("postgresql")
def test_two_people_who_agree_at_the_same_moment_refund_once(
    engine: Engine, session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, [household] = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    refund_id = asked(session, buyer_of(session, order), order.parts[0], 4).id
    deciders = [actor_at(cooperative), actor_at(cooperative)]
    session.commit()

    outcomes = _at_once(engine, deciders, [refund_id, refund_id])
    assert sorted(outcomes) == ["decided", "done"]
    session.rollback()
    assert standing(session) == {household: 6}
    assert session.scalar(select(func.count()).select_from(RefundedLine)) == 1


@pytest.mark.databases("postgresql")
def test_two_refunds_of_one_line_at_the_same_moment_both_count(
    engine: Engine, session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, [household] = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    buyer = buyer_of(session, order)
    ids = [asked(session, buyer, order.parts[0], units, key=f"refund-{units}").id for units in (4, 3)]
    deciders = [actor_at(cooperative), actor_at(cooperative)]
    session.commit()

    assert _at_once(engine, deciders, ids) == ["done", "done"]
    session.rollback()
    assert standing(session) == {household: 3}
    assert session.scalar(select(func.max(CreditReversal.after_fen))) == 7


def _at_once(engine: Engine, deciders: list[Actor], refund_ids: list[int]) -> list[str]:
    start, outcomes, maker = threading.Barrier(2), list[str](), session_maker(engine)

    def work(actor: Actor, refund_id: int) -> None:
        with maker() as own:
            refund = own.get_one(Refund, refund_id)
            start.wait()
            try:
                agree_refund(own, actor, refund)
            except DomainError as refusal:
                own.rollback()
                outcomes.append(refusal.code)
            else:
                own.commit()
                outcomes.append("done")

    workers = [threading.Thread(target=work, args=pair) for pair in zip(deciders, refund_ids, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcomes


@pytest.mark.databases("postgresql")
def test_a_refund_beside_the_settlement_ends_at_the_same_fen(
    engine: Engine, session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered, [household] = shared_offer(session, cooperative, 1)
    order = sell(session, offered, units=10)
    refund_id = asked(session, buyer_of(session, order), order.parts[0], 4).id
    decider = actor_at(cooperative)
    session.commit()
    start, maker = threading.Barrier(2), session_maker(engine)

    def settle() -> None:
        with maker() as own:
            start.wait()
            settle_lines(own)
            own.commit()

    def agree() -> None:
        with maker() as own:
            start.wait()
            agree_refund(own, decider, own.get_one(Refund, refund_id))
            own.commit()

    workers = [threading.Thread(target=settle), threading.Thread(target=agree)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    session.rollback()
    settle_lines(session)  # the settlement passes over a part that is held, and comes back
    assert standing(session) == {household: 6}
    assert session.get_one(Refund, refund_id).state is RefundState.AGREED
    assert session.scalars(select(Settlement.line_id)).one()
    assert [one for result in run_checks(session, CHECKS) for one in result.findings] == []
