"""Pools that wait for evidence: listed by age, equal to the ledger, shared out when evidence arrives."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.linkage.models import Mechanism
from marketplace.payments.closing.unallocated import (
    Age,
    scopes_found,
    tasks_of,
    waiting_by_age,
    waiting_in_period,
    waiting_scopes,
)
from marketplace.payments.closing.verify import CHECKS
from marketplace.payments.distribution import distribute_pools
from marketplace.payments.models import LinkagePool, PoolDistribution
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory, LeaseFactory, PeriodFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at, user_of
from tests.factories.trade import Offer, offer, sell

TERMS = {Mechanism.CONTRACT_FARMING: 1_000, Mechanism.LAND_TRANSFER: 500}


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    """Goods of 50.00 yuan: 5.00 for the lot, 2.50 for the period."""
    return offer(session, CooperativeFactory(), units=100, terms=TERMS)


def balance_of(session: Session, offered: Offer) -> int:
    """What the ledger says waits, in fen."""
    key = AccountKey.unallocated(offered.cooperative.id)
    return balances(session, [key])[key]


def findings(session: Session) -> list[str]:
    """What the checks find."""
    session.flush()
    return [str(finding) for result in run_checks(session, CHECKS) for finding in result.findings]


def test_what_waits_is_listed_by_scope_and_age(session: Session, offered: Offer, clock: HeldClock) -> None:
    manager = actor_at(offered.cooperative)
    sell(session, offered, units=1, key="an-order-of-a-long-time-ago")
    settle_lines(session)
    clock.advance(days=61)
    sell(session, offered, units=2, key="an-order-of-a-month-ago")
    settle_lines(session)
    clock.advance(days=30)
    sell(session, offered, units=4, key="an-order-of-today")
    settle_lines(session)

    assert waiting_by_age(session, manager) == {Age.FRESH: 1_500 + 3_000, Age.WATCHED: 0, Age.LATE: 750}
    clock.advance(days=1)
    by_age = waiting_by_age(session, manager)
    assert by_age == {Age.FRESH: 3_000, Age.WATCHED: 1_500, Age.LATE: 750}
    assert sum(by_age.values()) == balance_of(session, offered)
    found = scopes_found(session.execute(waiting_scopes(manager)).all())
    assert [(one.mechanism, one.lot, one.period, one.pools, one.fen, one.days) for one in found] == [
        (Mechanism.CONTRACT_FARMING, offered.lot, None, 3, 3_500, 92),
        (Mechanism.LAND_TRANSFER, None, None, 3, 1_750, 92),
    ]
    assert findings(session) == []


def test_what_waits_is_shared_out_when_evidence_arrives(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    sell(session, offered, units=1)
    settle_lines(session)
    assert balance_of(session, offered) == 750
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    assert distribute_pools(session) == 1
    assert balance_of(session, offered) == 250
    period = PeriodFactory(cooperative=offered.cooperative)
    assert waiting_in_period(session, period) == (1, 250)
    lease = LeaseFactory(enrolment=EnrolmentFactory(cooperative=offered.cooperative))
    EntitlementFactory(agreement=lease, period=period)

    assert distribute_pools(session) == 1
    assert balance_of(session, offered) == 0
    assert waiting_in_period(session, period) == (0, 0)
    distributed = select(PoolDistribution.period_id).order_by(PoolDistribution.pool_id)
    assert session.scalars(distributed).all() == [None, period.id]
    assert findings(session) == []


def test_a_month_of_waiting_is_a_task_of_the_cooperative(
    session: Session, offered: Offer, clock: HeldClock
) -> None:
    manager = actor_at(offered.cooperative)
    sell(session, offered, units=1)
    settle_lines(session)
    clock.advance(days=30)
    assert tasks_of(session, manager) == []
    clock.advance(days=1)
    assert [task.count for task in tasks_of(session, manager)] == [2]
    assert tasks_of(session, actor_at(CooperativeFactory())) == []


def test_a_balance_that_differs_is_found(session: Session, offered: Offer, clock: HeldClock) -> None:
    sell(session, offered, units=1)
    settle_lines(session)
    assert findings(session) == []
    pool = session.scalars(select(LinkagePool).where(LinkagePool.lot_id.is_not(None))).one()
    columns = "id, line_id, mechanism, attribution, lot_id, period_id, rate_bp, pool_fen, waiting, settled_at"
    session.execute(
        text(
            f"INSERT INTO linkage_pool ({columns}) SELECT id + 1000, line_id, mechanism, attribution, lot_id, "
            "period_id, rate_bp, 7, waiting, settled_at FROM linkage_pool WHERE id = :pool"
        ),
        {"pool": pool.id},
    )
    assert findings(session) == [
        f"合作社 {offered.cooperative.public_no} 待分配资金合计 757 分，账上是 750 分"
    ]


def test_the_page_tells_what_is_missing_and_where_to_record_it(
    client: MarketClient, session: Session, offered: Offer, clock: HeldClock
) -> None:
    sell(session, offered, units=1)
    settle_lines(session)
    clock.advance(days=40)
    client.sign_in(user_of(offered.cooperative, Role.COOPERATIVE_CLERK))
    page = client.get("/linkage/unallocated").text
    assert "7.50" in page
    assert "与台账余额一致" in page
    assert f"/linkage/lots/{offered.lot.public_no}" in page
    assert "卖出那天不在任何联结期里" in page
    assert "2 处联结资金等凭据超过 30 天" in client.get("/desk").text


def test_an_auditor_sees_the_cooperatives_of_the_jurisdiction(
    client: MarketClient, session: Session, offered: Offer, clock: HeldClock
) -> None:
    sell(session, offered, units=1)
    settle_lines(session)
    client.sign_in(official_with(Role.AUDITOR))
    assert offered.cooperative.name in client.get("/linkage/unallocated").text
    client.sign_in(official_with(Role.AUDITOR, "360827"))
    assert offered.cooperative.name not in client.get("/linkage/unallocated").text
    client.sign_in(user_of(CooperativeFactory(), Role.COOPERATIVE_MANAGER))
    assert "没有待分配的资金" in client.get("/linkage/unallocated").text


def test_a_period_warns_of_what_waits_in_it(
    client: MarketClient, session: Session, offered: Offer, clock: HeldClock
) -> None:
    today = date(2026, 6, 1)
    period = PeriodFactory(cooperative=offered.cooperative, ends_on=today + timedelta(days=1))
    sell(session, offered, units=1)
    settle_lines(session)
    client.sign_in(user_of(offered.cooperative, Role.COOPERATIVE_MANAGER))
    page = client.get(f"/linkage/periods/{period.public_no}").text
    assert "还有资金在等凭据" in page
    assert "有 1 笔联结资金" in page
    assert "/linkage/unallocated" in page
