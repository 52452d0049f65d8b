"""Supply and demand at the end of the demo's year: a request to award, one that takes offers, one whose award was not
approved, supplies, and an order before the harvest whose deposit is to be paid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from marketplace.catalog.models import Category, Listing
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.queries import available_units, sale_stop
from marketplace.core import clock
from marketplace.core.ids import random_key
from marketplace.demo.founding import Canteen
from marketplace.demo.goods import Good
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.linkage.queries import free_g
from marketplace.ordering.models import Order
from marketplace.ordering.rules import Delivery
from marketplace.ordering.terms import terms_in_force
from marketplace.payments.deposits.rules import ask_deposits
from marketplace.procurement.forward.delivering import name_lot
from marketplace.procurement.forward.queries import lots_to_name
from marketplace.procurement.forward.rules import Price, approve_ahead, confirm_ahead, order_ahead
from marketplace.procurement.requests.awarding import award_request
from marketplace.procurement.requests.facts import Wanted
from marketplace.procurement.requests.models import PurchaseRequest
from marketplace.procurement.requests.offering import make_offer
from marketplace.procurement.requests.queries import opened_offers
from marketplace.procurement.requests.rules import open_request, post_request
from marketplace.procurement.requests.supplies import Ready, post_supply
from marketplace.procurement.rules import reject_order
from marketplace.registry.buyer_units.queries import own_unit

WANTED_G = 20_000
POSTED_AGO, OFFERED_AGO = 2, 1  # days before the last one
EARLIER_DAYS = 8  # how long before them the request ended whose award was not approved
NOT_APPROVED = "本月预算不够，请减少数量或换一家后重新定标"
SUPPLIES = 3
PLAIN_WORDS = {"果业": "水果"}  # how a canteen says it, where the category says it otherwise
BY_TENTHS = (10, 9, 11)  # what offers ask of the listing's price, in tenths


class Requests:
    """Plays them for the first canteen."""

    def __init__(self, world: World, goods: Sequence[Good], canteens: Sequence[Canteen]) -> None:
        self.world = world
        self.goods = goods
        self.canteen = canteens[0]
        self._due: int | None = None  # ids: what is kept from deed to deed is read anew
        self._open: int | None = None
        self._early: int | None = None
        self._order: int | None = None

    def plan(self) -> None:
        """Two requests, offers on both, supplies, and an order before the harvest."""
        for ago, hour, deed in (
            (POSTED_AGO + EARLIER_DAYS, 9, self.ask_earlier),
            (OFFERED_AGO + EARLIER_DAYS, 10, self.offer_earlier),
            (EARLIER_DAYS - 1, 9, self.award),
            (EARLIER_DAYS - 1, 15, self.refuse),
            (POSTED_AGO, 9, self.ask),
            (OFFERED_AGO, 10, self.offer),
            (OFFERED_AGO, 11, self.supply),
            (OFFERED_AGO, 14, self.order_ahead),
        ):
            self.world.timeline.at(at_hour(self.world.last_on - timedelta(days=ago), hour), deed)

    def _rivals(self) -> tuple[str, list[Good]]:
        """Goods of several cooperatives, the first one's among them, and the closest category over all of them."""
        by_path: dict[str, dict[int, Good]] = {}
        for good in self.goods:
            listing = good.listing
            if listing is None or not good.for_canteens or sale_stop(listing, clock.today()) is not None:
                continue
            steps = listing.product.category.path.split("/")
            for depth in range(1, len(steps) + 1):
                by_path.setdefault("/".join(steps[:depth]), {}).setdefault(listing.cooperative_id, good)
        first = self.goods[0].seller.cooperative.id
        shared = {path: own for path, own in by_path.items() if first in own and len(own) > 1}
        path = max(shared, key=lambda path: (path.count("/"), len(shared[path])), default="")
        return path, list(shared.get(path, {}).values())[: len(BY_TENTHS)]

    def ask(self) -> None:
        """One request whose deadline is over by now, and one that takes offers for some days."""
        path, rivals = self._rivals()
        if not rivals:
            return
        last_on = self.world.last_on
        self._due = self._posted(path, rivals, deadline_on=last_on).id
        self._open = self._posted(path, rivals, deadline_on=last_on + timedelta(days=4)).id

    def ask_earlier(self) -> None:
        """The request whose award will not be approved."""
        path, rivals = self._rivals()
        if rivals:
            ended_on = self.world.last_on - timedelta(days=EARLIER_DAYS)
            self._early = self._posted(path, rivals, deadline_on=ended_on).id

    def offer_earlier(self) -> None:
        """Every rival offers on it."""
        if self._early is not None:
            for good, tenths in zip(self._rivals()[1], BY_TENTHS, strict=False):
                self._offered(self._early, good, tenths)

    def award(self) -> None:
        """The first offer of which the goods are still there wins."""
        session, orderer = self.world.session, self.canteen.acting("orderer")
        if self._early is None:
            return
        unit = own_unit(session, orderer)
        request = session.get_one(PurchaseRequest, self._early)
        for offer in opened_offers(session, request):
            product_id = offer.current.listing.product_id
            if available_units(session, [product_id])[product_id] < offer.current.units:
                continue
            made = award_request(
                session,
                orderer,
                request,
                offer,
                reason="以前合作过，送货准时",
                delivery=Delivery(unit.contact_name, unit.contact_phone, unit.address),
                idempotency_key=random_key(),
            )
            self._order = made.order_id
            return

    def refuse(self) -> None:
        """The approver turns the order down, and the request waits for another award."""
        if self._order is not None:
            approver = self.canteen.acting("approver")
            order = self.world.session.get_one(Order, self._order)
            reject_order(self.world.session, approver, order, reason=NOT_APPROVED)

    def _posted(self, path: str, rivals: Sequence[Good], *, deadline_on: date) -> PurchaseRequest:
        orderer = self.canteen.acting("orderer")
        category = self.world.session.get_one(Category, path.rsplit("/", maxsplit=1)[-1])
        unit = own_unit(self.world.session, orderer)
        delivery_from = deadline_on + timedelta(days=3)
        dearest = max(_per_kg_fen(_listing_of(good)) for good in rivals)
        wanted = Wanted(
            title=f"{_part_of_month(delivery_from)}食堂采购{PLAIN_WORDS.get(category.name_zh, category.name_zh)}",
            category_code=category.code,
            specification="当季新货，无霉变，独立包装，送货到食堂。",
            mass_g=WANTED_G,
            deliver_from=delivery_from,
            deliver_until=deadline_on + timedelta(days=20),
            county_code=None,
            ceiling_fen_per_kg=dearest * 3 // 2,
            min_linkage_bp=0,
            min_households=None,
            deadline_at=at_hour(deadline_on, 17),
            terms=terms_in_force(self.world.session, unit, clock.today()),
        )
        request = post_request(self.world.session, orderer, wanted=wanted, idempotency_key=random_key())
        return open_request(self.world.session, orderer, request)

    def offer(self) -> None:
        """Every rival offers on the first request, the last of them on the second."""
        _path, rivals = self._rivals()
        if self._due is None or self._open is None:
            return
        for good, tenths in zip(rivals, BY_TENTHS, strict=False):
            self._offered(self._due, good, tenths)
        self._offered(self._open, rivals[-1], BY_TENTHS[0])

    def _offered(self, request_id: int, good: Good, tenths: int) -> None:
        request = self.world.session.get_one(PurchaseRequest, request_id)
        listing = _listing_of(good)
        version = listing.current_version
        stock = available_units(self.world.session, [listing.product_id])[listing.product_id]
        if version is None or not stock:
            return
        make_offer(
            self.world.session,
            good.seller.clerking,
            request,
            listing=listing,
            units=min(stock, -(-WANTED_G // version.net_mass_g)),
            unit_price_fen=version.tiers[0].unit_price_fen * tenths // 10,
            deliver_on=request.current.deliver_from,
            note="自有车辆配送",
            idempotency_key=random_key(),
        )

    def supply(self) -> None:
        """Some say what will be ready next."""
        for good in self._rivals()[1][:SUPPLIES]:
            listing = _listing_of(good)
            ready = Ready(
                commodity=listing.product.name,
                category_code=listing.product.category_code,
                mass_g=2 * WANTED_G,
                ask_fen_per_kg=_per_kg_fen(listing),
                ready_from=clock.today() + timedelta(days=7),
                ready_until=clock.today() + timedelta(days=40),
                village_code=listing.product.village_code,
                product=listing.product,
                note="新一批在长，可提前约定",
            )
            post_supply(self.world.session, good.seller.clerking, ready=ready, idempotency_key=random_key())

    def order_ahead(self) -> None:
        """The canteen orders from the first cooperative before the next harvest; its deposit is asked for."""
        own = [good for good in self._rivals()[1] if good.seller is self.goods[0].seller]
        if not own:
            return
        session, listing = self.world.session, _listing_of(own[0])
        per_kg_fen = _per_kg_fen(listing)
        forward = order_ahead(
            session,
            self.canteen.acting("orderer"),
            listing=listing,
            units=40,
            price=Price(per_kg_fen, per_kg_fen * 8 // 10),
            deposit_bp=2_000,
            harvest_on=clock.today() + timedelta(days=60),
            idempotency_key=random_key(),
        )
        approve_ahead(session, self.canteen.acting("approver"), forward)
        confirm_ahead(session, own[0].seller.clerking, forward)
        for lot in lots_to_name(session, forward):
            if free_g(lot) >= forward.net_mass_g:
                name_lot(session, own[0].seller.clerking, forward, lot)
                break
        ask_deposits(session)


def _listing_of(good: Good) -> Listing:
    """The listing of a good that is on sale."""
    assert good.listing is not None
    return good.listing


def _per_kg_fen(listing: Listing) -> int:
    """What a kilogram costs at the first tier."""
    version = listing.current_version
    assert version is not None
    return per_kg_fen(version.tiers[0].unit_price_fen, version.net_mass_g)


def _part_of_month(day: date) -> str:
    return f"{day.month} 月{'上' if day.day <= 10 else '中' if day.day <= 20 else '下'}旬"
