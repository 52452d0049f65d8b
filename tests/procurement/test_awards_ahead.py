"""Awards of goods that are expected and not in stock yet: an order ahead, and what becomes of the request."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.files import FileStore
from marketplace.identity.models import Role
from marketplace.ordering.models import Order, PaymentStart
from marketplace.procurement.forward.delivering import name_lot
from marketplace.procurement.forward.models import ForwardOrder, ForwardState
from marketplace.procurement.forward.rules import (
    approve_ahead,
    confirm_ahead,
    decline_ahead,
    mark_deposit_paid,
    reject_ahead,
)
from marketplace.procurement.requests.awarding import award_ahead, comes_ahead
from marketplace.procurement.requests.models import OfferState, RequestAward, RequestState
from tests.conftest import HeldClock
from tests.factories.ahead import taken
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.requests import DAYS_OPEN, offered, published, supplied
from tests.factories.trade import UNIT_G, new_version, offer
from tests.procurement.test_awards import KEY, TERMS, Opened, nothing_ordered, refusal


class Expected:
    """A request past its deadline, and an offer of 20 bottles of which 8 are in stock and the rest is expected."""

    def __init__(self, session: Session, clock: HeldClock) -> None:
        self.unit = BuyerUnitFactory()
        self.orderer = actor_at(self.unit, Role.UNIT_ORDERER)
        self.approver = actor_at(self.unit, Role.UNIT_APPROVER)
        self.sale = offer(session, CooperativeFactory(), units=8)
        self.seller = actor_at(self.sale.cooperative)
        product = self.sale.listing.product
        supplied(session, self.seller, product=product, mass_g=20 * UNIT_G)
        self.request = published(session, self.orderer, terms=TERMS)
        day = self.request.current.deliver_until
        self.offer = offered(session, self.request, self.sale, unit_price_fen=4_999, deliver_on=day)
        clock.advance(days=DAYS_OPEN)

    def award(self, session: Session, **changes: object) -> RequestAward:
        said = {"reason": "", "deposit_bp": 2_000, "idempotency_key": KEY, **changes}
        return award_ahead(session, self.orderer, self.request, self.offer, **said)


@pytest.fixture
def expected(session: Session, clock: HeldClock) -> Expected:
    return Expected(session, clock)


def nothing_ahead(session: Session) -> bool:
    return nothing_ordered(session) and session.scalar(select(func.count()).select_from(ForwardOrder)) == 0


def test_expected_goods_become_an_order_ahead_at_the_agreed_price(
    expected: Expected, session: Session
) -> None:
    assert comes_ahead(session, expected.offer)
    for deposit_bp in (0, 10_001):
        refused = refusal(session, lambda bp=deposit_bp: expected.award(session, deposit_bp=bp))
        assert (refused.code, refused.field) == ("deposit", "deposit")
        assert nothing_ahead(session)
    made = expected.award(session)
    assert expected.award(session) is made
    forward = made.forward
    assert (made.order, forward.units, forward.harvest_on) == (None, 20, expected.offer.current.deliver_on)
    assert (forward.highest_fen, forward.lowest_fen, forward.deposit_fen) == (4_999, 4_999, 19_996)
    assert forward.state is ForwardState.AWAITING
    assert (expected.request.state, expected.offer.state) == (RequestState.AWARDED, OfferState.WON)
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_a_delivery_of_an_award_costs_what_was_offered_and_is_paid_as_was_asked(
    expected: Expected, session: Session, files: FileStore
) -> None:
    forward = expected.award(session).forward
    approve_ahead(session, expected.approver, forward)
    confirm_ahead(session, expected.seller, forward)
    mark_deposit_paid(session, forward)
    name_lot(session, expected.seller, forward, expected.sale.lot)
    new_version(session, expected.sale, tiers=((1, 9_900),))
    order = taken(session, forward, 5, by=expected.orderer).order
    assert (order.total_fen, order.payment_days, order.payment_basis) == (24_995, 20, "采购合同第六条")
    assert order.payment_start is PaymentStart.DELIVERY


def test_goods_that_are_in_stock_are_not_ordered_ahead(session: Session, clock: HeldClock) -> None:
    opened = Opened(session, clock)
    assert not comes_ahead(session, opened.low)
    refused = refusal(
        session,
        lambda: award_ahead(
            session,
            opened.orderer,
            opened.request,
            opened.low,
            reason="",
            deposit_bp=2_000,
            idempotency_key=KEY,
        ),
    )
    assert refused.code == "in_stock"
    assert nothing_ahead(session)


def test_an_order_ahead_that_comes_to_nothing_reopens_its_request(
    expected: Expected, session: Session
) -> None:
    reject_ahead(session, expected.approver, expected.award(session).forward, reason="订金太高")
    session.expire_all()
    assert (expected.request.state, expected.offer.state) == (RequestState.CLOSED, OfferState.STANDING)
    again = expected.award(session, deposit_bp=1_000, idempotency_key="key-of-an-award-1").forward
    approve_ahead(session, expected.approver, again)
    decline_ahead(session, expected.seller, again, reason="地少了")
    session.expire_all()
    assert (expected.request.state, expected.offer.state) == (RequestState.CLOSED, OfferState.WITHDRAWN)
