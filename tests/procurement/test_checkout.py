"""A unit's checkout: nothing is placed that no budget, no stock and nobody's limit covers; what was typed stays."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Forbidden, NotFound
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.models import Order, OrderKind
from marketplace.procurement.approvals.rules import set_limit
from marketplace.procurement.budgets.models import BudgetEntry, BudgetLine
from marketplace.procurement.budgets.rules import open_budget_line
from marketplace.procurement.checkout.rules import place_unit_order
from tests.conftest import HeldClock, MarketClient
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.trade import DELIVERY, UNIT_G, offer
from tests.journeys.paper import Visitor
from tests.procurement.canteen import Canteen, refusal


class Checkout(Canteen):
    """A canteen that orders units of 50.00 yuan."""

    def budget(self, session: Session, fen: int, *, year: int = 2026) -> BudgetLine:
        return open_budget_line(
            session, self.approver, year=year, purpose="食堂食材", granted_fen=fen, reason="批复"
        )

    def place(self, session: Session, units: int, **changes: object) -> Order:
        facts = {
            "kind": OrderKind.CANTEEN,
            "idempotency_key": "a-unit-s-checkout",
            "lines": [(self.offers[0].listing.public_no, units)],
            "delivery": DELIVERY,
            "deliver_on": today() + timedelta(days=3),
            **changes,
        }
        return place_unit_order(session, self.orderer, **facts)

    def nothing_new(self, session: Session) -> bool:
        session.expire_all()
        orders = session.scalar(select(func.count()).select_from(Order))
        taken = session.scalar(select(func.count()).where(BudgetEntry.order_id.is_not(None)))
        return (orders, taken, self.offers[0].lot.committed_g) == (1, 0, 3 * UNIT_G)


@pytest.fixture
def canteen(session: Session, clock: HeldClock) -> Checkout:
    return Checkout(session)


def test_orders_beyond_stock_budget_or_any_limit_place_nothing(canteen: Checkout, session: Session) -> None:
    line = canteen.budget(session, 100_000)
    user, _ = canteen.colleague()
    for approver in session.scalars(
        select(type(user)).where(type(user).id.in_([canteen.approver.user_id, canteen.both.user_id]))
    ).unique():
        set_limit(session, actor_of(user), approver_no=approver.public_no, limit_fen=90_000, reason="分级")
    set_limit(session, canteen.approver, approver_no=user.public_no, limit_fen=90_000, reason="分级")
    for units, changes, code in (
        (98, {"budget_no": line.public_no}, "out_of_stock"),
        (19, {"budget_no": line.public_no}, "nobody_approves"),
        (18, {}, "no_budget_line"),
        (18, {"budget_no": line.public_no, "deliver_on": date(2027, 1, 4)}, "budget_year"),
        (1, {"budget_no": line.public_no, "deliver_on": today() - timedelta(days=1)}, "day_over"),
        (1, {"budget_no": line.public_no, "deliver_on": today() + timedelta(days=367)}, "day_far"),
    ):
        refused = refusal(session, lambda u=units, c=changes: canteen.place(session, u, **c))
        assert refused.code == code
        assert canteen.nothing_new(session)
    order = canteen.place(session, 18, budget_no=line.public_no)
    assert (order.total_fen, order.deliver_on) == (90_000, date(2026, 6, 4))
    over = refusal(
        session,
        lambda: canteen.place(session, 3, idempotency_key="another-checkout", budget_no=line.public_no),
    )
    assert over.code == "over_budget"


def test_a_budget_of_another_unit_is_not_found_and_places_nothing(
    canteen: Checkout, session: Session
) -> None:
    elsewhere = Checkout(session).budget(session, 100_000)
    refused = refusal(session, lambda: canteen.place(session, 1, budget_no=elsewhere.public_no))
    assert isinstance(refused, NotFound)
    assert session.scalar(select(func.count()).select_from(Order)) == 2


def test_a_checkout_sent_twice_is_one_order_and_takes_of_the_budget_once(
    canteen: Checkout, session: Session, clock: HeldClock
) -> None:
    line = canteen.budget(session, 20_000)
    first = canteen.place(session, 3, budget_no=line.public_no)
    clock.advance(days=9)
    assert canteen.place(session, 3, budget_no=line.public_no, deliver_on=date(2026, 6, 4)) is first
    entries = session.scalars(select(BudgetEntry.taken_fen).order_by(BudgetEntry.sequence)).all()
    assert entries == [0, 15_000]


def test_only_an_orderer_checks_out(canteen: Checkout, session: Session) -> None:
    canteen.orderer = canteen.approver
    assert isinstance(refusal(session, lambda: canteen.place(session, 1)), Forbidden)
    assert not isinstance(refusal(session, lambda: canteen.place(session, 1)), Conflict)


# --- the page ---


def test_the_page_says_when_who_and_how_much_is_left_and_keeps_what_was_typed(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    canteen = Checkout(session)
    canteen.budget(session, 20_000)
    number = canteen.offers[0].listing.public_no
    visitor = Visitor(client)
    client.sign_in(user_of(canteen.unit, Role.UNIT_ORDERER))
    visitor.press(visitor.open(f"/products/{number}"), "加入食堂采购单", quantity=5)
    page = visitor.open("/checkout?for=canteen")
    assert page.has(
        "自验收合格之日起 30 天内", "每天 0.05%", "国务院令第 728 号", "可用 200.00 元", "由谁审批"
    )
    typed = {"recipient_name": "何师傅", "note": "走后门", "deliver_on": "2026-06-10"}
    refused = visitor.press(page, "提交审批", status=422, **typed)
    assert refused.has("只剩 200.00 元可用，这张采购单要 250.00 元")
    form, _ = refused.button("提交审批")
    assert {name: form.values[name].strip() for name in typed} == typed
    past = visitor.press(refused, "提交审批", status=422, deliver_on="2026-05-31")
    assert past.has("送货日不能早于今天")
    assert session.scalar(select(func.count()).select_from(Order)) == 1
    visitor.press(visitor.open("/cart?for=canteen"), "改数量", quantity=4)
    placed = visitor.press(visitor.open("/checkout?for=canteen"), "提交审批", **typed)
    assert placed.has("提交成功", "希望送货日", "食堂食材", "批准后还剩")
    order = session.scalars(select(Order).order_by(Order.id.desc())).first()
    assert order is not None
    assert (order.total_fen, order.deliver_on, order.recipient_name) == (20_000, date(2026, 6, 10), "何师傅")


def test_a_union_s_cart_is_checked_out_as_a_union_order(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    canteen = Canteen(session)
    made = offer(session, CooperativeFactory())
    visitor = Visitor(client)
    client.sign_in(user_of(canteen.unit, Role.UNIT_ORDERER))
    client.post(f"/cart/{made.listing.public_no}", data={"quantity": 2, "for": "union"})
    visitor.press(visitor.open("/checkout?for=union"), "提交审批")
    kinds = [order.kind for order in session.scalars(select(Order).order_by(Order.id))]
    assert kinds == [OrderKind.CANTEEN, OrderKind.UNION]
