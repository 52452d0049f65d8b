"""The buyers' and the sellers' pages: what they refuse, whose numbers they know, and what a list costs."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from marketplace.catalog.rules import withdraw_listing
from marketplace.core.ids import random_key
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.ordering.models import CartLine, Order, OrderKind, OrderPart
from marketplace.ordering.states import PartState
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import Offer, buy, new_version, offer
from tests.journeys.paper import Visitor

DELIVERY = {
    "recipient_name": "周小梅",
    "recipient_phone": "13800000000",
    "address": "鳌溪镇迎宾路 1 号",
    "region": "outside",
}


class Buyer(Visitor):
    """A cadre signed in."""

    def __init__(self, client: MarketClient) -> None:
        super().__init__(client)
        self.user: User = UserFactory(granted=(Role.STAFF_BUYER,))
        client.sign_in(self.user)

    def put(self, offered: Offer, quantity: object = 1) -> None:
        answer = self.client.post(f"/cart/{offered.listing.public_no}", data={"quantity": quantity})
        assert answer.status_code == 303

    def submit(self, **changes: str) -> tuple[int, str]:
        """Send the checkout form as the page has it now."""
        form, _ = self.open("/checkout").button("提交订单")
        answer = self.client.post("/checkout", data={**form.values, **DELIVERY, **changes})
        return answer.status_code, answer.headers.get("Location", answer.text)


@pytest.fixture
def buyer(client: MarketClient, session: Session) -> Buyer:
    return Buyer(client)


def orders(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Order)) or 0


# --- the cart and the checkout ---


@pytest.mark.parametrize("quantity", ["0", "-1", "100001", "99999999999999999999", "一", "", "1.5", "1e3"])
def test_a_quantity_that_cannot_be_leaves_the_cart_as_it_is(
    buyer: Buyer, session: Session, quantity: str
) -> None:
    offered = offer(session, CooperativeFactory())
    buyer.put(offered, quantity)
    assert session.scalar(select(func.count()).select_from(CartLine)) == 0
    page = buyer.open(f"/products/{offered.listing.public_no}")
    assert "数量须" in page.text
    buyer.put(offered, 2)
    if quantity != "0":
        buyer.client.post(f"/cart/{offered.listing.public_no}/quantity", data={"quantity": quantity})
        assert session.scalars(select(CartLine.quantity)).all() == [2]


def test_the_same_form_sent_twice_is_one_order(buyer: Buyer, session: Session) -> None:
    offered = offer(session, CooperativeFactory())
    buyer.put(offered, 2)
    form, _ = buyer.open("/checkout").button("提交订单")
    places = [
        buyer.client.post("/checkout", data={**form.values, **DELIVERY}).headers["Location"] for _ in range(2)
    ]
    assert places[0] == places[1]
    assert (orders(session), offered.lot.committed_g) == (1, 1_000)


@pytest.mark.parametrize("key", ["", "short", "x" * 65])
def test_a_form_without_its_key_is_no_order(buyer: Buyer, session: Session, key: str) -> None:
    buyer.put(offer(session, CooperativeFactory()))
    assert buyer.submit(idempotency_key=key)[0] == 422
    assert orders(session) == 0


def test_a_price_that_changed_while_the_page_was_open_is_shown_before_it_is_paid(
    buyer: Buyer, session: Session
) -> None:
    offered = offer(session, CooperativeFactory())
    buyer.put(offered, 2)
    page = buyer.open("/checkout")
    assert page.has("100.00")
    new_version(session, offered, tiers=((1, 6_000),))

    page = buyer.press(page, "提交订单", status=422, **DELIVERY)
    assert page.has("单价从 ¥50.00 变为 ¥60.00", "请看过后勾选确认", "120.00")
    assert page.button("提交订单")[0].values["address"] == DELIVERY["address"]
    assert orders(session) == 0
    new_version(session, offered, tiers=((1, 7_000),))
    page = buyer.press(page, "提交订单", status=422, agrees="y")
    assert page.has("“山茶油”的价格或介绍刚刚更新，请核对后再提交", "单价从 ¥50.00 变为 ¥70.00", "140.00")
    assert orders(session) == 0
    assert buyer.press(page, "提交订单", agrees="y").has("140.00", "请完成付款")


def test_a_cart_that_changed_in_another_window_is_shown_before_it_is_ordered(
    buyer: Buyer, session: Session
) -> None:
    offered = offer(session, CooperativeFactory())
    buyer.put(offered, 2)
    page = buyer.open("/checkout")
    buyer.put(offered, 3)
    page = buyer.press(page, "提交订单", status=422, **DELIVERY)
    assert page.has("购物车里的商品刚刚有变化，请核对后再提交", "250.00")
    assert orders(session) == 0


@pytest.mark.parametrize("shown", ["", "nonsense", "N-1:2", "N-1:x:2", "N-1:1:１", "a:b:c:d"])
def test_a_tampered_list_is_no_order(buyer: Buyer, session: Session, shown: str) -> None:
    buyer.put(offer(session, CooperativeFactory()))
    status, page = buyer.submit(shown=shown)
    assert status == 422
    assert "购物车里的商品刚刚有变化" in page
    assert orders(session) == 0


def test_a_listing_withdrawn_meanwhile_is_named_and_the_rest_stays(buyer: Buyer, session: Session) -> None:
    kept, gone = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    buyer.put(kept)
    buyer.put(gone)
    withdraw_listing(session, actor_at(gone.cooperative), gone.listing)
    assert buyer.open("/cart").has("已下架", "请先移除不能购买的商品")
    status, page = buyer.submit()
    assert status == 422
    assert "已下架，不能购买" in page
    assert orders(session) == 0
    assert session.scalar(select(func.count()).select_from(CartLine)) == 2


def test_too_little_stock_is_said_with_what_is_left(buyer: Buyer, session: Session) -> None:
    offered = offer(session, CooperativeFactory(), units=3)
    buyer.put(offered, 4)
    assert buyer.open("/cart").has("现货只有 3 瓶，请减少数量")
    status, page = buyer.submit()
    assert status == 422
    assert "“山茶油”现在只剩 3 件可买，请调整数量" in page
    assert (orders(session), offered.lot.committed_g) == (0, 0)


def test_an_empty_cart_has_no_checkout(buyer: Buyer) -> None:
    assert buyer.open("/checkout").path.startswith("/cart")
    assert buyer.open("/cart").has("还没有选购商品")


def test_a_canteen_s_cart_and_one_s_own_are_apart(client: MarketClient, session: Session) -> None:
    unit, offered = BuyerUnitFactory(), offer(session, CooperativeFactory())
    both = user_of(unit, Role.UNIT_ORDERER, Role.STAFF_BUYER)
    client.sign_in(both)
    for kind, units in (("canteen", 12), ("personal", 1)):
        client.post(f"/cart/{offered.listing.public_no}", data={"quantity": units, "for": kind})
    kinds = dict(session.execute(select(CartLine.kind, CartLine.quantity)).all())
    assert kinds == {OrderKind.CANTEEN: 12, OrderKind.PERSONAL: 1}
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": 5, "for": "somebody-else-s"})
    assert dict(session.execute(select(CartLine.kind, CartLine.quantity)).all())[OrderKind.CANTEEN] == 17


# --- whose numbers a page knows ---

FORGED = ["X-0000000000", "nonsense", "1", "../etc/passwd", "X-0000000000%20", "'%20OR%201=1"]


def is_refused_and_logged(client: MarketClient, method: str, path: str, **data: str) -> bool:
    with capture_logs() as logs:
        answer = client.open(path, method=method, data=data)
    noted = [entry for entry in logs if entry["event"] == "not_found"]
    return answer.status_code == 404 and [entry["path"] for entry in noted] == [answer.request.path]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("number", [number for number in FORGED if "/" not in number])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/cart/{}"),
        ("POST", "/cart/{}/quantity"),
        ("GET", "/orders/{}"),
        ("POST", "/orders/{}/cancel"),
        ("POST", "/orders/{}/pay"),
        ("POST", "/deliveries/{}/receive"),
        ("POST", "/deliveries/{}/accept"),
        ("GET", "/payments/{}"),
        ("GET", "/payments/{}/checkout"),
    ],
)
def test_a_forged_number_is_not_found_and_logged(
    client: MarketClient, session: Session, method: str, path: str, number: str
) -> None:
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    assert is_refused_and_logged(client, method, path.format(number), quantity="1", reason="试试")


def test_another_buyer_s_order_is_not_found(buyer: Buyer, session: Session, clock: HeldClock) -> None:
    stranger: User = UserFactory(granted=(Role.STAFF_BUYER,))
    placed = buy(session, actor_of(stranger), (offer(session, CooperativeFactory()), 1))
    part = placed.parts[0]
    for state in (PartState.AWAITING_PAYMENT, PartState.SHIPPED, PartState.RECEIVED):
        part.state = state
        session.commit()
        for method, path in (
            ("GET", f"/orders/{placed.public_no}"),
            ("POST", f"/orders/{placed.public_no}/cancel"),
            ("POST", f"/orders/{placed.public_no}/pay"),
            ("POST", f"/deliveries/{part.public_no}/receive"),
            ("POST", f"/deliveries/{part.public_no}/accept"),
        ):
            assert is_refused_and_logged(buyer.client, method, path, reason="试试"), path
        session.refresh(part)
        assert part.state is state


def test_another_cooperative_s_part_is_not_found(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory())
    part = buy(session, actor_of(UserFactory()), (offered, 1)).parts[0]
    part.state = PartState.PLACED
    client.sign_in(user_of(CooperativeFactory()))
    assert is_refused_and_logged(client, "GET", f"/fulfilment/{part.public_no}")
    for step in ("confirm", "decline", "ship"):
        assert is_refused_and_logged(
            client, "POST", f"/fulfilment/{part.public_no}/{step}", reason="试试", carrier="自送"
        )
    session.refresh(part)
    assert part.state is PartState.PLACED


@pytest.mark.parametrize("state", [PartState.AWAITING_APPROVAL, PartState.AWAITING_PAYMENT])
def test_a_cooperative_does_not_see_what_nobody_approved_or_paid(
    client: MarketClient, session: Session, clock: HeldClock, state: PartState
) -> None:
    offered = offer(session, CooperativeFactory())
    part = buy(session, actor_of(UserFactory()), (offered, 1)).parts[0]
    part.state = state
    client.sign_in(user_of(offered.cooperative))
    assert is_refused_and_logged(client, "GET", f"/fulfilment/{part.public_no}")


def test_an_orderer_does_not_receive_for_the_unit(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    unit, offered = BuyerUnitFactory(), offer(session, CooperativeFactory())
    both = user_of(unit, Role.UNIT_ORDERER, Role.STAFF_BUYER)
    part = buy(session, actor_of(both), (offered, 1), kind=OrderKind.CANTEEN).parts[0]
    part.state = PartState.SHIPPED
    client.sign_in(both)
    assert "没有等待收货或验收的货物" in client.get("/deliveries").text
    assert is_refused_and_logged(client, "POST", f"/deliveries/{part.public_no}/receive")


def test_a_step_out_of_turn_is_explained_and_changes_nothing(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory())
    part = buy(session, actor_of(UserFactory()), (offered, 1)).parts[0]
    part.state = PartState.SHIPPED
    client.sign_in(user_of(offered.cooperative))
    answer = client.post(f"/fulfilment/{part.public_no}/confirm", follow_redirects=True)
    assert "订单现在是“运输中”，不能进行“合作社确认”" in answer.text
    part.state = PartState.CONFIRMED
    answer = client.post(f"/fulfilment/{part.public_no}/ship", data={"carrier": " ", "waybill_no": "SF1"})
    assert answer.status_code in {303, 422}
    session.refresh(part)
    assert part.state is PartState.CONFIRMED


# --- what a list costs ---


def costs(client: MarketClient, statements: Listening, path: str) -> int:
    """How many statements a page sends."""
    client.get(path)
    with statements() as sent:
        assert client.get(path).status_code == 200
    return len(sent)


def canteen_orders(session: Session, count: int, state: PartState) -> None:
    """Orders of as many units over as many cooperatives, by as many people."""
    offers = [offer(session, CooperativeFactory()) for _ in range(2)]
    for number in range(count):
        orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
        lines = [(one, 1) for one in offers]
        placed = buy(session, orderer, *lines, kind=OrderKind.CANTEEN, key=f"{random_key()}-{number}")
        for part in placed.parts:
            part.state = state
    session.commit()


@pytest.mark.parametrize(
    "path", ["/orders", "/orders?state=shipped", "/deliveries", "/deliveries?state=shipped"]
)
def test_an_auditor_s_and_a_buyer_s_lists_do_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening, path: str
) -> None:
    user: User = UserFactory(granted=(Role.STAFF_BUYER,))
    client.sign_in(user)

    def add(count: int) -> None:
        for _ in range(count):
            offers = [offer(session, CooperativeFactory()) for _ in range(2)]
            placed = buy(session, actor_of(user), *((one, 1) for one in offers), key=random_key())
            for part in placed.parts:
                part.state = PartState.SHIPPED

    add(1)
    few = costs(client, page_statements, path)
    add(6)
    assert costs(client, page_statements, path) == few


def test_the_fulfilment_list_does_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    canteen_orders(session, 1, PartState.PLACED)
    cooperative = session.scalars(select(OrderPart)).unique().first().cooperative
    client.sign_in(user_of(cooperative))
    few = costs(client, page_statements, "/fulfilment")
    for number in range(5):
        orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
        for _ in range(2):
            one = offer(session, cooperative)
            placed = buy(session, orderer, (one, 1), kind=OrderKind.CANTEEN, key=f"{random_key()}-{number}")
            placed.parts[0].state = PartState.PLACED
    assert costs(client, page_statements, "/fulfilment") == few
    assert client.get("/fulfilment").text.count("Q-") >= 11


def test_the_audit_s_list_of_orders_does_not_cost_by_the_row(
    client: MarketClient, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    client.sign_in(official_with(Role.AUDITOR, "36"))
    canteen_orders(session, 1, PartState.PLACED)
    few = costs(client, page_statements, "/orders")
    canteen_orders(session, 5, PartState.PLACED)
    assert costs(client, page_statements, "/orders") == few
    assert costs(client, page_statements, "/orders?state=placed") == few


def test_the_cart_does_not_cost_by_the_row(
    buyer: Buyer, session: Session, clock: HeldClock, page_statements: Listening
) -> None:
    buyer.put(offer(session, CooperativeFactory()))
    few = [costs(buyer.client, page_statements, path) for path in ("/cart", "/checkout")]
    for _ in range(6):
        buyer.put(offer(session, CooperativeFactory()))
    assert [costs(buyer.client, page_statements, path) for path in ("/cart", "/checkout")] == few


def test_placing_an_order_costs_by_the_cooperative_not_by_the_line(
    session: Session, clock: HeldClock, statements: Listening
) -> None:
    def cost(lines: int) -> int:
        cooperative, buyer = CooperativeFactory(), actor_of(UserFactory())
        offers = [offer(session, cooperative) for _ in range(lines)]
        session.commit()
        session.expunge_all()
        with statements() as sent:
            buy(session, buyer, *((one, 1) for one in offers), key=random_key())
        return len(sent)

    few, many = cost(2), cost(12)
    assert many <= few + 10 * 3  # the grams of its lot; on SQLite its rows too
