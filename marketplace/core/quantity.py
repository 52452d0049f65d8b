"""Mass in grams, area in hundredths of a mu: reading what people type and writing it back.

1 jin = 500 g; 1 mu = 100 cmu. No floats: decimals are read digit by digit.
"""

from __future__ import annotations

import re

GRAMS_PER_KG = 1000
GRAMS_PER_JIN = 500
_DECIMAL = re.compile(r"^\s*(\d{1,9})(?:\.(\d{1,3}))?\s*$")


def parse_decimal(text: str, *, places: int) -> int:
    """`text` times 10**places as an integer. Raises ValueError for signs, letters or more decimals."""
    match = _DECIMAL.match(text)
    if not match or len(match.group(2) or "") > places:
        raise ValueError(text)
    whole, fraction = match.groups()
    return int(whole + (fraction or "").ljust(places, "0"))


def parse_kg(text: str) -> int:
    """Grams of a mass typed in kilograms with up to three decimals."""
    return parse_decimal(text, places=3)


def parse_mu(text: str) -> int:
    """Hundredths of a mu of an area typed in mu with up to two decimals."""
    return parse_decimal(text, places=2)


def _format(amount: int, places: int) -> str:
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 10**places)
    decimals = f"{rest:0{places}d}".rstrip("0")
    return f"{sign}{whole:,}{'.' + decimals if decimals else ''}"


def format_kg(mass_g: int) -> str:
    """Kilograms without trailing zeros: 12500 -> "12.5"."""
    return _format(mass_g, 3)


def format_mu(area_cmu: int) -> str:
    """Mu without trailing zeros: 1050 -> "10.5"."""
    return _format(area_cmu, 2)
