"""Drawing a sample that anyone can draw again: by the hash of a seed and each number, the smallest first. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection


def draw_sample(numbers: Collection[str], size: int, seed: str) -> list[str]:
    """`size` of the public `numbers`: those with the smallest SHA-256 of `seed number`, in that order."""
    return sorted(numbers, key=lambda number: hashlib.sha256(f"{seed} {number}".encode()).hexdigest())[:size]
