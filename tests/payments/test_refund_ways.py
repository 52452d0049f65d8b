"""Orders paid in several ways, given back: who gets how much of which payment, in which order, and never more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.recompute.run import recompute_everything
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import Entry
from marketplace.ledger.queries import balance
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.ordering.models import Order
from marketplace.payments.models import Payment, PaymentMethod
from marketplace.payments.refunds.models import Refund, RefundShare, RefundState
from marketplace.payments.refunds.rules import agree_refund
from marketplace.payments.refunds.sending import mark_returned, mark_unit_returned, send_refunds
from marketplace.payments.refunds.ways import Sources, spread, take_from
from marketplace.payments.rules import bill_accepted_parts
from marketplace.payments.settlement import settle_lines
from marketplace.payments.vouchers.counter import set_off_vouchers
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import official_with
from tests.factories.refunds import asked, refunded
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import buy, deliver, offer, pay_by_card, staff_buyer
from tests.journeys.paper import Visitor
from tests.ordering.test_concurrency import all_at_once
from tests.payments.test_refunds_sending import Channel
from tests.payments.voucher_world import Union
from tests.procurement.canteen import refusal

FEN = st.integers(0, 10**9)


@given(FEN, FEN, FEN, FEN)
def test_sources_give_one_after_another_and_never_more_than_they_have(
    lost: int, own: int, vouchers: int, asked_fen: int
) -> None:
    sources = Sources(lost, own, vouchers)
    amount = asked_fen % (sources.total_fen + 1)
    taken = take_from(sources, amount)
    assert taken.total_fen == amount
    assert 0 <= taken.lost_fen <= lost
    assert 0 <= taken.own_fen <= own
    assert 0 <= taken.voucher_fen <= vouchers
    assert not taken.own_fen or taken.lost_fen == lost
    assert not taken.voucher_fen or taken.own_fen == own


@given(FEN, FEN, FEN)
def test_more_than_all_sources_have_is_refused_with_what_is_left(lost: int, own: int, vouchers: int) -> None:
    sources = Sources(lost, own, vouchers)
    with pytest.raises(Conflict) as refused:
        take_from(sources, sources.total_fen + 1)
    assert refused.value.code == "more_than_paid"


@given(st.lists(FEN, max_size=6), st.data())
def test_what_lines_get_of_each_source_adds_up_both_ways(amounts: list[int], data: st.DataObject) -> None:
    total = sum(amounts)
    first = data.draw(st.integers(0, total))
    second = data.draw(st.integers(0, total - first))
    pots = [first, second, total - first - second]
    rows = spread(pots, amounts)
    assert [sum(row) for row in rows] == amounts
    assert all(fen >= 0 for row in rows for fen in row)
    assert [sum(row[place] for row in rows) for place in range(3)] == (pots if rows else [0, 0, 0])


@pytest.fixture
def union(session: Session, files: FileStore, data_key: DataKey, clock: HeldClock) -> Union:
    """Three vouchers of 120.00 yuan, at a cooperative that sells bottles at 50.00."""
    return Union(session, files, data_key)


@pytest.fixture
def buyer(union: Union) -> Actor:
    return staff_buyer()


@pytest.fixture
def mixed(union: Union, buyer: Actor) -> Order:
    """200.00 yuan, of which a voucher paid 120.00 and a card 80.00; delivered."""
    _batch, codes = union.printed()
    order = buy(union.session, buyer, (union.offered, 4))
    union.spend(buyer, order, codes[0])
    pay_by_card(union.session, buyer, order)
    deliver(union.session, order.parts[0], buyer)
    return order


def clearing(session: Session) -> tuple[int, int]:
    """What the channel and the bank have taken in, in fen."""
    return balance(session, AccountKey.clearing("card")), balance(
        session, AccountKey.clearing("bank_transfer")
    )


def shares(session: Session) -> list[tuple[PaymentMethod, int, int]]:
    """What each payment gave, one after another: its method, the fen, and all it gave so far."""
    query = select(Payment.method, RefundShare.amount_fen, RefundShare.after_fen)
    query = query.join(Payment, Payment.id == RefundShare.payment_id).order_by(RefundShare.id)
    return [(method, fen, after) for method, fen, after in session.execute(query)]


def counts(session: Session) -> tuple[int, ...]:
    return tuple(
        session.scalar(select(func.count()).select_from(model)) or 0 for model in (Entry, RefundShare, Refund)
    )


@pytest.mark.parametrize("units", [(1, 1, 1, 1), (1, 2, 1), (2, 2), (3, 1), (4,), (1, 3)])
def test_whatever_the_steps_each_payment_gives_back_what_it_paid_and_no_more(
    union: Union, mixed: Order, units: tuple[int, ...]
) -> None:
    session = union.session
    settle_lines(session)
    card, bank = clearing(session)
    for number, count in enumerate(units):
        refunded(session, mixed, count, key=f"refund-number-{number}")
    assert clearing(session) == (card - 8_000, bank - 12_000)
    given: dict[PaymentMethod, int] = {}
    for method, fen, after in shares(session):
        given[method] = given.get(method, 0) + fen
        assert after == given[method]
    assert given == {PaymentMethod.CARD: 8_000, PaymentMethod.VOUCHER: 12_000}
    assert recompute_everything(session).agrees
    assert union.findings() == {}


def test_the_buyer_s_share_goes_through_the_gateway_and_the_unit_s_by_hand(
    union: Union, mixed: Order
) -> None:
    """Three bottles: 80.00 by card, 70.00 to the union, each ended on its own."""
    session, channel = union.session, Channel()
    refund = refunded(session, mixed, 3)
    share = refund.of_vouchers
    assert share is not None
    assert (refund.method, refund.own_fen, refund.voucher_fen) == (PaymentMethod.CARD, 8_000, 7_000)
    assert (share.amount_fen, share.buyer_unit_id) == (7_000, union.unit.id)
    session.commit()
    assert send_refunds(session, channel) == 1  # type: ignore[arg-type]
    assert [made.amount_fen for made in channel.given.values()] == [8_000]
    assert (refund.state, share.returned_at) == (RefundState.RETURNED, None)
    mark_unit_returned(session, union.cashier, refund, serial_no=" N-8 ")
    assert (share.serial_no, share.returned_by) == ("N-8", union.cashier.user_id)
    assert union.findings() == {}


def test_two_transfers_of_one_refund_have_two_serial_numbers(union: Union, mixed: Order) -> None:
    session = union.session
    refund = refunded(session, mixed, 3)
    refund.state, refund.failure = RefundState.FAILED, "charge_expired"
    session.flush()
    mark_returned(session, union.cashier, refund, serial_no="N-1")
    before = counts(session)
    for serial, code in (("N-1", "serial_taken"), (" ", "serial_missing"), ("长" * 61, "serial_missing")):
        wrong = refusal(
            session, lambda s=serial: mark_unit_returned(session, union.cashier, refund, serial_no=s)
        )
        assert (wrong.code, wrong.field) == (code, "serial_no")
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(RefundShare).values(returned_at=func.now()))
    assert counts(session) == before
    mark_unit_returned(session, union.cashier, refund, serial_no="N-2")
    again = refusal(session, lambda: mark_unit_returned(session, union.cashier, refund, serial_no="N-3"))
    assert again.code == "returned"
    assert [one.serial_no for one in refund.shares] == [None, "N-2"]


def test_a_refund_without_vouchers_has_nothing_for_a_unit(union: Union, mixed: Order) -> None:
    session = union.session
    refund = refunded(session, mixed, 1)
    assert refusal(
        session, lambda: mark_unit_returned(session, union.cashier, refund, serial_no="N-1")
    ).code == ("not_found")
    assert refusal(session, lambda: mark_returned(session, union.cashier, refund, serial_no="N-1")).code == (
        "not_found"
    )


def test_the_database_refuses_a_share_beyond_what_its_payment_brought(union: Union, mixed: Order) -> None:
    session = union.session
    refund = refunded(session, mixed, 1)
    [first] = refund.shares
    order_id, payment_id = mixed.id, first.payment_id

    def link(**changes: object) -> RefundShare:
        session.expunge_all()  # of what was rolled back
        given = {
            "refund_id": refunded(session, session.get_one(Order, order_id), 1, key="another").id,
            "payment_id": payment_id,
            "payment_fen": 8_000,
            "paid_fen": 8_000,
            "before_fen": 5_000,
            "follows_fen": 5_000,
            "amount_fen": 3_001,
            "after_fen": 8_001,
        }
        return RefundShare(**{**given, **changes})

    wishes: tuple[dict[str, object], ...] = (
        {},
        {"paid_fen": 9_000, "payment_fen": 9_000},  # the payment brought less
        {"paid_fen": 9_000, "payment_fen": None},  # the chain says less
        {"before_fen": 0, "follows_fen": None, "amount_fen": 3_000, "after_fen": 3_000},  # a second first one
        {
            "before_fen": 6_000,
            "follows_fen": 6_000,
            "amount_fen": 2_000,
            "after_fen": 8_000,
        },  # follows nothing
        {"amount_fen": 0, "after_fen": 5_000},
    )
    for wish in wishes:
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(link(**wish))
    assert shares(session) == [(PaymentMethod.CARD, 5_000, 5_000)]


def test_freight_is_the_buyer_s_own_money(union: Union, buyer: Actor) -> None:
    """Vouchers paid all goods, the card the freight; called off before it was shipped, each gets its own back."""
    session, cooperative = union.session, union.offered.cooperative
    write_freight_sheet(
        session, actor_at(cooperative), rates=(Rate("", 1_200, 500, 3, 7),), free_from_fen=None
    )
    _batch, codes = union.printed()
    order = buy(session, buyer, (union.offered, 2), carriage=Carriage(""))
    union.spend(buyer, order, codes[0])
    pay_by_card(session, buyer, order)
    refund = refunded(session, order, 2)
    freight_fen = order.parts[0].freight_fen
    assert (refund.method, refund.own_fen, refund.voucher_fen) == (PaymentMethod.CARD, freight_fen, 10_000)
    assert clearing(session) == (0, 36_000 - 10_000)
    assert union.findings() == {}


def test_two_cooperatives_give_back_of_one_card_payment(union: Union, buyer: Actor) -> None:
    """The voucher pays one cooperative alone; the chain of the card payment runs over both parts."""
    session = union.session
    _batch, codes = union.printed()
    elsewhere = offer(session, CooperativeFactory())
    order = buy(session, buyer, (union.offered, 3), (elsewhere, 2))
    union.spend(buyer, order, codes[0])
    pay_by_card(session, buyer, order)
    for number, part in enumerate(order.parts):
        deliver(session, part, buyer)
        refund = asked(session, buyer, part, part.lines[0].quantity, key=f"refund-of-part-{number}")
        agree_refund(session, actor_at(part.cooperative), refund)
    card = [(fen, after) for method, fen, after in shares(session) if method is PaymentMethod.CARD]
    assert sorted(fen for fen, _after in card) == [3_000, 10_000]
    assert card[-1][1] == 13_000
    assert clearing(session)[0] == 0
    assert union.findings() == {}


def test_what_was_picked_up_with_a_voucher_goes_back_to_the_union_whole(union: Union) -> None:
    session = union.session
    _batch, codes = union.printed()
    voucher = union.redeem(codes[0])
    bill_accepted_parts(session)
    assert set_off_vouchers(session) == 1
    assert voucher.order is not None
    part = voucher.order.parts[0]
    refund = asked(session, actor_at(union.unit, Role.UNIT_RECEIVER), part, 1)
    agree_refund(session, actor_at(union.offered.cooperative), refund)
    assert (refund.method, refund.own_fen, refund.voucher_fen) == (PaymentMethod.VOUCHER, 0, 5_000)
    mark_unit_returned(session, union.cashier, refund, serial_no="N-1")
    assert (refund.state, refund.serial_no) == (RefundState.RETURNED, None)
    assert union.findings() == {}


def test_the_cashier_s_page_has_a_field_for_each_transfer(
    union: Union, mixed: Order, client: MarketClient
) -> None:
    session = union.session
    refund = refunded(session, mixed, 3)
    refund.state, refund.failure = RefundState.FAILED, "charge_expired"
    session.commit()
    client.sign_in(official_with(Role.OPERATOR))
    here = f"/cashier/refunds/{refund.public_no}"
    page = Visitor(client).open("/cashier/refunds")
    assert page.has("80.00", "70.00", union.unit.name, "转给购券单位")
    assert {here, f"{here}/unit"} <= {form.action for form in page.forms}
    client.post(f"{here}/unit", data={"serial_no": "N-2"})
    page = Visitor(client).open("/cashier/refunds")
    assert {here, f"{here}/unit"} & {form.action for form in page.forms} == {here}
    client.post(here, data={"serial_no": "N-2"})
    session.expire_all()
    assert refund.state is RefundState.FAILED
    client.post(here, data={"serial_no": "N-1"})
    session.expire_all()
    assert refund.state is RefundState.RETURNED
    assert Visitor(client).open(f"/refunds/{refund.public_no}").has("N-1", "N-2", "退回购券单位")
    assert client.post(f"{here}/unit", data={"serial_no": "N-9"}).status_code == 404


@pytest.mark.databases("postgresql")
def test_two_cooperatives_that_agree_at_the_same_moment_make_one_chain(
    union: Union, buyer: Actor, engine: Engine
) -> None:
    session = union.session
    elsewhere = offer(session, CooperativeFactory())
    order = buy(session, buyer, (union.offered, 1), (elsewhere, 1))
    pay_by_card(session, buyer, order)
    works = []
    for number, part in enumerate(order.parts):
        deliver(session, part, buyer)
        refund_id = asked(session, buyer, part, 1, key=f"refund-of-part-{number}").id
        works.append(agreeing(actor_at(part.cooperative), refund_id))
    session.commit()
    assert all_at_once(engine, works) == [RefundState.AGREED, RefundState.AGREED]
    session.expire_all()
    assert shares(session) == [(PaymentMethod.CARD, 5_000, 5_000), (PaymentMethod.CARD, 5_000, 10_000)]
    assert union.findings() == {}


def agreeing(manager: Actor, refund_id: int) -> Callable[[Session], object]:
    return lambda own: agree_refund(own, manager, own.get_one(Refund, refund_id)).state
