"""What the amounts of evidence depend on beside itself: how things stood when it was recorded.

A weigh slip, on quota and advances of its contract; a dividend, on what its household dealt. Production keeps these
figures with the evidence. Here they are added up again from what was recorded earlier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

from marketplace.linkage.models import AgreementVersion, LinkagePeriod, Mechanism

PATRONAGE = (Mechanism.CONTRACT_FARMING, Mechanism.PRODUCTION_TRUSTEESHIP)


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


class Dealings:
    """What households dealt with one cooperative: what their produce entitled them to."""

    def __init__(self) -> None:
        self._dealt: dict[int, list[tuple[date, int]]] = defaultdict(list)  # by household
        self._counted: set[tuple[int, int]] = set()  # period and household

    def add(self, mechanism: Mechanism, household_id: int, day: date, fen: int) -> None:
        """An entitlement of some mechanism was recorded."""
        if mechanism in PATRONAGE:
            self._dealt[household_id].append((day, fen))

    def before_dividend(self, household_id: int, period: LinkagePeriod) -> int:
        """What a household dealt in the days of a period, in fen; counted at the first of its stakes alone."""
        if (period.id, household_id) in self._counted:
            return 0
        self._counted.add((period.id, household_id))
        dealt = self._dealt[household_id]
        return sum(fen for day, fen in dealt if period.starts_on <= day < period.ends_on)
