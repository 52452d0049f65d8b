"""Invoice numbers as tellers type them, brought to one form: digits alone.

A fully digital invoice has one number of 20 digits. An older one has a code of 10 or 12 digits and a number of 8; both
together are its number here. Full-width digits, spaces and hyphens are allowed for.
"""

from __future__ import annotations

import unicodedata

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

FULLY_DIGITAL = 20
CODES = (10, 12)
SERIAL = 8
SEPARATORS = str.maketrans("", "", " \t-‐-―_.")


def invoice_number(number: str, code: str = "") -> str:
    """The digits that name an invoice. Raises Refused, at the field that is wrong, when they name none."""
    serial, prefix = _digits(number), _digits(code)
    if serial is None or not serial:
        raise Refused(
            "invoice_number", N_("发票号码只能是数字：数电发票 20 位，其他发票 8 位"), field="number"
        )
    if prefix is None:
        raise Refused("invoice_code", N_("发票代码只能是 10 或 12 位数字"), field="code")
    if not prefix and len(serial) == FULLY_DIGITAL:
        return serial
    if len(serial) != SERIAL:
        raise Refused(
            "invoice_number",
            N_("发票号码应为 20 位（数电发票），或 8 位并填写发票代码，现在是 %(count)s 位"),
            field="number",
            count=len(serial),
        )
    if len(prefix) not in CODES:
        raise Refused("invoice_code", N_("8 位号码的发票要填写 10 或 12 位的发票代码"), field="code")
    return prefix + serial


def _digits(text: str) -> str | None:
    """The digits of what was typed; None when there is anything else."""
    found = unicodedata.normalize("NFKC", text).translate(SEPARATORS).replace("—", "").replace("–", "")
    return found if not found or (found.isascii() and found.isdigit()) else None
