"""A canteen's four duties: who ordered does not approve, and nobody acts for another unit."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.ordering.rules import accept_part, receive_part
from marketplace.ordering.states import PartState
from marketplace.procurement.approvals.queries import waiting_orders
from marketplace.procurement.queries import tasks_of
from marketplace.procurement.rules import approve_order, reject_order
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.registry import BuyerUnitFactory, actor_at
from tests.factories.trade import UNIT_G, buy, staff_buyer
from tests.procurement.canteen import Canteen, refusal


@pytest.fixture
def canteen(session: Session, clock: HeldClock) -> Canteen:
    return Canteen(session)


def test_another_person_of_the_unit_approves(canteen: Canteen, session: Session, clock: HeldClock) -> None:
    approve_order(session, canteen.approver, canteen.order)
    assert {part.state for part in canteen.order.parts} == {PartState.PLACED}
    assert (canteen.order.approved_by, canteen.order.approved_at) == (canteen.approver.user_id, clock.now)
    trail = session.scalars(select(TrailEntry).where(TrailEntry.action == "ordering.approve")).all()
    assert [(row.actor_user_id, row.buyer_unit_id) for row in trail] == [
        (canteen.approver.user_id, canteen.unit.id)
    ] * 2


def test_who_ordered_does_not_approve_even_with_both_duties(canteen: Canteen, session: Session) -> None:
    canteen.order = canteen.placed_by(session, canteen.both, key="by-one-with-both-duties")
    for decide in (
        lambda: approve_order(session, canteen.both, canteen.order),
        lambda: reject_order(session, canteen.both, canteen.order, reason="不要了"),
    ):
        refused = refusal(session, decide)
        assert isinstance(refused, Forbidden)
        assert refused.code == "own_order"
    assert canteen.is_untouched(session)


def test_the_database_refuses_an_approval_by_the_orderer(canteen: Canteen, session: Session) -> None:
    statement = text("UPDATE customer_order SET approved_by = buyer_user_id WHERE id = :id")
    with pytest.raises(IntegrityError, match="separate_duties"), session.begin_nested():
        session.execute(statement, {"id": canteen.order.id})
    assert canteen.is_untouched(session)


def test_an_approver_of_another_unit_does_not_find_the_order(canteen: Canteen, session: Session) -> None:
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    for decide in (
        lambda: approve_order(session, stranger, canteen.order),
        lambda: reject_order(session, stranger, canteen.order, reason="不要了"),
    ):
        assert isinstance(refusal(session, decide), NotFound)
    assert canteen.is_untouched(session)


def test_other_duties_do_not_approve(canteen: Canteen, session: Session) -> None:
    others = [canteen.receiver, canteen.payer, canteen.orderer, staff_buyer(), actor_with(Role.OPERATOR)]
    others.append(actor_at(canteen.offers[0].cooperative))
    for actor in others:
        assert isinstance(
            refusal(session, lambda actor=actor: approve_order(session, actor, canteen.order)), Forbidden
        )
    assert canteen.is_untouched(session)


def test_a_personal_order_is_nobody_s_to_approve(canteen: Canteen, session: Session) -> None:
    personal = buy(session, staff_buyer(), (canteen.offers[0], 1), key="somebody-s-own-order")
    assert isinstance(refusal(session, lambda: approve_order(session, canteen.approver, personal)), NotFound)


def test_what_is_decided_is_not_decided_again(canteen: Canteen, session: Session) -> None:
    approve_order(session, canteen.approver, canteen.order)
    other = actor_at(canteen.unit, Role.UNIT_APPROVER)
    for decide in (
        lambda: approve_order(session, other, canteen.order),
        lambda: reject_order(session, other, canteen.order, reason="晚了"),
    ):
        refused = refusal(session, decide)
        assert isinstance(refused, Conflict)
        assert refused.code == "state_refuses"
    session.expire_all()
    assert (canteen.order.approved_by, canteen.order.rejection_reason) == (canteen.approver.user_id, "")


def test_a_rejected_order_frees_its_goods_and_says_why(canteen: Canteen, session: Session) -> None:
    assert refusal(
        session, lambda: reject_order(session, canteen.approver, canteen.order, reason=" ")
    ).code == ("reason_missing")
    assert canteen.is_untouched(session)
    reject_order(session, canteen.approver, canteen.order, reason=" 超出本月预算 ")
    session.expire_all()
    assert canteen.order.rejection_reason == "超出本月预算"
    assert {part.state for part in canteen.order.parts} == {PartState.CANCELLED}
    assert [one.lot.committed_g for one in canteen.offers] == [0, 0]


def test_an_overlong_reason_is_refused(canteen: Canteen, session: Session) -> None:
    refused = refusal(
        session, lambda: reject_order(session, canteen.approver, canteen.order, reason="长" * 301)
    )
    assert (refused.code, refused.field) == ("reason_long", "reason")
    assert isinstance(refused, Refused)
    assert canteen.is_untouched(session)


def test_a_receiver_of_another_unit_does_not_find_the_goods(canteen: Canteen, session: Session) -> None:
    stranger, part = actor_at(BuyerUnitFactory(), Role.UNIT_RECEIVER), canteen.order.parts[0]
    for state, act in ((PartState.SHIPPED, receive_part), (PartState.RECEIVED, accept_part)):
        part.state = state
        session.flush()
        assert isinstance(refusal(session, lambda act=act: act(session, stranger, part)), NotFound)
        assert isinstance(refusal(session, lambda act=act: act(session, canteen.orderer, part)), Forbidden)
        session.refresh(part)
        assert (part.state, part.received_at, part.accepted_at) == (state, None, None)


def test_what_waits_is_what_others_of_the_unit_ordered(canteen: Canteen, session: Session) -> None:
    canteen.placed_by(session, canteen.both, key="by-one-with-both-duties")
    elsewhere = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    counts = {
        name: [task.count for task in tasks_of(session, actor)]
        for name, actor in (("approver", canteen.approver), ("both", canteen.both), ("elsewhere", elsewhere))
    }
    assert counts == {"approver": [2], "both": [1], "elsewhere": []}
    assert session.scalars(waiting_orders(elsewhere)).unique().all() == []
    approve_order(session, canteen.approver, canteen.order)
    assert [task.count for task in tasks_of(session, canteen.approver)] == [1]
    session.expire_all()
    assert canteen.offers[0].lot.committed_g == 6 * UNIT_G
