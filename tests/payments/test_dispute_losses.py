"""Who bears a lost dispute: whole or in part, before and after shipping, settlement and payout; and what still goes
back of a disputed payment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.audit.recompute.run import recompute_everything
from marketplace.core.clock import now
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry
from marketplace.ledger.queries import balance, balances
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.ordering.models import Order
from marketplace.ordering.rules import confirm_part, ship_part
from marketplace.ordering.states import PartState
from marketplace.payments.disputes.models import DisputeLoss, PaymentDispute
from marketplace.payments.disputes.rules import take_dispute
from marketplace.payments.freight import pass_freight_on
from marketplace.payments.gateways.disputes import DisputeStatus, DisputeTold
from marketplace.payments.models import Payment
from marketplace.payments.refunds.answers import agree_rejection, replace_rejected
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.payments.refunds.rules import agree_refund, decline_refund
from marketplace.payments.refunds.sending import mark_returned, mark_unit_returned
from marketplace.payments.rules import hold_payment
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import actor_with
from tests.factories.receiving import arrived_at_home, reject
from tests.factories.refunds import asked, buyer_of, refunded, shared_offer, standing
from tests.factories.registry import CooperativeFactory, actor_at, user_of
from tests.factories.trade import buy, deliver, offer, pay_by_card, sell, staff_buyer
from tests.journeys.paper import Visitor
from tests.ordering.test_concurrency import all_at_once
from tests.payments.voucher_world import Union
from tests.procurement.canteen import refusal

S = DisputeStatus


def told(
    session: Session, payment: Payment, amount_fen: int, status: S, *, ref: str = "dp_1"
) -> PaymentDispute:
    """The provider speaks of a dispute of a payment."""
    hold_payment(session, payment)
    return take_dispute(
        session,
        payment,
        DisputeTold(
            ref,
            payment.provider_payment_ref,
            amount_fen,
            "fraudulent",
            status,
            now() + timedelta(days=7),
            now(),
        ),
    )


def lost(session: Session, payment: Payment, amount_fen: int, *, ref: str = "dp_1") -> PaymentDispute:
    return told(session, payment, amount_fen, S.LOST, ref=ref)


def money(session: Session, *cooperative_ids: int) -> tuple[int, ...]:
    """Fen in clearing and held, then in escrow and owed to each cooperative."""
    keys = [AccountKey.clearing("card"), AccountKey.clearing("card_disputed")]
    for one in cooperative_ids:
        keys += [AccountKey.escrow(one), AccountKey.cooperative_payable(one)]
    found = balances(session, keys)
    return tuple(found[key] for key in keys)


def losses(session: Session) -> list[int]:
    return list(session.scalars(select(DisputeLoss.amount_fen).order_by(DisputeLoss.part_id)))


def everything_agrees(session: Session) -> None:
    nothing_is_found(session)
    assert recompute_everything(session).agrees


def nothing_is_found(session: Session) -> None:
    session.flush()
    found = {
        one.check.name: [str(f) for f in one.findings] for one in run_checks(session, CHECKS) if one.findings
    }
    found.pop("never_negative", None)  # a cooperative that bears a loss may owe for a while
    assert found == {}


def test_a_loss_in_part_is_split_by_what_the_payment_paid_of_each_part(
    session: Session, clock: HeldClock
) -> None:
    """100.00 and 50.00 at two cooperatives; of 10.00 lost the one bears 6.67, the other 3.33."""
    offers = [offer(session, CooperativeFactory()) for _ in range(2)]
    buyer = staff_buyer()
    order = buy(session, buyer, (offers[0], 2), (offers[1], 1))
    payment = pay_by_card(session, buyer, order)
    lost(session, payment, 1_000)
    assert losses(session) == [667, 333]
    assert money(session, *(one.cooperative.id for one in offers)) == (14_000, 0, 10_000, -667, 5_000, -333)
    assert {part.state for part in order.parts} == {PartState.PLACED}
    everything_agrees(session)


def test_a_whole_loss_with_freight_calls_the_unshipped_part_off_and_leaves_nothing_in_escrow(
    session: Session, clock: HeldClock
) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    write_freight_sheet(
        session, actor_at(goods.cooperative), rates=(Rate("", 1_200, 500, 3, 7),), free_from_fen=None
    )
    order = buy(session, buyer, (goods, 2), carriage=Carriage(""))
    payment = pay_by_card(session, buyer, order)
    assert payment.amount_fen == 10_000 + order.parts[0].freight_fen
    lost(session, payment, payment.amount_fen)
    assert money(session, goods.cooperative.id) == (0, 0, 0, 0)
    assert order.parts[0].state is PartState.CANCELLED
    refund = session.scalars(select(Refund)).one()
    assert (refund.state, refund.own_fen, refund.lost_fen) == (RefundState.RETURNED, 0, payment.amount_fen)
    assert (refund.decided_by, refund.shares) == (None, [])
    everything_agrees(session)
    lost(session, payment, payment.amount_fen)
    assert session.scalar(select(func.count()).select_from(Refund)) == 1


def test_of_a_lost_unshipped_order_vouchers_go_back_to_their_unit(
    session: Session, files: FileStore, data_key: DataKey, clock: HeldClock
) -> None:
    union, buyer = Union(session, files, data_key), staff_buyer()
    _batch, codes = union.printed()
    order = buy(session, buyer, (union.offered, 4))
    union.spend(buyer, order, codes[0])
    payment = pay_by_card(session, buyer, order)
    lost(session, payment, 8_000)
    refund = session.scalars(select(Refund)).one()
    assert (refund.state, refund.lost_fen, refund.voucher_fen) == (RefundState.AGREED, 8_000, 12_000)
    assert money(session, union.offered.cooperative.id) == (0, 0, 0, 0)
    assert order.parts[0].state is PartState.CANCELLED
    mark_unit_returned(session, union.cashier, refund, serial_no="N-1")
    assert refund.state is RefundState.RETURNED
    everything_agrees(session)


def test_a_loss_in_part_before_shipping_leaves_the_order_and_its_refund_gives_only_what_is_left(
    session: Session, clock: HeldClock
) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    order = buy(session, buyer, (goods, 2))
    payment = pay_by_card(session, buyer, order)
    lost(session, payment, 4_000)
    assert money(session, goods.cooperative.id) == (6_000, 0, 10_000, -4_000)
    whole, manager = asked(session, buyer, order.parts[0], 2), actor_at(goods.cooperative)
    before = session.scalar(select(func.count()).select_from(Entry))
    with pytest.raises(Conflict) as refused, session.begin_nested():
        agree_refund(session, manager, whole)
    assert refused.value.code == "more_than_paid"
    assert refused.value.params == {"left": "60.00", "asked": "100.00"}
    assert (whole.state, whole.shares) == (RefundState.ASKED, [])
    assert session.scalar(select(func.count()).select_from(Entry)) == before
    decline_refund(session, manager, whole, reason="先等银行的结果")
    deliver(session, order.parts[0], buyer)
    assert refunded(session, order, 1, key="a-bottle").own_fen == 5_000
    everything_agrees(session)


def test_households_keep_what_they_have_when_a_dispute_is_lost_after_settlement(
    session: Session, clock: HeldClock
) -> None:
    offered, households = shared_offer(session, CooperativeFactory(), 3, 1, 6)
    order = sell(session, offered, units=10)
    settle_lines(session)
    credited = standing(session)
    payment = session.scalars(select(Payment)).one()
    owed = balance(session, AccountKey.cooperative_payable(offered.cooperative.id))
    told(session, payment, 100, S.NEEDS_ANSWER)
    assert money(session)[:2] == (0, 100)
    lost(session, payment, 100)
    assert standing(session) == credited
    assert set(credited) == set(households)
    assert money(session, offered.cooperative.id) == (0, 0, 0, owed - 100)
    assert refusal(session, lambda: refunded(session, order, 1)).code == "more_than_paid"
    nothing_is_found(session)


def test_a_dispute_that_is_won_gives_everybody_what_they_had(session: Session, clock: HeldClock) -> None:
    offered, _households = shared_offer(session, CooperativeFactory(), 1)
    order = sell(session, offered, units=10)
    settle_lines(session)
    payment = session.scalars(select(Payment)).one()
    before = money(session, offered.cooperative.id)
    told(session, payment, 60, S.UNDER_REVIEW)
    refund = asked(session, buyer_of(session, order), order.parts[0], 1)
    manager = actor_at(offered.cooperative)
    assert refusal(session, lambda: agree_refund(session, manager, refund)).code == "disputed"
    told(session, payment, 60, S.WON)
    told(session, payment, 60, S.LOST)  # a message that is late changes nothing
    assert money(session, offered.cooperative.id) == before
    assert losses(session) == []
    assert agree_refund(session, manager, refund).own_fen == 10
    nothing_is_found(session)


def test_a_refund_that_was_never_sent_is_met_by_a_whole_loss(session: Session, clock: HeldClock) -> None:
    """Of 100.00 a refund of 50.00 was agreed to; the bank takes all 100.00: the cooperative bears that once."""
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    order = buy(session, buyer, (goods, 2))
    payment = pay_by_card(session, buyer, order)
    deliver(session, order.parts[0], buyer)
    refund = refunded(session, order, 1)
    told(session, payment, 10_000, S.NEEDS_ANSWER)
    refund.state, refund.failure = RefundState.FAILED, "charge_disputed"
    session.flush()
    cashier = actor_with(Role.OPERATOR)
    assert (
        refusal(session, lambda: mark_returned(session, cashier, refund, serial_no="N-1")).code == "disputed"
    )
    assert refund.state is RefundState.FAILED
    lost(session, payment, 10_000)
    assert (refund.state, refund.serial_no) == (RefundState.RETURNED, None)
    settle_lines(session)
    pass_freight_on(session)
    assert money(session, goods.cooperative.id)[:3] == (0, 0, 0)
    everything_agrees(session)


def test_two_disputes_of_one_payment_are_borne_one_after_another(session: Session, clock: HeldClock) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    order = buy(session, buyer, (goods, 2))
    payment = pay_by_card(session, buyer, order)
    deliver(session, order.parts[0], buyer)
    lost(session, payment, 4_000)
    lost(session, payment, 6_000, ref="dp_2")
    assert losses(session) == [4_000, 6_000]
    assert refusal(session, lambda: refunded(session, order, 1)).code == "more_than_paid"
    everything_agrees(session)


def test_losses_are_history(session: Session, clock: HeldClock) -> None:
    payment = pay_by_card(
        session, buyer := staff_buyer(), buy(session, buyer, (offer(session, CooperativeFactory()), 1))
    )
    lost(session, payment, 1_000)
    with pytest.raises(DatabaseError), session.begin_nested():
        session.execute(update(DisputeLoss).values(amount_fen=1))
    assert losses(session) == [1_000]


@pytest.mark.parametrize("replaces", [False, True])
def test_a_rejection_is_not_paid_back_while_the_bank_decides(
    session: Session, files: FileStore, clock: HeldClock, replaces: bool
) -> None:
    delivery = arrived_at_home(session, files, (offer(session, CooperativeFactory()), 10))
    rejection = reject(session, files, delivery, 5)
    payment = session.scalars(select(Payment)).one()
    told(session, payment, payment.amount_fen, S.NEEDS_ANSWER)
    before = money(session, delivery.part.cooperative_id)

    def answer() -> object:
        if replaces:
            units = {delivery.line.public_no: 3}
            return replace_rejected(session, delivery.manager, rejection, units=units, carrier="自送")
        return agree_rejection(session, delivery.manager, rejection)

    assert refusal(session, answer).code == "disputed"
    assert (delivery.part.state, rejection.outcome) == (PartState.PART_REJECTED, None)
    assert money(session, delivery.part.cooperative_id) == before
    told(session, payment, payment.amount_fen, S.WON)
    answer()
    assert session.scalars(select(Refund)).one().state is RefundState.AGREED


def test_the_cooperative_sees_the_dispute_and_what_it_means(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    order = buy(session, buyer, (goods, 2))
    payment, part = pay_by_card(session, buyer, order), order.parts[0]
    told(session, payment, 4_000, S.NEEDS_ANSWER)
    session.commit()
    client.sign_in(user_of(goods.cooperative))
    visitor, here = Visitor(client), f"/fulfilment/{part.public_no}"
    assert visitor.open("/fulfilment").has("付款争议中")
    assert visitor.open(here).has("买方向银行提出了付款争议", "40.00", "先不要发货")
    ship_part(
        session,
        actor_at(goods.cooperative),
        confirm_part(session, actor_at(goods.cooperative), part),
        carrier="自送",
        waybill_no="",
    )
    session.commit()
    assert visitor.open(here).has("签收照片")
    lost(session, payment, 4_000)
    session.commit()
    assert visitor.open(here).has("付款争议已败诉", "其中 ¥40.00 从本社的应收货款里承担")
    assert not visitor.open("/fulfilment?state=shipped").has("付款争议中")


@pytest.mark.databases("postgresql")
def test_a_refund_and_a_dispute_at_the_same_moment_take_turns(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    order = buy(session, buyer, (goods, 2))
    payment = pay_by_card(session, buyer, order)
    deliver(session, order.parts[0], buyer)
    refund_id = asked(session, buyer, order.parts[0], 2).id
    payment_id, manager = payment.id, actor_at(goods.cooperative)
    session.commit()
    answers = all_at_once(engine, [agreeing(manager, refund_id), losing(payment_id, 10_000)])
    session.expire_all()
    assert answers[1] is S.LOST
    assert answers[0] in {RefundState.AGREED, "more_than_paid"}
    clearing, held = money(session)
    assert (clearing, held) == (0, 0)
    everything_agrees(session)


@pytest.mark.databases("postgresql")
def test_two_messages_of_one_loss_at_the_same_moment_are_borne_once(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    payment = pay_by_card(session, buyer, buy(session, buyer, (goods, 2)))
    payment_id = payment.id
    session.commit()
    assert all_at_once(engine, [losing(payment_id, 10_000)] * 2) == [S.LOST, S.LOST]
    session.expire_all()
    assert losses(session) == [10_000]
    assert money(session, goods.cooperative.id) == (0, 0, 0, 0)
    everything_agrees(session)


@pytest.mark.databases("postgresql")
def test_shipping_and_losing_at_the_same_moment_take_turns(
    session: Session, engine: Engine, clock: HeldClock
) -> None:
    goods, buyer = offer(session, CooperativeFactory()), staff_buyer()
    order = buy(session, buyer, (goods, 2))
    payment_id, manager = pay_by_card(session, buyer, order).id, actor_at(goods.cooperative)
    confirm_part(session, manager, order.parts[0])
    session.commit()
    shipped, ended = all_at_once(engine, [shipping(manager, order), losing(payment_id, 10_000)])
    session.expire_all()
    assert ended is S.LOST
    if shipped is PartState.SHIPPED:
        assert money(session, goods.cooperative.id) == (0, 0, 10_000, -10_000)
    else:
        assert (shipped, order.parts[0].state) == ("moved_meanwhile", PartState.CANCELLED)
        assert money(session, goods.cooperative.id) == (0, 0, 0, 0)


def agreeing(manager: Actor, refund_id: int) -> Callable[[Session], object]:
    return lambda own: agree_refund(own, manager, own.get_one(Refund, refund_id)).state


def losing(payment_id: int, amount_fen: int) -> Callable[[Session], object]:
    return lambda own: lost(own, own.get_one(Payment, payment_id), amount_fen).state


def shipping(manager: Actor, order: Order) -> Callable[[Session], object]:
    part_id = order.parts[0].id

    def ship(own: Session) -> object:
        part = own.get_one(type(order.parts[0]), part_id)
        return ship_part(own, manager, part, carrier="自送", waybill_no="").state

    return ship
