"""What is sold: the written content of the demo tied to its cooperatives, seasons, and the rows it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select

from marketplace.catalog.models import Listing, Product
from marketplace.demo.content import DemoListing, demo_cooperatives, demo_listings
from marketplace.demo.entry import Seller
from marketplace.demo.world import World
from marketplace.registry.models import Region

VILLAGES = 3
CANTEEN_CATEGORIES = frozenset(
    {
        *("rice", "red-rice", "rice-noodle", "fresh-vegetable", "dried-vegetable", "bean-tuber", "lotus"),
        *("navel-orange", "tangerine", "pomelo", "other-fruit", "beef-mutton", "pork", "cured-duck", "fish"),
        *("bamboo-shoot-fresh", "bamboo-shoot-dried", "mushroom", "camellia-oil", "forest-poultry"),
    }
)
TEA_FEN = 100_00  # a canteen pours out tea up to this price a unit
NOT_FOR_CANTEENS = ("礼盒", "精品", "双只")
LONG_SHELF_DAYS = 120
LOT_DAYS = 92  # a new lot of goods that keep after so many days of season; of others as the last one is over
# Of goods that keep, and that do not: days from the first weighing until they can be sold, and days before the demo's
# last one in which nothing new is brought in.
READY_DAYS = {True: 3, False: 1}
LAST_LOT_DAYS = {True: 6, False: 1}


@dataclass
class Good:
    """One good at its place among all, of one cooperative."""

    place: int
    seller: Seller
    content: DemoListing
    village_code: str
    floor_price_fen_per_kg: int
    lot_days: list[date]
    product: Product | None = None
    listing: Listing | None = None

    @property
    def price_fen(self) -> int:
        """The price of one unit."""
        return self.content.tiers[0][1]

    @property
    def keeps(self) -> bool:
        """Whether it can be sold long after its season."""
        return self.content.shelf_life_days > LONG_SHELF_DAYS

    @property
    def for_canteens(self) -> bool:
        """Whether a canteen would buy it."""
        is_gift = any(word in self.content.name for word in NOT_FOR_CANTEENS)
        is_plain_tea = self.content.category_code.endswith("-tea") and self.price_fen <= TEA_FEN
        return is_plain_tea or (self.content.category_code in CANTEEN_CATEGORIES and not is_gift)

    @property
    def made(self) -> Product:
        """Its product row."""
        assert self.product is not None
        return self.product

    @property
    def offered(self) -> Listing:
        """Its listing row."""
        assert self.listing is not None
        return self.listing

    def lot_on(self, day: date) -> int | None:
        """Which of its lots an order of `day` is sold from; None when the last one is over or none was brought in."""
        ready = timedelta(days=READY_DAYS[self.keeps])
        begun = [place for place, lot_day in enumerate(self.lot_days) if lot_day + ready <= day]
        if not begun or (day - self.lot_days[begun[-1]]).days > self.content.shelf_life_days:
            return None
        return begun[-1]


def _is_between(month: int, first: int, last: int) -> bool:
    return first <= month <= last if first <= last else month >= first or month <= last


def sellers_of(world: World) -> list[Seller]:
    """The cooperatives of the scale, each with its own village and two others of its township."""
    return [
        Seller(
            content.name,
            content.story_zh,
            place,
            _villages_around(world, content.village_code),
            content.households,
            key=content.key,
        )
        for place, content in enumerate(demo_cooperatives()[: world.scale.cooperatives])
    ]


def _villages_around(world: World, code: str) -> list[Region]:
    query = select(Region).where(func.length(Region.code) == len(code), Region.code.startswith(code[:9]))
    others = [region for region in world.session.scalars(query.order_by(Region.code)) if region.code != code]
    rural = [region for region in others if region.name.endswith("村委会")] or others
    chosen = world.random.sample(rural, min(VILLAGES - 1, len(rural)))
    return [world.session.get_one(Region, code), *sorted(chosen, key=lambda region: region.code)]


def goods_of(world: World, sellers: Sequence[Seller]) -> list[Good]:
    """The listings of the scale, as goods of their cooperatives.

    The floor price of a contract is what the cheapest good made of its commodity pays; better grades get the market's.
    """
    by_key = {content.key: seller for content, seller in zip(demo_cooperatives(), sellers, strict=False)}
    contents = [
        content for content in demo_listings(len(demo_listings(1_000))) if content.cooperative in by_key
    ]
    floors: dict[tuple[str, str], int] = {}
    for content in contents[: world.scale.listings]:
        key = (content.cooperative, content.commodity)
        floors[key] = min(floors.get(key, content.farm_price_fen_per_kg), content.farm_price_fen_per_kg)
    return [
        Good(
            place=place,
            seller=(seller := by_key[content.cooperative]),
            content=content,
            village_code=seller.villages[place % len(seller.villages)].code,
            floor_price_fen_per_kg=floors[content.cooperative, content.commodity],
            lot_days=_lot_days(world, content),
        )
        for place, content in enumerate(contents[: world.scale.listings])
    ]


def _lot_days(world: World, content: DemoListing) -> list[date]:
    """The days its lots are opened: at the beginning of a season and every so many days while it lasts. Of what does
    not keep, one is brought in at the very end, so that visitors find it fresh."""
    keeps = content.shelf_life_days > LONG_SHELF_DAYS
    step = timedelta(days=LOT_DAYS if keeps else content.shelf_life_days)
    last = world.last_on - timedelta(days=LAST_LOT_DAYS[keeps])
    day, days = world.day(-24), list[date]()
    while day <= last:
        if _is_between(day.month, *content.harvest_months) and (not days or day - days[-1] >= step):
            day += timedelta(days=world.random.randrange(3) if keeps else 0)
            days.append(day)
        day += timedelta(days=1)
    if not keeps and days and days[-1] < last and _is_between(last.month, *content.harvest_months):
        days.append(last)
    return days
