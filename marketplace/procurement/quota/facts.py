"""The rules of reserved quotas as shipped in `data/`. Reads a file only; writing it to the database is `policy.py`."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

RULES = Path(__file__).resolve().parent / "data" / "reserved_quota_rules.csv"


def quota_rule_rows() -> list[dict[str, Any]]:
    """Every shipped rule as the columns of ReservedQuotaRule, without a version."""
    with RULES.open(encoding="utf-8", newline="") as file:
        return [
            {
                "region_code": record["region_code"] or None,
                "year": int(record["year"]),
                "percent_bp": int(record["percent_bp"]),
                "filing_due_on": date.fromisoformat(record["filing_due_on"]),
                "category_codes": record["category_codes"].split(),
                "scope_note": record["scope_note"],
                "basis": record["basis"],
                "reason": record["reason"],
            }
            for record in csv.DictReader(file)
        ]
