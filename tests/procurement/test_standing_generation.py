"""Deliveries become orders: once each or held with a reason, in a bounded number of statements, from two workers."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date

import pytest
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import ListingState
from marketplace.catalog.queries import SaleStop
from marketplace.core import clock as core_clock
from marketplace.core.db import session_maker
from marketplace.identity.models import Role
from marketplace.linkage.models import Lot
from marketplace.ordering.bulk import place_orders
from marketplace.ordering.models import Order, OrderPart
from marketplace.ordering.states import PartState
from marketplace.procurement.budgets.rules import open_budget_line
from marketplace.procurement.standing.generation import HOLD_OF, _drafts, _due, _locked, generate_deliveries
from marketplace.procurement.standing.models import (
    DeliveryWindow,
    HoldReason,
    PriceRule,
    StandingLine,
    StandingOrder,
    StandingState,
    WindowOrder,
    WindowState,
)
from marketplace.procurement.standing.queries import history_of_window, tasks_of
from marketplace.procurement.standing.rules import end_standing, pause_standing
from marketplace.procurement.standing.schedule import instant_of
from marketplace.procurement.standing.windows import (
    answer_hold,
    answer_substitute,
    propose_substitute,
    skip_window,
)
from tests.conftest import HeldClock, Listening
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import PRICE_FEN, UNIT_G, new_version, offer
from tests.procurement.standing_world import LATER, NEXT, School, schedule

CUT_OFF = instant_of(date(2026, 6, 3), 16 * 60)


def test_whatever_stops_a_sale_is_a_reason_to_hold_a_delivery() -> None:
    assert set(HOLD_OF) >= {stop.value for stop in SaleStop}


@pytest.fixture
def school(session: Session, clock: HeldClock) -> School:
    return School(session)


def test_nothing_is_ordered_before_the_cut_off(school: School, session: Session, clock: HeldClock) -> None:
    school.running()
    assert generate_deliveries(session) == 0
    clock.set_to(CUT_OFF)
    assert (generate_deliveries(session), generate_deliveries(session)) == (1, 0)


def test_a_delivery_inside_the_approval_is_an_order_without_a_further_one(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.running(school.plan([school.wish(), school.wish(school.tea, 2)]))
    clock.set_to(CUT_OFF)
    generate_deliveries(session)

    order = session.scalars(select(Order)).one()
    assert (order.buyer_user_id, order.approved_by) == (school.orderer.user_id, school.approver.user_id)
    assert (order.total_fen, order.deliver_on, order.note) == (7 * PRICE_FEN, NEXT, "08:00-10:00")
    assert [part.state for part in order.parts] == [PartState.PLACED]
    assert school.states(standing)[NEXT] is WindowState.ORDERED
    assert school.window(standing).ordered.order is order
    assert (standing.used_fen, standing.used_windows) == (7 * PRICE_FEN, 1)
    assert school.promised()[NEXT] == 5
    assert school.oil.lot.committed_g == 5 * UNIT_G


def test_what_is_beyond_the_approval_waits_for_an_approval_of_its_own(
    school: School, session: Session, clock: HeldClock
) -> None:
    plan = school.plan(schedule=schedule(weekdays=frozenset({3, 4})), cutoff_days=2)
    by_money = school.running(plan, up_to_fen=9 * PRICE_FEN)
    by_count = school.running(plan, up_to_windows=1, key="counted-by-windows-only")
    clock.set_to(CUT_OFF)  # of Friday's; Thursday's was yesterday
    generate_deliveries(session)
    for standing in (by_money, by_count):
        covered = {
            one.planned_on: (one.ordered.is_covered, one.ordered.order.parts[0].state)
            for one in session.scalars(
                select(DeliveryWindow).where(DeliveryWindow.standing_order_id == standing.id)
            )
            if one.ordered
        }
        assert covered == {
            NEXT: (True, PartState.PLACED),
            date(2026, 6, 5): (False, PartState.AWAITING_APPROVAL),
        }
        session.refresh(standing)
        assert (standing.used_fen, standing.used_windows) == (5 * PRICE_FEN, 1)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE standing_order SET used_windows = 101"))


def test_what_a_budget_has_to_bear_waits_until_somebody_names_the_line(
    school: School, session: Session, clock: HeldClock
) -> None:
    school.running()
    open_budget_line(
        session, school.approver, year=2026, purpose="食材", granted_fen=1_000, reason="批复 12 号"
    )
    clock.set_to(CUT_OFF)
    generate_deliveries(session)
    order = session.scalars(select(Order)).one()
    assert (order.approved_by, order.parts[0].state) == (None, PartState.AWAITING_APPROVAL)


def test_a_fixed_price_stands_whatever_the_listing_costs(
    school: School, session: Session, clock: HeldClock
) -> None:
    school.running(school.plan([school.wish(price_rule=PriceRule.FIXED, price_fen=4_800)]))
    new_version(session, school.oil, tiers=((1, 9_000),))
    clock.set_to(CUT_OFF)
    generate_deliveries(session)
    assert session.scalar(select(Order.total_fen)) == 5 * 4_800


def test_a_price_over_the_ceiling_holds_the_delivery_until_the_unit_accepts_it(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.running()
    new_version(session, school.oil, tiers=((1, PRICE_FEN + 1),))
    clock.set_to(CUT_OFF)
    generate_deliveries(session)
    window = school.window(standing)
    assert (window.state, window.hold_reason) == (WindowState.HELD, HoldReason.OVER_CEILING)
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    assert [task.count for task in tasks_of(session, school.orderer)] == [1]
    assert history_of_window(session, window)[0].detail["ceiling_fen"] == PRICE_FEN

    answer_hold(session, school.orderer, window, quantities={}, accepts_prices=False, reason="再等等")
    generate_deliveries(session)
    session.refresh(window)
    assert window.state is WindowState.HELD
    answer_hold(session, school.orderer, window, quantities={}, accepts_prices=True, reason="接受新价")
    generate_deliveries(session)
    assert session.scalar(select(Order.total_fen)) == 5 * (PRICE_FEN + 1)
    generate_deliveries(session)
    clock.set_to(instant_of(date(2026, 6, 7), 16 * 60))
    generate_deliveries(session)
    assert school.window(standing, LATER).hold_reason is HoldReason.OVER_CEILING  # only that one was accepted


def test_too_little_stock_holds_that_delivery_and_the_others_go_on(
    school: School, session: Session, clock: HeldClock
) -> None:
    scarce = offer(session, school.cooperative, units=7)
    first, second = (
        school.running(school.plan([school.wish(scarce)]), key=f"the-{n}-order-of-scarce-oil") for n in (1, 2)
    )
    other = school.running(key="an-order-of-other-oil")
    clock.set_to(CUT_OFF)
    assert generate_deliveries(session) == 3
    states = [school.states(one)[NEXT] for one in (first, second, other)]
    assert states == [WindowState.ORDERED, WindowState.HELD, WindowState.ORDERED]
    held = school.window(second)
    assert held.hold_reason is HoldReason.OUT_OF_STOCK
    assert history_of_window(session, held)[0].detail["units"] == 2
    answer_hold(
        session,
        school.orderer,
        held,
        quantities={scarce.listing.id: 2},
        accepts_prices=False,
        reason="有多少要多少",
    )
    generate_deliveries(session)
    assert school.states(second)[NEXT] is WindowState.ORDERED
    session.refresh(scarce.lot)
    assert scarce.lot.committed_g == 7 * UNIT_G


def test_goods_off_sale_hold_the_delivery_and_unanswered_it_lapses(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.running()
    school.oil.listing.state = ListingState.WITHDRAWN
    clock.set_to(CUT_OFF)
    generate_deliveries(session)
    assert school.window(standing).hold_reason is HoldReason.NOT_FOR_SALE
    clock.set_to(instant_of(NEXT, 8 * 60))
    assert generate_deliveries(session) == 1
    assert school.states(standing)[NEXT] is WindowState.LAPSED
    assert school.promised()[NEXT] == 0
    assert tasks_of(session, school.orderer) == []


def test_a_job_that_comes_after_the_window_orders_nothing(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.running()
    clock.set_to(instant_of(NEXT, 8 * 60))
    generate_deliveries(session)
    assert school.states(standing)[NEXT] is WindowState.LAPSED
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_with_a_substitute_unanswered_nothing_is_ordered(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing, rice = school.running(), offer(session, school.cooperative, tiers=((1, 4_000),))
    window = school.window(standing)
    proposed = propose_substitute(
        session,
        school.clerk,
        window,
        listing=school.oil.listing,
        substitute=rice.listing,
        quantity=5,
        unit_price_fen=3_900,
        reason="茶油缺货",
    )
    clock.set_to(CUT_OFF)
    generate_deliveries(session)
    session.refresh(window)
    assert (window.state, window.hold_reason) == (WindowState.HELD, HoldReason.SUBSTITUTION_OPEN)
    answer_substitute(session, school.orderer, proposed, consents=True)
    generate_deliveries(session)
    order = session.scalars(select(Order)).one()
    assert (order.total_fen, order.parts[0].lines[0].listing_version_id) == (
        5 * 3_900,
        rice.listing.current_version_id,
    )


def test_skipped_paused_and_ended_windows_are_not_ordered_and_what_was_due_is(
    school: School, session: Session, clock: HeldClock
) -> None:
    skipped, paused, ended, due = (school.running(key=f"standing-order-number-{n}") for n in range(4))
    skip_window(session, school.orderer, school.window(skipped), reason="秋游")
    pause_standing(session, school.orderer, paused, reason="检修")
    end_standing(session, school.orderer, ended, reason="停办")
    clock.set_to(CUT_OFF)
    end_standing(session, school.orderer, due, reason="停办")  # too late for Thursday
    generate_deliveries(session)
    states = [school.states(one)[NEXT] for one in (skipped, paused, ended, due)]
    assert states == [WindowState.SKIPPED] * 3 + [WindowState.ORDERED]
    assert school.promised()[NEXT] == 5


def test_a_window_has_one_order_in_the_database_and_a_run_that_died_is_made_good(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.running()
    clock.set_to(CUT_OFF)
    with session.begin_nested() as dying:
        generate_deliveries(session)
        dying.rollback()
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    place_orders(
        session, list(_drafts(session, _due(session, _locked(session, 10))).values())
    )  # and died before the link
    generate_deliveries(session)
    order = session.scalars(select(Order)).one()
    assert school.window(standing).ordered.order_id == order.id
    window = school.window(standing)
    row = {"standing_order_id": standing.id, "order_id": order.id, "total_fen": 1, "is_covered": False}
    for values in ({**row, "window_id": window.id}, {**row, "window_id": school.window(standing, LATER).id}):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(WindowOrder), [values])


def thousand_orders(school: School, count: int) -> None:
    """`count` standing orders with a window on Thursday, each of its own person and of one of two cooperatives."""
    session = school.session
    orderers = [actor_at(school.unit, Role.UNIT_ORDERER) for _ in range(20)]
    offers = [offer(session, CooperativeFactory(), units=10_000) for _ in range(2)]
    standings = [
        StandingOrder(
            buyer_unit=school.unit,
            cooperative=offers[n % 2].cooperative,
            state=StandingState.ACTIVE,
            name=f"第 {n} 张",
            ordered_by=orderers[n % 20].user_id,
            idempotency_key=f"one-of-a-thousand-{n}",
            weekdays=8,
            every_weeks=1,
            starts_on=NEXT,
            ends_on=NEXT,
            skips_public_holidays=True,
            slot_from_min=480,
            slot_to_min=600,
            cutoff_days=1,
            cutoff_min=960,
            recipient_name="周小梅",
            recipient_phone="13800000000",
            address="乐安县鳌溪镇迎宾路 1 号",
            approved_by=school.approver.user_id,
            approved_at=core_clock.now(),
            approved_fen=PRICE_FEN * 9,
            approved_windows=1,
        )
        for n in range(count)
    ]
    session.add_all(standings)
    session.flush()
    session.add_all(
        StandingLine(
            standing_order_id=one.id,
            listing_id=offers[n % 2].listing.id,
            quantity=1 + n % 3,
            price_rule=PriceRule.CEILING,
            price_fen=PRICE_FEN,
        )
        for n, one in enumerate(standings)
    )
    session.add_all(
        DeliveryWindow(
            standing_order_id=one.id,
            planned_on=NEXT,
            deliver_on=NEXT,
            slot_from_min=480,
            slot_to_min=600,
            cutoff_at=CUT_OFF,
            starts_at=instant_of(NEXT, 480),
        )
        for one in standings
    )
    session.commit()


def test_a_thousand_standing_orders_twice_and_from_two_workers_are_a_thousand_orders(
    school: School, session: Session, engine: Engine, clock: HeldClock, statements: Listening
) -> None:
    thousand_orders(school, 1_000)
    clock.set_to(CUT_OFF)
    maker, gate, done = session_maker(engine), threading.Barrier(2), []

    def work() -> None:
        gate.wait()
        with core_clock.set_to(CUT_OFF), maker() as own:
            while count := generate_deliveries(own, limit=500):
                own.commit()
                done.append(count)

    workers = [threading.Thread(target=work) for _ in range(2)]
    with statements() as sent:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        generate_deliveries(session)
        session.commit()
    assert sum(done) == 1_000
    assert session.scalar(select(func.count()).select_from(Order)) == 1_000
    assert session.scalar(select(func.count()).select_from(WindowOrder)) == 1_000
    states = session.execute(select(OrderPart.state, func.count()).group_by(OrderPart.state)).all()
    assert [tuple(row) for row in states] == [(PartState.PLACED, 1_000)]
    assert session.scalar(select(func.sum(StandingOrder.used_windows))) == 1_000
    bought = session.scalar(select(func.sum(StandingLine.quantity))) or 0
    assert session.scalar(select(func.sum(Lot.committed_g))) == bought * UNIT_G
    assert len(sent) < 60 * (len(done) + 3)  # by the pass, never by the order
    assert Counter(generate_deliveries(session) for _ in range(2)) == {0: 2}


def test_the_statements_of_a_pass_do_not_grow_with_the_windows(
    school: School, session: Session, clock: HeldClock, statements: Listening
) -> None:
    thousand_orders(school, 260)
    clock.set_to(CUT_OFF)
    counts = []
    for size in (5, 255):
        session.expire_all()
        with statements() as sent:
            assert generate_deliveries(session, limit=size) == size
        counts.append(len(sent))
    assert counts[1] <= counts[0] + 8
    assert counts[1] <= 60
