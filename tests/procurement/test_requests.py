"""A canteen's request and the sealed offers on it: what is refused, what the clock decides, what nobody else sees."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import business_day
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.models import Role
from marketplace.ordering.models import PaymentStart
from marketplace.ordering.terms import PaymentTerms
from marketplace.procurement.requests.models import (
    Offer,
    OfferState,
    OfferVersion,
    PurchaseRequest,
    RequestState,
    RequestVersion,
)
from marketplace.procurement.requests.offering import read_outcome, withdraw_offer
from marketplace.procurement.requests.queries import (
    board_request_by_no,
    offers_counts,
    opened_offers,
    request_by_no,
    tasks_of,
)
from marketplace.procurement.requests.rules import (
    amend_request,
    close_due_requests,
    open_request,
    post_request,
    withdraw_request,
)
from marketplace.registry.models import CooperativeState
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, EnrolmentFactory, actor_at
from tests.factories.requests import DAYS_OPEN, MASS_G, ask, offered, published, supplied
from tests.factories.trade import CategoryFactory, new_version, offer, staff_buyer


class Market:
    """A canteen with a request that takes offers, and two cooperatives that sell camellia oil."""

    def __init__(self, session: Session) -> None:
        self.unit = BuyerUnitFactory()
        self.orderer = actor_at(self.unit, Role.UNIT_ORDERER)
        self.first, self.second = (offer(session, CooperativeFactory()) for _ in range(2))
        self.seller = actor_at(self.first.cooperative)
        self.request = published(session, self.orderer)


@pytest.fixture
def market(session: Session, clock: HeldClock) -> Market:
    return Market(session)


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


def count(session: Session, table) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


# --- what cannot be asked ---


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"mass_g": 0}, "mass", "mass"),
        ({"ceiling_fen_per_kg": 0}, "ceiling", "ceiling"),
        ({"min_linkage_bp": 10_001}, "linkage", "min_linkage"),
        ({"min_households": 4}, "households", "min_households"),
        ({"title": "  "}, "words_missing", "title"),
        ({"specification": "电话 13800138000"}, "personal_number_in_public_text", "specification"),
        ({"category_code": "nothing"}, "category", "category_code"),
        ({"county_code": "361025100"}, "county", "county_code"),
        ({"terms": PaymentTerms(61, PaymentStart.DELIVERY, 5, "合同")}, "payment_days", "payment_days"),
    ],
)
def test_what_cannot_be_asked_is_refused(session: Session, clock: HeldClock, changes, code, field) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    wanted = ask(**changes)
    refused = refusal(
        session, lambda: post_request(session, orderer, wanted=wanted, idempotency_key="key-of-a-request")
    )
    assert (refused.code, refused.field) == (code, field)
    assert count(session, PurchaseRequest) == 0


def test_a_deadline_in_the_past_or_after_the_window_is_refused(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    for deadline_at, code in (
        (clock.now, "deadline_past"),
        (clock.now + timedelta(days=14), "deadline_after_window"),
        (clock.now + timedelta(days=15), "deadline_after_window"),
    ):
        wanted = ask(deadline_at=deadline_at)
        refused = refusal(
            session,
            lambda wanted=wanted: post_request(session, orderer, wanted=wanted, idempotency_key="k" * 16),
        )
        assert (refused.code, refused.field) == (code, "deadline")
    assert count(session, PurchaseRequest) == 0


def test_only_whoever_orders_for_a_unit_asks(market: Market, session: Session) -> None:
    for actor in (actor_at(market.unit, Role.UNIT_APPROVER), market.seller, staff_buyer()):
        refused = refusal(
            session, lambda actor=actor: post_request(session, actor, wanted=ask(), idempotency_key="k" * 16)
        )
        assert isinstance(refused, Forbidden)
    assert count(session, PurchaseRequest) == 1


def test_a_repeated_submit_is_one_request(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    first, second = (post_request(session, orderer, wanted=ask(), idempotency_key="k" * 16) for _ in range(2))
    assert first is second
    assert count(session, RequestVersion) == 1


def test_another_unit_s_request_is_not_found(market: Market, session: Session) -> None:
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    number = market.request.public_no
    for act in (
        lambda: request_by_no(session, stranger, number),
        lambda: withdraw_request(session, stranger, market.request, reason="不要了"),
        lambda: amend_request(session, stranger, market.request, wanted=ask()),
    ):
        assert isinstance(refusal(session, act), NotFound)
    assert market.request.state is RequestState.OPEN


def test_a_draft_is_not_on_the_board(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    draft = post_request(session, orderer, wanted=ask(), idempotency_key="key-of-a-draft-0")
    assert isinstance(refusal(session, lambda: board_request_by_no(session, draft.public_no)), NotFound)
    clock.advance(days=DAYS_OPEN)
    assert refusal(session, lambda: open_request(session, orderer, draft)).code == "deadline_past"
    assert draft.state is RequestState.DRAFT


# --- what is no offer ---


def test_an_offer_a_second_late_is_refused_by_the_clock_of_the_server(
    market: Market, session: Session, clock: HeldClock
) -> None:
    clock.set_to(market.request.current.deadline_at - timedelta(seconds=1))
    offered(session, market.request, market.first)
    clock.advance(seconds=1)
    for _ in range(2):
        refused = refusal(session, lambda: offered(session, market.request, market.second))
        assert isinstance(refused, Conflict)
        assert refused.code == "offers_closed"
        clock.advance(seconds=1)
    assert count(session, Offer) == 1


def test_the_database_refuses_a_late_offer_too(market: Market, session: Session, clock: HeldClock) -> None:
    made = offered(session, market.request, market.first).current
    values = {column.name: getattr(made, column.name) for column in OfferVersion.__table__.columns}
    del values["id"]
    late = {**values, "version": 2, "idempotency_key": "late-key-of-an-offer"}
    for changed, constraint in (
        ({"offered_at": made.deadline_at}, "in_time"),
        ({"unit_price_fen": 5_501}, "ceiling"),
        ({"linkage_bp": 999}, "linkage"),
        ({"deliver_on": made.deliver_until + timedelta(days=1)}, "window"),
    ):
        with pytest.raises(IntegrityError, match=constraint), session.begin_nested():
            session.execute(OfferVersion.__table__.insert().values({**late, **changed}))
    later = {**late, "deadline_at": made.deadline_at + timedelta(days=1)}  # terms the request never had
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), session.begin_nested():
        session.execute(OfferVersion.__table__.insert().values(later))
    assert count(session, OfferVersion) == 1


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({"unit_price_fen": 5_501}, "over_ceiling", "unit_price"),
        ({"unit_price_fen": 0}, "price", "unit_price"),
        ({"units": 21}, "more_than_wanted", "units"),
        ({"units": 0}, "quantity", "units"),
        ({"note": "请打 13800138000"}, "personal_number_in_public_text", "note"),
    ],
)
def test_an_offer_the_request_does_not_allow_is_refused(
    market: Market, session: Session, said, code, field
) -> None:
    refused = refusal(session, lambda: offered(session, market.request, market.first, **said))
    assert (refused.code, refused.field) == (code, field)
    assert count(session, Offer) == 0


def test_an_offer_above_the_ceiling_s_fraction_is_refused(session: Session, clock: HeldClock) -> None:
    """110.01 yuan a kilogram is 55.005 for half of one: 55.00 is allowed, 55.01 is not."""
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    request, on_sale = (
        published(session, orderer, ceiling_fen_per_kg=11_001),
        offer(session, CooperativeFactory()),
    )
    assert (
        refusal(session, lambda: offered(session, request, on_sale, unit_price_fen=5_501)).code
        == "over_ceiling"
    )
    assert offered(session, request, on_sale, unit_price_fen=5_500).version == 1


def test_a_day_outside_the_window_is_refused(market: Market, session: Session) -> None:
    current = market.request.current
    for day in (current.deliver_from - timedelta(days=1), current.deliver_until + timedelta(days=1)):
        refused = refusal(
            session, lambda day=day: offered(session, market.request, market.first, deliver_on=day)
        )
        assert (refused.code, refused.field) == ("deliver_on", "deliver_on")
    assert count(session, Offer) == 0


def test_a_cooperative_that_is_not_admitted_does_not_offer(market: Market, session: Session) -> None:
    market.first.cooperative.state = CooperativeState.SUSPENDED
    session.flush()
    refused = refusal(session, lambda: offered(session, market.request, market.first, actor=market.seller))
    assert isinstance(refused, Refused)
    assert refused.code == "not_admitted"
    assert count(session, Offer) == 0


def test_nobody_offers_another_s_goods_or_other_goods(market: Market, session: Session) -> None:
    theirs = refusal(session, lambda: offered(session, market.request, market.second, actor=market.seller))
    assert isinstance(theirs, NotFound)
    bamboo = published(
        session, market.orderer, category_code=CategoryFactory(code="bamboo", name_zh="竹类").code
    )
    assert refusal(session, lambda: offered(session, bamboo, market.first)).code == "other_category"
    assert count(session, Offer) == 0


def test_an_offer_below_the_linkage_condition_is_refused(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    on_sale = offer(session, CooperativeFactory())
    share = published(session, orderer, min_linkage_bp=1_001)
    refused = refusal(session, lambda: offered(session, share, on_sale))
    assert (refused.code, refused.field) == ("linkage_low", "listing")
    heads = published(session, orderer, min_households=5)
    for _ in range(4):
        EnrolmentFactory(cooperative=on_sale.cooperative)
    assert refusal(session, lambda: offered(session, heads, on_sale)).code == "households_few"
    assert count(session, Offer) == 0
    EnrolmentFactory(cooperative=on_sale.cooperative)
    assert offered(session, heads, on_sale).current.households == 5


def test_more_than_stock_and_expected_is_refused_and_a_supply_makes_room(
    session: Session, clock: HeldClock
) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    request, on_sale = published(session, orderer), offer(session, CooperativeFactory(), units=12)
    refused = refusal(session, lambda: offered(session, request, on_sale, units=20))
    assert (refused.code, refused.field) == ("more_than_stock", "units")
    product = on_sale.listing.product
    supplied(session, actor_at(on_sale.cooperative), product=product, mass_g=3_999)
    assert refusal(session, lambda: offered(session, request, on_sale, units=20)).code == "more_than_stock"
    supplied(session, actor_at(on_sale.cooperative), product=product, mass_g=1)
    assert offered(session, request, on_sale, units=20).current.mass_g == MASS_G


def test_what_a_lot_received_is_not_expected_again(session: Session, clock: HeldClock) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    request, on_sale = published(session, orderer), offer(session, CooperativeFactory(), units=12)
    said = {"product": on_sale.listing.product, "lot": on_sale.lot, "mass_g": 9_500}
    supplied(session, actor_at(on_sale.cooperative), **said)  # 6 kg of these were weighed in
    assert refusal(session, lambda: offered(session, request, on_sale, units=20)).code == "more_than_stock"
    assert offered(session, request, on_sale, units=19).current.units == 19


# --- one offer, kept in versions ---


def test_a_cooperative_has_one_offer_and_every_version_of_it(market: Market, session: Session) -> None:
    key = "first-offer-key-0"
    first, repeated = (
        offered(session, market.request, market.first, unit_price_fen=5_200, actor=market.seller, key=key)
        for _ in range(2)
    )
    second = offered(session, market.request, market.first, unit_price_fen=4_900, actor=market.seller)
    assert first is repeated is second
    assert [(one.version, one.unit_price_fen) for one in second.versions] == [(2, 4_900), (1, 5_200)]
    assert second.current.unit_price_fen == 4_900
    assert count(session, Offer) == 1


def test_an_offer_is_withdrawn_and_made_again_until_the_deadline(
    market: Market, session: Session, clock: HeldClock
) -> None:
    made = offered(session, market.request, market.first, actor=market.seller)
    stranger = actor_at(market.second.cooperative)
    assert isinstance(refusal(session, lambda: withdraw_offer(session, stranger, made)), NotFound)
    withdraw_offer(session, market.seller, made)
    assert made.state is OfferState.WITHDRAWN
    assert refusal(session, lambda: withdraw_offer(session, market.seller, made)).code == "offer_withdrawn"
    offered(session, market.request, market.first, actor=market.seller)
    assert (made.state, made.version) == (OfferState.STANDING, 2)
    clock.advance(days=DAYS_OPEN)
    assert refusal(session, lambda: withdraw_offer(session, market.seller, made)).code == "offers_closed"
    assert made.state is OfferState.STANDING


def test_offers_are_sealed_until_the_deadline(market: Market, session: Session, clock: HeldClock) -> None:
    offered(session, market.request, market.first)
    offered(session, market.request, market.second)
    assert opened_offers(session, market.request) == []
    assert offers_counts(session, [market.request.id]) == {market.request.id: 2}
    clock.advance(days=DAYS_OPEN, seconds=-1)
    assert opened_offers(session, market.request) == []
    clock.advance(seconds=1)
    assert len(opened_offers(session, market.request)) == 2


def test_the_database_keeps_one_offer_a_cooperative(market: Market, session: Session) -> None:
    offered(session, market.request, market.first)
    again = Offer(request_id=market.request.id, cooperative_id=market.first.cooperative.id)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(again)
    assert count(session, Offer) == 1


def test_history_is_not_edited(market: Market, session: Session) -> None:
    offered(session, market.request, market.first)
    for table in ("request_version", "request_change", "offer_version"):
        with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
            session.execute(text(f"DELETE FROM {table}"))


# --- changes ---


def test_a_change_after_an_offer_is_told_and_the_offer_must_be_confirmed(
    market: Market, session: Session, clock: HeldClock
) -> None:
    offered(session, market.request, market.first, actor=market.seller)
    assert tasks_of(session, market.seller) == []
    soon = ask(mass_g=8_000, deadline_at=clock.now + timedelta(hours=24, seconds=-1))
    refused = refusal(session, lambda: amend_request(session, market.orderer, market.request, wanted=soon))
    assert (refused.code, refused.field) == ("time_to_answer", "deadline")
    assert market.request.version == 1
    amend_request(session, market.orderer, market.request, wanted=ask(mass_g=8_000))
    assert (market.request.version, market.request.current.mass_g) == (2, 8_000)
    assert [task.count for task in tasks_of(session, market.seller)] == [1]
    offered(session, market.request, market.first, units=16, actor=market.seller)
    assert tasks_of(session, market.seller) == []


def test_saying_the_same_again_is_no_change(market: Market, session: Session) -> None:
    same = ask(deadline_at=market.request.current.deadline_at)
    assert amend_request(session, market.orderer, market.request, wanted=same).version == 1


def test_what_is_over_is_not_changed(market: Market, session: Session, clock: HeldClock) -> None:
    clock.advance(days=DAYS_OPEN)
    later = ask(mass_g=8_000)
    refused = refusal(session, lambda: amend_request(session, market.orderer, market.request, wanted=later))
    assert refused.code == "request_over"
    assert market.request.version == 1


def test_the_sweep_closes_what_is_due_once(market: Market, session: Session, clock: HeldClock) -> None:
    assert close_due_requests(session) == 0
    clock.advance(days=DAYS_OPEN)
    assert [task.count for task in tasks_of(session, market.orderer)] == [1]
    assert (close_due_requests(session), close_due_requests(session)) == (1, 0)
    assert market.request.state is RequestState.CLOSED
    assert [task.count for task in tasks_of(session, market.orderer)] == [1]
    assert business_day(market.request.current.deadline_at) == market.request.current.deadline_on


def test_a_withdrawn_request_tells_those_who_offered(market: Market, session: Session) -> None:
    made = offered(session, market.request, market.first, actor=market.seller)
    assert refusal(
        session, lambda: withdraw_request(session, market.orderer, market.request, reason=" ")
    ).code == ("reason_missing")
    assert refusal(session, lambda: read_outcome(session, market.seller, made)).code == "no_outcome"
    withdraw_request(session, market.orderer, market.request, reason="食堂停伙")
    session.refresh(made)
    assert made.state is OfferState.VOID
    assert [task.count for task in tasks_of(session, market.seller)] == [1]
    read_outcome(session, market.seller, made)
    assert tasks_of(session, market.seller) == []
    assert (
        refusal(session, lambda: offered(session, market.request, market.second)).code == "request_withdrawn"
    )
    assert isinstance(
        refusal(session, lambda: withdraw_request(session, market.orderer, market.request, reason="再撤")),
        Conflict,
    )


def test_a_listing_that_gives_more_may_be_offered(market: Market, session: Session) -> None:
    new_version(session, market.first, title="山茶油新版")
    assert offered(session, market.request, market.first).current.listing_version.version == 2


def test_an_auditor_reads_what_was_published_in_the_jurisdiction(market: Market, session: Session) -> None:
    auditor = actor_with(Role.AUDITOR)
    assert request_by_no(session, auditor, market.request.public_no) is market.request
    draft = post_request(session, market.orderer, wanted=ask(), idempotency_key="key-of-a-draft-1")
    assert isinstance(refusal(session, lambda: request_by_no(session, auditor, draft.public_no)), NotFound)
