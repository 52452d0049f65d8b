"""Hours, pieces and times of day as people write them."""

from __future__ import annotations

import re

from marketplace.core.quantity import parse_decimal
from marketplace.linkage.mechanisms.employment.mechanism import HOUR
from marketplace.linkage.mechanisms.employment.models import DAY_MINUTES

HUNDREDTHS = 100
_CLOCK = re.compile(r"^\s*(\d{1,2})[:：](\d{2})(?:[:：]00)?\s*$")
_PIECES = re.compile(r"^\s*(\d{1,9})\s*$")


def parse_hours(text: str) -> int:
    """Minutes of hours typed as "8", "7.5" or "7:30". Raises ValueError for anything else."""
    if _CLOCK.match(text):
        return parse_clock(text)
    hundredths = parse_decimal(text, places=2) * HOUR
    if hundredths % HUNDREDTHS:
        raise ValueError(text)
    return hundredths // HUNDREDTHS


def parse_pieces(text: str) -> int:
    """Pieces typed as a whole number. Raises ValueError for anything else."""
    match = _PIECES.match(text)
    if match is None:
        raise ValueError(text)
    return int(match.group(1))


def parse_clock(text: str) -> int:
    """Minutes of "7:30", of a span or after midnight. Raises ValueError for anything else."""
    match = _CLOCK.match(text)
    if match is None:
        raise ValueError(text)
    hours, minutes = int(match.group(1)), int(match.group(2))
    if minutes >= HOUR or hours * HOUR + minutes > DAY_MINUTES:
        raise ValueError(text)
    return hours * HOUR + minutes
