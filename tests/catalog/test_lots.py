"""The lots behind a product: whose they are, from which day they keep, and that past their day nobody is sold any."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.lots.queries import next_lot
from marketplace.catalog.lots.rules import assign_lot, correct_production_day
from marketplace.catalog.models import IndexTask, Product, ProductLot
from marketplace.catalog.queries import available_units
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.identity.actors import Actor
from marketplace.linkage.models import Lot
from marketplace.ordering.models import LineLot, Order
from tests.conftest import HeldClock, MarketClient
from tests.factories.linkage import LotFactory
from tests.factories.registry import CooperativeFactory, actor_at, user_of
from tests.factories.trade import ProductFactory, buy, lot_for, offer, staff_buyer
from tests.journeys.paper import Visitor

HARVEST = date(2026, 5, 1)  # of every lot that says nothing else; the clock stands at 1 June
LAST_DAY = date(2026, 6, 10)  # of goods that keep forty days from then on


class Shop:
    """A cooperative's manager, a product that keeps forty days, and a lot nobody sells yet."""

    def __init__(self) -> None:
        self.cooperative = CooperativeFactory()
        self.manager: Actor = actor_at(self.cooperative)
        self.product: Product = ProductFactory(cooperative_row=self.cooperative, shelf_life_days=40)
        self.lot: Lot = LotFactory(cooperative=self.cooperative, received_g=1_000)


@pytest.fixture
def shop(session: Session, clock: HeldClock) -> Shop:
    return Shop()


# --- putting a lot to a product ---


def test_a_lot_is_sold_as_one_product_of_its_own_cooperative(shop: Shop, session: Session) -> None:
    first = assign_lot(session, shop.manager, shop.product, shop.lot)
    assert assign_lot(session, shop.manager, shop.product, shop.lot) is first
    assert available_units(session, [shop.product.id]) == {shop.product.id: 2}

    other = ProductFactory(cooperative_row=shop.cooperative)
    with pytest.raises(Conflict) as refused:
        assign_lot(session, shop.manager, other, shop.lot)
    assert refused.value.code == "lot_taken"
    with pytest.raises(NotFound):
        assign_lot(session, shop.manager, shop.product, LotFactory(received_g=1_000))
    with pytest.raises(NotFound):
        assign_lot(session, actor_at(CooperativeFactory()), shop.product, shop.lot)
    assert available_units(session, [shop.product.id, other.id]) == {shop.product.id: 2, other.id: 0}


@pytest.mark.parametrize(
    ("keeps_days", "produced_on", "last_day"),
    [
        (40, None, LAST_DAY),
        (40, date(2026, 5, 20), date(2026, 6, 29)),
        (40, date(2026, 6, 1), date(2026, 7, 11)),
        (None, date(2026, 5, 20), None),
    ],
)
def test_goods_keep_from_the_day_they_were_made(
    shop: Shop, session: Session, keeps_days: int | None, produced_on: date | None, last_day: date | None
) -> None:
    product = ProductFactory(cooperative_row=shop.cooperative, shelf_life_days=keeps_days)
    sold = assign_lot(session, shop.manager, product, shop.lot, produced_on=produced_on)
    assert (sold.produced_on, sold.best_until) == (produced_on, last_day)


@pytest.mark.parametrize(
    ("produced_on", "code"),
    [(date(2026, 4, 30), "produced_before_harvest"), (date(2026, 6, 2), "produced_in_future")],
)
def test_a_day_that_cannot_be_is_refused(shop: Shop, session: Session, produced_on: date, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        assign_lot(session, shop.manager, shop.product, shop.lot, produced_on=produced_on)
    assert (refused.value.code, refused.value.field) == (code, "produced_on")
    assert session.scalar(select(func.count()).select_from(ProductLot)) == 0

    assign_lot(session, shop.manager, shop.product, shop.lot)
    with pytest.raises(DomainError) as refused:
        correct_production_day(session, shop.manager, shop.product, shop.lot, produced_on=produced_on)
    assert refused.value.code == code
    assert session.get_one(ProductLot, shop.lot.id).best_until == LAST_DAY


def test_the_day_is_corrected_until_somebody_orders(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=2, keeps_days=40)
    manager, product, lot = actor_at(offered.cooperative), offered.listing.product, offered.lot
    sold = correct_production_day(session, manager, product, lot, produced_on=date(2026, 5, 20))
    assert sold.best_until == date(2026, 6, 29)
    assert correct_production_day(session, manager, product, lot, produced_on=None).best_until == LAST_DAY

    with pytest.raises(NotFound):
        correct_production_day(
            session, actor_at(CooperativeFactory()), product, lot, produced_on=date(2026, 5, 20)
        )
    buy(session, staff_buyer(), (offered, 1))
    session.expire_all()
    with pytest.raises(Conflict) as refused:
        correct_production_day(session, manager, product, lot, produced_on=date(2026, 5, 20))
    assert refused.value.code == "lot_ordered"
    assert session.get_one(ProductLot, lot.id).best_until == LAST_DAY


# --- past the day ---


def test_goods_are_sold_on_their_last_day_and_not_after(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=10, keeps_days=40)
    product = offered.listing.product
    clock.advance(days=(LAST_DAY - today()).days)
    assert available_units(session, [product.id]) == {product.id: 10}
    assert next_lot(session, product) is not None
    buy(session, staff_buyer(), (offered, 3))

    clock.advance(days=1)
    session.expire_all()
    assert available_units(session, [product.id]) == {product.id: 0}
    assert next_lot(session, product) is None
    with pytest.raises(Conflict) as refused, session.begin_nested():
        buy(session, staff_buyer(), (offered, 1), key="a day too late")
    assert (refused.value.code, refused.value.params["units"]) == ("out_of_stock", 0)
    assert session.scalar(select(func.count()).select_from(Order)) == 1
    session.expire_all()
    assert offered.lot.committed_g == 1_500


def test_the_next_lot_is_sold_when_one_is_over(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=10, keeps_days=40)
    later = lot_for(session, offered, units=4, harvested_on=date(2026, 5, 31))
    clock.set_to(clock.now + timedelta(days=10))
    assert available_units(session, [offered.listing.product.id]) == {offered.listing.product.id: 4}
    buy(session, staff_buyer(), (offered, 4))
    session.expire_all()
    assert (offered.lot.committed_g, later.committed_g) == (0, 2_000)


def test_search_says_so_the_day_after(
    client: MarketClient, session: Session, app: Flask, work: Callable[..., None], clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory(), units=10, keeps_days=40)
    session.commit()
    assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0
    visitor = Visitor(client)
    clock.advance(days=(LAST_DAY - today()).days)
    work("drop overdue goods")
    assert session.scalar(select(func.count()).select_from(IndexTask)) == 0
    assert visitor.open("/products?stock=1").has("共 1 件商品")
    clock.advance(days=1)
    work("drop overdue goods", "drop overdue goods")
    assert session.scalars(select(IndexTask.listing_id)).all() == [offered.listing.id]
    work("index listings")
    assert visitor.open("/products?stock=1").has("没有找到商品")


# --- what the database refuses, whoever asks ---


def test_the_database_lets_no_goods_past_their_day_into_a_line(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=10, keeps_days=40)
    order = buy(session, staff_buyer(), (offered, 1))
    line = order.parts[0].lines[0]
    over = lot_for(session, offered, units=5, harvested_on=HARVEST - timedelta(days=10))
    session.commit()
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(LineLot).values(line_id=line.id, lot_id=over.id, mass_g=500))
    assert [share.lot_id for share in session.scalars(select(LineLot))] == [offered.lot.id]


@pytest.mark.parametrize(
    "change",
    [
        {"best_until": LAST_DAY + timedelta(days=1)},
        {"best_until": None},
        {"produced_on": HARVEST - timedelta(days=1), "best_until": LAST_DAY - timedelta(days=1)},
        {"produced_on": date(2026, 5, 20)},
    ],
)
def test_the_database_works_the_last_day_out_again(
    shop: Shop, session: Session, change: dict[str, Any]
) -> None:
    assign_lot(session, shop.manager, shop.product, shop.lot)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(ProductLot).values(**change))
    other = LotFactory(cooperative=shop.cooperative)
    row = {"lot_id": other.id, "product_id": shop.product.id, "best_until": LAST_DAY} | change
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(ProductLot).values(**row))
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Product).where(Product.id == shop.product.id).values(shelf_life_days=400))


def test_the_database_keeps_the_dates_somebody_ordered_by(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=2, keeps_days=40)
    buy(session, staff_buyer(), (offered, 1))
    redated = {"produced_on": date(2026, 5, 20), "best_until": date(2026, 6, 29)}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(ProductLot).values(**redated))


# --- the pages ---


def test_the_form_keeps_what_was_typed(client: MarketClient, session: Session, shop: Shop) -> None:
    client.sign_in(user_of(shop.cooperative))
    visitor, path = Visitor(client), f"/workshop/products/{shop.product.public_no}"
    lot_no = shop.lot.public_no
    page = visitor.press(visitor.open(path), "归入这个产品", lot=lot_no, produced_on="2026-04-01", status=422)
    assert page.has("生产日期不能早于采收日期 2026年5月1日")
    form, _button = page.button("归入这个产品")
    assert (form.values["lot"], form.values["produced_on"]) == (lot_no, "2026-04-01")
    assert session.scalar(select(func.count()).select_from(ProductLot)) == 0

    page = visitor.press(page, "归入这个产品", lot=lot_no, produced_on="2026-05-02")
    assert page.has("已归入这个产品", "2026年6月11日")
    page = visitor.press(page, "更正日期", **{"day-lot": lot_no, "day-produced_on": "2026-05-04"})
    assert page.has("的日期已更正", "2026年6月13日")
    page = visitor.press(page, "更正日期", **{"day-lot": lot_no, "day-produced_on": "2026-06-02"}, status=422)
    assert page.has("生产日期不能晚于今天")


def test_a_buyer_reads_until_when_goods_keep(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory(), units=2, keeps_days=40)
    visitor, path = Visitor(client), f"/products/{offered.listing.public_no}"
    assert visitor.open(path).has("现在发的批次", "保质到", "2026年6月10日")
    clock.set_to(clock.now + timedelta(days=10))
    page = visitor.open(path)
    assert not page.has("现在发的批次")
    client.sign_in(user_of(offered.cooperative))
    assert visitor.open("/workshop/stock").has("已过保质期", "已售完")
