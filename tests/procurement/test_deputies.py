"""Deputies by the day: named by an approver, of the same unit, never for an own order, never two at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Forbidden, NotFound
from marketplace.identity.models import Role
from marketplace.ordering.states import PartState
from marketplace.procurement.approvals.models import ApprovalDecision, DeputyDay, Deputyship
from marketplace.procurement.approvals.queries import standings_of
from marketplace.procurement.approvals.rules import (
    StepWanted,
    end_deputyship,
    name_deputy,
    set_chain,
    set_limit,
)
from marketplace.procurement.rules import approve_order, reject_order
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, user_of
from tests.procurement.canteen import Canteen, refusal


class Away(Canteen):
    """A canteen whose head approves everything and is away; a receiver may stand in."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.head_user, self.head = self.colleague()
        self.other_user, self.other = self.colleague()
        self.stand_in_user, self.stand_in = self.colleague(Role.UNIT_RECEIVER)
        set_chain(
            session,
            self.head,
            steps=[
                StepWanted(0, (self.head_user.public_no,)),
                StepWanted(100_000, (self.other_user.public_no, self.head_user.public_no)),
            ],
            reason="校长审批",
        )

    def name(
        self, session: Session, *, deputy_no: str | None = None, first: int = 0, last: int = 2
    ) -> Deputyship:
        return name_deputy(
            session,
            self.head,
            deputy_no=deputy_no or self.stand_in_user.public_no,
            from_on=today() + timedelta(days=first),
            until_on=today() + timedelta(days=last),
            reason="赴省里开会",
        )


@pytest.fixture
def canteen(session: Session, clock: HeldClock) -> Away:
    return Away(session)


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Deputyship)) or 0


def test_nobody_is_an_own_deputy_nor_one_of_another_unit(canteen: Away, session: Session) -> None:
    stranger = user_of(BuyerUnitFactory(), Role.UNIT_APPROVER)
    for number, code in (
        (canteen.head_user.public_no, "deputy_of_oneself"),
        (stranger.public_no, "not_a_colleague"),
        ("U-0000000000", "not_a_colleague"),
    ):
        refused = refusal(session, lambda n=number: canteen.name(session, deputy_no=n))
        assert (refused.code, refused.field) == (code, "deputy")
    assert count(session) == 0


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        pytest.param(3, 2, "days", id="ends before it begins"),
        pytest.param(-1, 2, "past", id="begins in the past"),
        pytest.param(0, 366, "too_long", id="for more than a year"),
    ],
)
def test_days_that_cannot_be_are_refused(
    canteen: Away, session: Session, first: int, last: int, code: str
) -> None:
    assert refusal(session, lambda: canteen.name(session, first=first, last=last)).code == code
    assert count(session) == 0


def test_days_given_to_a_deputy_are_not_given_again(canteen: Away, session: Session) -> None:
    canteen.name(session, first=2, last=5)
    for first, last in ((0, 2), (5, 9), (3, 4), (0, 9)):
        refused = refusal(
            session,
            lambda a=first, b=last: canteen.name(
                session, deputy_no=canteen.other_user.public_no, first=a, last=b
            ),
        )
        assert refused.code == "overlaps"
    assert count(session) == 1
    canteen.name(session, deputy_no=canteen.other_user.public_no, first=6, last=6)
    again = insert(DeputyDay).from_select(
        ["approver_id", "on_day", "deputy_id", "deputyship_id"],
        select(DeputyDay.approver_id, DeputyDay.on_day, DeputyDay.deputy_id, DeputyDay.deputyship_id).limit(
            1
        ),
    )
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(again)


def test_a_deputyship_needs_the_approver_s_duty_and_a_reason(canteen: Away, session: Session) -> None:
    def naming(actor, reason: str):
        return lambda: name_deputy(
            session,
            actor,
            deputy_no=canteen.stand_in_user.public_no,
            from_on=today(),
            until_on=today(),
            reason=reason,
        )

    assert isinstance(refusal(session, naming(canteen.payer, "开会")), Forbidden)
    assert refusal(session, naming(canteen.head, "")).code == "reason_missing"
    assert count(session) == 0


def test_a_deputy_decides_in_the_approver_s_name_and_the_history_says_so(
    canteen: Away, session: Session
) -> None:
    canteen.name(session)
    approve_order(session, canteen.stand_in, canteen.order, note="受托")
    assert {part.state for part in canteen.order.parts} == {PartState.PLACED}
    assert canteen.order.approved_by == canteen.stand_in.user_id
    only = standings_of(session, canteen.unit.id, [canteen.order])[canteen.order.id].decisions
    assert [(one.decided_by, one.authority_id, one.note) for one in only] == [
        (canteen.stand_in.user_id, canteen.head.user_id, "受托")
    ]


def test_a_deputy_has_the_limit_of_whom_he_stands_for(canteen: Away, session: Session) -> None:
    set_limit(session, canteen.other, approver_no=canteen.head_user.public_no, limit_fen=100, reason="分级")
    canteen.name(session)
    assert (
        refusal(session, lambda: approve_order(session, canteen.stand_in, canteen.order)).code == "over_limit"
    )
    assert canteen.is_untouched(session)


def test_a_deputy_does_not_act_before_after_or_once_ended(
    canteen: Away, session: Session, clock: HeldClock
) -> None:
    deputyship = canteen.name(session, first=1, last=1)
    assert isinstance(
        refusal(session, lambda: approve_order(session, canteen.stand_in, canteen.order)), Forbidden
    )
    clock.advance(days=2)
    assert isinstance(
        refusal(session, lambda: approve_order(session, canteen.stand_in, canteen.order)), Forbidden
    )
    assert refusal(session, lambda: end_deputyship(session, canteen.head, deputyship)).code == "ended"
    second = canteen.name(session)
    assert isinstance(refusal(session, lambda: end_deputyship(session, canteen.other, second)), NotFound)
    end_deputyship(session, canteen.head, second)
    assert isinstance(
        refusal(session, lambda: approve_order(session, canteen.stand_in, canteen.order)), Forbidden
    )
    canteen.name(session, deputy_no=canteen.other_user.public_no)
    assert canteen.is_untouched(session)


def test_a_deputy_still_does_not_decide_on_an_own_order(canteen: Away, session: Session) -> None:
    user, orderer = canteen.colleague(Role.UNIT_ORDERER)
    canteen.name(session, deputy_no=user.public_no)
    canteen.order = canteen.placed_by(session, orderer, key="by-the-deputy-himself")
    for decide in (
        lambda: approve_order(session, orderer, canteen.order),
        lambda: reject_order(session, orderer, canteen.order, reason="不要了"),
    ):
        assert refusal(session, decide).code == "own_order"
    assert canteen.is_untouched(session)


def test_nobody_approves_an_order_in_the_name_of_who_placed_it(canteen: Away, session: Session) -> None:
    user, both = canteen.colleague(Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    set_chain(
        session,
        canteen.head,
        steps=[StepWanted(0, (user.public_no, canteen.head_user.public_no))],
        reason="改",
    )
    name_deputy(
        session,
        both,
        deputy_no=canteen.stand_in_user.public_no,
        from_on=today(),
        until_on=today(),
        reason="开会",
    )
    canteen.order = canteen.placed_by(session, both, key="by-whom-the-deputy-stands-for")
    assert (
        refusal(session, lambda: approve_order(session, canteen.stand_in, canteen.order)).code
        == "for_the_orderer"
    )
    assert canteen.is_untouched(session)


def test_a_person_and_his_deputy_are_not_two_persons(canteen: Away, session: Session) -> None:
    canteen.name(session, deputy_no=canteen.other_user.public_no)
    order = canteen.ordered(session, 20, key="an-order-of-1000-yuan")
    assert refusal(session, lambda: approve_order(session, canteen.other, order)).code == "needed_later"
    third, _ = canteen.colleague()
    steps = [
        StepWanted(0, (canteen.head_user.public_no,)),
        StepWanted(100_000, (canteen.other_user.public_no, canteen.head_user.public_no, third.public_no)),
    ]
    set_chain(session, canteen.head, steps=steps, reason="多指定一位")
    order = canteen.ordered(session, 20, key="another-order-of-1000-yuan")
    approve_order(session, canteen.other, order)
    for actor in (canteen.head, canteen.other):
        assert refusal(session, lambda a=actor: approve_order(session, a, order)).code == "decided_before"
    assert session.scalar(select(func.count()).select_from(ApprovalDecision)) == 1


def test_a_day_on_which_a_deputy_decided_stays(canteen: Away, session: Session) -> None:
    deputyship = canteen.name(session)
    approve_order(session, canteen.stand_in, canteen.order)
    further = canteen.ordered(session, 1, key="a-further-order-of-the-day")
    end_deputyship(session, canteen.head, deputyship)
    assert list(session.scalars(select(DeputyDay.on_day))) == [today()]
    assert isinstance(refusal(session, lambda: approve_order(session, canteen.stand_in, further)), Forbidden)
    assert session.scalar(select(func.count()).select_from(ApprovalDecision)) == 1
    assert (
        refusal(session, lambda: canteen.name(session, deputy_no=canteen.other_user.public_no)).code
        == "overlaps"
    )
