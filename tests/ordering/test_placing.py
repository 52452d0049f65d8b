"""Placing an order: once, at what was shown, from goods that are there, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Certificate, CertificateKind, CertificateState, IndexTask, ListingState
from marketplace.catalog.rules import withdraw_listing
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ordering.cart.rules import change_cart, put_in_cart
from marketplace.ordering.models import CartLine, LineLot, Order, OrderKind, OrderLine, OrderPart, PartChange
from marketplace.ordering.rules import Delivery, place_order
from marketplace.ordering.states import PartState
from marketplace.registry.models import CooperativeState
from tests.conftest import HeldClock
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import (
    DELIVERY,
    TENTH,
    UNIT_G,
    CategoryFactory,
    Offer,
    buy,
    lot_for,
    new_version,
    offer,
    staff_buyer,
)


def order(
    session: Session, buyer: Actor, *lines: tuple[str, int], key: str = "one-key-of-one-form", **more
) -> Order:
    wish = {"kind": OrderKind.PERSONAL, "delivery": DELIVERY, **more}
    return place_order(session, buyer, idempotency_key=key, lines=lines, **wish)


def refusal(session: Session, act: Callable[[], object]) -> DomainError:
    """The refusal of `act`, undone as a request undoes it."""
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


def nothing_was_placed(session: Session, *offers: Offer) -> bool:
    rows = [
        session.scalar(select(func.count()).select_from(t))
        for t in (Order, OrderPart, OrderLine, LineLot, PartChange)
    ]
    return rows == [0] * 5 and all(offered.lot.committed_g == 0 for offered in offers)


def test_an_order_over_two_cooperatives_has_a_part_for_each_and_every_line_knows_its_order(
    session: Session, clock: HeldClock
) -> None:
    first, second = (
        offer(session, CooperativeFactory()),
        offer(session, CooperativeFactory(), tiers=((1, 1_250),)),
    )
    placed = buy(session, staff_buyer(), (second, 2), (first, 3))

    assert [(part.cooperative_id, part.total_fen, part.state) for part in placed.parts] == [
        (first.cooperative.id, 15_000, PartState.AWAITING_PAYMENT),
        (second.cooperative.id, 2_500, PartState.AWAITING_PAYMENT),
    ]
    assert placed.total_fen == 17_500
    lines = session.scalars(select(OrderLine)).all()
    assert {line.order_id for line in lines} == {placed.id}
    session.expire_all()
    assert (first.lot.committed_g, second.lot.committed_g) == (3 * UNIT_G, 2 * UNIT_G)


def test_the_price_is_that_of_the_tier_the_quantity_reaches(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), tiers=((1, 5_000), (10, 4_500), (50, 4_000)))
    totals = [
        buy(session, staff_buyer(), (offered, units), key=f"the-order-of-{units:04d}").total_fen
        for units in (9, 10, 49)
    ]
    assert totals == [9 * 5_000, 10 * 4_500, 49 * 4_500]


def test_the_oldest_harvest_is_sold_first(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=3)
    older = lot_for(session, offered, units=2, harvested_on=offered.lot.harvested_on - timedelta(days=30))
    placed = buy(session, staff_buyer(), (offered, 4))

    held = {share.lot_id: share.mass_g for share in placed.parts[0].lines[0].lots}
    assert held == {older.id: 2 * UNIT_G, offered.lot.id: 2 * UNIT_G}


def test_the_same_key_again_is_the_first_order(session: Session, clock: HeldClock) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    first = order(session, buyer, (offered.listing.public_no, 2))
    again = order(session, buyer, (offered.listing.public_no, 5))

    assert again is first
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Order)) == 1
    assert offered.lot.committed_g == 2 * UNIT_G


def test_the_same_key_of_another_buyer_is_another_order(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    first, second = (order(session, staff_buyer(), (offered.listing.public_no, 1)) for _ in range(2))
    assert first.id != second.id


@pytest.mark.parametrize("quantity", [0, -1, -100_000, 100_001, 10**15])
def test_a_quantity_that_cannot_be_is_refused(session: Session, clock: HeldClock, quantity: int) -> None:
    offered = offer(session, CooperativeFactory())
    error = refusal(session, lambda: order(session, staff_buyer(), (offered.listing.public_no, quantity)))
    assert (error.code, error.field) == ("quantity", "quantity")
    assert nothing_was_placed(session, offered)


def test_two_halves_do_not_make_an_absurd_quantity_pass(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    half = (offered.listing.public_no, 60_000)
    assert refusal(session, lambda: order(session, staff_buyer(), half, half)).code == "quantity"
    negative = (offered.listing.public_no, -1), (offered.listing.public_no, 2)
    assert refusal(session, lambda: order(session, staff_buyer(), *negative)).code == "quantity"
    assert nothing_was_placed(session, offered)


def test_an_order_for_nothing_is_refused(session: Session, clock: HeldClock) -> None:
    assert refusal(session, lambda: order(session, staff_buyer())).code == "empty_order"


def test_an_order_of_more_than_a_hundred_kinds_is_refused(session: Session, clock: HeldClock) -> None:
    lines = [(f"N-{n:010d}", 1) for n in range(101)]
    assert refusal(session, lambda: order(session, staff_buyer(), *lines)).code == "too_many_lines"


def test_a_forged_listing_number_is_refused(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    lines = (offered.listing.public_no, 1), ("N-0000000000", 1)
    assert refusal(session, lambda: order(session, staff_buyer(), *lines)).code == "listing_gone"
    assert nothing_was_placed(session, offered)


@pytest.mark.parametrize(
    ("delivery", "code", "field"),
    [
        (Delivery("  ", "13800000000", "迎宾路 1 号"), "delivery_missing", "recipient_name"),
        (Delivery("周小梅", "", "迎宾路 1 号"), "delivery_missing", "recipient_phone"),
        (Delivery("周小梅", "13800000000", " "), "delivery_missing", "address"),
        (Delivery("周小梅", "13800000000", "路" * 201), "delivery_long", "address"),
        (Delivery("周小梅", "13800000000", "迎宾路 1 号", "注" * 301), "delivery_long", "note"),
    ],
)
def test_goods_are_not_sent_to_nobody(
    session: Session, clock: HeldClock, delivery: Delivery, code: str, field: str
) -> None:
    offered = offer(session, CooperativeFactory())
    line = (offered.listing.public_no, 1)
    error = refusal(session, lambda: order(session, staff_buyer(), line, delivery=delivery))
    assert (error.code, error.field) == (code, field)
    assert nothing_was_placed(session, offered)


def test_a_listing_withdrawn_meanwhile_is_not_sold(session: Session, clock: HeldClock) -> None:
    offered, other = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    withdraw_listing(session, actor_at(offered.cooperative), offered.listing)
    lines = (other.listing.public_no, 1), (offered.listing.public_no, 1)
    assert refusal(session, lambda: order(session, staff_buyer(), *lines)).code == "not_for_sale"
    assert nothing_was_placed(session, offered, other)


def test_a_draft_is_not_sold(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    offered.listing.state = ListingState.DRAFT
    line = (offered.listing.public_no, 1)
    assert refusal(session, lambda: order(session, staff_buyer(), line)).code == "not_for_sale"


@pytest.mark.parametrize(
    "state", [state for state in CooperativeState if state is not CooperativeState.ADMITTED]
)
def test_a_cooperative_that_is_not_admitted_sells_nothing(
    session: Session, clock: HeldClock, state: CooperativeState
) -> None:
    offered = offer(session, CooperativeFactory())
    offered.cooperative.state = state
    line = (offered.listing.public_no, 1)
    assert refusal(session, lambda: order(session, staff_buyer(), line)).code == "not_for_sale"
    assert nothing_was_placed(session, offered)


def test_a_new_price_since_the_page_was_shown_stops_the_order(session: Session, clock: HeldClock) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    number = offered.listing.public_no
    new_version(session, offered, tiers=((1, 6_000),))

    stale = refusal(session, lambda: order(session, buyer, (number, 1), seen={number: (1, 1)}))
    assert (stale.code, stale.params) == ("listing_changed", {"title": "山茶油"})
    assert nothing_was_placed(session, offered)

    placed = order(session, buyer, (number, 1), seen={number: (2, 1)})
    assert placed.total_fen == 6_000


@pytest.mark.parametrize("shown", [{}, {"N-ANOTHER000": (1, 1)}, {"own": (1, 2)}])
def test_a_cart_that_changed_since_the_page_was_shown_stops_the_order(
    session: Session, clock: HeldClock, shown: dict[str, tuple[int, int]]
) -> None:
    offered = offer(session, CooperativeFactory())
    number = offered.listing.public_no
    seen = {number if name == "own" else name: row for name, row in shown.items()}
    error = refusal(session, lambda: order(session, staff_buyer(), (number, 1), seen=seen))
    assert error.code == "cart_changed"
    assert nothing_was_placed(session, offered)


def test_a_line_keeps_the_version_it_saw(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory())
    placed = buy(session, staff_buyer(), (offered, 1))
    new_version(session, offered, tiers=((1, 9_999),), title="新茶油")
    session.expire_all()

    line = placed.parts[0].lines[0]
    assert (line.listing_version.version, line.title, line.unit_price_fen) == (1, "山茶油", 5_000)
    assert {term.mechanism: term.rate_bp for term in line.listing_version.terms} == TENTH


def certified_offer(session: Session) -> tuple[Offer, Certificate]:
    """An offer in a category that needs a certificate, which ends in ten days."""
    offered = offer(session, CooperativeFactory())
    CategoryFactory().needs_certificate = True
    certificate = Certificate(
        cooperative_id=offered.cooperative.id,
        product_id=offered.listing.product_id,
        kind=CertificateKind.GREEN_FOOD,
        number="LB-18-2305140123A",
        enterprise_no="GF361025123456",
        issued_on=today() - timedelta(days=100),
        expires_on=today() + timedelta(days=10),
        state=CertificateState.VALID,
    )
    session.add(certificate)
    session.flush()
    new_version(session, offered, certificate=certificate)
    return offered, certificate


def test_a_line_keeps_the_certificate_of_its_day(session: Session, clock: HeldClock) -> None:
    offered, certificate = certified_offer(session)
    placed = buy(session, staff_buyer(), (offered, 1))
    clock.advance(days=30)
    session.expire_all()
    assert placed.parts[0].lines[0].certificate_no == certificate.number


def test_goods_whose_certificate_has_lapsed_are_not_sold(session: Session, clock: HeldClock) -> None:
    offered, certificate = certified_offer(session)
    line = (offered.listing.public_no, 1)
    clock.advance(days=9)
    assert order(session, staff_buyer(), line).total_fen == 5_000
    clock.advance(days=1)
    error = refusal(session, lambda: order(session, staff_buyer(), line))
    assert (error.code, error.params) == ("certificate_lapsed", {"title": "山茶油"})
    clock.advance(days=-1)
    certificate.state = CertificateState.REVOKED
    assert refusal(session, lambda: order(session, staff_buyer(), line)).code == "certificate_lapsed"
    assert offered.lot.committed_g == UNIT_G


def test_a_lapsed_certificate_only_takes_the_badge_where_none_is_needed(
    session: Session, clock: HeldClock
) -> None:
    offered, _certificate = certified_offer(session)
    CategoryFactory().needs_certificate = False
    clock.advance(days=11)
    placed = buy(session, staff_buyer(), (offered, 1))
    assert placed.parts[0].lines[0].certificate_no == ""


def test_more_than_there_is_is_refused_with_what_there_is(session: Session, clock: HeldClock) -> None:
    offered, other = offer(session, CooperativeFactory(), units=3), offer(session, CooperativeFactory())
    lines = (other.listing.public_no, 1), (offered.listing.public_no, 4)
    error = refusal(session, lambda: order(session, staff_buyer(), *lines))
    assert (error.code, error.params) == ("out_of_stock", {"title": "山茶油", "units": 3})
    assert nothing_was_placed(session, offered, other)


def test_grams_that_make_no_unit_are_not_sold(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=1)
    offered.lot.received_g = 2 * UNIT_G - 1
    offered.lot.yield_bp = 9_999
    session.flush()
    error = refusal(session, lambda: order(session, staff_buyer(), (offered.listing.public_no, 2)))
    assert (error.code, error.params["units"]) == ("out_of_stock", 1)
    assert order(session, staff_buyer(), (offered.listing.public_no, 1)).total_fen == 5_000


def test_the_last_unit_sold_takes_the_listing_to_the_end_of_the_search(
    session: Session, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory(), units=2)
    buyer = staff_buyer()
    asked = select(func.count()).select_from(IndexTask).where(IndexTask.listing_id == offered.listing.id)
    buy(session, buyer, (offered, 1), key="the-first-of-two")
    assert session.scalar(asked) == 0
    buy(session, buyer, (offered, 1), key="the-second-of-two")
    assert session.scalar(asked) == 1


def test_only_a_buyer_buys(session: Session, clock: HeldClock) -> None:
    offered, unit = offer(session, CooperativeFactory()), BuyerUnitFactory()
    line = (offered.listing.public_no, 1)
    for actor in (actor_at(offered.cooperative), actor_at(unit, Role.UNIT_APPROVER)):
        for kind in OrderKind:
            error = refusal(session, lambda actor=actor, kind=kind: order(session, actor, line, kind=kind))
            assert isinstance(error, Forbidden)
    assert isinstance(
        refusal(session, lambda: order(session, staff_buyer(), line, kind=OrderKind.CANTEEN)), Forbidden
    )
    assert nothing_was_placed(session, offered)


def test_what_was_ordered_leaves_the_cart_and_the_rest_stays(session: Session, clock: HeldClock) -> None:
    buyer = staff_buyer()
    bought, kept = offer(session, CooperativeFactory()), offer(session, CooperativeFactory())
    for offered in (bought, kept):
        put_in_cart(session, buyer, kind=OrderKind.PERSONAL, listing=offered.listing, quantity=1)
    order(session, buyer, (bought.listing.public_no, 1))
    assert [line.listing_id for line in session.scalars(select(CartLine)).unique()] == [kept.listing.id]


# --- the cart ---


def test_putting_in_again_adds_up_and_zero_takes_out(session: Session, clock: HeldClock) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    for units in (2, 3):
        line = put_in_cart(session, buyer, kind=OrderKind.PERSONAL, listing=offered.listing, quantity=units)
    assert line.quantity == 5
    wish = {"kind": OrderKind.PERSONAL, "listing_no": offered.listing.public_no}
    change_cart(session, buyer, quantity=7, **wish)
    assert line.quantity == 7
    change_cart(session, buyer, quantity=0, **wish)
    assert session.scalar(select(func.count()).select_from(CartLine)) == 0


@pytest.mark.parametrize("quantity", [0, -3, 100_001])
def test_a_cart_takes_no_quantity_that_cannot_be(session: Session, clock: HeldClock, quantity: int) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    wish = {"kind": OrderKind.PERSONAL, "listing": offered.listing}
    assert refusal(session, lambda: put_in_cart(session, buyer, quantity=quantity, **wish)).code == "quantity"
    put_in_cart(session, buyer, quantity=100_000, **wish)
    assert refusal(session, lambda: put_in_cart(session, buyer, quantity=1, **wish)).code == "quantity"
    assert session.scalars(select(CartLine.quantity)).all() == [100_000]


def test_a_cart_takes_nothing_that_is_not_for_sale(session: Session, clock: HeldClock) -> None:
    buyer, offered = staff_buyer(), offer(session, CooperativeFactory())
    offered.listing.state = ListingState.WITHDRAWN
    wish = {"kind": OrderKind.PERSONAL, "listing": offered.listing, "quantity": 1}
    assert refusal(session, lambda: put_in_cart(session, buyer, **wish)).code == "not_for_sale"
    assert session.scalar(select(func.count()).select_from(CartLine)) == 0


def test_a_cart_holds_at_most_a_hundred_kinds(session: Session, clock: HeldClock) -> None:
    buyer, cooperative = staff_buyer(), CooperativeFactory()
    offers = [offer(session, cooperative) for _ in range(101)]
    wish = {"kind": OrderKind.PERSONAL, "quantity": 1}
    for offered in offers[:100]:
        put_in_cart(session, buyer, listing=offered.listing, **wish)
    full = refusal(session, lambda: put_in_cart(session, buyer, listing=offers[100].listing, **wish))
    assert full.code == "too_many_lines"
