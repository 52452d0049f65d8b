"""The page of a product: what would be sent now, what it costs beside its reference, what its certificates mean."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy.orm import Session

from marketplace.catalog.lots.queries import next_lot
from marketplace.catalog.models import ListingState, ProductPicture
from marketplace.catalog.rules import publish_listing
from marketplace.core.clock import today
from marketplace.identity.models import Role
from tests.catalog.test_price_guard import publish_reference
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import actor_with
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import TENTH, UNIT_G, Offer, buy, lot_for, offer, staff_buyer
from tests.journeys.paper import Visitor


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory(), units=1)


def test_the_lot_told_is_the_one_that_would_be_sent(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    newer = lot_for(session, offered, units=5, harvested_on=offered.lot.harvested_on + timedelta(days=3))
    visitor, path = Visitor(client), f"/products/{offered.listing.public_no}"
    assert visitor.open(path).has("现在发的批次", offered.lot.lot_no)
    buy(session, staff_buyer(), (offered, 1))
    assert next_lot(session, offered.listing.product).lot_id == newer.id
    assert visitor.open(path).has(newer.lot_no)


def test_a_lot_that_is_set_aside_for_others_is_not_the_one_told(session: Session, offered: Offer) -> None:
    newer = lot_for(session, offered, units=5, harvested_on=offered.lot.harvested_on + timedelta(days=3))
    offered.lot.promised_g = UNIT_G
    session.flush()
    assert next_lot(session, offered.listing.product).lot_id == newer.id


def test_a_price_stands_beside_its_reference(client: MarketClient, session: Session, offered: Offer) -> None:
    visitor, path = Visitor(client), f"/products/{offered.listing.public_no}"
    assert not visitor.open(path).has("同规格参考价")
    publish_reference(session, 12_500)
    page = visitor.open(path)
    assert page.has("同规格参考价每千克 ¥125.00", "县发改局价格监测", "低 20%", "¥100.00")
    assert page.link("低 20%") == "/prices?category=camellia-oil"


def test_every_picture_has_its_place_in_the_gallery(
    client: MarketClient, session: Session, offered: Offer
) -> None:
    listing, said = offered.listing, offered.listing.current_version
    listing.state, listing.current_version = ListingState.DRAFT, None
    session.flush()
    session.add_all(
        ProductPicture(
            product_id=offered.listing.product_id, position=place, large_address=f"{place}" * 64,
            small_address=f"{place + 4}" * 64, width=400, height=300, alt_text=f"第{place}张", waits=place == 2,
        )
        for place in range(3)
    )  # fmt: skip
    session.flush()
    listing.state, listing.current_version = ListingState.PUBLISHED, said
    session.flush()
    answer = client.get(f"/products/{offered.listing.public_no}").text
    assert (answer.count('id="picture-'), answer.count('href="#picture-')) == (2, 2)
    assert "2" * 64 not in answer
    assert ("第0张" in answer, "看第 2 张图片：第1张" in answer) == (True, True)
    assert (answer.count('loading="lazy"') >= 1, answer.count('fetchpriority="high"')) == (True, 1)
    assert answer.count('width="400" height="300"') == 2


def test_after_sales_and_the_way_of_the_goods_are_told(client: MarketClient, offered: Offer) -> None:
    page = Visitor(client).open(f"/products/{offered.listing.public_no}")
    assert page.has("送货和售后", "还没有评价", "每 100 元里归农户的", "10.00", "鳌溪村委会")
    assert not page.has("这件商品已经带来的收入")


def test_the_price_shown_is_checked_again_when_it_is_listed(session: Session, offered: Offer) -> None:
    publish_reference(session, 10_000, actor=actor_with(Role.OPERATOR), observed_on=date(2026, 5, 1))
    listing = publish_listing(
        session,
        actor_at(offered.cooperative),
        product=offered.listing.product,
        title="山茶油",
        description="冷榨",
        tiers=[(1, 5_500)],
        terms=TENTH,
    )
    assert listing.current_version.version == 2
    assert listing.published_at.date() <= today()


@pytest.mark.databases("sqlite")
def test_many_lots_and_evaluations_ask_no_more(
    client: MarketClient, session: Session, offered: Offer, page_statements: Listening
) -> None:
    path, counts = f"/products/{offered.listing.public_no}", []
    for _ in range(2):
        client.get(path)
        with page_statements() as sent:
            client.get(path)
        counts.append(len(sent))
        for place in range(4):
            lot_for(session, offered, units=5, harvested_on=date(2026, 5, 1 + place))
    assert counts[0] == counts[1]
