"""The shelf: what is free of which lot, and how long it lasts at the pace it sells."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from marketplace.ordering.shelf.queries import products_on_shelf, shelves_of
from tests.conftest import HeldClock, MarketClient
from tests.factories.registry import CooperativeFactory, actor_at, user_of
from tests.factories.trade import buy, lot_for, offer, staff_buyer
from tests.journeys.paper import Visitor


def test_lots_say_what_is_free_and_until_when(session: Session, clock: HeldClock) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative, units=10, keeps_days=40)
    later = lot_for(session, offered, units=4, harvested_on=date(2026, 5, 31))
    buy(session, staff_buyer(), (offered, 7))
    session.expire_all()
    products = list(session.scalars(products_on_shelf(actor_at(cooperative))).unique())
    (shelf,) = shelves_of(session, products)
    assert (shelf.units, shelf.sold, shelf.lasts_days, shelf.is_low) == (7, 7, 28, False)
    assert [(one.lot, one.saleable_g, one.left_g) for one in shelf.lots] == [
        (offered.lot, 5_000, 1_500),
        (later, 2_000, 2_000),
    ]
    assert shelf.lots[1].sold_as.best_until == date(2026, 7, 10)
    assert not shelf.lots[1].sold_as.is_over
    buy(session, staff_buyer(), (offered, 5), key="the-second-order")
    session.expire_all()
    (shelf,) = shelves_of(session, products)
    assert (shelf.units, shelf.sold, shelf.lasts_days, shelf.is_low) == (2, 12, 4, True)
    assert [one.lot for one in shelf.lots] == [later]


def test_another_cooperative_s_products_are_not_on_it(session: Session) -> None:
    offer(session, CooperativeFactory())
    assert session.scalars(products_on_shelf(actor_at(CooperativeFactory()))).all() == []


def test_the_page_shows_units_and_lots(client: MarketClient, session: Session) -> None:
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative, units=6)
    session.commit()
    client.sign_in(user_of(cooperative))
    page = Visitor(client).open("/workshop/stock")
    assert page.has("山茶油 500 克", "现货 6 瓶", offered.lot.lot_no)
