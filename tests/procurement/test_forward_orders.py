"""Orders before the harvest: what cannot be agreed, who decides, and that nothing is delivered beyond the lot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import DomainError, Forbidden, NotFound
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ordering.models import Order
from marketplace.ordering.rules import cancel_order
from marketplace.procurement.forward.delivering import name_lot
from marketplace.procurement.forward.models import ForwardOrder, ForwardState
from marketplace.procurement.forward.queries import forward_by_no, tasks_of, units_taken
from marketplace.procurement.forward.rules import (
    approve_ahead,
    confirm_ahead,
    decline_ahead,
    end_ahead,
    withdraw_ahead,
)
from tests.conftest import HeldClock
from tests.factories.ahead import DEPOSIT_FEN, ahead, ordered_ahead, paid_ahead, taken
from tests.factories.identity import actor_with
from tests.factories.linkage import LotFactory
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import UNIT_G, Offer, lot_for, new_version, offer


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
    deposit = paid_ahead(session, on_sale, unit, cashier, files)
    deposit.forward.lot_id = deposit.forward.lot = None
    session.flush()
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
    seller = actor_at(on_sale.cooperative)
    assert refusal(session, lambda: name_lot(session, seller, forward, older)).code == "lot_in_use"


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
