"""The facts the registry is loaded with, as shipped in `data/`: places, key counties, policies, review steps.

Reads files only; writing them to the database is `registry/rules.py`.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

from marketplace.identity.models import Role
from marketplace.registry.models import HouseholdStatusKind, RegionLevel
from marketplace.registry.reviews.models import ReviewKind, StepKind

DATA = Path(__file__).resolve().parent / "data"
LEVELS = {
    2: RegionLevel.PROVINCE,
    4: RegionLevel.PREFECTURE,
    6: RegionLevel.COUNTY,
    9: RegionLevel.TOWNSHIP,
    12: RegionLevel.VILLAGE,
}
PARENT_DIGITS = {4: 2, 6: 4, 9: 6, 12: 9}


def _records(name: str) -> list[dict[str, str]]:
    path = DATA / name
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as packed:
            return list(csv.DictReader(packed))
    with path.open(encoding="utf-8", newline="") as plain:
        return list(csv.DictReader(plain))


def region_rows() -> list[dict[str, Any]]:
    """Every place of Jiangxi, parents first, with the name people write in full: 抚州市乐安县鳌溪镇鳌溪村委会."""
    key_counties = {record["code"]: record["pilot"] == "yes" for record in _records("key_counties.csv")}
    rows: list[dict[str, Any]] = []
    full_names = {"36": ""}  # the province is left out of the full names below it
    for record in sorted(
        _records("regions.csv.gz"), key=lambda record: (len(record["code"]), record["code"])
    ):
        code, name = record["code"], record["name"]
        parent = code[: PARENT_DIGITS[len(code)]] if len(code) > 2 else None
        full_name = full_names[parent] + name if parent else name
        if parent:
            full_names[code] = full_name
        rows.append(
            {
                "code": code,
                "name": name,
                "full_name": full_name,
                "level": LEVELS[len(code)],
                "parent_code": parent,
                "is_key_county": code in key_counties,
                "is_pilot": key_counties.get(code, False),
            }
        )
    return rows


def beneficiary_policy_rows() -> list[dict[str, Any]]:
    """Which statuses count as beneficiaries, by jurisdiction and year."""
    return [
        {
            "region_code": record["region_code"],
            "year": int(record["year"]),
            "status": HouseholdStatusKind(record["status"]),
            "counts": record["counts"] == "yes",
        }
        for record in _records("beneficiary_policies.csv")
    ]


def review_step_rows() -> list[dict[str, Any]]:
    """The steps of each kind of review where nothing nearer is configured."""
    return [
        {
            "kind": ReviewKind(record["kind"]),
            "region_code": record["region_code"],
            "position": int(record["position"]),
            "step": StepKind(record["step"]),
            "name_zh": record["name_zh"],
            "name_en": record["name_en"],
            "role": Role(record["role"]),
            "notice_days": int(record["notice_days"]),
        }
        for record in _records("review_steps.csv")
    ]
