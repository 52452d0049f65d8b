"""What changes is found, or no longer found, after one run of the queue, whoever changed it; nothing waits a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from marketplace.catalog.index_tasks import INDEX_LISTINGS
from marketplace.catalog.listings.models import EditState, ListingEdit
from marketplace.catalog.listings.rules import apply_edit_outcome, save_draft, submit_draft
from marketplace.catalog.models import IndexTask, Listing
from marketplace.catalog.rules import publish_listing, withdraw_listing
from marketplace.catalog.search.engine import SearchRequest, SearchResult
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.linkage.models import Lot
from marketplace.ordering.bulk import Draft, Placed, place_orders
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.rules import cancel_order
from marketplace.registry.reviews.models import Decision, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step
from marketplace.web.jobs import EXTENSION, Jobs
from marketplace.web.transaction import runner
from tests.factories.identity import actor_with
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.reviews import default_steps
from tests.factories.trade import DELIVERY, TENTH, UNIT_G, Offer, buy, offer, staff_buyer

UNITS = 3
SAID: dict[str, Any] = {"title": "高山冷榨茶油", "description": "冷榨", "tiers": [(1, 5_000)], "terms": TENTH}


class Shop:
    """A listing, who sells it, and changes made to it as by a page: a transaction, then one run of the queue."""

    def __init__(self, app: Flask, session: Session) -> None:
        self.app, self.session = app, session
        self.jobs: Jobs = app.extensions[EXTENSION]
        self.offered: Offer = offer(session, CooperativeFactory(), units=UNITS)
        self.listing_id, self.listing_no = self.offered.listing.id, self.offered.listing.public_no
        self.manager: Actor = actor_at(self.offered.cooperative)
        self.buyer: Actor = staff_buyer()
        self.reviewer: Actor = actor_with(Role.COUNTY_REVIEWER)
        default_steps()
        session.commit()

    def change(self, rule: Callable[[Session, Listing], Any]) -> None:
        self.session.commit()
        with runner(self.app) as own:
            rule(own, own.get_one(Listing, self.listing_id))
            assert self.jobs.waiting() == 0  # not before the commit
        assert self.run_queue() == 1
        assert self.session.scalar(select(func.count()).select_from(IndexTask)) == 0
        self.session.commit()

    def run_queue(self) -> int:
        """What the worker does; how many runs waited."""
        queue, runs = self.jobs.queue, 0
        while (task := queue.dequeue()) is not None:
            queue.execute(task)
            runs += 1
        return runs

    def publish(self, **changes: Any) -> None:
        """A version, which the county passes at once where it has to look."""

        def rule(own: Session, listing: Listing) -> None:
            draft = save_draft(own, self.manager, listing.product, **{**SAID, **changes})
            if submit_draft(own, self.manager, draft).state is EditState.WAITING:
                self.answer(own, listing)

        self.change(rule)

    def answer(self, own: Session, _listing: Listing) -> None:
        case = last_case_of(own, ReviewKind.LISTING_CHANGE, own.scalar(select(func.max(ListingEdit.id))) or 0)
        assert case is not None
        outcomes = {ReviewKind.LISTING_CHANGE: apply_edit_outcome}
        decide_step(own, self.reviewer, case, decision=Decision.PASS, comment="", outcomes=outcomes)

    def found(self, text: str = "", **asked: Any) -> SearchResult:
        result: SearchResult = self.app.extensions["search"].search(SearchRequest(text, **asked))
        return result

    def is_in_stock(self) -> bool:
        assert self.found().listing_nos == (self.listing_no,)
        return self.found(in_stock_only=True).total == 1


@pytest.fixture
def shop(app: Flask, session: Session) -> Shop:
    return Shop(app, session)


def test_what_is_published_is_found(shop: Shop) -> None:
    assert shop.found().total == 0
    shop.publish()
    assert shop.found("冷榨茶油").listing_nos == (shop.listing_no,)


def test_what_is_renamed_is_found_by_its_new_name_alone(shop: Shop) -> None:
    shop.publish(title="高山冷榨茶油")
    shop.publish(title="井冈蜂蜜", description="土蜂")
    assert (shop.found("蜂蜜").total, shop.found("冷榨").total) == (1, 0)


def test_what_is_priced_anew_is_found_at_its_new_price(shop: Shop) -> None:
    shop.publish()
    shop.publish(tiers=[(1, 3_900)])
    assert shop.found(price_min_fen=3_900, price_max_fen=3_900).total == 1
    assert shop.found(price_min_fen=3_901).total == 0


def test_what_is_withdrawn_is_gone_and_published_again_it_is_back(shop: Shop) -> None:
    shop.publish()
    shop.change(lambda own, listing: withdraw_listing(own, shop.manager, listing))
    assert shop.found().total == 0
    shop.change(lambda own, listing: publish_listing(own, shop.manager, product=listing.product, **SAID))
    assert shop.found().total == 1


def test_what_the_county_passes_is_found_at_once(shop: Shop) -> None:
    def submit(own: Session, listing: Listing) -> None:
        draft = save_draft(own, shop.manager, listing.product, **{**SAID, "title": "井冈蜂蜜"})
        submit_draft(own, shop.manager, draft)

    shop.publish()
    with runner(shop.app) as own:
        submit(own, own.get_one(Listing, shop.listing_id))
    shop.run_queue()
    assert shop.found("蜂蜜").total == 0  # not before the county has answered
    shop.change(shop.answer)
    assert shop.found("蜂蜜").total == 1


def test_what_is_sold_out_is_no_longer_in_stock_until_an_order_is_cancelled(shop: Shop) -> None:
    shop.publish()
    assert shop.is_in_stock()
    shop.change(lambda own, listing: buy(own, shop.buyer, (Offer(listing, None, None), UNITS)))  # type: ignore[arg-type]
    assert not shop.is_in_stock()
    order_id = shop.session.scalar(select(Order.id))
    shop.change(
        lambda own, _listing: cancel_order(own, shop.buyer, own.get_one(Order, order_id), reason="不要了")
    )
    assert shop.is_in_stock()


def test_orders_placed_in_bulk_sell_out_too(shop: Shop) -> None:
    def place(own: Session, listing: Listing) -> None:
        draft = Draft(
            shop.buyer, OrderKind.PERSONAL, "the-key-of-a-bulk", [(listing.public_no, UNITS)], DELIVERY
        )
        (placed,) = place_orders(own, [draft])
        assert isinstance(placed, Placed)

    shop.publish()
    shop.change(place)
    assert not shop.is_in_stock()


def test_what_is_weighed_into_a_lot_that_was_sold_out_is_in_stock(shop: Shop) -> None:
    shop.publish()
    shop.change(lambda own, listing: buy(own, shop.buyer, (Offer(listing, None, None), UNITS)))  # type: ignore[arg-type]
    assert not shop.is_in_stock()
    with runner(shop.app) as own:
        own.execute(update(Lot).values(received_g=Lot.received_g + 3 * UNIT_G))  # as a weigh slip does
    shop.jobs.run(INDEX_LISTINGS)
    assert shop.is_in_stock()
