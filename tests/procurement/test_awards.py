"""Comparing opened offers, and the one award: by whom, why, at which price, and what the others are told."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import ListingVersion, PriceTier
from marketplace.core import clock as core_clock
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ordering.models import Order, OrderKind, PaymentStart
from marketplace.ordering.rules import cancel_order, decline_part
from marketplace.ordering.states import PartState
from marketplace.ordering.terms import PaymentTerms
from marketplace.procurement.requests.awarding import award_request
from marketplace.procurement.requests.comparison import Condition, Near, SortBy, compared
from marketplace.procurement.requests.models import (
    Offer,
    OfferState,
    PurchaseRequest,
    RequestAward,
    RequestEvent,
    RequestState,
)
from marketplace.procurement.requests.offering import read_outcome
from marketplace.procurement.requests.queries import tasks_of
from marketplace.procurement.requests.reopening import reopen_fallen
from marketplace.procurement.requests.rules import amend_request, withdraw_request
from marketplace.procurement.rules import approve_order, reject_order
from tests.conftest import START, HeldClock
from tests.factories.registry import (
    BuyerUnitFactory,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    actor_at,
)
from tests.factories.requests import DAYS_OPEN, ask, offered, published
from tests.factories.trade import DELIVERY, UNIT_G, buy, looked_at, new_version, offer
from tests.ordering.test_concurrency import all_at_once

KEY = "key-of-an-award-0"
TERMS = PaymentTerms(20, PaymentStart.DELIVERY, 5, "采购合同第六条")


class Opened:
    """A request past its deadline with two offers: 98.00 yuan a kilogram, and the dearer 100.00."""

    def __init__(self, session: Session, clock: HeldClock) -> None:
        self.unit = BuyerUnitFactory()
        self.orderer = actor_at(self.unit, Role.UNIT_ORDERER)
        self.approver = actor_at(self.unit, Role.UNIT_APPROVER)
        self.cheap, self.dear = (offer(session, CooperativeFactory()) for _ in range(2))
        self.request = published(session, self.orderer, terms=TERMS)
        self.low = offered(session, self.request, self.cheap, unit_price_fen=4_900)
        self.high = offered(session, self.request, self.dear, unit_price_fen=5_000)
        clock.advance(days=DAYS_OPEN)


@pytest.fixture
def opened(session: Session, clock: HeldClock) -> Opened:
    return Opened(session, clock)


def award(session: Session, opened: Opened, chosen: Offer, *, reason: str = "", key: str = KEY, by=None):
    return award_request(
        session,
        by or opened.orderer,
        opened.request,
        chosen,
        reason=reason,
        delivery=DELIVERY,
        idempotency_key=key,
    )


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


def nothing_ordered(session: Session) -> bool:
    counts = [session.scalar(select(func.count()).select_from(table)) for table in (Order, RequestAward)]
    return counts == [0, 0]


# --- the comparison ---


def test_offers_are_compared_by_the_exact_price_of_a_kilogram(opened: Opened, session: Session) -> None:
    rows = compared(session, opened.request)
    assert [(row.fen_per_kg, row.per_kg_fen, row.is_cheapest) for row in rows] == [
        (Fraction(9_800), 9_800, True),
        (Fraction(10_000), 10_000, False),
    ]
    assert all(row.conditions == {Condition.CURRENT: True, Condition.WHOLE: True} for row in rows)


def test_a_third_of_a_fen_decides(session: Session, clock: HeldClock) -> None:
    """10.00 yuan for 300 g is 33.33⅓ a kilogram, 33.33 for a whole kilogram is less: both print as 33.33."""
    orderer, places = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER), []
    request = published(session, orderer)
    for net_mass_g, fen in ((300, 1_000), (1_000, 3_333)):
        on_sale = offer(session, CooperativeFactory(), units=1_000)
        version = new_version(session, on_sale, title="小包装")
        session.flush()
        values = {"listing_id": version.listing_id, "version": 3, "title": "小包装", "description": "x"}
        smaller = ListingVersion(
            **values,
            unit_name="袋",
            net_mass_g=net_mass_g,
            tiers=[PriceTier(min_quantity=1, unit_price_fen=fen)],
            terms=[type(term)(mechanism=term.mechanism, rate_bp=term.rate_bp) for term in version.terms],
        )
        session.add(smaller)
        session.flush()
        looked_at(session, smaller)
        on_sale.listing.current_version = smaller
        session.flush()
        places.append(offered(session, request, on_sale, units=5, unit_price_fen=fen))
    clock.advance(days=DAYS_OPEN)
    rows = compared(session, request)
    assert [row.offer.id for row in rows] == [places[1].id, places[0].id]
    assert [row.per_kg_fen for row in rows] == [3_333, 3_333]
    assert [row.is_cheapest for row in rows] == [True, False]
    assert [row.conditions[Condition.WHOLE] for row in rows] == [False, False]


def test_households_are_withheld_below_five_and_do_not_sort(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    on_sale = [offer(session, CooperativeFactory()) for _ in range(3)]
    for one, heads in zip(on_sale, (0, 4, 5), strict=True):
        for _ in range(heads):
            EnrolmentFactory(cooperative=one.cooperative)
    request = published(session, orderer)
    made = [offered(session, request, one) for one in on_sale]
    clock.advance(days=DAYS_OPEN)
    rows = compared(session, request, SortBy.HOUSEHOLDS)
    assert [(row.offer.id, row.households) for row in rows] == [
        (made[2].id, 5),
        (made[0].id, None),
        (made[1].id, None),
    ]


def test_the_preferred_county_is_a_condition(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    away = offer(session, CooperativeFactory(place=RegionFactory(code="360827100001")))
    home = offer(session, CooperativeFactory())
    request = published(session, orderer, county_code="360827")
    for one in (home, away):
        offered(session, request, one)
    clock.advance(days=DAYS_OPEN)
    rows = compared(session, request, SortBy.PLACE)
    assert [(row.near, row.conditions[Condition.COUNTY]) for row in rows] == [
        (Near.PREFERRED, True),
        (Near.SAME_COUNTY, False),
    ]


# --- the award ---


def test_an_award_becomes_an_order_at_the_agreed_price_for_another_to_approve(
    opened: Opened, session: Session
) -> None:
    made = award(session, opened, opened.low)
    order, line = made.order, made.order.parts[0].lines[0]
    assert (order.total_fen, line.unit_price_fen, line.quantity, line.net_fen) == (98_000, 4_900, 20, 98_000)
    assert (order.payment_days, order.payment_start, order.payment_basis) == (
        20,
        PaymentStart.DELIVERY,
        "采购合同第六条",
    )
    assert order.deliver_on == opened.low.current.deliver_on
    assert order.parts[0].state is PartState.AWAITING_APPROVAL
    session.refresh(opened.cheap.lot)
    assert opened.cheap.lot.committed_g == 20 * UNIT_G
    assert (made.is_cheapest, made.reason) == (True, "")
    session.expire_all()
    assert opened.request.state is RequestState.AWARDED
    assert (opened.low.state, opened.high.state) == (OfferState.WON, OfferState.LOST)
    for seller in (opened.cheap, opened.dear):
        assert [task.count for task in tasks_of(session, actor_at(seller.cooperative))] == [1]
    both = actor_at(opened.unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    approve_order(session, both, order)
    assert order.parts[0].state is PartState.PLACED


def test_a_dearer_offer_needs_a_reason_which_is_kept(opened: Opened, session: Session) -> None:
    refused = refusal(session, lambda: award(session, opened, opened.high, reason="  "))
    assert (refused.code, refused.field) == ("reason_missing", "reason")
    assert nothing_ordered(session)
    assert opened.dear.lot.committed_g == 0
    made = award(session, opened, opened.high, reason=" 送货更快 ")
    assert (made.is_cheapest, made.reason, made.order.total_fen) == (False, "送货更快", 100_000)


def test_the_database_wants_the_reason_too(opened: Opened, session: Session) -> None:
    made = award(session, opened, opened.high, reason="送货更快")
    values = {column.name: getattr(made, column.name) for column in RequestAward.__table__.columns}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(RequestAward.__table__.insert().values({**values, "reason": ""}))


def test_nothing_is_awarded_before_the_deadline(opened: Opened, session: Session, clock: HeldClock) -> None:
    clock.advance(seconds=-1)
    assert refusal(session, lambda: award(session, opened, opened.low)).code == "sealed"
    assert nothing_ordered(session)


def test_nothing_is_awarded_after_a_withdrawal(opened: Opened, session: Session) -> None:
    withdraw_request(session, opened.orderer, opened.request, reason="食堂停伙")
    assert refusal(session, lambda: award(session, opened, opened.low)).code == "request_state"
    assert nothing_ordered(session)


def test_a_request_is_awarded_once(opened: Opened, session: Session) -> None:
    made = award(session, opened, opened.low)
    assert award(session, opened, opened.low) is made
    again = refusal(
        session, lambda: award(session, opened, opened.high, reason="反悔", key="another-key-00000")
    )
    assert isinstance(again, Conflict)
    assert session.scalar(select(func.count()).select_from(Order)) == 1
    assert opened.dear.lot.committed_g == 0


def test_nobody_else_awards(opened: Opened, session: Session) -> None:
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    assert isinstance(refusal(session, lambda: award(session, opened, opened.low, by=stranger)), NotFound)
    assert isinstance(
        refusal(session, lambda: award(session, opened, opened.low, by=opened.approver)), Forbidden
    )
    elsewhere = Opened.__new__(Opened)
    elsewhere.__dict__.update(opened.__dict__)
    elsewhere.request = published(session, opened.orderer)
    assert refusal(session, lambda: award(session, elsewhere, opened.low)).code == "sealed"
    assert nothing_ordered(session)


def test_an_offer_to_an_earlier_version_does_not_win(session: Session, clock: HeldClock) -> None:
    unit = BuyerUnitFactory()
    orderer, on_sale = actor_at(unit, Role.UNIT_ORDERER), offer(session, CooperativeFactory())
    request = published(session, orderer)
    made = offered(session, request, on_sale)
    amend_request(session, orderer, request, wanted=ask(mass_g=8_000))
    clock.advance(days=DAYS_OPEN)
    refused = refusal(
        session,
        lambda: award_request(
            session, orderer, request, made, reason="", delivery=DELIVERY, idempotency_key=KEY
        ),
    )
    assert refused.code == "offer_outdated"
    assert nothing_ordered(session)


def test_a_listing_that_gives_less_by_now_does_not_win(opened: Opened, session: Session) -> None:
    new_version(session, opened.cheap, terms={})
    assert refusal(session, lambda: award(session, opened, opened.low)).code == "listing_worse"
    assert nothing_ordered(session)
    new_version(session, opened.cheap, title="照旧")
    assert award(session, opened, opened.low).order.total_fen == 98_000


def test_an_award_of_goods_that_are_gone_orders_nothing(opened: Opened, session: Session) -> None:
    opened.cheap.lot.committed_g = opened.cheap.lot.received_g
    session.flush()
    assert refusal(session, lambda: award(session, opened, opened.low)).code == "out_of_stock"
    assert nothing_ordered(session)
    assert opened.request.state is RequestState.OPEN


def test_of_two_people_who_award_at_once_one_wins(opened: Opened, session: Session, engine: Engine) -> None:
    others = [opened.orderer, actor_at(opened.unit, Role.UNIT_ORDERER)]
    chosen = [opened.low.id, opened.high.id]
    request_id, later = opened.request.id, timedelta(days=DAYS_OPEN)
    session.commit()

    def awarding(place: int):
        def work(own: Session) -> object:
            with core_clock.set_to(START + later):
                made = award_request(
                    own,
                    others[place],
                    own.get_one(PurchaseRequest, request_id),
                    own.get_one(Offer, chosen[place]),
                    reason="送货更快",
                    delivery=DELIVERY,
                    idempotency_key=f"award-of-{place}-00000",
                )
                return made.order.public_no

        return work

    answers = all_at_once(engine, [awarding(place) for place in range(2)])
    assert answers.count("request_state") == 1
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Order)) == 1
    assert session.scalar(select(func.count()).select_from(RequestAward)) == 1


# --- nothing came of it ---


def test_an_award_whose_order_is_not_approved_is_decided_anew(opened: Opened, session: Session) -> None:
    first = award(session, opened, opened.low)
    read_outcome(session, actor_at(opened.dear.cooperative), opened.high)
    assert isinstance(
        refusal(session, lambda: reject_order(session, opened.approver, first.order, reason="")), Refused
    )
    assert opened.request.state is RequestState.AWARDED
    reject_order(session, opened.approver, first.order, reason="本月预算不够")
    session.expire_all()
    assert (opened.request.state, opened.request.award) == (RequestState.CLOSED, None)
    assert (opened.low.state, opened.high.state) == (OfferState.STANDING, OfferState.STANDING)
    assert opened.high.outcome_read_at is None
    assert (opened.request.changes[0].event, opened.request.changes[0].note) == (
        RequestEvent.REOPEN,
        "本月预算不够",
    )
    assert [task.count for task in tasks_of(session, opened.orderer)] == [1]
    assert opened.cheap.lot.committed_g == 0
    second = award(session, opened, opened.high, reason="送货更快", key="key-of-an-award-1")
    assert (second.round, second.order.total_fen) == (2, 100_000)
    assert opened.request.award is second
    assert opened.request.state is RequestState.AWARDED
    assert reopen_fallen(session) == 0


def test_the_same_offer_may_win_again(opened: Opened, session: Session) -> None:
    reject_order(session, opened.approver, award(session, opened, opened.low).order, reason="地址写错")
    assert award(session, opened, opened.low, key="key-of-an-award-1").round == 2


def test_the_database_wants_a_reopening_before_a_second_award(opened: Opened, session: Session) -> None:
    first = award(session, opened, opened.low)
    other = buy(session, opened.orderer, (opened.dear, 1), kind=OrderKind.CANTEEN, key="key-of-another-0")
    values = {column.name: getattr(first, column.name) for column in RequestAward.__table__.columns}
    values |= {"order_id": other.id, "offer_id": opened.high.id}
    for round_no, reopened in ((1, None), (2, None), (2, 2), (3, 2)):
        row = {**values, "round": round_no, "reopened_round": reopened}
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(RequestAward.__table__.insert().values(row))
    of_nothing = {**values, "round": 1, "order_id": None}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(RequestAward.__table__.insert().values(of_nothing))


def test_an_order_called_off_or_declined_reopens_its_request_by_the_sweep(
    opened: Opened, session: Session
) -> None:
    cancel_order(session, opened.orderer, award(session, opened, opened.low).order, reason="数量写错")
    assert (reopen_fallen(session), reopen_fallen(session)) == (1, 0)
    assert opened.request.changes[0].note == "数量写错"
    assert opened.low.state is OfferState.STANDING
    order = award(session, opened, opened.low, key="key-of-an-award-1").order
    approve_order(session, opened.approver, order)
    assert reopen_fallen(session) == 0
    decline_part(session, actor_at(opened.cheap.cooperative), order.parts[0], reason="遭了水灾")
    assert reopen_fallen(session) == 1
    session.expire_all()
    assert (opened.low.state, opened.high.state) == (OfferState.WITHDRAWN, OfferState.STANDING)
    assert [row.offer.id for row in compared(session, opened.request)] == [opened.high.id]
    assert award(session, opened, opened.high, key="key-of-an-award-2").is_cheapest


def test_nothing_is_awarded_when_the_days_to_deliver_are_over(
    opened: Opened, session: Session, clock: HeldClock
) -> None:
    clock.advance(days=12)
    assert refusal(session, lambda: award(session, opened, opened.low)).code == "window_over"
    assert nothing_ordered(session)
