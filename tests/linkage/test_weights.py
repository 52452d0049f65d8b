"""The weights by which pools are shared."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import event, func, select

from marketplace.core.errors import NotFound
from marketplace.core.labels import LabelledEnum
from marketplace.linkage.models import Attribution, Entitlement, Mechanism
from marketplace.linkage.queries import (
    attributions_of,
    entitlements_of_household,
    entitlements_of_lot,
    entitlements_of_period,
    period_totals,
    totals_of,
    weights_in_scope,
)
from tests.factories.linkage import (
    ContractFactory,
    EntitlementFactory,
    LeaseFactory,
    LotFactory,
    PeriodFactory,
)
from tests.factories.registry import CooperativeFactory, EnrolmentFactory


class Unheard(LabelledEnum):
    """A seventh mechanism that nobody has built."""

    BEEKEEPING = "beekeeping", "养蜂"


CONTRACT, LEASE = Mechanism.CONTRACT_FARMING, Mechanism.LAND_TRANSFER


@pytest.fixture
def world(session):
    """A cooperative with two lots, a period and two households under both mechanisms."""
    cooperative = CooperativeFactory()
    first, second = EnrolmentFactory(cooperative=cooperative), EnrolmentFactory(cooperative=cooperative)
    contracts = [ContractFactory(enrolment=one) for one in (first, second)]
    leases = [LeaseFactory(enrolment=one) for one in (first, second)]
    lots = [LotFactory(cooperative=cooperative) for _ in range(2)]
    return contracts, leases, lots, PeriodFactory(cooperative=cooperative)


def latest(session):
    return session.scalar(select(func.max(Entitlement.id)))


def test_entitlements_are_summed_by_household_in_each_scope(session, world):
    contracts, leases, lots, period = world
    for agreement, lot, amount_fen in (
        (contracts[1], lots[0], 30),
        (contracts[0], lots[0], 10),
        (contracts[0], lots[0], 5),
        (contracts[1], lots[1], 7),
    ):
        EntitlementFactory(agreement=agreement, lot=lot, amount_fen=amount_fen)
    EntitlementFactory(agreement=leases[0], period=period, amount_fen=99)
    scopes = [
        (CONTRACT, lots[0].id, None),
        (CONTRACT, lots[1].id, None),
        (LEASE, None, period.id),
        (LEASE, lots[0].id, None),
    ]
    weights = weights_in_scope(session, scopes, latest(session))
    one, two = contracts[0].household_id, contracts[1].household_id
    assert weights == {
        scopes[0]: {one: 15, two: 30},
        scopes[1]: {two: 7},
        scopes[2]: {one: 99},
        scopes[3]: {},
    }
    assert list(weights[scopes[0]]) == sorted((one, two))


def test_weights_are_as_they_were(session, world):
    contracts, _, lots, _ = world
    EntitlementFactory(agreement=contracts[0], lot=lots[0], amount_fen=10)
    then = latest(session)
    EntitlementFactory(agreement=contracts[0], lot=lots[0], amount_fen=10)
    scope = (CONTRACT, lots[0].id, None)
    assert weights_in_scope(session, [scope], then) == {scope: {contracts[0].household_id: 10}}
    assert weights_in_scope(session, [scope], latest(session)) == {scope: {contracts[0].household_id: 20}}


MANY = [(CONTRACT, lot_id, None) for lot_id in range(1, 2001)]


@pytest.mark.databases("sqlite")  # on PostgreSQL the driver is asked directly, with the same one question
def test_many_scopes_are_read_in_one_statement(session, engine, world):
    statements = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    weights_in_scope(session, MANY, 10**9)
    assert len([one for one in statements if "FROM entitlement" in one]) == 1


def test_a_scope_without_entitlements_has_no_weights(session, world):
    assert len(weights_in_scope(session, MANY, 10**9)) == 2000
    assert weights_in_scope(session, [], 10**9) == {}
    assert weights_in_scope(session, [(LEASE, None, None)], 10**9) == {(LEASE, None, None): {}}


def test_entitlements_are_found_by_household_lot_and_period(session, world):
    contracts, leases, lots, period = world
    slip = EntitlementFactory(agreement=contracts[0], lot=lots[0], amount_fen=10)
    rent = EntitlementFactory(agreement=leases[0], period=period, amount_fen=20, due_on=date(2027, 1, 1))
    other = EntitlementFactory(agreement=contracts[1], lot=lots[0], amount_fen=5)
    household_id = contracts[0].household_id
    assert session.scalars(entitlements_of_household(household_id)).all() == [rent, slip]
    assert session.scalars(entitlements_of_lot(lots[0].id)).all() == [other, slip]
    assert session.scalars(entitlements_of_period(period.id)).all() == [rent]
    assert totals_of(session, Entitlement.lot_id == lots[0].id) == (2, 2, 15)
    assert period_totals(session, [period.id]) == {period.id: (1, 20)}


def test_goods_hold_what_was_delivered_and_rent_is_spread_over_a_period():
    assert attributions_of(CONTRACT) == (Attribution.DIRECT,)
    assert attributions_of(LEASE) == (Attribution.ALLOCATED,)
    assert attributions_of(Mechanism.ASSET_LEASE) == (Attribution.ALLOCATED,)
    assert attributions_of(Mechanism.EMPLOYMENT) == (Attribution.DIRECT, Attribution.ALLOCATED)
    with pytest.raises(NotFound):
        attributions_of(Unheard.BEEKEEPING)
