"""The approver's pages."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from marketplace.core.ids import random_key
from marketplace.identity.models import Role
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.states import PartState
from marketplace.registry.models import BuyerUnit
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import buy, offer
from tests.journeys.paper import Visitor


def placed_at(session: Session, unit: BuyerUnit) -> Order:
    offers = [offer(session, CooperativeFactory()) for _ in range(2)]
    orderer = actor_at(unit, Role.UNIT_ORDERER)
    return buy(session, orderer, *((one, 2) for one in offers), kind=OrderKind.CANTEEN, key=random_key())


def states(session: Session, order: Order) -> set[PartState]:
    session.expire_all()
    return {part.state for part in order.parts}


def test_an_order_is_rejected_with_a_reason(client: MarketClient, session: Session, clock: HeldClock) -> None:
    unit = BuyerUnitFactory()
    order = placed_at(session, unit)
    approver = Visitor(client)
    client.sign_in(user_of(unit, Role.UNIT_APPROVER))
    page = approver.open(approver.open("/approvals").link("审核采购单"))
    refused = approver.press(page, "不予批准", reason="  ")
    assert refused.has("请写明不通过的原因")
    assert states(session, order) == {PartState.AWAITING_APPROVAL}
    assert approver.press(page, "不予批准", reason="超出预算").has("审批未通过", "超出预算", "已取消")
    assert states(session, order) == {PartState.CANCELLED}
    assert approver.open("/approvals").has("没有待审批的采购单")


def test_who_ordered_is_told_that_another_must_approve(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    unit, offered = BuyerUnitFactory(), offer(session, CooperativeFactory())
    both = user_of(unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    user_of(unit, Role.UNIT_APPROVER)
    visitor = Visitor(client)
    client.sign_in(both)
    visitor.press(visitor.open(f"/products/{offered.listing.public_no}"), "加入食堂采购单", quantity=2)
    page = visitor.press(visitor.open("/checkout?for=canteen"), "提交审批")
    assert page.has("下单人不能审批自己的采购单")
    order = session.query(Order).one()
    for verb in ("approve", "reject"):
        answer = client.post(f"/orders/{order.public_no}/{verb}", data={"reason": "不要了"})
        assert answer.status_code == 403
        assert "下单人不能审批自己的采购单，请由另一位审批人办理" in answer.text
    assert states(session, order) == {PartState.AWAITING_APPROVAL}


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_another_unit_s_order_is_not_found_and_logged(
    client: MarketClient, session: Session, clock: HeldClock, verb: str
) -> None:
    order = placed_at(session, BuyerUnitFactory())
    client.sign_in(user_of(BuyerUnitFactory(), Role.UNIT_APPROVER))
    for number in (order.public_no, "X-0000000000"):
        with capture_logs() as logs:
            answer = client.post(f"/orders/{number}/{verb}", data={"reason": "不要了"})
        assert answer.status_code == 404
        assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["not_found"]
    assert states(session, order) == {PartState.AWAITING_APPROVAL}


def test_the_list_does_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    unit = BuyerUnitFactory()
    client.sign_in(user_of(unit, Role.UNIT_APPROVER))

    def cost() -> int:
        client.get("/approvals")
        with page_statements() as sent:
            assert client.get("/approvals").status_code == 200
        return len(sent)

    placed_at(session, unit)
    few = cost()
    for _ in range(6):
        placed_at(session, unit)
    assert cost() == few
