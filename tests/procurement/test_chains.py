"""Approval in steps by amount, with limits: nobody approves an own order, nobody twice, and none is left out."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, func, insert as insert_into, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, User
from marketplace.ordering.models import Order
from marketplace.ordering.states import PartState
from marketplace.procurement.approvals.models import ApprovalChain, ApprovalDecision, ApproverLimit
from marketplace.procurement.approvals.queries import desk_of, standing_ahead
from marketplace.procurement.approvals.rules import StepWanted, set_chain, set_limit
from marketplace.procurement.rules import approve_order, reject_order
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, actor_at, user_of
from tests.ordering.test_concurrency import all_at_once
from tests.procurement.canteen import Canteen, refusal


class Chained(Canteen):
    """A canteen whose orders of 300.00 yuan and more need a second approver, who is another person."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.first_user, self.first = self.colleague()
        self.second_user, self.second = self.colleague()
        set_chain(
            session,
            self.approver,
            steps=[step(0, self.first_user, self.second_user), step(30_000, self.second_user)],
            reason="大额采购须分管领导审批",
        )


def step(from_fen: int, *users: User) -> StepWanted:
    return StepWanted(from_fen, tuple(user.public_no for user in users))


@pytest.fixture
def canteen(session: Session, clock: HeldClock) -> Chained:
    return Chained(session)


def states(order: Order) -> set[PartState]:
    return {part.state for part in order.parts}


def decisions(session: Session, order: Order) -> list[tuple[int, bool, int, str]]:
    rows = session.scalars(
        select(ApprovalDecision)
        .where(ApprovalDecision.order_id == order.id)
        .order_by(ApprovalDecision.position)
    )
    return [(row.position, row.approved, row.decided_by, row.note) for row in rows]


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        pytest.param([100], "first_step", id="a gap below the first step"),
        pytest.param([0, 0], "steps_rise", id="two steps from the same amount"),
        pytest.param([0, 5_000, 4_000], "steps_rise", id="a step below the one before it"),
        pytest.param([0, 10**12 + 1], "steps_rise", id="an absurd amount"),
        pytest.param([0] * 7, "too_many_steps", id="too many steps"),
    ],
)
def test_a_chain_with_gaps_is_refused(
    canteen: Chained, session: Session, amounts: list[int], code: str
) -> None:
    steps = [step(amount, canteen.first_user, canteen.second_user) for amount in amounts]
    refused = refusal(session, lambda: set_chain(session, canteen.approver, steps=steps, reason="试"))
    assert (refused.code, refused.field) == (code, "steps")
    assert session.scalar(select(func.count()).select_from(ApprovalChain)) == 1


def test_a_chain_without_an_eligible_approver_is_refused(canteen: Chained, session: Session) -> None:
    receiver, _ = canteen.colleague(Role.UNIT_RECEIVER)
    stranger = user_of(BuyerUnitFactory(), Role.UNIT_APPROVER)
    for steps, code in (
        ([step(0)], "nobody_named"),
        ([step(0, receiver)], "no_approver"),
        ([step(0, stranger)], "no_approver"),
        ([step(0, canteen.first_user), step(500, canteen.first_user)], "too_few_persons"),
    ):
        refused = refusal(session, lambda s=steps: set_chain(session, canteen.approver, steps=s, reason="试"))
        assert refused.code == code
    assert (
        refusal(
            session,
            lambda: set_chain(session, canteen.approver, steps=[step(0, canteen.first_user)], reason=" "),
        ).code
        == "reason_missing"
    )
    assert isinstance(
        refusal(session, lambda: set_chain(session, canteen.orderer, steps=[], reason="试")), Forbidden
    )
    assert session.scalar(select(func.count()).select_from(ApprovalChain)) == 1


def test_a_small_order_needs_one_step_and_a_large_one_two(canteen: Chained, session: Session) -> None:
    small, large = (canteen.ordered(session, units, key=f"an-order-of-{units:04d}") for units in (5, 6))
    approve_order(session, canteen.first, small, note="按计划")
    assert states(small) == {PartState.PLACED}
    approve_order(session, canteen.first, large, note="数量合理")
    assert states(large) == {PartState.AWAITING_APPROVAL}
    assert large.approved_by is None
    approve_order(session, canteen.second, large)
    assert states(large) == {PartState.PLACED}
    assert large.approved_by == canteen.second.user_id
    assert decisions(session, large) == [
        (1, True, canteen.first.user_id, "数量合理"),
        (2, True, canteen.second.user_id, ""),
    ]


def test_nobody_approves_twice_and_nobody_whom_the_step_does_not_name(
    canteen: Chained, session: Session
) -> None:
    order = canteen.ordered(session, 6, key="an-order-of-two-steps")
    refused = refusal(session, lambda: approve_order(session, canteen.approver, order))
    assert (type(refused), refused.code) == (Forbidden, "not_named")
    approve_order(session, canteen.first, order)
    assert refusal(session, lambda: approve_order(session, canteen.first, order)).code == "decided_before"
    assert len(decisions(session, order)) == 1
    assert states(order) == {PartState.AWAITING_APPROVAL}


def test_the_only_one_left_for_a_later_step_leaves_the_first_to_others(
    canteen: Chained, session: Session
) -> None:
    order = canteen.ordered(session, 6, key="an-order-of-two-steps")
    assert refusal(session, lambda: approve_order(session, canteen.second, order)).code == "needed_later"
    assert decisions(session, order) == []
    small = canteen.ordered(session, 5, key="an-order-of-one-step")
    approve_order(session, canteen.second, small)
    reject_order(session, canteen.second, order, reason="不需要")
    assert states(order) == {PartState.CANCELLED}


def test_the_second_step_may_turn_the_order_down(canteen: Chained, session: Session) -> None:
    order = canteen.ordered(session, 6, key="an-order-of-two-steps")
    approve_order(session, canteen.first, order)
    reject_order(session, canteen.second, order, reason="本周不用这么多")
    assert states(order) == {PartState.CANCELLED}
    assert (order.approved_by, order.rejection_reason) == (None, "本周不用这么多")
    assert decisions(session, order)[1] == (2, False, canteen.second.user_id, "本周不用这么多")


def test_an_order_goes_on_by_the_chain_that_stood_when_it_was_placed(
    canteen: Chained, session: Session, clock: HeldClock
) -> None:
    order = canteen.ordered(session, 6, key="an-order-of-two-steps")
    clock.advance(minutes=1)
    set_chain(session, canteen.approver, steps=[], reason="改回一人审批")
    approve_order(session, canteen.first, order)
    assert states(order) == {PartState.AWAITING_APPROVAL}
    later = canteen.ordered(session, 6, key="an-order-of-one-step")
    approve_order(session, canteen.approver, later)
    assert states(later) == {PartState.PLACED}


def test_an_amount_over_the_limit_needs_somebody_with_a_higher_one(
    canteen: Chained, session: Session
) -> None:
    set_limit(
        session, canteen.approver, approver_no=canteen.first_user.public_no, limit_fen=20_000, reason="分级"
    )
    order = canteen.ordered(session, 5, key="an-order-of-250-yuan")
    refused = refusal(session, lambda: approve_order(session, canteen.first, order))
    assert (type(refused), refused.code) == (Forbidden, "over_limit")
    assert decisions(session, order) == []
    approve_order(session, canteen.second, order)
    assert states(order) == {PartState.PLACED}


def test_who_may_not_approve_the_amount_may_still_turn_it_down(canteen: Chained, session: Session) -> None:
    set_limit(session, canteen.approver, approver_no=canteen.first_user.public_no, limit_fen=1, reason="分级")
    order = canteen.ordered(session, 5, key="an-order-of-250-yuan")
    reject_order(session, canteen.first, order, reason="不需要")
    assert states(order) == {PartState.CANCELLED}


def test_a_limit_is_set_by_another_with_a_reason(canteen: Chained, session: Session) -> None:
    own, other = canteen.first_user.public_no, canteen.second_user.public_no
    stranger = user_of(BuyerUnitFactory(), Role.UNIT_APPROVER).public_no
    for number, limit, reason, code in (
        (own, None, "提高", "own_limit"),
        (other, 0, "试", "limit"),
        (other, -5, "试", "limit"),
        (other, 10**12 + 1, "试", "limit"),
        (other, 500, "  ", "reason_missing"),
        (stranger, 500, "试", "not_found"),
    ):
        refused = refusal(
            session,
            lambda n=number, fen=limit, why=reason: set_limit(
                session, canteen.first, approver_no=n, limit_fen=fen, reason=why
            ),
        )
        assert refused.code == code
    assert session.scalar(select(func.count()).select_from(ApproverLimit)) == 0


def test_what_lies_ahead_says_which_step_nobody_can_take(canteen: Chained, session: Session) -> None:
    assert standing_ahead(session, canteen.orderer, 29_999).step_without_approver() is None
    assert [one.position for one in standing_ahead(session, canteen.orderer, 30_000).steps] == [1, 2]
    set_limit(
        session, canteen.approver, approver_no=canteen.second_user.public_no, limit_fen=30_000, reason="分级"
    )
    assert standing_ahead(session, canteen.orderer, 30_000).step_without_approver() is None
    short = standing_ahead(session, canteen.orderer, 30_001).step_without_approver()
    assert short is not None
    assert short.position == 2


def test_the_database_keeps_duties_apart_and_steps_in_order(canteen: Chained, session: Session) -> None:
    order = canteen.ordered(session, 6, key="an-order-of-two-steps")
    approve_order(session, canteen.first, order)
    chain_id = session.scalars(select(ApprovalChain.id)).one()

    def insert(**changes: object) -> None:
        values = {
            "order_id": order.id, "unit_id": canteen.unit.id, "ordered_by": canteen.orderer.user_id,
            "chain_id": chain_id, "position": 2, "follows_position": 1, "approved": True, "note": "",
            "decided_by": canteen.second.user_id, "authority_id": canteen.second.user_id, "deputy_on": None,
            "decided_at": now(), **changes,
        }  # fmt: skip
        session.add(ApprovalDecision(**values))
        session.flush()

    orderer, first, second = (one.user_id for one in (canteen.orderer, canteen.first, canteen.second))
    for changes in (
        {"decided_by": orderer, "authority_id": orderer, "chain_id": None},  # the orderer
        {"ordered_by": first},  # hidden behind another orderer
        {"decided_by": first, "authority_id": first, "chain_id": None},  # twice
        {"authority_id": first, "deputy_on": now().date()},  # in whose name was decided already
        {"decided_by": orderer, "deputy_on": now().date()},  # the orderer as a deputy
        {"decided_by": canteen.receiver.user_id, "deputy_on": now().date()},  # a deputy nobody named
        {"decided_by": canteen.approver.user_id, "authority_id": canteen.approver.user_id},  # not named
        {"position": 3, "follows_position": 2},  # a step left out
        {"position": 1, "follows_position": None},  # taken already
        {"approved": False},  # without a reason
        {"unit_id": BuyerUnitFactory().id},
    ):
        with pytest.raises(IntegrityError), session.begin_nested():
            insert(**changes)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text("UPDATE approval_decision SET note = '改'"))
    own_limit = insert_into(ApproverLimit).values(
        unit_id=canteen.unit.id, user_id=first, version=1, reason="提高", set_by=first, set_at=now()
    )
    with pytest.raises(IntegrityError, match="not_by_oneself"), session.begin_nested():
        session.execute(own_limit)
    assert len(decisions(session, order)) == 1
    insert()
    assert second == decisions(session, order)[1][2]


def test_another_unit_neither_sees_nor_decides(canteen: Chained, session: Session) -> None:
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    assert isinstance(refusal(session, lambda: approve_order(session, stranger, canteen.order)), NotFound)
    refused = refusal(
        session,
        lambda: set_limit(
            session, stranger, approver_no=canteen.first_user.public_no, limit_fen=1, reason="试"
        ),
    )
    assert isinstance(refused, NotFound)
    assert canteen.is_untouched(session)


def test_two_approvers_of_one_step_at_once_are_one_decision(
    canteen: Chained, session: Session, engine: Engine
) -> None:
    order = canteen.ordered(session, 5, key="an-order-of-one-step")
    session.commit()

    def approving(actor: Actor):
        return lambda own: approve_order(own, actor, own.get_one(Order, order.id)).public_no

    answers = all_at_once(engine, [approving(canteen.first), approving(canteen.second)])
    assert sorted(map(str, answers)) == sorted([order.public_no, "state_refuses"])
    session.expire_all()
    assert len(decisions(session, order)) == 1
    assert states(order) == {PartState.PLACED}


def test_a_desk_costs_the_same_for_many_orders(canteen: Chained, session: Session, statements) -> None:
    orders = [canteen.ordered(session, 6, key=f"an-order-number-{n}") for n in range(4)]
    with statements() as few:
        desk_of(session, canteen.first, orders[:1])
    with statements() as many:
        desk = desk_of(session, canteen.first, orders)
    assert len(many) == len(few)
    assert all(desk.may_decide(order.id) for order in orders)


def test_a_decision_in_one_s_own_name_needs_the_duty(canteen: Chained, session: Session) -> None:
    order = canteen.ordered(session, 5, key="an-order-of-one-step")
    for user, actor in (canteen.colleague(Role.UNIT_RECEIVER), canteen.colleague(Role.UNIT_PAYER)):
        assert user.organisation_id == canteen.unit.id
        assert isinstance(refusal(session, lambda a=actor: approve_order(session, a, order)), Forbidden)
    long = refusal(session, lambda: approve_order(session, canteen.first, order, note="长" * 301))
    assert isinstance(long, Refused)
    assert actor_of(canteen.first_user).user_id == canteen.first.user_id
    assert not isinstance(long, Conflict)
    assert states(order) == {PartState.AWAITING_APPROVAL}
