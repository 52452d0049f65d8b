"""Evaluating what was accepted and paid: once, by who received it, and never before the money came."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.ordering.models import OrderPart, PartChange
from marketplace.ordering.states import PartEvent, PartState
from marketplace.payments.models import Payment
from marketplace.payments.refunds.answers import agree_rejection
from marketplace.payments.rules import apply_payment
from marketplace.procurement.evaluations.models import Evaluation
from marketplace.procurement.evaluations.queries import awaiting_evaluation, tasks_of
from marketplace.procurement.evaluations.rules import evaluate_part
from tests.factories.receiving import arrived, reject
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import bill, offer, sell
from tests.journeys.paper import Visitor

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def unit(session):
    return BuyerUnitFactory()


@pytest.fixture
def billed(session, unit) -> Payment:
    return bill(session, offer(session, CooperativeFactory()), 10, unit=unit)


@pytest.fixture
def part(session, billed) -> OrderPart:
    apply_payment(session, billed, paid_at=now())
    assert billed.part
    return billed.part


def standing(session: Session, part: OrderPart) -> tuple[object, ...]:
    session.refresh(part)
    counts = [
        session.scalar(select(func.count()).select_from(table))
        for table in (Evaluation, PartChange, TrailEntry)
    ]
    return (part.state, part.evaluated_at, *counts)


def test_a_delivery_is_evaluated_and_stands_in_its_history(session, unit, part):
    receiver = actor_at(unit, Role.UNIT_RECEIVER)
    said = evaluate_part(session, receiver, part, goods_score=5, delivery_score=4, remark="  新鲜，  准时 ")
    assert (said.goods_score, said.delivery_score, said.remark) == (5, 4, "新鲜， 准时")
    assert (part.state, part.evaluated_at) == (PartState.ACCEPTED, said.evaluated_at)
    session.expire(part, ["history"])
    assert part.history[-1].event is PartEvent.EVALUATE
    assert session.scalars(awaiting_evaluation(receiver)).all() == []


@pytest.mark.parametrize(
    ("scores", "field"),
    [
        ((0, 5, ""), "goods_score"),
        ((5, 6, ""), "delivery_score"),
        ((2, 5, "  "), "remark"),
        ((5, 5, "好" * 501), "remark"),
    ],
)
def test_a_score_off_the_scale_is_refused(session, unit, part, scores, field):
    before = standing(session, part)
    goods, delivery, remark = scores
    with pytest.raises(Refused) as refused:
        evaluate_part(
            session,
            actor_at(unit, Role.UNIT_RECEIVER),
            part,
            goods_score=goods,
            delivery_score=delivery,
            remark=remark,
        )
    assert refused.value.field == field
    assert standing(session, part) == before


def test_nothing_is_evaluated_before_it_is_paid(session, unit, billed):
    before = standing(session, billed.part)
    with pytest.raises(Conflict) as refused:
        evaluate_part(
            session, actor_at(unit, Role.UNIT_RECEIVER), billed.part, goods_score=5, delivery_score=5
        )
    assert refused.value.code == "not_paid"
    assert standing(session, billed.part) == before
    with pytest.raises(IntegrityError, match="evaluated"), session.begin_nested():
        session.execute(text("UPDATE order_part SET evaluated_at = accepted_at"))


def test_nobody_evaluates_twice(session, unit, part):
    receiver = actor_at(unit, Role.UNIT_RECEIVER)
    evaluate_part(session, receiver, part, goods_score=5, delivery_score=5)
    before = standing(session, part)
    with pytest.raises(Conflict) as refused:
        evaluate_part(session, receiver, part, goods_score=1, delivery_score=1, remark="改主意了")
    assert refused.value.code == "evaluated"
    assert standing(session, part) == before


def test_only_who_receives_for_the_unit_evaluates(session, unit, part):
    before = standing(session, part)
    refusals: list[tuple[object, type[DomainError]]] = [
        (actor_at(unit, Role.UNIT_ORDERER), Forbidden),
        (actor_at(unit, Role.UNIT_PAYER), Forbidden),
        (actor_at(part.cooperative), NotFound),
        (actor_at(BuyerUnitFactory(), Role.UNIT_RECEIVER), NotFound),
    ]
    for actor, kind in refusals:
        with pytest.raises(kind):
            evaluate_part(session, actor, part, goods_score=5, delivery_score=5)
    assert standing(session, part) == before


def test_a_cadre_evaluates_the_own_purchase(session):
    order = sell(session, offer(session, CooperativeFactory()), 2)
    evaluate_part(session, actor_of(order.buyer), order.parts[0], goods_score=4, delivery_score=5)
    assert order.parts[0].evaluated_at is not None


def test_what_was_refused_is_not_evaluated(session, files, client, clock):
    """Forty were ordered and three refused: the list and the form say 37 and 1,850.00, not 2,000.00."""
    delivery = arrived(session, files, (offer(session, CooperativeFactory()), 40))
    agree_rejection(session, delivery.manager, reject(session, files, delivery, 3))
    apply_payment(session, session.scalars(select(Payment)).one(), paid_at=now())
    session.commit()
    client.sign_in(user_of(delivery.unit, Role.UNIT_RECEIVER))
    visitor = Visitor(client)
    waiting = visitor.open("/evaluations")
    assert waiting.has("× 37", "1,850.00")
    assert not waiting.has("2,000.00")
    page = visitor.open(waiting.link("去评价"))
    assert page.has("37 瓶", "订购 40", "1,850.00")
    assert not page.has("2,000.00")


def test_the_steps_of_an_order_go_on_to_the_invoice_and_the_evaluation(session, client, unit, billed):
    session.commit()
    client.sign_in(user_of(unit, Role.UNIT_RECEIVER))

    def steps() -> list[tuple[str, str]]:
        page = client.get(f"/orders/{billed.part.order.public_no}").text
        marks = re.findall(r'class="step step-(\w+)".*?step-label">(.*?)<', page, re.DOTALL)
        return [(words, mark) for mark, words in marks[5:]]

    assert steps() == [("开票", "now"), ("付款到账", "next"), ("评价完成", "next")]
    apply_payment(session, billed, paid_at=now())
    evaluate_part(session, actor_at(unit, Role.UNIT_RECEIVER), billed.part, goods_score=5, delivery_score=5)
    session.commit()
    assert steps() == [("开票", "now"), ("付款到账", "done"), ("评价完成", "done")]


def test_what_waits_stands_on_the_desk_and_is_evaluated_on_its_page(session, client, unit, part):
    receiver = user_of(unit, Role.UNIT_RECEIVER)
    session.commit()
    (task,) = tasks_of(session, actor_at(unit, Role.UNIT_RECEIVER))
    assert (task.count, task.endpoint) == (1, "evaluations.index")
    client.sign_in(receiver)
    visitor = Visitor(client)
    page = visitor.open(visitor.open("/evaluations").link("去评价"))
    poor = visitor.press(page, "提交评价", goods_score="2", delivery_score="5", remark="", status=422)
    assert poor.has("评分较低时请写几句原因")
    assert visitor.press(poor, "提交评价", remark="有些破损").has("谢谢您的评价", "看评价")
    assert visitor.open("/evaluations?state=said").has("有些破损", "2 / 5 分")
    assert visitor.open(f"/deliveries/{part.public_no}/evaluation").has("您的评价", "有些破损")
