"""What the demo is made of: cooperatives and listings. Plain data; loading it is the work of `marketplace/demo`.

Places, goods and customs are real; cooperatives and their stories are made up. Prices are plausible, and the
linkage terms of each listing are close to what its produce costs at the farm gate.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest
from pathlib import Path

from marketplace.demo.pictures.draw import draw_picture
from marketplace.linkage.models import Mechanism

FOLDER = Path(__file__).parent
SMALL_LISTINGS = 60
FURTHER_TERMS: dict[
    str, dict[Mechanism, int]
] = {  # of every listing of a cooperative, beside what the file says
    "shexi": {Mechanism.EMPLOYMENT: 300, Mechanism.SHARE_COOPERATION: 200, Mechanism.ASSET_LEASE: 150},
    "wuzhifeng": {Mechanism.EMPLOYMENT: 250, Mechanism.SHARE_COOPERATION: 200},
    "tanghu": {Mechanism.EMPLOYMENT: 350},
    "duiqian": {Mechanism.ASSET_LEASE: 200},
    "jinzhu": {Mechanism.EMPLOYMENT: 300, Mechanism.SHARE_COOPERATION: 200},
    "huxi": {Mechanism.EMPLOYMENT: 300},
}
TRUSTED = {
    "wuzhifeng": "油茶籽",
    "duiqian": "晚稻谷",
    "liukeng": "晚稻谷",
    "huxi": "鲜莲蓬籽",
}  # commodity in trust
TRUSTED_BP = 400


@dataclass(frozen=True)
class DemoCooperative:
    """A made-up cooperative. `households` is how many it takes in at small scale; they sum to 300."""

    key: str
    name: str
    county_code: str
    village_code: str
    households: int
    industry: str
    story_zh: str
    story_en: str


@dataclass(frozen=True)
class DemoListing:
    """A product and its listing. `tiers` are (least quantity, unit price in fen).

    The produce behind it: `commodity`, how much of a received gram becomes goods (`yield_bp`), and what the contract
    pays for a kilogram. `harvest_months` are the first and last month in which it is in season; they may span the new
    year. `terms` are basis points of the net line value. `seed` with `drawing` and `words` makes its picture.
    """

    key: str
    cooperative: str
    category_code: str
    name: str
    specification: str
    unit_name: str
    net_mass_g: int
    gross_mass_g: int
    tiers: tuple[tuple[int, int], ...]
    commodity: str
    yield_bp: int
    farm_price_fen_per_kg: int
    terms: dict[Mechanism, int]
    harvest_months: tuple[int, int]
    shelf_life_days: int
    storage: str
    is_certified: bool
    drawing: str
    words: str
    description: str
    seed: int

    @property
    def title(self) -> str:
        """What the listing is called."""
        return self.name

    def picture(self) -> bytes:
        """The drawn picture, JPEG."""
        return draw_picture(self.drawing, seed=self.seed, words=self.words)


@lru_cache(maxsize=1)
def demo_cooperatives() -> tuple[DemoCooperative, ...]:
    """The eight cooperatives, all in the three pilot counties."""
    with (FOLDER / "cooperatives.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            DemoCooperative(
                key=row["key"],
                name=row["name"],
                county_code=row["county_code"],
                village_code=row["village_code"],
                households=int(row["households"]),
                industry=row["industry"],
                story_zh=row["story_zh"],
                story_en=row["story_en"],
            )
            for row in csv.DictReader(file)
        )


@lru_cache(maxsize=4)
def demo_listings(count: int = SMALL_LISTINGS) -> tuple[DemoListing, ...]:
    """The first `count` listings, taken from the cooperatives in turn, so that each has its share."""
    by_cooperative: dict[str, list[DemoListing]] = {
        cooperative.key: [] for cooperative in demo_cooperatives()
    }
    for listing in _read_listings():
        by_cooperative[listing.cooperative].append(listing)
    in_turn = chain.from_iterable(zip_longest(*by_cooperative.values()))
    return tuple(listing for listing in in_turn if listing is not None)[:count]


def _read_listings() -> Iterator[DemoListing]:
    with (FOLDER / "listings.csv").open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter="|"), start=1):
            terms = {
                Mechanism.CONTRACT_FARMING: int(row["contract_bp"]),
                Mechanism.LAND_TRANSFER: int(row["land_bp"]),
                **FURTHER_TERMS.get(row["cooperative"], {}),
            }
            if TRUSTED.get(row["cooperative"]) == row["commodity"]:
                terms[Mechanism.PRODUCTION_TRUSTEESHIP] = TRUSTED_BP
            first, _, last = row["months"].partition("-")
            yield DemoListing(
                key=f"{row['cooperative']}-{number}",
                cooperative=row["cooperative"],
                category_code=row["category"],
                name=row["name"],
                specification=row["specification"],
                unit_name=row["unit"],
                net_mass_g=int(row["net_g"]),
                gross_mass_g=int(row["gross_g"]),
                tiers=tuple((int(least), int(price)) for least, price in map(_pair, row["tiers"].split())),
                commodity=row["commodity"],
                yield_bp=int(row["yield_bp"]),
                farm_price_fen_per_kg=int(row["farm_price"]),
                terms={mechanism: rate for mechanism, rate in terms.items() if rate},
                harvest_months=(int(first), int(last)),
                shelf_life_days=int(row["shelf_days"]),
                storage=row["storage"],
                is_certified=row["certified"] == "yes",
                drawing=row["drawing"],
                words=row["words"],
                description=row["description"],
                seed=number,
            )


def _pair(text: str) -> tuple[str, str]:
    least, _, price = text.partition(":")
    return least, price
