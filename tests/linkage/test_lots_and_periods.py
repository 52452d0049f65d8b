"""Opening lots and linkage periods, and the tasks that wait."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.identity.models import Role
from marketplace.linkage.models import LinkagePeriod, Lot
from marketplace.linkage.queries import free_g, period_on, tasks_of, usable_g
from marketplace.linkage.rules import open_lot, open_period
from tests.factories.identity import actor_with
from tests.factories.linkage import ContractFactory, LotFactory, PeriodFactory
from tests.factories.registry import VILLAGE, CooperativeFactory, EnrolmentFactory, RegionFactory, actor_at

pytestmark = pytest.mark.usefixtures("clock")
LOT = {
    "lot_no": "2026-01",
    "commodity": "油茶籽",
    "village_code": VILLAGE,
    "harvested_on": date(2026, 5, 1),
    "yield_bp": 2500,
}


@pytest.fixture
def actor(session):
    RegionFactory()
    return actor_at(CooperativeFactory())


def test_a_lot_is_opened_empty(session, actor):
    lot = open_lot(session, actor, **LOT)
    assert (lot.cooperative_id, lot.received_g, lot.committed_g) == (actor.cooperative_id, 0, 0)
    lot.received_g, lot.committed_g = 10_001, 500
    assert (usable_g(lot), free_g(lot)) == (2500, 2000)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lot_no": " "}, "lot_no"),
        ({"commodity": ""}, "commodity"),
        ({"village_code": "361025"}, "village_code"),
        ({"village_code": "999999999999"}, "village_code"),
        ({"harvested_on": date(2026, 6, 2)}, "harvested_on"),
        ({"harvested_on": date(1926, 5, 1)}, "harvested_on"),
        ({"yield_bp": 0}, "yield_bp"),
        ({"yield_bp": 10_001}, "yield_bp"),
    ],
)
def test_a_lot_that_cannot_be_is_refused(session, actor, fields, field):
    with pytest.raises(Refused) as refusal:
        open_lot(session, actor, **{**LOT, **fields})
    assert refusal.value.field == field
    assert session.scalar(select(func.count(Lot.id))) == 0


def test_a_lot_number_is_used_once_in_a_cooperative(session, actor):
    open_lot(session, actor, **LOT)
    open_lot(session, actor_at(CooperativeFactory()), **LOT)
    with pytest.raises(Refused) as refusal:
        open_lot(session, actor, **LOT)
    assert refusal.value.code == "lot_no_taken"
    assert session.scalar(select(func.count(Lot.id))) == 2


def test_only_the_people_of_a_cooperative_open_lots_and_periods(session):
    with pytest.raises(Forbidden):
        open_lot(session, actor_with(Role.AUDITOR), **LOT)
    with pytest.raises(Forbidden):
        open_period(session, actor_with(Role.AUDITOR), starts_on=date(2026, 1, 1), ends_on=date(2027, 1, 1))


def test_periods_follow_each_other_in_whatever_order_they_are_opened(session, actor):
    for year in (2026, 2024, 2025):
        open_period(session, actor, starts_on=date(year, 1, 1), ends_on=date(year + 1, 1, 1))
    session.commit()
    held = session.scalars(select(LinkagePeriod).order_by(LinkagePeriod.starts_on)).all()
    assert [period.previous_ends_on for period in held] == [None, date(2025, 1, 1), date(2026, 1, 1)]
    assert period_on(session, actor.cooperative_id, date(2024, 12, 31)) is held[0]
    assert period_on(session, actor.cooperative_id, date(2025, 1, 1)) is held[1]
    assert period_on(session, actor.cooperative_id, date(2027, 1, 1)) is None


@pytest.mark.parametrize(
    ("starts_on", "ends_on"),
    [
        (date(2026, 1, 1), date(2027, 1, 1)),
        (date(2025, 6, 1), date(2026, 1, 2)),
        (date(2026, 12, 31), date(2027, 6, 1)),
        (date(2026, 4, 1), date(2026, 5, 1)),
    ],
)
def test_periods_of_a_cooperative_never_overlap(session, actor, starts_on, ends_on):
    open_period(session, actor, starts_on=date(2026, 1, 1), ends_on=date(2027, 1, 1))
    with pytest.raises(Conflict) as refusal:
        open_period(session, actor, starts_on=starts_on, ends_on=ends_on)
    assert str(refusal.value) == "与 2026-01-01 到 2026-12-31 的联结期重叠，请改日期"
    assert session.scalar(select(func.count(LinkagePeriod.id))) == 1
    open_period(session, actor_at(CooperativeFactory()), starts_on=starts_on, ends_on=ends_on)


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "field"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), "ends_on"),
        (date(2026, 1, 1), date(2027, 1, 3), "ends_on"),
        (date(2013, 1, 1), date(2013, 6, 1), "starts_on"),
        (date(2028, 1, 1), date(2028, 6, 1), "starts_on"),
    ],
)
def test_a_period_that_cannot_be_is_refused(session, actor, starts_on, ends_on, field):
    with pytest.raises(Refused) as refusal:
        open_period(session, actor, starts_on=starts_on, ends_on=ends_on)
    assert refusal.value.field == field
    assert session.scalar(select(func.count(LinkagePeriod.id))) == 0


def test_what_waits_for_a_cooperative(session):
    agreement = ContractFactory()
    cooperative = agreement.cooperative
    actor = actor_at(cooperative)
    assert tasks_of(session, actor) == []
    EnrolmentFactory(cooperative=cooperative)
    EnrolmentFactory(cooperative=cooperative)
    LotFactory(cooperative=cooperative)
    LotFactory(cooperative=cooperative, received_g=1)
    LotFactory()
    PeriodFactory(cooperative=cooperative)
    assert [(task.endpoint, task.count) for task in tasks_of(session, actor)] == [
        ("linkage.choose_household", 2),
        ("linkage.lots", 1),
    ]
    assert tasks_of(session, actor_with(Role.AUDITOR)) == []
