"""Orders before the harvest: what cannot be agreed, who decides, and that nothing is delivered beyond the lot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.catalog.queries import available_units
from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.checks import run_checks
from marketplace.linkage.models import Lot
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import cancel_order, place_order
from marketplace.procurement.forward.delivering import name_lot
from marketplace.procurement.forward.models import ForwardOrder, ForwardState
from marketplace.procurement.forward.queries import forward_by_no, lots_to_name, tasks_of, units_taken
from marketplace.procurement.forward.reserving import set_aside_waiting
from marketplace.procurement.forward.rules import (
    approve_ahead,
    confirm_ahead,
    decline_ahead,
    end_ahead,
    withdraw_ahead,
)
from tests.conftest import HeldClock
from tests.factories.ahead import DEPOSIT_FEN, ahead, deposited, ordered_ahead, paid_ahead, taken
from tests.factories.identity import actor_with
from tests.factories.linkage import LotFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import DELIVERY, UNIT_G, Offer, buy, lot_for, new_version, offer, staff_buyer
from tests.ordering.test_concurrency import all_at_once


@pytest.fixture
def cashier(session: Session, clock: HeldClock) -> Actor:
    return actor_with(Role.OPERATOR)


@pytest.fixture
def on_sale(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory(), units=30)


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    session.expire_all()
    return refused.value


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"deposit_bp": 10_001}, "deposit", "deposit"),
        ({"deposit_bp": 0}, "deposit", "deposit"),
        ({"floor_fen_per_kg": 10_001}, "floor", "floor"),
        ({"price_fen_per_kg": 0}, "price", "price"),
        ({"units": 0}, "quantity", "quantity"),
        ({"harvest_on": "yesterday"}, "harvest_past", "harvest_on"),
    ],
)
def test_what_cannot_be_agreed_is_refused(session: Session, on_sale: Offer, changes, code, field) -> None:
    if "harvest_on" in changes:
        changes = {"harvest_on": today() - timedelta(days=1)}
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    refused = refusal(session, lambda: ordered_ahead(session, on_sale, orderer, **changes))
    assert (refused.code, refused.field) == (code, field)
    assert session.scalar(select(func.count()).select_from(ForwardOrder)) == 0


def test_a_deposit_is_a_share_of_the_most_it_can_cost(session: Session, on_sale: Offer) -> None:
    orderer = actor_at(BuyerUnitFactory(), Role.UNIT_ORDERER)
    assert ordered_ahead(session, on_sale, orderer).deposit_fen == DEPOSIT_FEN
    whole = ordered_ahead(session, on_sale, orderer, units=1, price_fen_per_kg=9_999, deposit_bp=10_000)
    assert (whole.highest_fen, whole.deposit_fen) == (5_000, 5_000)  # 49.995 rounds up once
    with pytest.raises(IntegrityError, match="deposit"), session.begin_nested():
        session.execute(text("UPDATE forward_order SET deposit_bp = 10001"))


def test_who_orders_does_not_approve_and_the_cooperative_sees_it_only_then(
    session: Session, on_sale: Offer
) -> None:
    unit, seller = BuyerUnitFactory(), actor_at(on_sale.cooperative)
    both = actor_at(unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    forward = ordered_ahead(session, on_sale, both)
    assert isinstance(refusal(session, lambda: approve_ahead(session, both, forward)), Forbidden)
    assert isinstance(refusal(session, lambda: confirm_ahead(session, seller, forward)), NotFound)
    assert isinstance(refusal(session, lambda: forward_by_no(session, seller, forward.public_no)), NotFound)
    approver = actor_at(unit, Role.UNIT_APPROVER)
    assert [task.count for task in tasks_of(session, approver)] == [1]
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    assert isinstance(refusal(session, lambda: approve_ahead(session, stranger, forward)), NotFound)
    approve_ahead(session, approver, forward)
    assert [task.count for task in tasks_of(session, seller)] == [1]
    other = actor_at(CooperativeFactory())
    assert isinstance(refusal(session, lambda: confirm_ahead(session, other, forward)), NotFound)
    assert confirm_ahead(session, seller, forward).state is ForwardState.CONFIRMED
    assert (
        refusal(session, lambda: decline_ahead(session, seller, forward, reason="晚了")).code
        == "forward_state"
    )


def test_nothing_is_delivered_before_the_deposit_and_the_lot(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    unit = BuyerUnitFactory()
    forward = ahead(session, on_sale, unit)
    assert refusal(session, lambda: taken(session, forward, 1)).code == "forward_state"
    seller = actor_at(on_sale.cooperative)
    stray = LotFactory(cooperative=on_sale.cooperative)
    assert refusal(session, lambda: name_lot(session, seller, forward, stray)).code == "other_product"
    theirs = offer(session, CooperativeFactory()).lot
    assert isinstance(refusal(session, lambda: name_lot(session, seller, forward, theirs)), NotFound)
    deposit = deposited(session, on_sale, unit, cashier, files)
    assert refusal(session, lambda: taken(session, deposit.forward, 1)).code == "no_lot"
    assert session.scalar(select(func.count()).select_from(Order)) == 0


def test_a_delivery_draws_on_the_lot_named_and_never_beyond_it(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    older = lot_for(session, on_sale, units=100, harvested_on=today() - timedelta(days=90))
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    refused = refusal(session, lambda: taken(session, forward, 31))
    assert (refused.code, refused.params["units"]) == ("out_of_stock", 30)
    orderer = actor_at(forward.unit, Role.UNIT_ORDERER)
    made = taken(session, forward, 30, key="key-of-a-delivery", by=orderer)
    assert taken(session, forward, 30, key="key-of-a-delivery", by=orderer) is made
    for lot in (on_sale.lot, older):
        session.refresh(lot)
    assert (on_sale.lot.committed_g, older.committed_g) == (30 * UNIT_G, 0)
    assert refusal(session, lambda: taken(session, forward, 1)).code == "out_of_stock"
    over = refusal(session, lambda: taken(session, forward, 11))
    assert (over.code, over.params["left"]) == ("more_than_ordered", 10)
    assert session.scalar(select(func.count()).select_from(Order)) == 1


@pytest.mark.parametrize(("market_fen", "unit_fen"), [(4_000, 4_500), (4_800, 4_800), (5_600, 5_000)])
def test_a_delivery_costs_what_the_listing_says_within_floor_and_ceiling(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore, market_fen: int, unit_fen: int
) -> None:
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    new_version(session, on_sale, tiers=((1, market_fen),))
    made = taken(session, forward, 3)
    assert (made.unit_price_fen, made.order.total_fen) == (unit_fen, 3 * unit_fen)
    assert made.order.parts[0].lines[0].unit_price_fen == unit_fen


def test_a_delivery_called_off_may_be_taken_again(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files, units=20).forward
    order = taken(session, forward, 20).order
    assert refusal(session, lambda: taken(session, forward, 1)).code == "more_than_ordered"
    cancel_order(session, actor_at(forward.unit, Role.UNIT_ORDERER), order, reason="改期")
    assert units_taken(session, forward) == 0
    assert taken(session, forward, 20).units == 20


def test_a_unit_ends_it_only_when_the_harvest_is_overdue(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore, clock: HeldClock
) -> None:
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    orderer = actor_at(forward.unit, Role.UNIT_ORDERER)
    assert (
        refusal(session, lambda: withdraw_ahead(session, orderer, forward, reason="不要了")).code
        == "forward_state"
    )
    assert refusal(session, lambda: end_ahead(session, orderer, forward, reason="没有交")).code == "too_early"
    clock.advance(days=90)
    assert refusal(session, lambda: end_ahead(session, orderer, forward, reason="没有交")).code == "too_early"
    clock.advance(days=1)
    assert end_ahead(session, orderer, forward, reason="没有交").state is ForwardState.ENDED


# --- the goods set aside ---


def lot_of(session: Session, on_sale: Offer) -> tuple[int, int]:
    """Bottles of the lot that were sold, and that are set aside."""
    session.refresh(on_sale.lot)
    return on_sale.lot.committed_g // UNIT_G, on_sale.lot.promised_g // UNIT_G


def test_goods_of_the_lot_named_are_set_aside_and_nobody_else_buys_them(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    """Thirty bottles in the lot, twenty ordered ahead: others may buy ten."""
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files, units=20).forward
    product_id = on_sale.listing.product_id
    assert (lot_of(session, on_sale), available_units(session, [product_id])) == ((0, 20), {product_id: 10})
    buyer = staff_buyer()
    refused = refusal(session, lambda: buy(session, buyer, (on_sale, 11)))
    assert (refused.code, refused.params["units"]) == ("out_of_stock", 10)
    assert lot_of(session, on_sale) == (0, 20)
    buy(session, buyer, (on_sale, 10))
    assert (
        refusal(session, lambda: buy(session, buyer, (on_sale, 1), key="another-key-0")).code
        == "out_of_stock"
    )
    taken(session, forward, 15)
    assert (lot_of(session, on_sale), forward.reserved_g) == ((25, 5), 5 * UNIT_G)
    with pytest.raises(IntegrityError, match="mass_balance"), session.begin_nested():
        session.execute(text("UPDATE lot SET committed_g = committed_g + 1 WHERE promised_g > 0"))
    with pytest.raises(IntegrityError, match="reserved"), session.begin_nested():
        session.execute(text("UPDATE forward_order SET state = 'ended', reason = 'x'"))
    assert [finding for result in run_checks(session, CHECKS) for finding in result.findings] == []


@pytest.mark.parametrize("by", ["seller", "unit"])
def test_goods_set_aside_are_free_again_when_the_order_ends(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore, clock: HeldClock, by: str
) -> None:
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    assert lot_of(session, on_sale) == (0, 30)
    if by == "unit":
        clock.advance(days=91)
    actor = actor_at(forward.unit, Role.UNIT_ORDERER) if by == "unit" else actor_at(on_sale.cooperative)
    end_ahead(session, actor, forward, reason="不再交了")
    assert (lot_of(session, on_sale), forward.reserved_g) == ((0, 0), 0)
    assert buy(session, staff_buyer(), (on_sale, 30)).total_fen == 150_000


def test_what_was_set_aside_by_another_meanwhile_is_free_again_too(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    """The sweep sets ten bottles more aside while somebody ends the order on a page that read thirty."""
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    assert forward.reserved_g == 30 * UNIT_G
    aside = {"execution_options": {"synchronize_session": False}}
    grams = 10 * UNIT_G
    moved = {"received_g": Lot.received_g + grams, "promised_g": Lot.promised_g + grams}
    session.execute(update(Lot).where(Lot.id == on_sale.lot.id).values(moved), **aside)
    session.execute(update(ForwardOrder).values(reserved_g=ForwardOrder.reserved_g + grams), **aside)
    assert forward.reserved_g == 30 * UNIT_G
    end_ahead(session, actor_at(on_sale.cooperative), forward, reason="不再交了")
    assert (lot_of(session, on_sale), forward.reserved_g) == ((0, 0), 0)


def test_what_is_weighed_in_later_is_set_aside_for_the_oldest_order_first(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    """Forty and forty are ordered of a lot of thirty; twenty bottles more are weighed in, ten for each of the two."""
    first, second = (
        paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward for _ in range(2)
    )
    assert [one.reserved_g // UNIT_G for one in (first, second)] == [30, 0]
    assert set_aside_waiting(session) == 0
    on_sale.lot.received_g += 20 * UNIT_G
    session.flush()
    while set_aside_waiting(session):
        pass
    assert [one.reserved_g // UNIT_G for one in (first, second)] == [40, 10]
    assert lot_of(session, on_sale) == (0, 50)


def test_a_delivery_called_off_is_set_aside_again(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files, units=20).forward
    order = taken(session, forward, 20).order
    assert lot_of(session, on_sale) == (20, 0)
    cancel_order(session, actor_at(forward.unit, Role.UNIT_ORDERER), order, reason="改期")
    assert set_aside_waiting(session) == 1
    assert lot_of(session, on_sale) == (0, 20)


def test_another_lot_is_named_once_nothing_of_the_first_is_left(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore
) -> None:
    later = lot_for(session, on_sale, units=100, harvested_on=today())
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    seller = actor_at(on_sale.cooperative)
    taken(session, forward, 29)
    assert refusal(session, lambda: name_lot(session, seller, forward, later)).code == "lot_in_use"
    assert (forward.lot_id, lot_of(session, on_sale)) == (on_sale.lot.id, (29, 1))
    taken(session, forward, 1)
    name_lot(session, seller, forward, later)
    session.refresh(later)
    assert (later.promised_g, forward.reserved_g) == (10 * UNIT_G, 10 * UNIT_G)
    assert taken(session, forward, 10).units == 10
    session.refresh(later)
    assert (later.committed_g, later.promised_g) == (10 * UNIT_G, 0)


def test_goods_past_their_shelf_life_are_not_delivered_and_another_lot_is_named_for_them(
    session: Session, cashier: Actor, files: FileStore, clock: HeldClock
) -> None:
    on_sale = offer(session, CooperativeFactory(), units=30, keeps_days=60)
    seller = actor_at(on_sale.cooperative)
    forward = paid_ahead(session, on_sale, BuyerUnitFactory(), cashier, files).forward
    taken(session, forward, 5)
    clock.advance(days=30)
    later = lot_for(session, on_sale, units=100, harvested_on=today())
    assert refusal(session, lambda: taken(session, forward, 1)).code == "lot_is_over"
    assert set_aside_waiting(session) == 0
    assert (forward.delivered_units, lot_of(session, on_sale)) == (5, (5, 25))
    refused = refusal(session, lambda: name_lot(session, seller, forward, on_sale.lot))
    assert (refused.code, refused.field) == ("lot_is_over", "lot")
    assert lots_to_name(session, forward) == [later]
    name_lot(session, seller, forward, later)
    assert (lot_of(session, on_sale), forward.reserved_g) == ((5, 0), 35 * UNIT_G)
    assert taken(session, forward, 35).units == 35


def test_of_two_who_want_the_last_goods_the_order_ahead_or_the_buyer_gets_them(
    session: Session, on_sale: Offer, cashier: Actor, files: FileStore, engine: Engine
) -> None:
    """A lot of thirty is named for thirty while somebody buys one: never are more promised than there are."""
    deposit = deposited(session, on_sale, BuyerUnitFactory(), cashier, files, units=30)
    forward_id, lot_id, number = deposit.forward.id, on_sale.lot.id, on_sale.listing.public_no
    seller, buyer = actor_at(on_sale.cooperative), staff_buyer()
    session.commit()

    def naming(own: Session) -> object:
        forward = own.get_one(ForwardOrder, forward_id)
        return name_lot(own, seller, forward, own.get_one(Lot, lot_id)).reserved_g // UNIT_G

    def buying(own: Session) -> object:
        placed = place_order(
            own,
            buyer,
            kind=OrderKind.PERSONAL,
            idempotency_key="key-of-a-rival-00",
            lines=[(number, 1)],
            delivery=DELIVERY,
        )
        return placed.total_fen

    answers = all_at_once(engine, [naming, buying])
    sold, aside = lot_of(session, on_sale)
    assert (sold, aside) in ((0, 30), (1, 29))
    assert answers[0] == aside
