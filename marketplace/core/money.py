"""Integer money: fen, one rounding, and the two ways of splitting.

No floats. A formula rounds once, half up, where it says so. Splits of a pool use the largest remainder; cumulative
reversals use Webster's divisor method, because the largest remainder is not monotone: with credits 3:1:6 a refund
of 4 fen would reverse 1,1,2 and one of 5 fen 2,0,3, giving household 2 its fen back.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass

BASIS = 10_000
_YUAN = re.compile(r"^\s*[¥￥]?\s*(\d{1,3}(?:[,，]\d{3}){1,4}|\d{1,13})(?:\.(\d{1,2}))?\s*元?\s*$")


def half_up(numerator: int, denominator: int) -> int:
    """The quotient rounded half up (towards plus infinity at exactly one half)."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    return (2 * numerator + denominator) // (2 * denominator)


def split_by_weights(amount_fen: int, weights: Sequence[int]) -> list[int]:
    """Split `amount_fen` by `weights` with the largest remainder method.

    Floors every share, then hands out the rest by largest remainder; ties go to the earlier weight, so callers
    pass weights in ascending order of stable id. Shares are never negative and sum to the amount exactly.
    Raises ValueError for a negative amount or weight, or when no weight is positive and the amount is not zero.
    """
    if amount_fen < 0 or any(weight < 0 for weight in weights):
        raise ValueError("amounts and weights cannot be negative")
    total = sum(weights)
    if total == 0:
        if amount_fen:
            raise ValueError("nothing to split by")
        return [0] * len(weights)
    shares = [amount_fen * weight // total for weight in weights]
    rest = amount_fen - sum(shares)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount_fen * weights[i] % total), i))
    for i in by_remainder[:rest]:
        shares[i] += 1
    return shares


def webster(target_fen: int, weights: Sequence[int]) -> list[int]:
    """Apportion `target_fen` by Webster's method: each next fen to the largest weight / (2k + 1).

    Ties go to the earlier weight. House-monotone: a larger target never lowers a share; at target = sum(weights)
    every share equals its weight. Raises ValueError when the target is outside 0..sum(weights).
    """
    total = sum(weights)
    if target_fen < 0 or target_fen > total or any(weight < 0 for weight in weights):
        raise ValueError("the target must lie between zero and the sum of the weights")
    if total == 0:
        return [0] * len(weights)
    # Every quota rounded half up: Webster's own shares for the divisor total / target, all ties granted. They sum to
    # about the target, and the difference is handed out, or taken back, one claim after the other.
    shares = [half_up(target_fen * weight, total) for weight in weights]
    rest = target_fen - sum(shares)
    step = 1 if rest > 0 else -1
    heap = [
        _Claim(weight, odd, i, step)
        for i, (weight, share) in enumerate(zip(weights, shares, strict=True))
        if weight and (odd := 2 * share + step) > 0
    ]
    heapq.heapify(heap)
    for _ in range(abs(rest)):
        claim = heap[0]
        shares[claim.index] += step
        if claim.odd + 2 * step > 0:
            heapq.heapreplace(heap, _Claim(claim.weight, claim.odd + 2 * step, claim.index, step))
        else:
            heapq.heappop(heap)
    return shares


@dataclass(frozen=True, slots=True)
class _Claim:
    """The fen that the weight at `index` would get next (step 1), or lose first (step -1): weight / odd decides."""

    weight: int
    odd: int
    index: int
    step: int

    def __lt__(self, other: _Claim) -> bool:
        stronger = self.weight * other.odd - other.weight * self.odd or other.index - self.index
        return stronger * self.step > 0


def parse_yuan(text: str) -> int:
    """Fen of an amount typed in yuan ("1,280.50", "￥12", "12元"). Raises ValueError for anything else."""
    match = _YUAN.match(text)
    if not match:
        raise ValueError(text)
    whole, cents = match.groups()
    return int(re.sub("[,，]", "", whole)) * 100 + int((cents or "0").ljust(2, "0"))


def format_yuan(amount_fen: int, *, grouped: bool = True) -> str:
    """Yuan with two decimals, e.g. 123456 -> "1,234.56"; ungrouped for sheets."""
    sign = "-" if amount_fen < 0 else ""
    yuan, fen = divmod(abs(amount_fen), 100)
    return f"{sign}{yuan:,}.{fen:02d}" if grouped else f"{sign}{yuan}.{fen:02d}"


def format_rate(rate_bp: int) -> str:
    """A rate in basis points as a percentage with two decimals and without its sign: 1235 -> "12.35"."""
    sign = "-" if rate_bp < 0 else ""
    whole, rest = divmod(abs(rate_bp), 100)
    return f"{sign}{whole}.{rest:02d}"
