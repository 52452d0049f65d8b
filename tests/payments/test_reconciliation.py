"""A day's money compared to the fen: channel and bank against the ledger, and one fen too much found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, Refused
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balances
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.freight.rules import Rate, write_freight_sheet
from marketplace.payments.gateways.protocol import CheckoutRequest
from marketplace.payments.models import Payment
from marketplace.payments.notices import settle_lookup
from marketplace.payments.reconciliation.models import (
    Channel,
    ChannelMove,
    ItemKind,
    ItemState,
    ReconciliationItem,
    ReconciliationRun,
)
from marketplace.payments.reconciliation.moves import BEGINNING
from marketplace.payments.reconciliation.rules import (
    confirm_item,
    explain_item,
    reconcile_bank,
    reconcile_card,
    send_item_back,
)
from marketplace.payments.refunds.models import RefundState
from marketplace.payments.refunds.sending import send_refunds
from marketplace.payments.rules import apply_payment, ask_card_payment, keep_checkout
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import actor_with, official_with
from tests.factories.refunds import refunded
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import Offer, bill, buy, offer, staff_buyer
from tests.journeys.paper import Visitor
from tests.payments.stripe_world import StripeWorld

DAY = date(2026, 6, 1)


class Day:
    """Money on line on the first of June, looked at on the second."""

    def __init__(self, session: Session, stripe: StripeWorld, clock: HeldClock) -> None:
        self.session, self.stripe, self.clock = session, stripe, clock
        stripe.set_clock(clock.now)
        self.goods: Offer = offer(session, CooperativeFactory())
        self.buyer = staff_buyer()
        self.carriage: Carriage | None = None

    def pays(self, units: int) -> Payment:
        """An order of 50.00 yuan a unit, paid by card."""
        key = f"order-of-{units}-units"
        order = buy(self.session, self.buyer, (self.goods, units), key=key, carriage=self.carriage)
        payment = ask_card_payment(self.session, self.buyer, order=order)
        assert payment.expires_at is not None
        gateway = self.stripe.gateway()
        opened = gateway.open_checkout(
            CheckoutRequest(
                payment.public_no,
                payment.amount_fen,
                key,
                "http://a.b/c",
                "http://a.b/c",
                key,
                payment.expires_at,
            )
        )
        keep_checkout(self.session, payment.id, opened)
        self.session.refresh(payment)
        self.stripe.pay(opened.provider_ref)
        return settle_lookup(self.session, payment, gateway.find_payment(opened.provider_ref))

    def ends(self) -> None:
        self.clock.advance(days=1)

    def compared(self) -> ReconciliationRun:
        moves = self.stripe.gateway().balance_moves(BEGINNING, self.clock.now)
        return reconcile_card(self.session, DAY, moves)

    def items(self) -> list[ReconciliationItem]:
        return list(self.session.scalars(select(ReconciliationItem).order_by(ReconciliationItem.id)))


@pytest.fixture
def day(session: Session, stripe_emulator: StripeWorld, clock: HeldClock) -> Day:
    return Day(session, stripe_emulator, clock)


def figures(run: ReconciliationRun) -> tuple[int, int, int, int]:
    return run.channel_fen, run.ledger_fen, run.in_transit_fen, run.difference_fen


def test_a_day_balances_to_the_fen_with_fees_and_refunds(day: Day, session: Session) -> None:
    first, _second = day.pays(2), day.pays(1)
    refunded(session, first.order, 2)
    session.commit()
    send_refunds(session, day.stripe.gateway())
    session.commit()
    day.ends()
    run = day.compared()
    # 100.00 + 50.00 less fees of 0.60 and 0.30, less 100.00 that went back
    assert figures(run) == (4_910, 4_910, 0, 0)
    assert (run.day_count, run.day_fen, run.fees_fen) == (3, 5_000, 90)
    assert day.items() == []
    keys = AccountKey.clearing("card"), AccountKey.fees("card")
    assert [balances(session, keys)[key] for key in keys] == [4_910, 90]


def test_a_refund_that_was_not_sent_yet_is_on_its_way(day: Day, session: Session) -> None:
    refunded(session, day.pays(2).order, 2)
    day.ends()
    assert figures(day.compared()) == (9_940, -60, 10_000, 0)
    assert day.items() == []


def test_comparing_again_changes_nothing(day: Day, session: Session) -> None:
    day.pays(2)
    day.ends()
    first, again = day.compared(), day.compared()
    assert figures(first) == figures(again) == (9_940, 9_940, 0, 0)
    assert session.scalar(select(func.count()).select_from(ChannelMove)) == 1


@pytest.mark.parametrize("by", [1, -1])
def test_one_fen_that_differs_lands_in_the_queue_once(day: Day, by: int) -> None:
    payment = day.pays(2)
    day.pays(1)
    day.stripe.control(f"balance/{payment.provider_payment_ref}", by=by)
    day.ends()
    assert day.compared().difference_fen == by
    assert day.compared().difference_fen == by
    (item,) = day.items()
    assert (item.kind, item.state, item.difference_fen) == (ItemKind.AMOUNT_DIFFERS, ItemState.OPEN, by)
    assert (item.key, item.found_on) == (f"payment:{payment.provider_payment_ref}", DAY)


def test_money_the_ledger_does_not_know_and_money_the_channel_does_not_know(
    day: Day, session: Session
) -> None:
    gateway = day.stripe.gateway()
    stranger = gateway.open_checkout(
        CheckoutRequest(
            "Y-NOBODY", 700, "x", "http://a.b/c", "http://a.b/c", "k", day.clock.now + timedelta(hours=1)
        )
    )
    day.stripe.pay(stranger.provider_ref)
    order = buy(session, day.buyer, (day.goods, 1))
    ours = ask_card_payment(session, day.buyer, order=order)
    apply_payment(session, ours, paid_at=day.clock.now, provider_payment_ref="pi_invented")
    day.ends()
    run = day.compared()
    assert run.difference_fen == 700 - 5_000
    found = {item.kind: (item.channel_fen, item.ledger_fen) for item in day.items()}
    assert found == {ItemKind.NOT_IN_LEDGER: (700, 0), ItemKind.NOT_AT_CHANNEL: (0, 5_000)}


def test_a_difference_that_goes_away_is_closed_as_such(day: Day, session: Session) -> None:
    order = buy(session, day.buyer, (day.goods, 1))
    payment = ask_card_payment(session, day.buyer, order=order)
    assert payment.expires_at is not None
    gateway = day.stripe.gateway()
    opened = gateway.open_checkout(
        CheckoutRequest(
            payment.public_no, 5_000, "x", "http://a.b/c", "http://a.b/c", "k", payment.expires_at
        )
    )
    day.stripe.pay(opened.provider_ref)
    day.ends()
    assert day.compared().difference_fen == 5_000  # the message is late
    settle_lookup(session, payment, gateway.find_payment(opened.provider_ref))
    assert day.compared().difference_fen == 0
    assert [item.state for item in day.items()] == [ItemState.CLEARED]


def test_a_payout_to_the_bank_is_booked(day: Day, session: Session) -> None:
    day.pays(2)
    client = day.stripe.client()
    client.v1.payouts.create({"amount": 9_000, "currency": "cny"})
    day.ends()
    assert figures(day.compared()) == (940, 940, 0, 0)
    assert balances(session, [AccountKey.bank()])[AccountKey.bank()] == 9_000


def test_a_day_that_is_not_over_is_not_compared(day: Day, session: Session) -> None:
    with pytest.raises(Conflict) as refused:
        day.compared()
    assert refused.value.code == "day_not_over"
    assert session.scalar(select(func.count()).select_from(ReconciliationRun)) == 0


# --- two people ---


@pytest.fixture
def item(day: Day) -> ReconciliationItem:
    payment = day.pays(2)
    day.stripe.control(f"balance/{payment.provider_payment_ref}", by=1)
    day.ends()
    day.compared()
    (found,) = day.items()
    return found


def test_one_person_explains_and_another_confirms(
    item: ReconciliationItem, day: Day, session: Session
) -> None:
    first, second = actor_with(Role.OPERATOR), actor_with(Role.OPERATOR)
    for words in ("", "   "):
        with pytest.raises(Refused):
            explain_item(session, first, item, explanation=words)
    with pytest.raises(Forbidden):
        explain_item(session, day.buyer, item, explanation="我来")
    with pytest.raises(Conflict):
        confirm_item(session, second, item)
    assert item.state is ItemState.OPEN
    explain_item(session, first, item, explanation="通道多记一分，已联系更正")
    with pytest.raises(Refused) as refused:
        confirm_item(session, first, item)
    assert (refused.value.code, item.state) == ("two_people", ItemState.PROPOSED)
    send_item_back(session, second, item)
    explain_item(session, second, item, explanation="通道多记一分，已收到更正单")
    confirm_item(session, first, item)
    assert (item.state, item.proposed_by, item.resolved_by) == (
        ItemState.RESOLVED,
        second.user_id,
        first.user_id,
    )
    assert day.compared().difference_fen == 1  # explained, and still the same
    assert len(day.items()) == 1


def test_the_database_wants_two_people(item: ReconciliationItem, session: Session) -> None:
    first = actor_with(Role.OPERATOR)
    explain_item(session, first, item, explanation="一人")
    with pytest.raises(IntegrityError, match="two_people"), session.begin_nested():
        session.execute(
            text(
                "UPDATE reconciliation_item SET state = 'resolved', resolved_by = proposed_by, ended_at = found_at"
            )
        )


@pytest.mark.parametrize("table", ["channel_move", "reconciliation_run"])
def test_what_was_compared_is_history(item: ReconciliationItem, session: Session, table: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text(f"DELETE FROM {table}"))


# --- the bank ---


def test_the_bank_side_finds_money_booked_without_a_credit(session: Session, clock: HeldClock) -> None:
    payment = bill(session, offer(session, CooperativeFactory()), 2)
    clock.advance(days=1)
    assert figures(reconcile_bank(session, DAY)) == (0, 0, 0, 0)
    apply_payment(session, payment, paid_at=clock.now)
    clock.advance(days=1)
    run = reconcile_bank(session, DAY + timedelta(days=1))
    assert figures(run) == (0, 10_000, 0, -10_000)
    (item,) = session.scalars(select(ReconciliationItem))
    assert (item.channel, item.kind, item.key) == (
        Channel.BANK_TRANSFER,
        ItemKind.NOT_AT_CHANNEL,
        f"payment:{payment.id}",
    )


# --- the pages ---


def test_the_cashier_explains_on_the_page_and_another_confirms(
    item: ReconciliationItem, client: MarketClient, app: Flask
) -> None:
    number = item.public_no
    client.sign_in(official_with(Role.OPERATOR))
    first = Visitor(client)
    page = first.open("/cashier/reconciliation")
    assert page.has("每日对账", "在线支付通道", "0.01")
    page = first.open(f"/cashier/reconciliation/differences/{number}")
    page = first.press(page, "提交复核", status=422, explanation="")
    assert page.has("请写明差异的原因和处理办法")
    page = first.press(page, "提交复核", explanation="通道多记一分")
    assert page.has("等待另一位同事复核", "通道多记一分")
    other = app.test_client()
    other.session = client.session
    other.sign_in(official_with(Role.OPERATOR))
    second = Visitor(other)
    page = second.open("/cashier/reconciliation/differences?state=proposed")
    assert page.has(number, "金额不符")
    page = second.press(second.open(f"/cashier/reconciliation/differences/{number}"), "复核同意")
    assert page.has("已查明", "两人已查明")


def test_the_job_compares_yesterday_once(
    app: Flask, session: Session, clock: HeldClock, work: Callable[..., None]
) -> None:
    """The provider does not answer in this app: nothing is kept, and it is asked again."""
    work("reconcile yesterday")
    assert session.scalar(select(func.count()).select_from(ReconciliationRun)) == 0


def test_the_pages_do_not_ask_per_row(
    item: ReconciliationItem, day: Day, client: MarketClient, session: Session, page_statements: Listening
) -> None:
    client.sign_in(official_with(Role.OPERATOR))
    costs = []
    for count in (1, 6):
        for number in range(count):
            row = {"channel": Channel.CARD, "kind": ItemKind.NOT_IN_LEDGER, "channel_fen": 1, "ledger_fen": 0}
            session.add(ReconciliationItem(key=f"payment:pi_{count}_{number}", found_on=DAY, **row))
        session.commit()
        with page_statements() as sent:
            assert client.get("/cashier/reconciliation/differences").status_code == 200
            assert client.get("/cashier/reconciliation").status_code == 200
        costs.append(len(sent))
    assert costs[0] == costs[1]


def test_a_day_on_which_an_order_is_called_off_with_its_freight_balances(day: Day, session: Session) -> None:
    cooperative = day.goods.cooperative
    write_freight_sheet(
        session, actor_at(cooperative), rates=(Rate("", 1_200, 500, 3, 7),), free_from_fen=None
    )
    day.carriage = Carriage("")
    payment = day.pays(2)
    assert payment.amount_fen > 10_000
    refund = refunded(session, payment.order, 2)
    session.commit()
    send_refunds(session, day.stripe.gateway())
    session.commit()
    assert refund.state is RefundState.RETURNED
    day.ends()
    assert figures(day.compared())[2:] == (0, 0)
    assert day.items() == []
