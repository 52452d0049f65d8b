"""What each cooperative sells: the written content of the demo, tied to its cooperative and to the rows it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from marketplace.catalog.models import Listing, Product
from marketplace.demo.entry import Seller
from marketplace.linkage.models import Mechanism


@dataclass
class Good:
    """One good at its place among all; `tiers` are (least quantity, fen), `terms` basis points, masses grams."""

    place: int
    seller: Seller
    village_code: str
    category_code: str
    name: str
    title: str
    specification: str
    unit_name: str
    net_mass_g: int
    gross_mass_g: int
    shelf_life_days: int | None
    storage: str
    description: str
    commodity: str
    yield_bp: int
    floor_price_fen_per_kg: int
    premium_fen_per_kg: int
    tiers: tuple[tuple[int, int], ...]
    terms: Mapping[Mechanism, int]
    is_certified: bool
    for_canteens: bool
    pictures: Callable[[], list[bytes]]
    product: Product | None = None
    listing: Listing | None = None

    @property
    def price_fen(self) -> int:
        """The price of one unit."""
        return self.tiers[0][1]

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
