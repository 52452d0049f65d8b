"""What counts towards a quota, what is on the way, what never counts; and the arithmetic of percentage and forecast."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from sqlalchemy.orm import Session

from marketplace.core.clock import SHANGHAI
from marketplace.core.money import format_rate
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderKind
from marketplace.payments.refunds.rules import agree_refund
from marketplace.registry.models import BuyerUnit
from marketplace.reporting.quota.counting import Missing, counted_lines_of
from marketplace.reporting.quota.pace import Pace, days_of
from marketplace.reporting.quota.progress import Pending, progress_of, tasks_of
from tests.conftest import HeldClock, Listening
from tests.factories.identity import UserFactory
from tests.factories.quota import MILLION, confirmed, filed, purchase, quota_rule, shared_canteen
from tests.factories.refunds import asked
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import CategoryFactory, bill, buy, offer

NEW_YEAR = datetime(2026, 1, 1, 0, 0, tzinfo=SHANGHAI)
LAST_MINUTE = datetime(2025, 12, 31, 23, 59, tzinfo=SHANGHAI)


@pytest.fixture
def unit(session: Session, clock: HeldClock) -> BuyerUnit:
    """A unit of 1,000,000.00 yuan a year, 10 % reserved; today is 1 June 2026."""
    quota_rule()
    found = BuyerUnitFactory()
    confirmed(session, found)
    return found


# --- arithmetic ---


def test_what_counts_of_a_million_is_told_to_two_decimals() -> None:
    pace = Pace(100_000_000, 10_000_000, 12_345_678, 152, 365)
    assert (pace.percent_bp, format_rate(pace.percent_bp)) == (1_235, "12.35")
    assert (pace.done_bp, pace.remaining_fen, pace.is_behind) == (12_346, 0, False)


@pytest.mark.parametrize(
    ("counted", "percent_bp"), [(0, 0), (4_999, 0), (5_000, 1), (12_344_999, 1_234), (12_345_000, 1_235)]
)
def test_percentages_are_rounded_half_up(counted: int, percent_bp: int) -> None:
    assert Pace(100_000_000, 10_000_000, counted, 1, 365).percent_bp == percent_bp


def test_the_forecast_goes_on_at_the_present_pace() -> None:
    pace = Pace(100_000_000, 10_000_000, 3_000_000, 146, 365)
    assert (pace.forecast_fen, pace.forecast_bp, pace.remaining_fen) == (7_500_000, 750, 7_000_000)
    assert (pace.expected_fen, pace.is_behind, pace.points_behind) == (4_000_000, True, 10)


def test_the_even_pace_is_not_behind() -> None:
    even = Pace(100_000_000, 10_000_000, 4_000_000, 146, 365)
    assert (even.is_behind, even.points_behind) == (False, 0)
    assert Pace(100_000_000, 10_000_000, 3_999_999, 146, 365).points_behind == 1


@pytest.mark.parametrize(
    ("on", "days"),
    [
        (date(2026, 1, 1), (1, 365)),
        (date(2026, 12, 31), (365, 365)),
        (date(2028, 3, 1), (61, 366)),
        (date(2025, 12, 31), (0, 365)),
        (date(2027, 1, 1), (365, 365)),
    ],
)
def test_days_elapsed_include_today(on: date, days: tuple[int, int]) -> None:
    assert days_of(2028 if on.year == 2028 else 2026, on) == days


# --- what counts ---


def test_a_purchase_counts_when_accepted_paid_and_evaluated(session: Session, unit: BuyerUnit) -> None:
    purchase(session, unit, 12_345_678)
    purchase(session, unit, 100, lacks=("accepted", "paid", "evaluated"))
    purchase(session, unit, 200, lacks=("paid", "evaluated"))
    purchase(session, unit, 400, lacks=("evaluated",))
    purchase(session, BuyerUnitFactory(), 800)
    progress = progress_of(session, unit, 2026)
    assert (progress.counted_fen, progress.pace.percent_bp) == (12_345_678, 1_235)
    assert progress.pending == {
        Missing.ACCEPTANCE: Pending(1, 100),
        Missing.PAYMENT: Pending(1, 200),
        Missing.EVALUATION: Pending(1, 400),
    }


def test_the_last_of_the_three_decides_the_year(session: Session, unit: BuyerUnit) -> None:
    purchase(session, unit, 1, accepted_at=LAST_MINUTE, paid_at=LAST_MINUTE, evaluated_at=LAST_MINUTE)
    purchase(session, unit, 20, accepted_at=LAST_MINUTE, paid_at=LAST_MINUTE, evaluated_at=NEW_YEAR)
    purchase(session, unit, 300, accepted_at=LAST_MINUTE, paid_at=NEW_YEAR, evaluated_at=LAST_MINUTE)
    assert progress_of(session, unit, 2025).counted_fen == 1
    assert progress_of(session, unit, 2026).counted_fen == 320


def test_a_refund_takes_from_the_year_in_which_the_purchase_counted(
    session: Session, unit: BuyerUnit, clock: HeldClock
) -> None:
    payment = bill(session, offer(session, CooperativeFactory(), tiers=((1, 1_000),)), 5, unit=unit)
    part = payment.part
    part.paid_at = part.evaluated_at = part.accepted_at
    session.flush()
    assert progress_of(session, unit, 2026).counted_fen == 5_000
    clock.set_to(datetime(2027, 2, 1, 9, 0, tzinfo=SHANGHAI))
    refund = asked(session, actor_at(unit, Role.UNIT_RECEIVER), part, 2)
    agree_refund(session, actor_at(part.cooperative), refund)
    assert progress_of(session, unit, 2026).counted_fen == 3_000
    assert progress_of(session, unit, 2027).counted_fen == 0
    assert [row.kept_fen for row in session.execute(counted_lines_of([unit.id], 2026, []))] == [3_000]
    agree_refund(
        session,
        actor_at(part.cooperative),
        asked(session, actor_at(unit, Role.UNIT_RECEIVER), part, 3, key="the-rest"),
    )
    assert session.execute(counted_lines_of([unit.id], 2026, [])).all() == []


def test_union_and_personal_purchases_stand_apart(session: Session, unit: BuyerUnit) -> None:
    people = [UserFactory(granted=(Role.STAFF_BUYER,), organisation=unit.organisation) for _ in range(5)]
    offered = offer(session, CooperativeFactory(), tiers=((1, 700),))
    union = purchase(session, unit, 5_000)
    union.order.kind = OrderKind.UNION
    for number, user in enumerate(people, start=1):
        buy(session, actor_of(user), (offered, 1), key=f"a-person-s-own-{number}")
        progress = progress_of(session, unit, 2026)
        assert (progress.counted_fen, progress.union_fen) == (0, 5_000)
        assert progress.personal_fen == (3_500 if number == 5 else None)


def test_a_rule_may_count_some_goods_only(session: Session, clock: HeldClock) -> None:
    CategoryFactory(code="tea", path="farm/tea")
    quota_rule(category_codes=["tea"])
    unit = BuyerUnitFactory()
    confirmed(session, unit)
    purchase(session, unit, 500)
    assert progress_of(session, unit, 2026).counted_fen == 0
    CategoryFactory().path = "farm/tea/camellia-oil"
    session.flush()
    assert progress_of(session, unit, 2026).counted_fen == 500


def test_a_shared_canteen_counts_for_all_its_units(session: Session, unit: BuyerUnit) -> None:
    first, second = BuyerUnitFactory(), BuyerUnitFactory()
    shared_canteen(session, first, second)
    confirmed(session, first)
    purchase(session, first, 3_000_000)
    purchase(session, second, 1_000_000)
    for one in (first, second):
        progress = progress_of(session, one, 2026)
        assert (progress.counted_fen, progress.pace.percent_bp) == (4_000_000, 400)
        assert progress.filing.unit_id == first.id


def test_nothing_in_force_has_no_percentage(session: Session, clock: HeldClock) -> None:
    quota_rule()
    unit = BuyerUnitFactory()
    filed(session, unit)
    purchase(session, unit, 300)
    progress = progress_of(session, unit, 2026)
    assert (progress.pace, progress.counted_fen) == (None, 300)


# --- reminders ---


def test_who_is_behind_is_reminded(session: Session, unit: BuyerUnit) -> None:
    orderer, receiver = actor_at(unit, Role.UNIT_ORDERER), actor_at(unit, Role.UNIT_RECEIVER)
    assert [(task.message[:4], task.count) for task in tasks_of(session, orderer)] == [("预留份额", 42)]
    assert tasks_of(session, receiver) == []
    purchase(session, unit, MILLION // 20)
    purchase(session, unit, 400, lacks=("evaluated",))
    assert tasks_of(session, orderer) == []
    assert [task.count for task in tasks_of(session, receiver)] == [1]
    assert tasks_of(session, actor_at(unit, Role.UNIT_PAYER)) == []


def test_progress_costs_the_same_for_many_purchases(
    session: Session, unit: BuyerUnit, statements: Listening
) -> None:
    def cost() -> int:
        session.expire_all()
        with statements() as sent:
            progress_of(session, unit, 2026)
        return len(sent)

    purchase(session, unit, 300)
    few = cost()
    for _ in range(5):
        purchase(session, unit, 300)
    assert cost() == few
