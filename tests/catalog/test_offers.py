"""Putting goods on sale: prices by quantity, the share that goes to households, and who may sell at all."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.models import (
    Category,
    IndexTask,
    LinkageFloor,
    Listing,
    ListingState,
    ListingVersion,
    Product,
)
from marketplace.catalog.offers import read_mass, read_terms, read_tiers
from marketplace.catalog.queries import available_units, linkage_floor_bp, unit_price_fen
from marketplace.catalog.rules import (
    MAX_PRICE_FEN,
    add_product,
    publish_listing,
    withdraw_listing,
)
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.linkage.models import Mechanism
from marketplace.registry.models import CooperativeState
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.registry import (
    COUNTY,
    OTHER_COUNTY_VILLAGE,
    TOWNSHIP,
    VILLAGE,
    CooperativeFactory,
    RegionFactory,
    actor_at,
)
from tests.factories.trade import TENTH, CategoryFactory, ProductFactory, offer, staff_buyer

M = Mechanism


class Shop:
    """A cooperative's manager with a product to sell, under a floor of 3 % in its category."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cooperative = CooperativeFactory()
        self.manager: Actor = actor_at(self.cooperative)
        self.product: Product = ProductFactory(cooperative_row=self.cooperative)
        floor(session, 300)

    def publish(self, **changes: Any) -> Listing:
        wish = {
            "product": self.product,
            "title": "高山茶油",
            "description": "冷榨",
            "tiers": [(1, 5_000)],
            "terms": TENTH,
            **changes,
        }
        return publish_listing(self.session, wish.pop("actor", self.manager), **wish)

    def refusal(self, **changes: Any) -> DomainError:
        """How an offer is refused; then nothing is for sale."""
        before = self.counts()
        with pytest.raises(DomainError) as refused, self.session.begin_nested():
            self.publish(**changes)
        assert self.counts() == before
        return refused.value

    def counts(self) -> list[int | None]:
        return [
            self.session.scalar(select(func.count()).select_from(table))
            for table in (Listing, ListingVersion, IndexTask)
        ]


def floor(
    session: Session, min_bp: int, *, region: str = "36", category: str = "camellia-oil", year: int = 2020
) -> None:
    RegionFactory(code=region)
    session.add(LinkageFloor(region_code=region, year=year, category_code=category, min_bp=min_bp))
    session.flush()


@pytest.fixture
def shop(session: Session, clock: HeldClock) -> Shop:
    return Shop(session)


def test_a_published_listing_says_what_was_typed(shop: Shop, clock: HeldClock) -> None:
    listing = shop.publish(
        title=" 高山茶油 ",
        tiers=[(10, 4_500), (1, 5_000)],
        terms={M.LAND_TRANSFER: 200, M.CONTRACT_FARMING: 100},
    )
    version = listing.current_version
    assert (listing.state, listing.published_at) == (ListingState.PUBLISHED, clock.now)
    assert (version.version, version.title, version.net_mass_g, version.unit_name) == (
        1,
        "高山茶油",
        500,
        "瓶",
    )
    assert [(tier.min_quantity, tier.unit_price_fen) for tier in version.tiers] == [(1, 5_000), (10, 4_500)]
    assert [(term.mechanism, term.rate_bp) for term in version.terms] == [
        (M.CONTRACT_FARMING, 100),
        (M.LAND_TRANSFER, 200),
    ]
    assert [unit_price_fen(version, units) for units in (1, 9, 10, 100_000)] == [5_000, 5_000, 4_500, 4_500]


def test_a_change_is_a_new_version_and_the_old_one_stays(
    shop: Shop, session: Session, clock: HeldClock
) -> None:
    first = shop.publish().current_version
    published_at = clock.now
    clock.advance(days=1)
    listing = shop.publish(tiers=[(1, 5_500)])
    assert (listing.current_version.version, listing.published_at) == (2, published_at)
    assert session.scalar(select(func.count()).select_from(ListingVersion)) == 2
    assert first.tiers[0].unit_price_fen == 5_000


@pytest.mark.parametrize(
    ("tiers", "code"),
    [
        ([], "tiers"),
        ([(n, 5_000) for n in range(1, 8)], "tiers"),
        ([(0, 5_000)], "tier_values"),
        ([(-1, 5_000)], "tier_values"),
        ([(1, 5_000), (100_001, 4_000)], "tier_values"),
        ([(1, 0)], "tier_values"),
        ([(1, -1)], "tier_values"),
        ([(1, MAX_PRICE_FEN + 1)], "tier_values"),
        ([(2, 5_000)], "first_tier"),
        ([(1, 5_000), (1, 4_000)], "tier_twice"),
        ([(1, 5_000), (10, 5_001)], "tier_rises"),
        ([(1, 5_000), (10, 4_000), (20, 4_500)], "tier_rises"),
    ],
)
def test_prices_that_cannot_be_are_refused(shop: Shop, tiers: list[tuple[int, int]], code: str) -> None:
    refusal = shop.refusal(tiers=tiers)
    assert (refusal.code, refusal.field) == (code, "tiers")


def test_the_dearest_price_and_six_equal_tiers_are_taken(shop: Shop) -> None:
    assert shop.publish(tiers=[(n, MAX_PRICE_FEN) for n in range(1, 7)]).current_version.version == 1


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({}, "terms_below_floor"),
        ({M.CONTRACT_FARMING: 299}, "terms_below_floor"),
        ({M.CONTRACT_FARMING: 199, M.LAND_TRANSFER: 100}, "terms_below_floor"),
        ({M.CONTRACT_FARMING: 5_000, M.LAND_TRANSFER: 5_001}, "terms_above_whole"),
        ({M.CONTRACT_FARMING: 10_001}, "term_rate"),
        ({M.CONTRACT_FARMING: -100, M.LAND_TRANSFER: 1_000}, "term_rate"),
        ({"beekeeping": 1_000}, "term_mechanism"),
    ],
)
def test_a_share_below_the_floor_or_above_the_whole_is_refused(
    shop: Shop, terms: dict[M, int], code: str
) -> None:
    refusal = shop.refusal(terms=terms)
    assert (refusal.code, refusal.field) == (code, "terms")


def test_the_refusal_names_both_shares(shop: Shop) -> None:
    assert shop.refusal(terms={M.CONTRACT_FARMING: 299}).params == {"total": "2.99%", "floor": "3.00%"}


@pytest.mark.parametrize(
    "terms",
    [
        {M.CONTRACT_FARMING: 300},
        {M.CONTRACT_FARMING: 1, M.LAND_TRANSFER: 299},
        {M.LAND_TRANSFER: 10_000},
        {M.EMPLOYMENT: 200, M.ASSET_LEASE: 100},
    ],
)
def test_the_floor_and_the_whole_themselves_are_taken(shop: Shop, terms: dict[M, int]) -> None:
    assert {term.mechanism: term.rate_bp for term in shop.publish(terms=terms).current_version.terms} == terms


def test_without_a_floor_something_must_still_go_to_households(shop: Shop, session: Session) -> None:
    shop.product.category_code = CategoryFactory(
        code="essential-oil", name_zh="天然精油", name_en="Essential oils"
    ).code
    session.flush()
    session.expire(shop.product)
    assert shop.refusal(terms={}).code == "terms_below_floor"
    assert shop.publish(terms={M.CONTRACT_FARMING: 1}).current_version.version == 1


def test_the_floor_is_that_of_the_nearest_place_kind_and_year(session: Session, clock: HeldClock) -> None:
    for code, path in (
        ("forest", "forest"),
        ("oil-tea", "forest/oil-tea"),
        ("camellia-oil", "forest/oil-tea/camellia-oil"),
    ):
        session.add(Category(code=code, name_zh=code, name_en=code, path=path, position=1))
    session.flush()

    def found(year: int = 2026) -> int:
        return linkage_floor_bp(session, category_code="camellia-oil", county_code=COUNTY, year=year)

    assert found() == 0
    floor(session, 100, category="forest")
    assert found() == 100
    floor(session, 200, category="oil-tea")
    floor(session, 250, category="oil-tea", year=2026)
    assert (found(2025), found(2026), found(2019)) == (200, 250, 0)
    floor(session, 50, region=COUNTY, category="oil-tea", year=2021)
    assert (found(2020), found(2026)) == (200, 50)
    floor(session, 900, region="360827", category="camellia-oil")
    assert found() == 50


@pytest.mark.parametrize(
    "state", [state for state in CooperativeState if state is not CooperativeState.ADMITTED]
)
def test_a_cooperative_that_is_not_admitted_does_not_sell(
    shop: Shop, session: Session, state: CooperativeState
) -> None:
    shop.cooperative.state = state
    session.flush()
    assert shop.refusal().code == "not_admitted"


@pytest.mark.parametrize(
    ("field", "words", "code"),
    [
        ("title", "  ", "words_missing"),
        ("title", "油" * 81, "words_long"),
        ("description", "", "words_missing"),
    ],
)
def test_an_offer_says_what_it_is(shop: Shop, field: str, words: str, code: str) -> None:
    refusal = shop.refusal(**{field: words})
    assert (refusal.code, refusal.field) == (code, field)


def test_another_cooperative_s_product_is_not_found(shop: Shop) -> None:
    assert isinstance(shop.refusal(actor=actor_at(CooperativeFactory())), NotFound)
    for actor in (staff_buyer(), actor_with(Role.OPERATOR)):
        assert isinstance(shop.refusal(actor=actor), Forbidden)


def test_a_withdrawn_listing_comes_back_with_a_new_version(shop: Shop, session: Session) -> None:
    listing = shop.publish()
    withdraw_listing(session, shop.manager, listing)
    assert listing.state is ListingState.WITHDRAWN
    with pytest.raises(Conflict) as refused:
        withdraw_listing(session, shop.manager, listing)
    assert refused.value.code == "not_published"
    with pytest.raises(NotFound):
        withdraw_listing(session, actor_at(CooperativeFactory()), listing)
    assert shop.publish().state is ListingState.PUBLISHED
    assert session.scalar(select(func.count()).select_from(IndexTask)) == 3


# --- products and lots ---

PRODUCT: dict[str, Any] = {
    "category_code": "camellia-oil",
    "village_code": VILLAGE,
    "name": "山茶油",
    "specification": "500 毫升",
    "unit_name": "瓶",
    "net_mass_g": 460,
    "gross_mass_g": 900,
}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"category_code": "oil-tea"}, "category", "category_code"),
        ({"category_code": "no-such"}, "category", "category_code"),
        ({"village_code": TOWNSHIP}, "village", "village_code"),
        ({"village_code": "361025100999"}, "village", "village_code"),
        ({"village_code": OTHER_COUNTY_VILLAGE}, "village_elsewhere", "village_code"),
        ({"net_mass_g": 0}, "net_mass", "net_mass_g"),
        ({"net_mass_g": 1_000_001, "gross_mass_g": 1_000_001}, "net_mass", "net_mass_g"),
        ({"gross_mass_g": 459}, "gross_mass", "gross_mass_g"),
        ({"gross_mass_g": 2_000_001}, "gross_mass", "gross_mass_g"),
        ({"shelf_life_days": 0}, "shelf_life", "shelf_life_days"),
        ({"shelf_life_days": 3_651}, "shelf_life", "shelf_life_days"),
        ({"name": " "}, "words_missing", "name"),
        ({"unit_name": "一" * 11}, "words_long", "unit_name"),
    ],
)
def test_goods_that_cannot_be_are_refused(
    session: Session, clock: HeldClock, changes: dict[str, Any], code: str, field: str
) -> None:
    session.add(Category(code="oil-tea", name_zh="油茶", name_en="Oil tea", path="oil-tea", position=1))
    CategoryFactory(parent_code="oil-tea")
    RegionFactory(code=OTHER_COUNTY_VILLAGE)
    manager = actor_at(CooperativeFactory())
    with pytest.raises(Refused) as refused:
        add_product(session, manager, **{**PRODUCT, **changes})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert session.scalar(select(func.count()).select_from(Product)) == 0
    assert add_product(session, manager, **PRODUCT).name == "山茶油"


def test_a_product_that_is_sent_twice_is_one(session: Session, clock: HeldClock) -> None:
    session.add(Category(code="oil-tea", name_zh="油茶", name_en="Oil tea", path="oil-tea", position=1))
    CategoryFactory(parent_code="oil-tea")
    manager, key = actor_at(CooperativeFactory()), "the-form-of-one-product"
    first = add_product(session, manager, **PRODUCT, idempotency_key=key)
    again = add_product(session, manager, **{**PRODUCT, "name": "又一次"}, idempotency_key=key)
    assert (again.id, again.name) == (first.id, "山茶油")
    assert session.scalar(select(func.count()).select_from(Product)) == 1
    other = add_product(session, manager, **PRODUCT, idempotency_key="the-form-of-another-product")
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Product).where(Product.id == other.id).values(idempotency_key=key))


def test_stock_is_what_the_lots_still_yield(session: Session, clock: HeldClock) -> None:
    offered = offer(session, CooperativeFactory(), units=10)
    product_id = offered.listing.product_id
    for received_g, yield_bp, committed_g, units in (
        (5_000, 10_000, 0, 10),
        (5_000, 9_999, 0, 9),
        (5_000, 2_500, 750, 1),
        (5_000, 2_500, 751, 0),
        (0, 10_000, 0, 0),
    ):
        offered.lot.committed_g = 0
        session.flush()
        offered.lot.received_g, offered.lot.yield_bp, offered.lot.committed_g = (
            received_g,
            yield_bp,
            committed_g,
        )
        session.flush()
        assert available_units(session, [product_id]) == {product_id: units}


# --- what people type ---


@pytest.mark.parametrize(
    ("typed", "tiers"),
    [
        ({"tier-0-quantity": "1", "tier-0-price": "50"}, [(1, 5_000)]),
        (
            {
                "tier-0-quantity": " 1 ",
                "tier-0-price": "¥1,280.50",
                "tier-2-quantity": "10",
                "tier-2-price": "9.9",
            },
            [(1, 128_050), (10, 990)],
        ),
        ({}, []),
    ],
)
def test_tiers_are_read_in_yuan(typed: dict[str, str], tiers: list[tuple[int, int]]) -> None:
    assert read_tiers(typed) == tiers


@pytest.mark.parametrize(
    ("quantity", "price", "code"),
    [
        ("", "50", "tier_quantity"),
        ("1.5", "50", "tier_quantity"),
        ("-1", "50", "tier_quantity"),
        ("一", "50", "tier_quantity"),
        ("１", "50", "tier_quantity"),
        ("1" * 7, "50", "tier_quantity"),
        ("1", "", "tier_price"),
        ("1", "五十", "tier_price"),
        ("1", "50.005", "tier_price"),
        ("1", "-50", "tier_price"),
        ("1", "1e9", "tier_price"),
    ],
)
def test_a_tier_that_cannot_be_read_is_named_by_its_row(quantity: str, price: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_tiers(
            {"tier-0-quantity": "1", "tier-0-price": "60", "tier-1-quantity": quantity, "tier-1-price": price}
        )
    assert (refused.value.code, refused.value.field, refused.value.params) == (code, "tiers", {"row": 2})


def test_shares_are_read_in_percent() -> None:
    typed = {"term-contract_farming": " 8.5％ ", "term-land_transfer": "0", "term-employment": ""}
    assert read_terms(typed) == {M.CONTRACT_FARMING: 850}
    for text in ("8.555", "-1", "eight", "1e2"):
        with pytest.raises(Refused) as refused:
            read_terms({"term-land_transfer": text})
        assert (refused.value.code, refused.value.params) == ("term_percent", {"mechanism": M.LAND_TRANSFER})


def test_a_mass_is_read_in_kilograms() -> None:
    assert read_mass("2.5", "net_mass_g") == 2_500
    with pytest.raises(Refused) as refused:
        read_mass("2.5555", "net_mass_g")
    assert (refused.value.code, refused.value.field) == ("mass_form", "net_mass_g")
