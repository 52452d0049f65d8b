"""The pages of refunds: who sees which, what is kept of what was typed, and that a list does not ask per row."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.ids import random_key
from marketplace.identity.models import Role, User
from marketplace.ordering.models import Order
from marketplace.payments.refunds.models import CreditReversal, Refund, RefundState
from marketplace.payments.refunds.rules import agree_refund
from marketplace.payments.rules import apply_payment
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Household
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.refunds import asked, buyer_of, refunded, shared_offer
from tests.factories.registry import (
    BuyerUnitFactory,
    CooperativeFactory,
    actor_at,
    user_of,
    user_of_household,
)
from tests.factories.trade import bill, sell
from tests.journeys.paper import Visitor


def sold(session: Session, units: int = 10) -> tuple[Order, User]:
    """A delivered personal order and its buyer."""
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=units, key=random_key())
    return order, session.get_one(User, order.buyer_user_id)


def test_a_buyer_asks_and_the_cooperative_agrees(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    order, buyer = sold(session)
    part = order.parts[0]
    manager = user_of(part.cooperative)
    client.sign_in(buyer)
    page = Visitor(client).open(f"/orders/{order.public_no}")
    address = page.link("申请退款")
    assert Visitor(client).open(address).has("哪些商品", "最多可退 10 瓶")
    form = {part.lines[0].public_no: "4", "reason": "到货有破损", "idempotency_key": random_key()}
    first = client.post(address, data=form)
    again = client.post(address, data=form)
    assert (first.status_code, first.location) == (303, again.location)
    refund = session.scalars(select(Refund)).one()
    assert (refund.amount_fen, refund.state) == (40, RefundState.ASKED)

    client.sign_in(manager)
    assert Visitor(client).open("/desk").has("1 笔退款申请待处理")
    listed = Visitor(client).open("/refunds")
    assert listed.has(refund.public_no, "待合作社处理")
    assert not listed.has("合作社未同意")
    assert Visitor(client).open(first.location).has("同意退款吗", "到货有破损")
    assert client.post(f"{first.location}/agree", data={"note": "已核实"}).status_code == 303
    session.expire_all()
    assert refund.state is RefundState.AGREED
    assert client.post(f"{first.location}/decline", data={"reason": "不"}).status_code == 409

    client.sign_in(buyer)
    assert Visitor(client).open(first.location).has("已同意", "已核实")


def test_a_refused_request_keeps_what_was_typed(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    order, buyer = sold(session)
    part = order.parts[0]
    client.sign_in(buyer)
    address = f"/orders/{order.public_no}/parts/{part.public_no}/refunds"
    for units, reason, message in (
        ("11", "破损", "数量须在 0 到 10 之间"),
        ("0", "破损了", "至少填写一种"),
        ("2", " ", "请填写这一项"),
    ):
        data = {part.lines[0].public_no: units, "reason": reason, "idempotency_key": random_key()}
        answer = client.post(address, data=data)
        assert answer.status_code == 422
        assert message in answer.text
        assert f'value="{units}"' in answer.text
    assert session.scalar(select(func.count()).select_from(Refund)) == 0


def test_others_find_no_refund_under_the_number(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    order, _ = sold(session)
    refund = asked(session, buyer_of(session, order), order.parts[0], 2)
    strangers = [
        UserFactory(granted=(Role.STAFF_BUYER,)),
        user_of(CooperativeFactory()),
        user_of(BuyerUnitFactory()),
    ]
    for stranger in strangers:
        client.sign_in(stranger)
        assert client.get(f"/refunds/{refund.public_no}").status_code == 404
        assert client.get(
            f"/orders/{order.public_no}/parts/{order.parts[0].public_no}/refunds"
        ).status_code in {403, 404}
        assert client.post(f"/refunds/{refund.public_no}/agree").status_code in {403, 404}
    session.refresh(refund)
    assert refund.state is RefundState.ASKED


def test_the_cashier_sends_a_transfer_back_once(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    cooperative, unit = CooperativeFactory(), BuyerUnitFactory()
    offered, _ = shared_offer(session, cooperative, 1)
    payment = bill(session, offered, 10, unit=unit)
    apply_payment(session, payment, paid_at=clock.now)
    assert payment.part is not None
    receiver = actor_at(unit, Role.UNIT_RECEIVER)
    numbers = []
    for units in (4, 2):
        refund = asked(session, receiver, payment.part, units, key=f"refund-{units}")
        numbers.append(agree_refund(session, actor_at(cooperative), refund).public_no)
    client.sign_in(official_with(Role.OPERATOR))
    assert Visitor(client).open("/desk").has("2 笔退款待转回买方")
    assert Visitor(client).open("/cashier/refunds").has(*numbers)

    assert client.post(f"/cashier/refunds/{numbers[0]}", data={"serial_no": "N-1"}).status_code == 303
    assert client.post(f"/cashier/refunds/{numbers[0]}", data={"serial_no": "N-2"}).status_code == 404
    client.post(f"/cashier/refunds/{numbers[1]}", data={"serial_no": "N-1"})
    client.post(f"/cashier/refunds/{numbers[1]}", data={"serial_no": " "})
    states = dict(session.execute(select(Refund.public_no, Refund.state)).all())
    assert states == {numbers[0]: RefundState.RETURNED, numbers[1]: RefundState.AGREED}
    assert session.scalars(select(Refund.serial_no).where(Refund.serial_no.is_not(None))).all() == ["N-1"]


def test_the_list_of_refunds_asks_as_much_for_many_as_for_few(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    offered, _ = shared_offer(session, CooperativeFactory(), 1)
    manager = user_of(offered.cooperative)

    def add(count: int) -> None:
        for _ in range(count):
            order = sell(session, offered, units=2, key=random_key())
            refunded(session, order, 1, key=random_key())

    add(2)
    client.sign_in(manager)
    client.get("/refunds?state=all")
    with page_statements() as few:
        assert client.get("/refunds?state=all").status_code == 200
    add(6)
    session.commit()
    with page_statements() as many:
        assert client.get("/refunds?state=all").status_code == 200
    assert len(many) <= len(few), "\n".join(many)


def test_a_household_and_an_auditor_see_what_a_refund_took(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    order, _ = sold(session)
    settle_lines(session)
    refunded(session, order, 4)
    [reversal] = session.scalars(select(CreditReversal)).all()
    household = session.get_one(Household, reversal.household_id)
    client.sign_in(user_of_household(household))
    for address in ("/my/income", "/my/statement"):
        assert Visitor(client).open(address).has("退款和更正", "买方退款：到货有破损", "−¥0.04", "¥0.06")
    told = client.get("/api/v1/statements/mine").get_json()
    assert (told["credited_fen"], [one["amount_fen"] for one in told["changes"]]) == (6, [-4])

    client.sign_in(official_with(Role.AUDITOR))
    line = order.parts[0].lines[0]
    page = Visitor(client).open(f"/audit/lines/{line.public_no}")
    assert page.has("结算后，已冲销各户入账", "到货有破损", "−¥0.04", "¥0.06", "重算一致")
