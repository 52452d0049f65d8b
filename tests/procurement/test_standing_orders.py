"""A standing order as a whole: what cannot be planned, who approves, what a cooperative promises."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import ListingState
from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.procurement.approvals.rules import StepWanted, set_chain, set_limit
from marketplace.procurement.standing.models import StandingState, WindowState
from marketplace.procurement.standing.plans import Slot
from marketplace.procurement.standing.queries import plan_of, standing_by_no, tasks_of
from marketplace.procurement.standing.rules import (
    approve_standing,
    confirm_standing,
    decline_standing,
    end_standing,
    pause_standing,
    reject_standing,
    resume_standing,
)
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import PRICE_FEN, offer
from tests.procurement.standing_world import LATER, NEXT, School, refusal, schedule


@pytest.fixture
def school(session: Session, clock: HeldClock) -> School:
    return School(session)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"lines": []}, "no_line", "lines"),
        ({"name": " "}, "name", "name"),
        ({"schedule": schedule(weekdays=frozenset())}, "no_weekday", "weekdays"),
        ({"schedule": schedule(every_weeks=0)}, "every_weeks", "every_weeks"),
        ({"schedule": schedule(starts_on=date(2026, 5, 31))}, "starts_past", "starts_on"),
        (
            {"schedule": schedule(starts_on=date(2026, 6, 8), ends_on=date(2026, 6, 7))},
            "until_before_from",
            "ends_on",
        ),
        ({"schedule": schedule(ends_on=date(2026, 6, 1) + timedelta(days=731))}, "span_long", "ends_on"),
        ({"schedule": schedule(ends_on=date(2026, 6, 3))}, "no_window", "ends_on"),
        ({"schedule": schedule(weekdays=frozenset({5}), ends_on=date(2026, 6, 5))}, "no_window", "ends_on"),
        ({"slot": Slot(600, 600)}, "slot", "slot_to"),
        ({"slot": Slot(600, 1441)}, "slot", "slot_to"),
        ({"cutoff_days": 0, "cutoff_min": 481}, "cutoff_late", "cutoff_time"),
        ({"cutoff_days": 31}, "cutoff", "cutoff_days"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    school: School, session: Session, changes: dict, code: str, field: str
) -> None:
    before = school.counts()
    error = refusal(session, lambda: school.opened(school.plan(**changes)))
    assert (error.code, error.field) == (code, field)
    assert school.counts() == before


def test_two_years_to_the_day_are_not_too_long(school: School) -> None:
    plan = school.plan(schedule=schedule(ends_on=date(2026, 6, 1) + timedelta(days=730)))
    assert len(school.states(school.opened(plan))) > 190


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": 100_001}, "quantity"),
        ({"price_fen": 0}, "price"),
        ({"price_fen": -1}, "price"),
    ],
)
def test_a_line_that_cannot_be_is_refused(school: School, session: Session, line: dict, code: str) -> None:
    error = refusal(session, lambda: school.opened(school.plan([school.wish(**line)])))
    assert error.code == code
    assert school.counts() == (0, 0, 0)


def test_goods_of_another_cooperative_or_off_sale_are_refused(school: School, session: Session) -> None:
    elsewhere = offer(session, CooperativeFactory())
    assert (
        refusal(session, lambda: school.opened(school.plan([school.wish(elsewhere)]))).code == "listing_gone"
    )
    twice = [school.wish(), school.wish()]
    assert refusal(session, lambda: school.opened(school.plan(twice))).code == "listing_twice"
    school.oil.listing.state = ListingState.WITHDRAWN
    session.flush()
    assert refusal(session, school.opened).code == "not_for_sale"
    assert school.counts() == (0, 0, 0)


def test_a_ceiling_under_today_s_price_is_taken_but_told(school: School) -> None:
    standing = school.opened(school.plan([school.wish(price_fen=PRICE_FEN - 1)]))
    (line,) = plan_of(standing)
    assert line.is_over_ceiling
    assert line.estimate_fen == 5 * (PRICE_FEN - 1)


def test_the_windows_are_those_whose_cut_off_is_still_to_come(school: School) -> None:
    standing = school.opened()
    assert standing.state is StandingState.AWAITING_APPROVAL
    assert list(school.states(standing)) == [
        NEXT,
        LATER,
        date(2026, 6, 11),
        date(2026, 6, 15),
        date(2026, 6, 18),
    ]
    assert school.opened() is standing  # the same form sent twice


def test_only_who_orders_for_a_unit_opens_one(school: School, session: Session) -> None:
    school.orderer = school.receiver
    assert isinstance(refusal(session, school.opened), Forbidden)
    school.orderer = actor_at(school.cooperative, Role.COOPERATIVE_CLERK)
    assert isinstance(refusal(session, school.opened), Forbidden)
    assert school.counts() == (0, 0, 0)


def test_who_opened_it_may_not_approve_it_in_the_rules_nor_in_the_database(
    school: School, session: Session
) -> None:
    school.orderer = actor_at(school.unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    standing = school.opened()
    for act in (
        lambda: approve_standing(session, school.orderer, standing, up_to_fen=1, up_to_windows=1),
        lambda: reject_standing(session, school.orderer, standing, reason="不要了"),
    ):
        assert refusal(session, act).code == "own_standing_order"
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE standing_order SET approved_by = ordered_by"))
    assert standing.state is StandingState.AWAITING_APPROVAL
    assert tasks_of(session, school.orderer) == []


def test_another_unit_and_another_cooperative_do_not_find_it(school: School, session: Session) -> None:
    standing = school.approved()
    other = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    rival = actor_at(CooperativeFactory(), Role.COOPERATIVE_CLERK)
    for stranger in (other, rival):
        assert isinstance(
            refusal(session, lambda by=stranger: standing_by_no(session, by, standing.public_no)), NotFound
        )
    for act in (
        lambda: approve_standing(session, other, standing, up_to_fen=1, up_to_windows=1),
        lambda: pause_standing(session, other, standing, reason="停"),
        lambda: end_standing(session, other, standing, reason="停"),
        lambda: confirm_standing(session, rival, standing, capacity={school.oil.listing.id: 9}),
        lambda: decline_standing(session, rival, standing, reason="停"),
    ):
        assert isinstance(refusal(session, act), NotFound)
    assert standing.state is StandingState.AWAITING_CONFIRMATION


def test_the_cooperative_sees_it_when_the_unit_has_approved(school: School, session: Session) -> None:
    standing = school.opened()
    assert isinstance(
        refusal(session, lambda: standing_by_no(session, school.clerk, standing.public_no)), NotFound
    )
    assert [task.count for task in tasks_of(session, school.approver)] == [1]
    assert tasks_of(session, school.clerk) == []
    approve_standing(session, school.approver, standing, up_to_fen=1, up_to_windows=1)
    assert [task.count for task in tasks_of(session, school.clerk)] == [1]
    assert standing_by_no(session, school.clerk, standing.public_no) is standing


@pytest.mark.parametrize(("fen", "windows", "code"), [(0, 1, "limit_fen"), (1, 0, "limit_windows")])
def test_an_approval_has_a_limit(school: School, session: Session, fen: int, windows: int, code: str) -> None:
    standing = school.opened()
    error = refusal(
        session,
        lambda: approve_standing(session, school.approver, standing, up_to_fen=fen, up_to_windows=windows),
    )
    assert error.code == code
    assert (standing.approved_by, standing.state) == (None, StandingState.AWAITING_APPROVAL)


def test_who_approves_has_the_reach_for_the_whole_sum(school: School, session: Session) -> None:
    standing = school.opened()
    chief = user_of(school.unit, Role.UNIT_APPROVER)
    low = session.get_one(User, school.approver.user_id)
    set_limit(session, actor_of(chief), approver_no=low.public_no, limit_fen=100_000, reason="新任")
    over = refusal(
        session,
        lambda: approve_standing(session, school.approver, standing, up_to_fen=100_001, up_to_windows=9),
    )
    assert (over.code, standing.approved_by) == ("over_limit", None)
    steps = [StepWanted(0, (low.public_no,)), StepWanted(50_000, (chief.public_no,))]
    set_chain(session, actor_of(chief), steps=steps, reason="五百元以上由食堂主任批")
    unnamed = refusal(
        session,
        lambda: approve_standing(session, school.approver, standing, up_to_fen=50_000, up_to_windows=9),
    )
    assert (unnamed.code, standing.approved_by) == ("not_named", None)
    approve_standing(session, actor_of(chief), standing, up_to_fen=125_000, up_to_windows=5)
    assert standing.approved_by == chief.id


def test_it_is_approved_once_and_a_rejection_has_a_reason(school: School, session: Session) -> None:
    standing = school.opened()
    blank = refusal(session, lambda: reject_standing(session, school.approver, standing, reason=" "))
    assert blank.code == "reason_missing"
    reject_standing(session, school.approver, standing, reason="太多")
    late = refusal(
        session,
        lambda: approve_standing(session, school.approver, standing, up_to_fen=1, up_to_windows=1),
    )
    assert (late.code, standing.state) == ("moved_meanwhile", StandingState.REJECTED)


def test_confirming_promises_every_window(school: School) -> None:
    standing = school.running()
    assert standing.state is StandingState.ACTIVE
    assert school.promised() == dict.fromkeys(school.states(standing), 5)


def test_a_cooperative_cannot_promise_more_than_it_can_deliver(school: School, session: Session) -> None:
    school.running(capacity=12)
    second, third = (school.approved(key=f"another-{n}-of-the-school") for n in (2, 3))
    room = {school.oil.listing.id: 12}
    confirm_standing(session, school.clerk, second, capacity=room)
    before = school.promised()
    error = refusal(session, lambda: confirm_standing(session, school.clerk, third, capacity=room))
    assert (error.code, error.params["left"], error.params["day"]) == ("capacity_exceeded", 2, "2026-06-04")
    assert school.promised() == before == dict.fromkeys(before, 10)
    assert third.state is StandingState.AWAITING_CONFIRMATION
    less = refusal(
        session, lambda: confirm_standing(session, school.clerk, third, capacity={school.oil.listing.id: 4})
    )
    assert less.code == "capacity"
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE day_capacity SET promised_units = 13"))


def test_a_confirmation_that_comes_late_promises_what_is_still_to_come(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.approved()
    clock.advance(days=4)
    confirm_standing(session, school.clerk, standing, capacity={school.oil.listing.id: 9})
    assert school.states(standing)[NEXT] is WindowState.LAPSED
    assert NEXT not in school.promised()


def test_declined_it_is_over(school: School, session: Session) -> None:
    standing = school.approved()
    decline_standing(session, school.clerk, standing, reason="没有那么多人手")
    assert standing.state is StandingState.DECLINED
    over = refusal(session, lambda: end_standing(session, school.orderer, standing, reason="不要了"))
    assert over.code == "standing_over"


def test_ended_it_gives_its_promises_back(school: School, session: Session) -> None:
    standing = school.running()
    assert isinstance(
        refusal(session, lambda: end_standing(session, school.receiver, standing, reason="不要了")), Forbidden
    )
    end_standing(session, school.orderer, standing, reason="学校停办食堂")
    assert standing.state is StandingState.ENDED
    assert set(school.states(standing).values()) == {WindowState.SKIPPED}
    assert set(school.promised().values()) == {0}
    again: DomainError = refusal(
        session, lambda: end_standing(session, school.orderer, standing, reason="再")
    )
    assert again.code == "standing_over"


def test_paused_and_resumed_the_windows_of_the_pause_are_skipped(
    school: School, session: Session, clock: HeldClock
) -> None:
    standing = school.running()
    pause_standing(session, school.orderer, standing, reason="检修厨房")
    twice = refusal(session, lambda: pause_standing(session, school.orderer, standing, reason="检修厨房"))
    assert twice.code == "moved_meanwhile"
    clock.advance(days=4)
    resume_standing(session, school.orderer, standing, reason="修好了")
    states = school.states(standing)
    assert (states.pop(NEXT), set(states.values())) == (WindowState.SKIPPED, {WindowState.PLANNED})
    assert school.promised()[NEXT] == 0
