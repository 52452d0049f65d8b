"""What a payer typed into the payment page, read forgivingly and checked before anything is charged."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime

from marketplace.core.clock import SHANGHAI
from marketplace.payments.stripe_emulator.cards import BY_NUMBER, WALLETS, Means

NUMBER = re.compile(r"[0-9]{12,19}")
EXPIRY = re.compile(r"(0?[1-9]|1[0-2])\s*[/-]?\s*(?:20)?([0-9]{2})")
CVC = re.compile(r"[0-9]{3,4}")


def means_typed(
    form: Mapping[str, str], methods: list[str], now_s: int
) -> tuple[Means | None, dict[str, str]]:
    """Read the means of payment chosen in `form`, or the mistakes: a key of texts.py by field."""
    method = form.get("method", "card")
    if method in WALLETS and method in methods:
        return Means(method), {}
    number = re.sub(r"[\s-]", "", _plain(form, "number"))
    expiry = EXPIRY.fullmatch(_plain(form, "expiry"))
    month, year = (int(expiry[1]), 2000 + int(expiry[2])) if expiry else (0, 0)
    today = datetime.fromtimestamp(now_s, SHANGHAI)
    mistakes = {}
    if not NUMBER.fullmatch(number) or not passes_luhn(number):
        mistakes["number"] = "bad_number"
    elif number not in BY_NUMBER:
        mistakes["number"] = "not_a_test_number"
    if not expiry:
        mistakes["expiry"] = "bad_expiry"
    elif (year, month) < (today.year, today.month):
        mistakes["expiry"] = "past_expiry"
    if not CVC.fullmatch(_plain(form, "cvc")):
        mistakes["cvc"] = "bad_cvc"
    return (None, mistakes) if mistakes else (Means("card", BY_NUMBER[number], month, year), {})


def passes_luhn(number: str) -> bool:
    """Whether the check digit of a card number holds (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _plain(form: Mapping[str, str], field: str) -> str:
    """What was typed, full-width digits made plain."""
    return unicodedata.normalize("NFKC", form.get(field, "")).strip()
