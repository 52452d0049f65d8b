"""The entitlements of one cooperative as they were derived again, by scope: the weights of pools, and what is due.

A scope is a lot or a linkage period under one mechanism. The stamp of an entitlement is the id under which it was kept:
it says in which order evidence came, and nothing else of the stored row is used. What was voided counts for
nothing that was decided from then on (voids.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from marketplace.linkage.models import Mechanism

Scope = tuple[Mechanism, int | None, int | None]  # mechanism, lot, linkage period


@dataclass(frozen=True, slots=True)
class Due:
    """What one piece of evidence entitles a household to, in fen."""

    stamp: int
    household_id: int
    fen: int
    due_on: date
    occurred_on: date
    recorded_at: datetime


@dataclass
class _Reading:
    """How far the entitlements of a scope have been added up."""

    position: int = 0
    stamp: int = 0
    weights: dict[int, int] = field(default_factory=dict)


class Dues:
    """Everything a cooperative's evidence entitles households to."""

    def __init__(self) -> None:
        self._by_scope: dict[Scope, list[Due]] = {}
        self._readings: dict[Scope, _Reading] = {}
        self._voided: dict[tuple[int, int], datetime] = {}  # by stamp and household
        self._scopes_with_voids: dict[Scope, list[Due]] = {}

    def add(self, scope: Scope, due: Due) -> None:
        """Take one in. All are in before any is read."""
        self._by_scope.setdefault(scope, []).append(due)

    def sort(self) -> None:
        """Put each scope into the order of its stamps."""
        for dues in self._by_scope.values():
            dues.sort(key=lambda due: due.stamp)

    def scopes(self) -> Iterator[tuple[Scope, list[Due]]]:
        """Every scope with its entitlements."""
        yield from self._by_scope.items()

    def in_scope(self, scope: Scope) -> list[Due]:
        """The entitlements of a scope, in the order of their stamps."""
        return self._by_scope.get(scope, [])

    def void(self, scope: Scope, due: Due, at: datetime) -> None:
        """Say that an entitlement was voided at `at`. All are voided before any is read."""
        self._voided[due.stamp, due.household_id] = at
        self._scopes_with_voids.setdefault(scope, []).append(due)

    def is_void(self, due: Due, at: datetime | None = None) -> bool:
        """Whether an entitlement had been voided by `at`; by today when None."""
        voided_at = self._voided.get((due.stamp, due.household_id))
        return voided_at is not None and (at is None or voided_at <= at)

    def weights(self, scope: Scope, stamp: int, at: datetime) -> Mapping[int, int]:
        """Fen by household of what had been recorded up to `stamp` and not voided by `at`."""
        weights = self._recorded(scope, stamp)
        void = [
            due
            for due in self._scopes_with_voids.get(scope, [])
            if due.stamp <= stamp and self.is_void(due, at)
        ]
        if not void:
            return weights
        left = dict(weights)
        for due in void:
            left[due.household_id] -= due.fen
        return {household_id: fen for household_id, fen in left.items() if fen}

    def _recorded(self, scope: Scope, stamp: int) -> Mapping[int, int]:
        """Fen by household of what had been recorded up to `stamp`. To be used before the next call.

        Asked in the order of stamps, each entitlement is added once.
        """
        dues, reading = self.in_scope(scope), self._readings.get(scope)
        if reading is None or stamp < reading.stamp:
            reading = self._readings[scope] = _Reading()
        while reading.position < len(dues) and dues[reading.position].stamp <= stamp:
            due = dues[reading.position]
            reading.weights[due.household_id] = reading.weights.get(due.household_id, 0) + due.fen
            reading.position += 1
        reading.stamp = stamp
        return reading.weights

    def has_weight(self, scope: Scope, stamp: int, at: datetime) -> bool:
        """Whether anything above zero had been recorded up to `stamp` and not voided by `at`."""
        return any(
            due.fen and due.stamp <= stamp and not self.is_void(due, at) for due in self.in_scope(scope)
        )
