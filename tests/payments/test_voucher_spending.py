"""Vouchers spent on staff orders: whole or in part, each once, let go with an order that is called off, settled to
households and given back like any other money."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.recompute.run import recompute_everything
from marketplace.core.clock import now
from marketplace.core.crypto import DataKey
from marketplace.core.db import session_maker
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balance
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.ordering.models import Order
from marketplace.ordering.rules import cancel_order
from marketplace.ordering.states import PartState
from marketplace.payments.models import Payment, PaymentMethod, PaymentState, Settlement
from marketplace.payments.refunds.models import RefundState
from marketplace.payments.rules import ask_card_payment
from marketplace.payments.settlement import settle_lines
from marketplace.payments.vouchers.models import BatchState, Voucher, VoucherSpend, VoucherState
from marketplace.payments.vouchers.rules import close_lapsed_batches
from marketplace.payments.vouchers.spending import price_vouchers, release_vouchers, spend_vouchers
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.linkage import ContractFactory, weigh
from tests.factories.refunds import refunded, standing
from tests.factories.registry import CooperativeFactory, actor_at, beneficiary_policy
from tests.factories.trade import PRICE_FEN, buy, deliver, offer, pay_by_card, staff_buyer
from tests.journeys.paper import Visitor
from tests.ordering.test_concurrency import all_at_once
from tests.payments.voucher_world import DAYS_GOOD, FACE_FEN, Union
from tests.procurement.canteen import refusal


@pytest.fixture
def union(session: Session, files: FileStore, data_key: DataKey, clock: HeldClock) -> Union:
    """Three vouchers of 120.00 yuan, at a cooperative that sells bottles at 50.00."""
    return Union(session, files, data_key)


@pytest.fixture
def codes(union: Union) -> list[str]:
    _batch, codes = union.printed()
    return codes


@pytest.fixture
def buyer(union: Union) -> Actor:
    return staff_buyer()


def escrow(union: Union) -> int:
    return balance(union.session, AccountKey.escrow(union.offered.cooperative.id))


def paid(session: Session) -> dict[PaymentMethod, int]:
    query = select(Payment.method, Payment.amount_fen).where(Payment.state == PaymentState.PAID)
    return dict(session.execute(query).all())


def untouched(union: Union, order: Order) -> bool:
    """Nothing of vouchers, payments or the order has moved."""
    session = union.session
    session.expire_all()
    states = set(session.scalars(select(Voucher.state)))
    return (
        states == {VoucherState.ISSUED}
        and session.scalar(select(func.count()).select_from(VoucherSpend)) == 0
        and {part.state for part in order.parts} == {PartState.AWAITING_PAYMENT}
        and paid(session) == {}
        and union.held_fen() == 36_000
    )


TYPED: dict[str, Callable[[list[str]], list[str]]] = {
    "voucher_count": lambda _codes: ["", "  "],
    "voucher_unknown": lambda codes: [codes[0], "0" * 16],
    "voucher_twice": lambda codes: [codes[0], f" {codes[0].lower()[:4]} {codes[0][4:]}"],
    "voucher_spare": lambda codes: [*codes],
}


@pytest.mark.parametrize("code", TYPED)
def test_codes_that_do_not_do_promise_nothing(
    union: Union, codes: list[str], buyer: Actor, code: str
) -> None:
    order = buy(union.session, buyer, (union.offered, 4))
    error = refusal(union.session, lambda: union.spend(buyer, order, *TYPED[code](codes)))
    assert (error.code, error.field) == (code, "codes")
    assert untouched(union, order)


def test_more_codes_than_a_page_takes_are_refused(union: Union, codes: list[str], buyer: Actor) -> None:
    order = buy(union.session, buyer, (union.offered, 4))
    assert refusal(union.session, lambda: union.spend(buyer, order, *["1"] * 21)).code == "voucher_count"
    assert untouched(union, order)


def test_vouchers_of_another_cooperative_and_of_two_unions_do_not_mix(
    union: Union, codes: list[str], buyer: Actor, files: FileStore, data_key: DataKey
) -> None:
    session = union.session
    elsewhere = offer(session, CooperativeFactory())
    order = buy(session, buyer, (elsewhere, 1))
    assert refusal(session, lambda: union.spend(buyer, order, codes[0])).code == "voucher_elsewhere"
    assert untouched(union, order)
    second = Union(session, files, data_key, offered=union.offered)
    _batch, others = second.printed()
    order = buy(session, buyer, (union.offered, 4), key="an-order-of-two-unions")
    assert refusal(session, lambda: union.spend(buyer, order, codes[0], others[0])).code == "voucher_units"
    union.spend(buyer, order, codes[0])
    assert refusal(session, lambda: union.spend(buyer, order, others[0])).code == "voucher_units"


def test_only_the_buyer_pays_and_only_while_the_order_waits(
    union: Union, codes: list[str], buyer: Actor
) -> None:
    session, order = union.session, buy(union.session, buyer, (union.offered, 4))
    assert refusal(session, lambda: union.spend(staff_buyer(), order, codes[0])).code == "not_found"
    ask_card_payment(session, buyer, order=order)
    assert refusal(session, lambda: union.spend(buyer, order, codes[0])).code == "card_begun"
    assert untouched(union, order)
    cancelled = buy(session, buyer, (union.offered, 1), key="an-order-called-off")
    cancel_order(session, buyer, cancelled, reason="买错了")
    assert refusal(session, lambda: union.spend(buyer, cancelled, codes[0])).code == "not_payable"


def test_a_used_and_a_lapsed_voucher_pay_nothing(
    union: Union, codes: list[str], buyer: Actor, clock: HeldClock
) -> None:
    session = union.session
    union.redeem(codes[0])
    order = buy(session, buyer, (union.offered, 2))
    assert refusal(session, lambda: union.spend(buyer, order, codes[0])).code == "voucher_redeemed"
    clock.advance(days=DAYS_GOOD + 1)
    later = buy(session, buyer, (union.offered, 2), key="an-order-too-late")
    assert refusal(session, lambda: union.spend(buyer, later, codes[1])).code == "voucher_lapsed"
    assert session.scalar(select(func.count()).select_from(VoucherSpend)) == 0


def test_vouchers_that_cover_an_order_pay_it_at_once(union: Union, codes: list[str], buyer: Actor) -> None:
    session, order = union.session, buy(union.session, buyer, (union.offered, 4))
    covers = price_vouchers(session, buyer, order, codes=codes[:2], key=union.key)
    assert [cover.amount_fen for cover in covers] == [FACE_FEN, 4 * PRICE_FEN - FACE_FEN]
    assert untouched(union, order)

    union.spend(buyer, order, *codes[:2])
    assert paid(session) == {PaymentMethod.VOUCHER: 20_000}
    assert [part.state for part in order.parts] == [PartState.PLACED]
    assert (union.held_fen(), escrow(union)) == (16_000, 20_000)
    assert balance(session, AccountKey.clearing("card")) == 0
    assert union.findings() == {}
    assert refusal(session, lambda: union.redeem(codes[1])).code == "voucher_redeemed"
    assert refusal(session, lambda: union.spend(buyer, order, codes[2])).code == "not_payable"


def test_the_rest_is_paid_by_card_and_only_then_the_vouchers_pay(
    union: Union, codes: list[str], buyer: Actor
) -> None:
    session = union.session
    elsewhere = offer(session, CooperativeFactory())
    order = buy(session, buyer, (union.offered, 3), (elsewhere, 1))
    union.spend(buyer, order, codes[0])
    assert (paid(session), union.held_fen()) == ({}, 36_000)
    pay_by_card(session, buyer, order)
    assert paid(session) == {PaymentMethod.CARD: 8_000, PaymentMethod.VOUCHER: 12_000}
    assert {part.state for part in order.parts} == {PartState.PLACED}
    assert (union.held_fen(), escrow(union)) == (24_000, 15_000)
    assert balance(session, AccountKey.escrow(elsewhere.cooperative.id)) == 5_000
    assert balance(session, AccountKey.clearing("card")) == 8_000
    assert union.findings() == {}


def test_a_line_paid_by_voucher_settles_to_households_and_is_taken_back_like_any_other(
    union: Union, codes: list[str], buyer: Actor
) -> None:
    """Households that weighed in 3 : 1 : 6 get a tenth of 100.00 yuan, and lose half of it with half of the goods."""
    session, lot = union.session, union.offered.lot
    beneficiary_policy()
    contracts = [ContractFactory(cooperative=union.offered.cooperative) for _ in range(3)]
    for contract, net_g in zip(contracts, (3_000, 1_000, 6_000), strict=True):
        weigh(session, contract, lot, slip_no=str(net_g), net_g=net_g)
    first, second, third = (contract.household_id for contract in contracts)
    order = buy(session, buyer, (union.offered, 2))
    union.spend(buyer, order, codes[0])
    deliver(session, order.parts[0], buyer)
    assert settle_lines(session) == 1
    assert session.scalars(select(Settlement.net_fen)).one() == 10_000
    assert standing(session) == {first: 300, second: 100, third: 600}
    assert recompute_everything(session).agrees
    assert union.findings() == {}

    refund = refunded(session, order, 1)
    assert (refund.state, refund.method) == (RefundState.AGREED, PaymentMethod.VOUCHER)
    assert (refund.amount_fen, refund.voucher_fen) == (5_000, 5_000)
    assert standing(session) == {first: 150, second: 50, third: 300}
    assert recompute_everything(session).agrees
    assert union.findings() == {}


def test_of_a_mixed_payment_the_buyer_s_own_money_goes_back_first(
    union: Union, codes: list[str], buyer: Actor
) -> None:
    """200.00 yuan of which a voucher paid 120.00: one bottle goes back by card, of the next two 30.00 as well."""
    session, order = union.session, buy(union.session, buyer, (union.offered, 4))
    union.spend(buyer, order, codes[0])
    pay_by_card(session, buyer, order)
    deliver(session, order.parts[0], buyer)
    by_card = refunded(session, order, 1)
    mixed = refunded(session, order, 2, key="the-second-refund")
    assert (by_card.method, by_card.voucher_fen) == (PaymentMethod.CARD, 0)
    assert (mixed.method, mixed.amount_fen, mixed.voucher_fen) == (PaymentMethod.CARD, 10_000, 7_000)
    settle_lines(session)
    assert session.scalars(select(Settlement.net_fen)).one() == 5_000
    assert recompute_everything(session).agrees
    assert union.findings() == {}


def test_vouchers_pay_the_goods_and_the_freight_is_paid_online(
    union: Union, codes: list[str], buyer: Actor
) -> None:
    session, cooperative = union.session, union.offered.cooperative
    write_freight_sheet(
        session, actor_at(cooperative), rates=(Rate("", 1_200, 500, 3, 7),), free_from_fen=None
    )
    order = buy(session, buyer, (union.offered, 2), carriage=Carriage(""))
    freight_fen = order.parts[0].freight_fen
    assert order.total_fen == 10_000 + freight_fen > 10_000
    union.spend(buyer, order, codes[0])
    assert paid(session) == {}
    assert refusal(session, lambda: union.spend(buyer, order, codes[1])).code == "voucher_spare"
    pay_by_card(session, buyer, order)
    assert paid(session) == {PaymentMethod.CARD: freight_fen, PaymentMethod.VOUCHER: 10_000}
    refund = refunded(session, order, 2)
    assert (refund.amount_fen, refund.voucher_fen, refund.freight_fen) == (10_000, 10_000, freight_fen)
    assert escrow(union) == 0
    assert union.findings() == {}


def test_an_order_called_off_before_it_is_paid_lets_its_vouchers_go(
    union: Union, codes: list[str], buyer: Actor, clock: HeldClock
) -> None:
    session, order = union.session, buy(union.session, buyer, (union.offered, 4))
    union.spend(buyer, order, codes[0])
    assert release_vouchers(session) == 0
    cancel_order(session, buyer, order, reason="买错了")
    assert [release_vouchers(session), release_vouchers(session)] == [1, 0]
    assert set(session.scalars(select(Voucher.state))) == {VoucherState.ISSUED}
    again = buy(session, buyer, (union.offered, 2), key="bought-again")
    union.spend(buyer, again, codes[0])
    assert paid(session) == {PaymentMethod.VOUCHER: 10_000}
    clock.advance(days=DAYS_GOOD + 1)
    assert close_lapsed_batches(session) == 1
    batch = session.scalars(select(Voucher)).first().batch
    assert (batch.state, batch.used_fen, batch.returned_fen) == (BatchState.CLOSED, 10_000, 26_000)
    assert union.findings() == {}


def test_a_batch_does_not_end_while_an_order_holds_one_of_its_vouchers(
    union: Union, codes: list[str], buyer: Actor, clock: HeldClock
) -> None:
    session = union.session
    clock.advance(days=DAYS_GOOD)
    order = buy(session, buyer, (union.offered, 4))
    union.spend(buyer, order, codes[0])
    clock.advance(days=1)
    assert close_lapsed_batches(session) == 0
    cancel_order(session, buyer, order, reason="买错了")
    release_vouchers(session)
    assert close_lapsed_batches(session) == 1
    assert union.findings() == {}


def test_the_database_refuses_a_second_spend_and_more_than_the_part(
    union: Union, codes: list[str], buyer: Actor
) -> None:
    session, order = union.session, buy(union.session, buyer, (union.offered, 4))
    [spend] = union.spend(buyer, order, codes[0])
    for changes in (
        {"amount_fen": spend.face_fen + 1, "after_fen": spend.face_fen + 1},
        {"part_fen": spend.part_fen - 1},
        {"before_fen": 1, "after_fen": spend.after_fen + 1},
        {"cooperative_id": spend.cooperative_id + 1},
    ):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(update(VoucherSpend).values(**changes))
    copy = {
        column.name: getattr(spend, column.name)
        for column in VoucherSpend.__table__.columns
        if column.name != "id"
    }
    copy |= {"before_fen": spend.after_fen, "follows_fen": spend.after_fen, "amount_fen": 1}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(VoucherSpend(**copy | {"after_fen": spend.after_fen + 1}))


def test_what_somebody_changed_by_hand_is_found(union: Union, codes: list[str], buyer: Actor) -> None:
    session, order = union.session, buy(union.session, buyer, (union.offered, 4))
    union.spend(buyer, order, *codes[:2])
    session.execute(update(VoucherSpend).values(payment_id=None))
    assert union.findings().keys() == {"voucher_spends", "voucher_payments"}
    session.execute(update(Payment).values(amount_fen=Payment.amount_fen - 1))
    assert "orders_paid_in_full" in union.findings()


def test_a_voucher_spent_twice_at_the_same_moment_is_spent_once(union: Union, engine: Engine) -> None:
    """By six buyers, and by the counter, each in a transaction of its own."""
    session = union.session
    _batch, codes = union.printed()
    buyers = [staff_buyer() for _ in range(6)]
    orders = [
        buy(session, buyer, (union.offered, 2), key=f"order-{place}").id for place, buyer in enumerate(buyers)
    ]
    session.commit()

    def spending(buyer: Actor, order_id: int) -> Callable[[Session], object]:
        def spend(own: Session) -> object:
            spend_vouchers(own, buyer, own.get_one(Order, order_id), codes=[codes[0]], key=union.key)
            return "spent"

        return spend

    works = [spending(buyer, order_id) for buyer, order_id in zip(buyers, orders, strict=True)]
    answers = all_at_once(engine, works)
    assert sorted(str(one) for one in answers) == ["spent"] + ["voucher_redeemed"] * 5
    with session_maker(engine)() as after:
        assert after.scalar(select(func.count()).select_from(VoucherSpend)) == 1
        assert after.scalar(select(func.sum(Payment.amount_fen))) == 10_000
    session.expire_all()
    assert union.held_fen() == 26_000
    assert union.findings() == {}


def test_vouchers_and_the_card_at_the_same_moment_never_pay_twice(union: Union, engine: Engine) -> None:
    session, buyer = union.session, staff_buyer()
    _batch, codes = union.printed()
    order = buy(session, buyer, (union.offered, 4))
    order_id = order.id
    session.commit()

    def by_card(own: Session) -> object:
        pay_by_card(own, buyer, own.get_one(Order, order_id))
        return "card"

    def by_voucher(own: Session) -> object:
        spend_vouchers(own, buyer, own.get_one(Order, order_id), codes=codes[:2], key=union.key)
        return "vouchers"

    answers = [str(one) for one in all_at_once(engine, [by_card, by_voucher])]
    assert answers in (["card", "not_payable"], ["not_payable", "vouchers"], ["card", "card_begun"])
    session.expire_all()
    assert sum(paid(session).values()) == 20_000
    assert escrow(union) == 20_000
    assert union.findings() == {}
    assert order.parts[0].paid_at is not None
    assert order.parts[0].paid_at <= now()


@pytest.mark.databases("sqlite")
def test_the_pages_lead_from_the_order_to_its_payment(
    union: Union, codes: list[str], client: MarketClient, session: Session
) -> None:
    visitor, staff = Visitor(client), UserFactory(granted=(Role.STAFF_BUYER,))
    order = buy(session, actor_of(staff), (union.offered, 4))
    client.sign_in(staff)
    page = visitor.open(visitor.open(f"/orders/{order.public_no}").link("用提货券"))
    assert page.has("还需支付", "200.00")
    refused = visitor.press(page, "看看能付多少", codes="0000 0000 0000 1234", status=422)
    assert refused.has("没有尾号 1234 的券", "0000 0000 0000 1234")
    seen = visitor.press(page, "看看能付多少", codes=codes[0])
    assert seen.has("120.00", "80.00", union.unit.name)
    assert untouched(union, order)
    page = visitor.press(seen, "用这些券，其余在线支付")
    assert page.has("提货券已付 ¥120.00", "去付款 ¥80.00")
    page = visitor.open(page.link("用提货券"))
    page = visitor.press(visitor.press(page, "看看能付多少", codes=codes[1]), "用这些券付清")
    assert page.has("提货券已付清这张订单", "其中提货券", "200.00")
    assert paid(session) == {PaymentMethod.VOUCHER: 20_000}

    part = session.get_one(Order, order.id).parts[0]
    deliver(session, part, actor_of(staff))
    refund = refunded(session, order, 1)
    client.sign_in(official_with(Role.OPERATOR))
    assert visitor.open("/cashier/refunds").has("提货券付款，转给购券单位", union.unit.name)
    assert visitor.open(f"/refunds/{refund.public_no}").has("退回购券单位", "50.00")


@pytest.mark.databases("sqlite")
def test_somebody_else_s_order_has_no_page_for_codes(
    union: Union, codes: list[str], buyer: Actor, client: MarketClient, session: Session
) -> None:
    order = buy(session, buyer, (union.offered, 4))
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    Visitor(client).open(f"/orders/{order.public_no}/vouchers", status=404)
