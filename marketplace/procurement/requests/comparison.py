"""Offers side by side once they are opened: price per kilogram, households, certificates, place, conditions met.

The price of a kilogram is a fraction and is compared as one; only for the page is it rounded, half up. How many
households an offer reaches is withheld below five, and then does not decide the order of the rows either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import half_up
from marketplace.procurement.requests.models import Offer, OfferState, OfferVersion, PurchaseRequest
from marketplace.procurement.requests.queries import opened_offers
from marketplace.registry.cooperatives.queries import SMALL_COUNT

PREFECTURE_DIGITS = 4


class Near(LabelledEnum):
    """How near a cooperative is, the nearest first."""

    PREFERRED = "preferred", N_("优先县")
    SAME_COUNTY = "same_county", N_("本县")
    SAME_PREFECTURE = "same_prefecture", N_("本市")
    ELSEWHERE = "elsewhere", N_("省内其他地方")


class Condition(LabelledEnum):
    """What an offer is checked for when it is opened. Price, share, day and households were checked when it came."""

    CURRENT = "current", N_("按最新需求报价")
    WHOLE = "whole", N_("数量足够")
    COUNTY = "county", N_("来自优先县")


class SortBy(LabelledEnum):
    """How the rows are ordered."""

    PRICE = "price", N_("每千克价格")
    LINKAGE = "linkage", N_("归农户比例")
    HOUSEHOLDS = "households", N_("带动户数")
    DELIVERY = "delivery", N_("交货日期")
    PLACE = "place", N_("远近")


@dataclass(frozen=True)
class Row:
    """One opened offer. `households` is None when withheld; `conditions` says which are met."""

    offer: Offer
    version: OfferVersion
    fen_per_kg: Fraction
    near: Near
    households: int | None
    conditions: dict[Condition, bool]
    is_cheapest: bool

    @property
    def per_kg_fen(self) -> int:
        """Fen per kilogram, half up, for the page."""
        return half_up(self.fen_per_kg.numerator, self.fen_per_kg.denominator)

    @property
    def may_win(self) -> bool:
        """Whether it can be awarded: it stands, and answers what the request says now."""
        return self.offer.state is OfferState.STANDING and self.conditions[Condition.CURRENT]


def fen_per_kg(version: OfferVersion) -> Fraction:
    """The exact price of a kilogram, in fen."""
    return Fraction(version.unit_price_fen * 1000, version.net_mass_g)


def is_current(request: PurchaseRequest, version: OfferVersion) -> bool:
    """Whether an offer answers what the request says now."""
    return version.request_version_id == request.current.id


def cheapest_of(request: PurchaseRequest, offers: list[Offer]) -> Fraction | None:
    """The lowest price of a kilogram among the offers that answer what the request says now."""
    prices = [fen_per_kg(offer.current) for offer in offers if is_current(request, offer.current)]
    return min(prices, default=None)


def compared(session: Session, request: PurchaseRequest, by: SortBy = SortBy.PRICE) -> list[Row]:
    """The opened offers in order, the cheapest first among equals; nothing before the deadline."""
    offers = opened_offers(session, request)
    lowest = cheapest_of(request, offers)
    rows = [_row(request, offer, lowest) for offer in offers]
    return sorted(rows, key=lambda row: (KEYS[by](row), row.fen_per_kg, row.offer.id))


def _row(request: PurchaseRequest, offer: Offer, lowest: Fraction | None) -> Row:
    version, wanted = offer.current, request.current
    near = nearness(request, offer.cooperative.county_code)
    conditions = {
        Condition.CURRENT: is_current(request, version),
        Condition.WHOLE: version.mass_g >= wanted.mass_g,
    }
    if wanted.county_code:
        conditions[Condition.COUNTY] = near is Near.PREFERRED
    price = fen_per_kg(version)
    return Row(
        offer=offer,
        version=version,
        fen_per_kg=price,
        near=near,
        households=version.households if version.households >= SMALL_COUNT else None,
        conditions=conditions,
        is_cheapest=conditions[Condition.CURRENT] and price == lowest,
    )


def nearness(request: PurchaseRequest, county_code: str) -> Near:
    """How near a county is to what a request prefers, or else to its unit."""
    home = request.unit.county_code
    if request.current.county_code and county_code == request.current.county_code:
        return Near.PREFERRED
    if county_code == home:
        return Near.SAME_COUNTY
    if county_code[:PREFECTURE_DIGITS] == home[:PREFECTURE_DIGITS]:
        return Near.SAME_PREFECTURE
    return Near.ELSEWHERE


KEYS: dict[SortBy, Callable[[Row], Any]] = {
    SortBy.PRICE: lambda row: row.fen_per_kg,
    SortBy.LINKAGE: lambda row: -row.version.linkage_bp,
    SortBy.HOUSEHOLDS: lambda row: -(row.households or 0),
    SortBy.DELIVERY: lambda row: row.version.deliver_on,
    SortBy.PLACE: lambda row: list(Near).index(row.near),
}
