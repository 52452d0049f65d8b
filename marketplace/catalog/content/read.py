"""Read the shipped lists: the category tree, the Jiangxi user dictionary, synonyms.

The lists are data, edited as text. Whoever loads the tree into the database decides what may change there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class CategoryRow:
    """A node of the category tree, parents before children.

    `path` joins the codes from the root down with "/"; `unit` is the usual selling unit; `min_linkage_bp` is the
    linkage floor of the pilot year in basis points, inherited from the family where a leaf leaves it empty.
    """

    code: str
    parent_code: str | None
    name_zh: str
    name_en: str
    path: str
    position: int
    needs_certificate: bool
    min_linkage_bp: int
    unit: str


@dataclass(frozen=True)
class Synonyms:
    """For each word that has any: the words to search for in its stead, itself first."""

    expansions: dict[str, tuple[str, ...]]
    longest: int


def _lines(name: str) -> Iterator[str]:
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        content = line.split("#", 1)[0].strip()
        if content:
            yield content


@lru_cache(maxsize=1)
def categories() -> tuple[CategoryRow, ...]:
    """The category tree of the work plan: forest and farm, their families, their kinds."""
    rows: dict[str, CategoryRow] = {}
    with (FOLDER / "categories.csv").open(encoding="utf-8", newline="") as file:
        for position, cells in enumerate(csv.DictReader(file), start=1):
            parent = rows[cells["parent_code"]] if cells["parent_code"] else None
            floor = cells["min_linkage_bp"]
            rows[cells["code"]] = CategoryRow(
                code=cells["code"],
                parent_code=parent.code if parent else None,
                name_zh=cells["name_zh"],
                name_en=cells["name_en"],
                path=f"{parent.path}/{cells['code']}" if parent else cells["code"],
                position=position,
                needs_certificate=cells["needs_certificate"] == "yes",
                min_linkage_bp=int(floor) if floor else parent.min_linkage_bp if parent else 0,
                unit=cells["unit"] or (parent.unit if parent else ""),
            )
    return tuple(rows.values())


@lru_cache(maxsize=1)
def seasons() -> tuple[tuple[str, int, int], ...]:
    """When kinds are fresh: (category code, first month, last month); over the new year the last comes first."""
    with (FOLDER / "seasons.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            (row["category"], int(row["from_month"]), int(row["to_month"])) for row in csv.DictReader(file)
        )


def in_season(month: int) -> tuple[str, ...]:
    """The kinds that are harvested or made fresh in a month (1..12), those whose season began last first."""
    fresh = [
        ((month - first) % 12, code)
        for code, first, last in seasons()
        if (month - first) % 12 <= (last - first) % 12
    ]
    return tuple(dict.fromkeys(code for _, code in sorted(fresh)))


@lru_cache(maxsize=1)
def user_dictionary() -> tuple[str, ...]:
    """Products, places and cultivars of Jiangxi that the general dictionary does not know."""
    return tuple(dict.fromkeys(word for line in _lines("dictionary.txt") for word in line.split()))


@lru_cache(maxsize=1)
def synonyms() -> Synonyms:
    """Equal words ("a, b, c") and one-way words ("general => special, special")."""
    found: dict[str, dict[str, None]] = {}
    for line in _lines("synonyms.txt"):
        general, arrow, special = line.partition("=>")
        names = [name.strip().lower() for name in (special if arrow else general).split(",")]
        keys = [general.strip().lower()] if arrow else names
        for key in keys:
            found.setdefault(key, {key: None}).update(dict.fromkeys(names))
    expansions = {key: tuple(words) for key, words in found.items()}
    return Synonyms(expansions, max(map(len, expansions)))
