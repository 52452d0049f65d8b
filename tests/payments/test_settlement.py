"""Settlement: what an accepted and paid line becomes, to the fen, once, on both databases."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from marketplace.core.db import session_maker
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.linkage import ContractFactory, EntitlementFactory, LeaseFactory, PeriodFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory
from tests.factories.trade import buy, offer, pay_by_card, sell, staff_buyer


def credited(session: Session) -> dict[int, int]:
    """Fen by household id."""
    rows = session.execute(
        select(Credit.household_id, func.sum(Credit.amount_fen)).group_by(Credit.household_id)
    )
    return {household_id: int(fen) for household_id, fen in rows}


def test_a_settled_line_credits_its_households_by_what_they_delivered(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    first, second = (ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(2))
    EntitlementFactory(agreement=first, lot=offered.lot, amount_fen=2_000)
    EntitlementFactory(agreement=second, lot=offered.lot, amount_fen=1_000)
    sell(session, offered, units=1)

    assert settle_lines(session) == 1

    # 50.00 yuan net, a tenth of it is 5.00; two to one is 3.33 and 1.66, the odd fen to the larger remainder
    assert credited(session) == {first.household_id: 333, second.household_id: 167}
    settlement = session.scalars(select(Settlement)).one()
    assert (settlement.net_fen, settlement.pool_fen) == (5_000, 500)
    pool = session.scalars(select(LinkagePool)).one()
    assert (pool.mechanism, pool.attribution) == (Mechanism.CONTRACT_FARMING, Attribution.DIRECT)
    assert (pool.lot_id, pool.pool_fen, pool.waiting) == (offered.lot.id, 500, False)


def test_the_ledger_holds_what_the_credits_say(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=2)
    settle_lines(session)

    keys = [
        AccountKey.clearing("card"),
        AccountKey.escrow(cooperative.id),
        AccountKey.cooperative_payable(cooperative.id),
        AccountKey.household_payable(cooperative.id, contract.household_id),
    ]
    found = balances(session, keys)
    assert [found[key] for key in keys] == [10_000, 0, 9_000, 1_000]


def test_a_line_that_is_paid_but_not_accepted_credits_nothing(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    EntitlementFactory(
        agreement=ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative)), lot=offered.lot
    )
    buyer = staff_buyer()
    pay_by_card(session, buyer, buy(session, buyer, (offered, 1)))

    assert settle_lines(session) == 0
    assert credited(session) == {}
    assert session.scalars(select(Settlement)).all() == []


def test_settling_again_changes_nothing(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=1)
    settle_lines(session)
    entries = session.scalar(select(func.count()).select_from(Entry))

    assert settle_lines(session) == 0
    assert session.scalar(select(func.count()).select_from(Entry)) == entries
    assert credited(session) == {contract.household_id: 500}


def test_two_mechanisms_split_the_pool_in_their_order(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    period = PeriodFactory(cooperative=cooperative)
    offered = offer(
        session,
        cooperative,
        tiers=((1, 333),),
        terms={Mechanism.CONTRACT_FARMING: 1_000, Mechanism.LAND_TRANSFER: 500},
    )
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    lease = LeaseFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    EntitlementFactory(agreement=lease, period=period)
    sell(session, offered, units=1)
    settle_lines(session)

    # half_up(333 x 15 %) = 50 fen; 2:1 of 50 is 33 and 17
    assert credited(session) == {contract.household_id: 33, lease.household_id: 17}
    attributions = dict(session.execute(select(LinkagePool.mechanism, LinkagePool.attribution)).all())
    assert attributions == {
        Mechanism.CONTRACT_FARMING: Attribution.DIRECT,
        Mechanism.LAND_TRANSFER: Attribution.ALLOCATED,
    }


def test_a_pool_without_evidence_waits_and_is_shared_out_when_it_comes(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    sell(session, offered, units=1)
    settle_lines(session)
    waiting = AccountKey.unallocated(cooperative.id)
    assert balances(session, [waiting])[waiting] == 500
    assert distribute_pools(session) == 0

    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)

    assert distribute_pools(session) == 1
    assert distribute_pools(session) == 0
    assert balances(session, [waiting])[waiting] == 0
    assert credited(session) == {contract.household_id: 500}


def test_evidence_that_comes_after_the_settlement_does_not_change_it(
    session: Session, clock: HeldClock
) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    early, late = (ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative)) for _ in range(2))
    kept = EntitlementFactory(agreement=early, lot=offered.lot)
    sell(session, offered, units=1)
    settle_lines(session)
    EntitlementFactory(agreement=late, lot=offered.lot)
    distribute_pools(session)

    assert credited(session) == {early.household_id: 500}
    assert session.scalars(select(PoolDistribution.as_of_entitlement_id)).one() == kept.id


def test_many_lines_settle_in_a_fixed_number_of_statements(
    session: Session, clock: HeldClock, statements
) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    EntitlementFactory(
        agreement=ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative)), lot=offered.lot
    )
    sell(session, offered, units=1, key="the-very-first-order")
    with statements() as few:
        settle_lines(session)
    for number in range(20):
        sell(session, offered, units=1, key=f"another-order-{number:04d}")
    with statements() as many:
        assert settle_lines(session) == 20
    assert len(many) <= len(few), "\n".join(s[:120].replace("\n", " ") for s in many)


@pytest.mark.databases("postgresql")
def test_two_workers_settle_every_line_once(engine: Engine, session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    for number in range(12):
        sell(session, offered, units=1, key=f"one-order-of-many-{number}")
    session.commit()
    start, counts, maker = threading.Barrier(2), [], session_maker(engine)

    def work() -> None:
        start.wait()
        for _ in range(20):
            with maker() as own:
                counts.append(settle_lines(own, limit=3))
                own.commit()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(counts) == 12
    session.rollback()
    assert credited(session) == {contract.household_id: 6_000}


@pytest.mark.parametrize("table", ["settlement", "linkage_pool", "pool_distribution", "credit"])
def test_what_was_settled_cannot_be_rewritten(session: Session, clock: HeldClock, table: str) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=1)
    settle_lines(session)
    session.flush()
    with pytest.raises(DatabaseError, match=table), session.begin_nested():
        session.execute(text(f"DELETE FROM {table}"))
    assert credited(session) == {contract.household_id: 500}
