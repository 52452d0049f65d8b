"""Products on sale, orders on their way, and settled lines; made by the real rules wherever a rule exists.

`offer(cooperative)` is a published listing of oil-tea camellia with a stocked lot; `buy(...)` places an order for it.
`deliver(...)` takes a part from its placing to acceptance. Listings sell units of 500 g at 50.00 yuan unless said
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import factory
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.listings.models import EditState, ListingEdit
from marketplace.catalog.models import (
    Category,
    Certificate,
    LinkageTerm,
    Listing,
    ListingState,
    ListingVersion,
    PriceTier,
    Product,
    ProductLot,
)
from marketplace.core.clock import now
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role
from marketplace.linkage.models import Lot, Mechanism
from marketplace.ordering.freight.charging import Carriage
from marketplace.ordering.models import Order, OrderKind, OrderPart
from marketplace.ordering.rules import (
    Delivery,
    accept_part,
    confirm_part,
    place_order,
    receive_part,
    ship_part,
)
from marketplace.payments.models import Payment
from marketplace.payments.rules import apply_payment, ask_card_payment, bill_accepted_parts
from marketplace.procurement.rules import approve_order
from marketplace.registry.models import BuyerUnit, Cooperative
from tests.factories.base import RowFactory
from tests.factories.identity import UserFactory
from tests.factories.linkage import LotFactory
from tests.factories.registry import VILLAGE, BuyerUnitFactory, RegionFactory, actor_at

UNIT_G = 500
PRICE_FEN = 5_000
TENTH: Mapping[Mechanism, int] = {Mechanism.CONTRACT_FARMING: 1_000}
DELIVERY = Delivery("周小梅", "13800000000", "乐安县鳌溪镇迎宾路 1 号")


class CategoryFactory(RowFactory):
    """A category of its own, without a certificate duty and without a floor."""

    class Meta:
        model = Category
        sqlalchemy_get_or_create = ("code",)

    code = "camellia-oil"
    name_zh = "山茶油"
    name_en = "Camellia oil"
    path = factory.LazyAttribute(lambda category: category.code)
    position = 1


class ProductFactory(RowFactory):
    """Camellia oil in bottles of 500 g."""

    class Meta:
        model = Product

    class Params:
        cooperative_row = None

    cooperative_id = factory.LazyAttribute(lambda product: product.cooperative_row.id)
    category_code = factory.LazyFunction(lambda: CategoryFactory().code)
    village_code = factory.LazyFunction(lambda: RegionFactory(code=VILLAGE).code)
    name = "山茶油"
    specification = "500 克"
    unit_name = "瓶"
    net_mass_g = UNIT_G
    gross_mass_g = UNIT_G + 100


@dataclass(frozen=True)
class Offer:
    """A listing for sale with the lot behind it."""

    listing: Listing
    lot: Lot
    cooperative: Cooperative


def offer(
    session: Session,
    cooperative: Cooperative,
    *,
    units: int = 100,
    tiers: Sequence[tuple[int, int]] = ((1, PRICE_FEN),),
    terms: Mapping[Mechanism, int] = TENTH,
    keeps_days: int | None = None,
) -> Offer:
    """A published listing of `cooperative` with `units` in stock, which keep for ever or for some days."""
    product = ProductFactory(cooperative_row=cooperative, shelf_life_days=keeps_days)
    lot = LotFactory(cooperative=cooperative, received_g=units * UNIT_G)
    listing = Listing(product=product, cooperative_id=cooperative.id)
    session.add_all([listing, _sold_as(product, lot)])
    session.flush()
    offered = Offer(listing, lot, cooperative)
    new_version(session, offered, tiers=tiers, terms=terms)
    listing.state, listing.published_at = ListingState.PUBLISHED, now()
    session.flush()
    return offered


def lot_for(session: Session, offered: Offer, *, units: int, harvested_on: date) -> Lot:
    """Another lot behind an offer."""
    lot = LotFactory(cooperative=offered.cooperative, received_g=units * UNIT_G, harvested_on=harvested_on)
    session.add(_sold_as(offered.listing.product, lot))
    session.flush()
    return lot


def _sold_as(product: Product, lot: Lot) -> ProductLot:
    keeps = None if product.shelf_life_days is None else timedelta(days=product.shelf_life_days)
    return ProductLot(
        lot_id=lot.id, product_id=product.id, best_until=None if keeps is None else lot.harvested_on + keeps
    )


def new_version(
    session: Session,
    offered: Offer,
    *,
    tiers: Sequence[tuple[int, int]] = ((1, PRICE_FEN),),
    terms: Mapping[Mechanism, int] = TENTH,
    title: str = "山茶油",
    certificate: Certificate | None = None,
) -> ListingVersion:
    """A further version of an offer's listing, looked at by the county."""
    before = offered.listing.current_version
    version = ListingVersion(
        listing_id=offered.listing.id,
        version=before.version + 1 if before else 1,
        title=title,
        description="冷榨",
        unit_name="瓶",
        net_mass_g=UNIT_G,
        certificate=certificate,
        tiers=[PriceTier(min_quantity=least, unit_price_fen=price) for least, price in tiers],
        terms=[LinkageTerm(mechanism=mechanism, rate_bp=rate) for mechanism, rate in terms.items()],
    )
    session.add(version)
    session.flush()
    if before is not None:
        looked_at(session, version)
    offered.listing.current_version = version
    session.flush()
    return version


def looked_at(session: Session, version: ListingVersion) -> ListingEdit:
    """The edit that `version` was, passed by the county: without it nothing that buyers trust may show."""
    listing = session.get_one(Listing, version.listing_id)
    edit = ListingEdit(
        product_id=listing.product_id,
        cooperative_id=listing.cooperative_id,
        base_version_id=listing.current_version_id,
        title=version.title,
        description=version.description,
        tiers=[[tier.min_quantity, tier.unit_price_fen] for tier in version.tiers],
        terms={term.mechanism.value: term.rate_bp for term in version.terms},
        state=EditState.PUBLISHED,
        submitted_at=now(),
        decided_by=UserFactory(granted=(Role.COUNTY_REVIEWER,)).id,
        decided_at=now(),
        version_id=version.id,
    )
    session.add(edit)
    session.flush()
    return edit


def staff_buyer() -> Actor:
    """A cadre who buys for himself."""
    return actor_of(UserFactory(granted=(Role.STAFF_BUYER,)))


def buy(
    session: Session,
    buyer: Actor,
    *wanted: tuple[Offer, int],
    kind: OrderKind = OrderKind.PERSONAL,
    key: str = "key-of-the-first-order",
    carriage: Carriage | None = None,
) -> Order:
    """An order of `buyer` for units of offers, carried for freight where there is a `carriage`."""
    lines = [(offered.listing.public_no, units) for offered, units in wanted]
    return place_order(
        session, buyer, kind=kind, idempotency_key=key, lines=lines, delivery=DELIVERY, carriage=carriage
    )


def pay_by_card(session: Session, buyer: Actor, order: Order) -> Payment:
    """The order's card payment, made now."""
    payment = ask_card_payment(session, buyer, order=order)
    return apply_payment(session, payment, paid_at=now(), provider_payment_ref=f"pi_{payment.public_no}")


def deliver(session: Session, part: OrderPart, receiver: Actor) -> OrderPart:
    """Confirm and ship a placed part, receive and accept it."""
    manager = actor_at(part.cooperative)
    confirm_part(session, manager, part)
    ship_part(session, manager, part, carrier="自送", waybill_no="")
    receive_part(session, receiver, part)
    return accept_part(session, receiver, part)


def sell(session: Session, offered: Offer, units: int, *, key: str = "key-of-the-first-order") -> Order:
    """A personal order paid, delivered and accepted: ready to settle."""
    buyer = staff_buyer()
    order = buy(session, buyer, (offered, units), key=key)
    pay_by_card(session, buyer, order)
    for part in order.parts:
        deliver(session, part, buyer)
    return order


def bill(
    session: Session,
    offered: Offer,
    units: int,
    *,
    unit: BuyerUnit | None = None,
    key: str = "a-canteen-s-order",
) -> Payment:
    """The transfer asked for a canteen's order that was approved, delivered and accepted."""
    unit = unit or BuyerUnitFactory()
    order = buy(session, actor_at(unit, Role.UNIT_ORDERER), (offered, units), kind=OrderKind.CANTEEN, key=key)
    approve_order(session, actor_at(unit, Role.UNIT_APPROVER), order)
    deliver(session, order.parts[0], actor_at(unit, Role.UNIT_RECEIVER))
    bill_accepted_parts(session)
    return session.scalars(select(Payment).where(Payment.part_id == order.parts[0].id)).one()
