"""Prices agreed elsewhere than in a listing are held against the price guard: offers, awards, orders before the
harvest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.prices.agreed import hold_agreed_price
from marketplace.catalog.prices.guard import Verdict
from marketplace.catalog.prices.models import AgreedPriceCheck
from marketplace.catalog.prices.rules import apply_explanation_outcome, explain_price
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError
from marketplace.identity.models import Role
from marketplace.ordering.models import OrderLine
from marketplace.procurement.forward.models import ForwardOrder
from marketplace.procurement.requests.awarding import award_request
from marketplace.procurement.requests.models import Offer as RequestOffer, OfferVersion
from marketplace.registry.reviews.models import Decision, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step
from tests.catalog.test_price_guard import publish_reference
from tests.conftest import HeldClock, MarketClient
from tests.factories.ahead import ordered_ahead
from tests.factories.identity import actor_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.requests import DAYS_OPEN, offered, published
from tests.factories.reviews import default_steps
from tests.factories.trade import DELIVERY, Offer, offer
from tests.journeys.paper import Visitor

DEAREST = 5_000  # 100.00 a kilogram, 20 % above 83.34 and 0.01 fen below 20 % above 83.33


class Deal:
    """A unit's orderer, a cooperative with goods on sale, and a reference of 83.33 yuan a kilogram."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.on_sale: Offer = offer(session, CooperativeFactory(), units=100)
        self.unit = BuyerUnitFactory()
        self.orderer = actor_at(self.unit, Role.UNIT_ORDERER)
        self.manager = actor_at(self.on_sale.cooperative)

    def counts(self) -> list[int | None]:
        tables = (AgreedPriceCheck, RequestOffer, OfferVersion, ForwardOrder, OrderLine)
        return [self.session.scalar(select(func.count()).select_from(table)) for table in tables]

    def accept_explanation(self, price_fen: int) -> None:
        default_steps()
        product = self.on_sale.listing.product
        made = explain_price(self.session, self.manager, product, tiers=[(1, price_fen)], reason="手工采摘")
        case = last_case_of(self.session, ReviewKind.PRICE_EXPLANATION, made.id)
        assert case is not None
        outcomes = {ReviewKind.PRICE_EXPLANATION: apply_explanation_outcome}
        reviewer = actor_with(Role.COUNTY_REVIEWER)
        decide_step(self.session, reviewer, case, decision=Decision.PASS, outcomes=outcomes)


@pytest.fixture
def deal(session: Session, clock: HeldClock) -> Deal:
    return Deal(session)


def refusal(deal: Deal, attempt: Any) -> DomainError:
    before = deal.counts()
    with pytest.raises(DomainError) as refused, deal.session.begin_nested():
        attempt()
    assert deal.counts() == before
    return refused.value


def test_an_offer_above_the_guard_is_refused_until_the_county_accepts_why(
    deal: Deal, session: Session
) -> None:
    publish_reference(session, 8_333)
    request = published(session, deal.orderer)
    refused = refusal(deal, lambda: offered(session, request, deal.on_sale, unit_price_fen=DEAREST))
    assert (refused.code, refused.field) == ("price_above", "unit_price")
    assert (refused.params["reference"], refused.params["limit"]) == ("83.33", "49.99")
    assert (
        offered(session, request, deal.on_sale, unit_price_fen=4_999).current.price_check.verdict
        is Verdict.FITS
    )
    deal.accept_explanation(DEAREST)
    held = offered(session, request, deal.on_sale, unit_price_fen=DEAREST).current.price_check
    assert (held.verdict, held.reference_per_kg_fen, held.explained_fen) == (Verdict.ABOVE, 8_333, DEAREST)


def test_a_low_offer_is_flagged_for_whoever_compares(
    deal: Deal, session: Session, clock: HeldClock, client: MarketClient
) -> None:
    publish_reference(session, 10_000)
    request = published(session, deal.orderer)
    assert (
        offered(session, request, deal.on_sale, unit_price_fen=2_999).current.price_check.verdict
        is Verdict.LOW
    )
    client.sign_in(user_of(deal.on_sale.cooperative))
    page = Visitor(client).open(f"/board/{request.public_no}/offer")
    assert page.has("库存和参考价", "¥100.00", "比参考价高出 20% 以上的，不能报")
    clock.advance(days=DAYS_OPEN)
    client.sign_in(user_of(deal.unit, Role.UNIT_ORDERER))
    assert Visitor(client).open(f"/requests/{request.public_no}/offers").has("参考价 ¥100.00", "明显偏低")


def test_an_offer_that_is_above_the_guard_by_now_is_not_awarded(
    deal: Deal, session: Session, clock: HeldClock
) -> None:
    request = published(session, deal.orderer)
    made = offered(session, request, deal.on_sale, unit_price_fen=DEAREST)
    assert made.current.price_check.verdict is Verdict.NONE
    clock.advance(days=DAYS_OPEN)
    publish_reference(session, 8_333)
    said: dict[str, Any] = {"reason": "", "delivery": DELIVERY, "idempotency_key": "an-award"}
    refused = refusal(deal, lambda: award_request(session, deal.orderer, request, made, **said))
    assert (type(refused), refused.code) == (Conflict, "price_above")
    deal.accept_explanation(DEAREST)
    award = award_request(session, deal.orderer, request, made, **said)
    assert award.order.parts[0].lines[0].reference_per_kg_fen == 8_333


def test_the_most_an_order_before_the_harvest_may_cost_is_held_against_the_guard(
    deal: Deal, session: Session
) -> None:
    publish_reference(session, 8_333)
    refused = refusal(deal, lambda: ordered_ahead(session, deal.on_sale, deal.orderer))
    assert (refused.code, refused.field) == ("price_above", "price")
    made = ordered_ahead(session, deal.on_sale, deal.orderer, price_fen_per_kg=9_998)
    held = session.get_one(AgreedPriceCheck, made.price_check_id)
    assert (made.checked_fen, held.unit_price_fen, held.net_mass_g) == (4_999, 4_999, 500)


def test_the_page_of_an_order_before_the_harvest_tells_the_bound(
    deal: Deal, session: Session, client: MarketClient
) -> None:
    publish_reference(session, 8_333)
    client.sign_in(user_of(deal.unit, Role.UNIT_ORDERER))
    visitor = Visitor(client)
    page = visitor.open(f"/ahead/new/{deal.on_sale.listing.public_no}")
    assert page.has("参考价每千克 ¥83.33，最高价高出 20% 以上的不能预订")
    typed = {"units": "40", "floor": "90", "price": "100", "deposit": "20"}
    refused = visitor.press(page, "提交预订", status=422, **typed)
    assert refused.has("比参考价 83.33 元高 20.00%", "每瓶最多 49.99 元")
    assert refused.button("提交预订")[0].values["price"] == "100"
    assert deal.counts() == [0, 0, 0, 0, 0]


# --- what the database holds ---


def test_the_database_takes_no_agreed_price_that_was_not_held_against_the_guard(
    deal: Deal, session: Session
) -> None:
    request = published(session, deal.orderer)
    made = offered(session, request, deal.on_sale).current
    ahead = ordered_ahead(session, deal.on_sale, deal.orderer)
    product = deal.on_sale.listing.product
    elsewhere = offer(session, CooperativeFactory()).listing.product
    others = hold_agreed_price(session, elsewhere, unit_price_fen=DEAREST, net_mass_g=500, field="price")
    cheaper = hold_agreed_price(session, product, unit_price_fen=4_000, net_mass_g=500, field="price")
    for row, unique in ((made, {"version": 9}), (ahead, {"public_no": "YD-OTHER"})):
        table = type(row).__table__
        values = {column.name: getattr(row, column.name) for column in table.columns if column.name != "id"}
        values |= {**unique, "idempotency_key": "another-key"}
        for wrong in (
            {"price_check_id": None},
            {"price_check_id": others.id},
            {"price_check_id": cheaper.id},
        ):
            with pytest.raises(IntegrityError), session.begin_nested():
                session.execute(insert(table).values(**{**values, **wrong}))
        price = "unit_price_fen" if row is made else "price_fen_per_kg"
        dearer = {**values, price: getattr(row, price) + 1}
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(table).values(**dearer))
        session.execute(insert(table).values(**values))


def test_the_database_refuses_a_check_above_the_bound(deal: Deal, session: Session) -> None:
    facts = {
        "product_id": deal.on_sale.listing.product_id, "unit_price_fen": 6_001, "net_mass_g": 500,
        "verdict": Verdict.FITS, "above_bp": 2_000, "reference_on": today() - timedelta(days=1),
        "reference_source": "sheet", "reference_from": "县发改局",
    }  # fmt: skip
    row = AgreedPriceCheck(**facts, reference_per_kg_fen=10_000)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(row)
    session.add(AgreedPriceCheck(**facts, reference_per_kg_fen=10_002))
    session.flush()
