"""What is wanted of listings, set against what they are now: prices up or down, gone, too little left, over a ceiling.

Everything that leads to the cart goes through here: lists, old orders, sheets, menus. Pure but for reading the stock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing
from marketplace.catalog.prices.guard import per_kg_fen
from marketplace.catalog.queries import SaleStop, available_units, sale_stop, unit_price_fen
from marketplace.core.clock import today
from marketplace.core.labels import N_, LabelledEnum


class Remark(LabelledEnum):
    """What has changed about a listing, or keeps it from being bought."""

    GONE = "gone", N_("已下架")
    LAPSED = "lapsed", N_("认证已失效，暂停销售")
    SOLD_OUT = "sold_out", N_("已售完")
    SHORT = "short", N_("现货不够")
    OVER_CEILING = "over_ceiling", N_("超过清单里的最高价")
    DEARER = "dearer", N_("涨价了")
    CHEAPER = "cheaper", N_("降价了")


LAPSED = (SaleStop.CERTIFICATE_LAPSED, SaleStop.CLAIM_LAPSED)
BARRED = frozenset({Remark.GONE, Remark.LAPSED, Remark.SOLD_OUT})


@dataclass(frozen=True)
class Wanted:
    """Units of a listing; `was_fen` is the unit price it had, `ceiling_fen` the most it may cost."""

    listing: Listing
    quantity: int
    was_fen: int | None = None
    ceiling_fen: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class Assessed:
    """A wish set against today: unit price in fen (0 when it cannot be bought), units left, and what to remark."""

    wanted: Wanted
    price_fen: int
    left: int
    remarks: tuple[Remark, ...]

    @property
    def total_fen(self) -> int:
        """What the units wanted cost today."""
        return self.price_fen * self.wanted.quantity

    @property
    def is_barred(self) -> bool:
        """Whether it cannot be bought at all."""
        return not BARRED.isdisjoint(self.remarks)

    @property
    def is_over_ceiling(self) -> bool:
        """Whether it costs more than the list allows, so that nobody orders it unawares."""
        return Remark.OVER_CEILING in self.remarks

    @property
    def is_ready(self) -> bool:
        """Whether it can go to the cart as it is."""
        return not self.is_barred and not self.is_over_ceiling and Remark.SHORT not in self.remarks

    @property
    def per_kg_fen(self) -> int:
        """The price of a kilogram."""
        return per_kg_fen(self.price_fen, self.wanted.listing.product.net_mass_g)


def assess(session: Session, wanted: Sequence[Wanted]) -> list[Assessed]:
    """Each wish set against today, in one statement."""
    stock = available_units(session, [one.listing.product_id for one in wanted])
    return [_assess(one, stock[one.listing.product_id]) for one in wanted]


def _assess(wanted: Wanted, left: int) -> Assessed:
    stop, version = sale_stop(wanted.listing, today()), wanted.listing.current_version
    if stop is not None or version is None:
        return Assessed(wanted, 0, left, (Remark.LAPSED if stop in LAPSED else Remark.GONE,))
    price = unit_price_fen(version, wanted.quantity)
    remarks: list[Remark] = []
    if left < wanted.quantity:
        remarks.append(Remark.SHORT if left else Remark.SOLD_OUT)
    if wanted.ceiling_fen is not None and price > wanted.ceiling_fen:
        remarks.append(Remark.OVER_CEILING)
    if wanted.was_fen is not None and price != wanted.was_fen:
        remarks.append(Remark.DEARER if price > wanted.was_fen else Remark.CHEAPER)
    return Assessed(wanted, price, left, tuple(remarks))
