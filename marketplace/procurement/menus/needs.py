"""From a week's menu to what must be bought: grams by commodity, and the listings that cover them for the least money.

Integer grams throughout; units are rounded up, so that nobody goes hungry for a rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Category, Listing, ListingState, Product
from marketplace.catalog.queries import available_units, sale_stop, unit_price_fen
from marketplace.core.clock import today
from marketplace.ordering.wishes import MAX_QUANTITY
from marketplace.procurement.lists.basket import Wanted
from marketplace.procurement.menus.models import WeekMenu

MOST_CANDIDATES = 500
MOST_COMMODITIES = 100


@dataclass(frozen=True)
class Pick:
    """Units of a listing for a need; `mass_g` is what they hold."""

    listing: Listing
    units: int
    mass_g: int
    price_fen: int


@dataclass(frozen=True)
class Need:
    """Grams of a commodity, what would cover them, and how many grams stay uncovered."""

    commodity: str
    mass_g: int
    picks: tuple[Pick, ...]

    @property
    def short_g(self) -> int:
        """Grams that nothing in stock covers."""
        return max(0, self.mass_g - sum(pick.mass_g for pick in self.picks))


def grams_of(menu: WeekMenu) -> dict[str, int]:
    """Grams by commodity that the heads of a menu eat in its week, in the order they first come up."""
    grams: dict[str, int] = {}
    for day in menu.days:
        for cooked in day.dishes:
            for part in cooked.dish.ingredients:
                eaten = part.grams_per_head * day.heads
                grams[part.commodity] = grams.get(part.commodity, 0) + eaten
    return grams


def needs_of(session: Session, grams: Mapping[str, int]) -> list[Need]:
    """What would cover each commodity: the cheapest per kilogram with enough in stock, else the cheapest together.

    A listing fits when its product's name, or its category's, holds the word. In two statements.
    """
    words = list(grams)[:MOST_COMMODITIES]
    candidates = _candidates(session, words)
    stock = available_units(session, [listing.product_id for listing in candidates])
    return [
        Need(word, grams[word], _cover(grams[word], [one for one in candidates if _fits(one, word)], stock))
        for word in words
    ]


def wanted_for(needs: Sequence[Need]) -> list[Wanted]:
    """The basket of the needs; a listing that covers two of them comes once, with both units."""
    units: dict[int, int] = {}
    listings: dict[int, Listing] = {}
    words: dict[int, list[str]] = {}
    for need in needs:
        for pick in need.picks:
            listings[pick.listing.id] = pick.listing
            units[pick.listing.id] = min(MAX_QUANTITY, units.get(pick.listing.id, 0) + pick.units)
            words.setdefault(pick.listing.id, []).append(need.commodity)
    return [Wanted(listings[one], units[one], hint="、".join(words[one])) for one in listings]


def _candidates(session: Session, words: Sequence[str]) -> list[Listing]:
    if not words:
        return []
    named = [
        column.contains(word, autoescape=True)
        for word in words
        for column in (Product.name, Category.name_zh)
    ]
    query = (
        select(Listing)
        .join(Product, Product.id == Listing.product_id)
        .join(Category, Category.code == Product.category_code)
        .where(Listing.state == ListingState.PUBLISHED, or_(*named))
        .order_by(Listing.id)
        .limit(MOST_CANDIDATES)
    )
    return [one for one in session.scalars(query).unique() if sale_stop(one, today()) is None]


def _fits(listing: Listing, word: str) -> bool:
    return word in listing.product.name or word in listing.product.category.name_zh


def _cover(mass_g: int, candidates: Sequence[Listing], stock: Mapping[int, int]) -> tuple[Pick, ...]:
    """The cheapest listing per kilogram that has enough; where none has, the cheapest first until it is enough."""
    in_stock = [one for one in candidates if stock[one.product_id] > 0]
    enough = [one for one in in_stock if stock[one.product_id] >= _units(mass_g, one)]
    if enough:
        best = min((_pick(one, _units(mass_g, one)) for one in enough), key=_per_gram)
        return (best,)
    picks: list[Pick] = []
    for one in sorted((_pick(one, stock[one.product_id]) for one in in_stock), key=_per_gram):
        if mass_g <= 0:
            break
        taken = _pick(one.listing, min(one.units, _units(mass_g, one.listing)))
        picks.append(taken)
        mass_g -= taken.mass_g
    return tuple(picks)


def _units(mass_g: int, listing: Listing) -> int:
    """Whole units that hold `mass_g` grams."""
    return min(MAX_QUANTITY, -(-mass_g // listing.product.net_mass_g))


def _pick(listing: Listing, units: int) -> Pick:
    version = listing.current_version
    price = unit_price_fen(version, units) if version else 0
    return Pick(listing, units, units * listing.product.net_mass_g, price)


def _per_gram(pick: Pick) -> tuple[int, int]:
    """For comparing: fen per ton, so that whole numbers tell small differences; ties by the older listing."""
    return pick.price_fen * 1_000_000 // pick.listing.product.net_mass_g, pick.listing.id
