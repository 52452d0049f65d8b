"""What a weigh slip's amounts depend on beside itself: how quota and advances of its contract stood before it.

Production keeps these figures with the slip. Here they are added up again from the slips and advances recorded earlier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

from marketplace.linkage.models import AgreementVersion


class Contracts:
    """The contracts of one cooperative while their evidence is read in the order in which it was recorded."""

    def __init__(self) -> None:
        self._delivered_g: dict[tuple[int, int], int] = defaultdict(int)  # by version and year
        self._given: dict[int, list[tuple[date, int]]] = defaultdict(list)  # by agreement
        self._charged_fen: dict[int, int] = defaultdict(int)  # by agreement

    def advance(self, agreement_id: int, given_on: date, fen: int) -> None:
        """An advance was given."""
        self._given[agreement_id].append((given_on, fen))

    def before_slip(
        self, version: AgreementVersion, details: Mapping[str, Any], weighed_on: date
    ) -> dict[str, int]:
        """The grams of the year before this slip, and the advances not yet repaid; only what the terms ask for."""
        standing: dict[str, int] = {}
        if "quota_g" in version.terms:
            standing["before_g"] = self._delivered_g[version.id, weighed_on.year]
        if "cap_bp" in version.terms:
            given = sum(fen for day, fen in self._given[version.agreement_id] if day <= weighed_on)
            standing["outstanding_fen"] = max(0, given - self._charged_fen[version.agreement_id])
        self._delivered_g[version.id, weighed_on.year] += details["net_g"]
        return standing

    def repaid(self, agreement_id: int, fen: int) -> None:
        """A slip repaid a part of the advances."""
        self._charged_fen[agreement_id] += fen
