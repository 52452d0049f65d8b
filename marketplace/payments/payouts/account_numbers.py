"""Bank account numbers of households: are they well formed, and how little of them a page shows.

Pure. Messages never repeat the number: findings are kept, and a number is personal data.
"""

from __future__ import annotations

import re
import unicodedata

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

SHORTEST, LONGEST = 16, 19
SHOWN = 4
_SPACING = re.compile(r"[\s\u200b\ufeff-]+")


def check_account_number(text: str) -> str:
    """The account number in `text` as digits, without spacing: 16 to 19 of them, the last by Luhn (ISO/IEC 7812-1).

    Raises Refused: account_characters, account_length or account_check.
    """
    number = _SPACING.sub("", unicodedata.normalize("NFKC", text))
    if not (number.isascii() and number.isdigit()):
        raise Refused(
            "account_characters", N_("银行账号只能是数字，请对照银行卡或存折填写"), field="account_number"
        )
    if not SHORTEST <= len(number) <= LONGEST:
        raise Refused(
            "account_length",
            N_("银行账号应为 16 至 19 位数字，现在是 %(count)s 位，请核对"),
            field="account_number",
            count=len(number),
        )
    if luhn_digit(number[:-1]) != number[-1]:
        raise Refused(
            "account_check",
            N_("银行账号的校验位不对，多半是抄错了一位，请对照银行卡重填"),
            field="account_number",
        )
    return number


def luhn_digit(body: str) -> str:
    """The check digit after the digits `body`: every second digit from the right doubled, its digits summed."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def make_account_number(serial: int, *, prefix: str = "621700") -> str:
    """A number of 19 digits for a generated household, valid in form only. `serial` is 0..999999999999."""
    body = f"{prefix}{serial:0{LONGEST - 1 - len(prefix)}d}"
    return body + luhn_digit(body)
