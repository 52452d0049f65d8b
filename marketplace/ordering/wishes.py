"""What somebody wants to buy: units of listings as they are now, and what an order line freezes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from marketplace.catalog.certificates.queries import badges_of, is_in_force
from marketplace.catalog.models import Listing, ListingVersion
from marketplace.catalog.prices.queries import stored_references
from marketplace.catalog.queries import SaleStop, sale_stop, unit_price_fen
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.ordering.stock import Goods

MAX_QUANTITY = 100_000
MAX_LINES = 100


@dataclass(frozen=True)
class Wish:
    """Units of a listing at the version it has now."""

    listing: Listing
    version: ListingVersion
    quantity: int
    agreed_fen: int | None = None  # the unit price agreed elsewhere, instead of the listing's
    lot_id: int | None = None  # the lot agreed elsewhere; else the oldest harvest goes first

    @property
    def price_fen(self) -> int:
        """What one unit costs at this quantity."""
        return unit_price_fen(self.version, self.quantity) if self.agreed_fen is None else self.agreed_fen


def check_quantity(quantity: int) -> None:
    """Raise Refused unless so many units can be ordered at once."""
    if not 1 <= quantity <= MAX_QUANTITY:
        raise Refused("quantity", N_("数量须在 1 到 %(most)s 之间"), field="quantity", most=MAX_QUANTITY)


def require_for_sale(listing: Listing) -> ListingVersion:
    """What the listing says now. Raises Conflict when it cannot be bought."""
    stop = sale_stop(listing, today())
    if stop is SaleStop.CERTIFICATE_LAPSED:
        raise Conflict(stop.value, N_("“%(title)s”的认证已失效，暂停销售"), title=listing.product.name)
    if stop is SaleStop.CLAIM_LAPSED:
        raise Conflict(stop.value, N_("“%(title)s”以有机名义销售，认证已失效"), title=listing.product.name)
    if stop is not None or listing.current_version is None:
        raise Conflict("not_for_sale", N_("“%(title)s”已下架，不能购买"), title=listing.product.name)
    return listing.current_version


def units_wanted(
    lines: Sequence[tuple[str, int]], seen: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, int]:
    """Units by listing number. Raises Refused for a malformed order, Conflict when it is not what was `seen`."""
    if not lines:
        raise Refused("empty_order", N_("购物车是空的，请先选购"))
    if len(lines) > MAX_LINES:
        raise Refused("too_many_lines", N_("一张订单最多 %(most)s 种商品，请分开下单"), most=MAX_LINES)
    units: dict[str, int] = {}
    for listing_no, quantity in lines:
        check_quantity(quantity)
        units[listing_no] = units.get(listing_no, 0) + quantity
        check_quantity(units[listing_no])
    if seen is not None and units != {number: shown for number, (_version, shown) in seen.items()}:
        raise Conflict("cart_changed", N_("购物车里的商品刚刚有变化，请核对后再提交"))
    return units


def wishes_of(
    listings: Mapping[str, Listing],
    units: Mapping[str, int],
    seen: Mapping[str, tuple[int, int]] | None = None,
    prices: Mapping[str, int] | None = None,
    lots: Mapping[str, int] | None = None,
) -> list[Wish]:
    """What is wanted of each of the `listings`, in the order of product ids. Raises Conflict when one is gone, is not
    for sale, or has changed since it was seen."""
    if any(number not in listings for number in units):
        raise Conflict("listing_gone", N_("有商品已不存在，请回到购物车核对"))
    wanted: list[Wish] = []
    for listing in sorted((listings[number] for number in units), key=lambda listing: listing.product_id):
        version, number = require_for_sale(listing), listing.public_no
        if seen is not None and seen[number][0] != version.version:
            raise Conflict(
                "listing_changed",
                N_("“%(title)s”的价格或介绍刚刚更新，请核对后再提交"),
                title=listing.product.name,
            )
        agreed_fen, lot_id = (prices or {}).get(number), (lots or {}).get(number)
        wanted.append(Wish(listing, version, units[number], agreed_fen, lot_id))
    return wanted


def goods_of(wish: Wish) -> Goods:
    """The goods a wish holds."""
    unit_g = wish.version.net_mass_g
    return Goods(wish.listing.product_id, unit_g * wish.quantity, unit_g, wish.version.title, wish.lot_id)


def reference_fens(session: Session, wishes: Iterable[Wish]) -> dict[int, int]:
    """What the goods cost elsewhere today, fen per kilogram by product id, where that is known."""
    products = {wish.listing.product_id: wish.listing.product for wish in wishes}
    if not products:
        return {}
    found = stored_references(session, list(products.values()), today())
    return {product_id: reference.per_kg_fen for product_id, reference in found.items()}


def frozen_facts(wish: Wish, references: Mapping[int, int]) -> dict[str, Any]:
    """The columns of a line, which pins what it saw; `references` as of `reference_fens`."""
    version, day = wish.version, today()
    shown = badges_of(wish.listing.product, day)
    claimed = version.certificate if is_in_force(version.certificate, day) else None
    certificate = claimed if claimed in shown else next(iter(shown), None)
    return {
        "cooperative_id": wish.listing.cooperative_id,
        "listing_version_id": version.id,
        "title": version.title,
        "unit_name": version.unit_name,
        "net_mass_g": version.net_mass_g,
        "quantity": wish.quantity,
        "unit_price_fen": wish.price_fen,
        "net_fen": wish.price_fen * wish.quantity,
        "certificate_no": certificate.number if certificate else "",
        "reference_per_kg_fen": references.get(wish.listing.product_id),
    }
