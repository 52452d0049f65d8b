"""One delivery of a standing order: skipped or changed until its cut-off, substituted only with consent."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.identity.models import Role
from marketplace.procurement.standing.models import (
    ChangeEvent,
    DeliveryWindow,
    StandingOrder,
    Substitution,
    SubstitutionState,
    WindowState,
)
from marketplace.procurement.standing.plans import Slot
from marketplace.procurement.standing.queries import history_of_window, lines_of, tasks_of, window_of
from marketplace.procurement.standing.rules import end_standing
from marketplace.procurement.standing.windows import (
    answer_hold,
    answer_substitute,
    change_window,
    decline_window,
    propose_substitute,
    restore_window,
    skip_window,
)
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import PRICE_FEN, Offer, offer
from tests.procurement.standing_world import LATER, NEXT, School, refusal


@pytest.fixture
def school(session: Session, clock: HeldClock) -> School:
    return School(session)


@pytest.fixture
def standing(school: School) -> StandingOrder:
    return school.running(school.plan([school.wish(), school.wish(school.tea, 2)]))


def change(school: School, window: DeliveryWindow, **changes: Any) -> DeliveryWindow:
    given = {
        "quantities": {},
        "deliver_on": window.deliver_on,
        "slot": Slot(window.slot_from_min, window.slot_to_min),
        "reason": "有活动",
    }
    return change_window(school.session, school.orderer, window, **{**given, **changes})


def units(school: School, window: DeliveryWindow) -> dict[int, int]:
    return {line.listing.id: line.quantity for line in lines_of(school.session, [window])[window.id]}


def test_a_skipped_window_leaves_the_others_and_says_who_and_why(
    school: School, session: Session, standing: StandingOrder
) -> None:
    window = school.window(standing)
    skip_window(session, school.orderer, window, reason="秋游")
    states = school.states(standing)
    assert (states.pop(NEXT), set(states.values())) == (WindowState.SKIPPED, {WindowState.PLANNED})
    assert (school.promised()[NEXT], school.promised()[LATER]) == (0, 5)
    (row,) = history_of_window(session, window)
    assert (row.event, row.actor_user_id, row.reason) == (ChangeEvent.SKIP, school.orderer.user_id, "秋游")
    twice = refusal(session, lambda: skip_window(session, school.orderer, window, reason="秋游"))
    assert twice.code == "skipped_already"
    restore_window(session, school.orderer, window, reason="改期了")
    assert school.states(standing)[NEXT] is WindowState.PLANNED
    assert school.promised()[NEXT] == 5


@pytest.mark.parametrize("verb", ["skip", "change", "restore"])
def test_after_the_cut_off_a_window_is_closed(
    school: School, session: Session, standing: StandingOrder, clock: HeldClock, verb: str
) -> None:
    window = school.window(standing)
    if verb == "restore":
        skip_window(session, school.orderer, window, reason="秋游")
    clock.advance(days=2, hours=6)  # Wednesday, four o'clock sharp
    act = {
        "skip": lambda: skip_window(session, school.orderer, window, reason="秋游"),
        "change": lambda: change(school, window, quantities={school.oil.listing.id: 9}),
        "restore": lambda: restore_window(session, school.orderer, window, reason="秋游"),
    }[verb]
    before = (school.counts(), school.promised())
    error = refusal(session, act)
    assert (error.code, error.status) == ("window_closed", 409)
    assert (school.counts(), school.promised()) == before


def test_a_minute_before_the_cut_off_it_is_open(
    school: School, session: Session, standing: StandingOrder, clock: HeldClock
) -> None:
    clock.advance(days=2, hours=5, minutes=59)
    skip_window(session, school.orderer, school.window(standing), reason="秋游")
    assert school.states(standing)[NEXT] is WindowState.SKIPPED


def test_one_delivery_changes_without_the_rest(school: School, standing: StandingOrder) -> None:
    window, later = school.window(standing), school.window(standing, LATER)
    oil, tea = school.oil.listing.id, school.tea.listing.id
    change(school, window, quantities={oil: 8, tea: 0}, deliver_on=date(2026, 6, 5), slot=Slot(540, 600))
    assert units(school, window) == {oil: 8}
    assert units(school, later) == {oil: 5, tea: 2}
    assert (window.planned_on, window.deliver_on, window.is_changed) == (NEXT, date(2026, 6, 5), True)
    assert window.cutoff_at == later.cutoff_at - timedelta(days=3)
    promised = school.promised()
    assert (promised[NEXT], promised[date(2026, 6, 5)], promised[LATER]) == (0, 8, 5)
    assert school.promised(school.tea)[NEXT] == 0
    change(school, window, quantities={oil: 3})
    assert units(school, window) == {oil: 3}
    assert school.promised()[date(2026, 6, 5)] == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "nothing_changed"),
        ({"reason": " ", "slot": Slot(540, 600)}, "reason_missing"),
        ({"quantities": "none"}, "no_line"),
        ({"quantities": "absurd"}, "quantity"),
        ({"quantities": "beyond"}, "capacity_exceeded"),
        ({"slot": Slot(600, 540)}, "slot"),
        ({"deliver_on": LATER}, "day_taken"),
        ({"deliver_on": date(2026, 6, 19)}, "outside_span"),
        ({"deliver_on": date(2026, 6, 1)}, "window_closed"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    school: School, session: Session, standing: StandingOrder, changes: dict, code: str
) -> None:
    window = school.window(standing)
    oil, tea = school.oil.listing.id, school.tea.listing.id
    wanted = {"none": {oil: 0, tea: 0}, "absurd": {oil: 100_001}, "beyond": {oil: 51}}
    if "quantities" in changes:
        changes = {**changes, "quantities": wanted[changes["quantities"]]}
    before = (school.counts(), school.promised())
    assert refusal(session, lambda: change(school, window, **changes)).code == code
    assert (school.counts(), school.promised()) == before
    assert not window.is_changed


def test_the_database_keeps_the_cut_off_before_the_window_and_one_open_window_a_day(
    school: School, session: Session, standing: StandingOrder
) -> None:
    for statement in (
        "UPDATE delivery_window SET starts_at = '2026-01-01 00:00:00+00:00'",
        "UPDATE delivery_window SET deliver_on = '2026-06-04'",
        "UPDATE delivery_window SET state = 'held'",
    ):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(text(statement))
    for table in ("standing_line", "standing_change"):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(text(f"DELETE FROM {table}"))


def test_nobody_else_changes_a_window(school: School, session: Session, standing: StandingOrder) -> None:
    window = school.window(standing)
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    missing = refusal(session, lambda: skip_window(session, stranger, window, reason="秋游"))
    assert isinstance(missing, NotFound)
    for actor in (school.receiver, school.approver):
        denied = refusal(session, lambda by=actor: skip_window(session, by, window, reason="秋游"))
        assert isinstance(denied, Forbidden)
    for day in ("2026-06-05", "soon", ""):
        assert isinstance(refusal(session, lambda d=day: window_of(session, standing, d)), NotFound)
    assert school.states(standing)[NEXT] is WindowState.PLANNED


def test_a_window_that_is_not_held_has_nothing_to_answer(
    school: School, session: Session, standing: StandingOrder
) -> None:
    window = school.window(standing)
    error = refusal(
        session,
        lambda: answer_hold(
            session, school.orderer, window, quantities={}, accepts_prices=True, reason="接受"
        ),
    )
    assert error.code == "window_state"


def test_the_cooperative_declines_one_delivery(
    school: School, session: Session, standing: StandingOrder
) -> None:
    window = school.window(standing)
    stranger = actor_at(CooperativeFactory(), Role.COOPERATIVE_CLERK)
    assert isinstance(
        refusal(session, lambda: decline_window(session, stranger, window, reason="下雨")), NotFound
    )
    decline_window(session, school.clerk, window, reason="连日下雨，没有采收")
    states = school.states(standing)
    assert (states[NEXT], states[LATER]) == (WindowState.DECLINED, WindowState.PLANNED)
    assert school.promised()[NEXT] == 0
    closed = refusal(session, lambda: skip_window(session, school.orderer, window, reason="秋游"))
    assert closed.code == "window_state"


@pytest.fixture
def rice(school: School, session: Session) -> Offer:
    """What the cooperative may offer instead."""
    return offer(session, school.cooperative, units=50, tiers=((1, 4_000),))


def propose(school: School, window: DeliveryWindow, substitute: Offer, **changes: Any) -> Substitution:
    given = {"quantity": 5, "unit_price_fen": PRICE_FEN, "reason": "茶油缺货"}
    return propose_substitute(
        school.session,
        school.clerk,
        window,
        listing=school.oil.listing,
        substitute=substitute.listing,
        **{**given, **changes},
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"unit_price_fen": PRICE_FEN + 1}, "dearer"),
        ({"quantity": 6}, "dearer"),
        ({"unit_price_fen": 0}, "dearer"),
        ({"quantity": 0}, "quantity"),
        ({"reason": ""}, "reason_missing"),
    ],
)
def test_a_substitute_is_never_dearer(
    school: School, session: Session, standing: StandingOrder, rice: Offer, changes: dict, code: str
) -> None:
    window = school.window(standing)
    assert refusal(session, lambda: propose(school, window, rice, **changes)).code == code
    assert refusal(session, lambda: propose(school, window, school.tea)).code == "in_delivery"
    elsewhere = offer(session, CooperativeFactory())
    assert isinstance(refusal(session, lambda: propose(school, window, elsewhere)), NotFound)
    assert session.query(Substitution).count() == 0


def test_a_substitute_takes_the_place_of_a_line_when_the_unit_consents(
    school: School, session: Session, standing: StandingOrder, rice: Offer
) -> None:
    window = school.window(standing)
    proposed = propose(school, window, rice, unit_price_fen=4_000)
    assert refusal(session, lambda: propose(school, window, rice)).code == "proposed_already"
    assert [task.count for task in tasks_of(session, school.orderer)] == [1]
    for actor, error in ((school.receiver, Forbidden), (school.clerk, NotFound)):
        denied: DomainError = refusal(
            session, lambda by=actor: answer_substitute(session, by, proposed, consents=True)
        )
        assert isinstance(denied, error)
    answer_substitute(session, school.orderer, proposed, consents=True)
    assert units(school, window) == {rice.listing.id: 5, school.tea.listing.id: 2}
    assert (school.promised()[NEXT], school.promised(rice)) == (0, {NEXT: 5})
    assert school.promised()[LATER] == 5
    again = refusal(session, lambda: answer_substitute(session, school.orderer, proposed, consents=True))
    assert again.code == "answered_already"


def test_a_refused_substitute_changes_nothing(
    school: School, session: Session, standing: StandingOrder, rice: Offer
) -> None:
    window = school.window(standing)
    proposed = propose(school, window, rice)
    before = units(school, window)
    blank = refusal(session, lambda: answer_substitute(session, school.orderer, proposed, consents=False))
    assert blank.code == "reason_missing"
    answer_substitute(session, school.orderer, proposed, consents=False, reason="学生不吃")
    assert proposed.state is SubstitutionState.REFUSED
    assert units(school, window) == before
    assert school.promised()[NEXT] == 5


def test_a_skipped_window_drops_what_was_proposed_for_it(
    school: School, session: Session, standing: StandingOrder, rice: Offer
) -> None:
    window = school.window(standing)
    proposed = propose(school, window, rice)
    skip_window(session, school.orderer, window, reason="秋游")
    session.refresh(proposed)
    assert proposed.state is SubstitutionState.DROPPED


def test_a_standing_order_that_ends_leaves_nothing_to_answer(
    school: School, session: Session, standing: StandingOrder, rice: Offer
) -> None:
    proposed = propose(school, school.window(standing), rice)
    end_standing(session, school.orderer, standing, reason="换了供货方")
    session.refresh(proposed)
    assert proposed.state is SubstitutionState.DROPPED
    assert tasks_of(session, school.orderer) == []


def test_a_line_left_out_drops_what_was_proposed_for_it(
    school: School, session: Session, standing: StandingOrder, rice: Offer
) -> None:
    """Consenting later would promise the substitute for a line that nobody wants any more."""
    window = school.window(standing)
    proposed = propose(school, window, rice)
    change(school, window, quantities={school.oil.listing.id: 0})
    session.refresh(proposed)
    assert proposed.state is SubstitutionState.DROPPED
    refused = refusal(session, lambda: answer_substitute(session, school.orderer, proposed, consents=True))
    assert refused.code == "answered_already"
    assert (units(school, window), school.promised(rice)) == ({school.tea.listing.id: 2}, {})


def test_one_substitute_takes_the_place_of_one_line_only(
    school: School, session: Session, standing: StandingOrder, rice: Offer
) -> None:
    window = school.window(standing)
    first = propose(school, window, rice, unit_price_fen=4_000)
    second = propose_substitute(
        session, school.clerk, window, listing=school.tea.listing, substitute=rice.listing,
        quantity=2, unit_price_fen=4_000, reason="绿茶也缺",
    )  # fmt: skip
    answer_substitute(session, school.orderer, first, consents=True)
    refused = refusal(session, lambda: answer_substitute(session, school.orderer, second, consents=True))
    assert refused.code == "in_delivery"
    assert units(school, window) == {rice.listing.id: 5, school.tea.listing.id: 2}
    assert school.promised(rice) == {NEXT: 5}
