"""Checks of single form fields that several rooms of the registry share."""

from __future__ import annotations

import re
from collections.abc import Callable

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.registry.identifiers import check_mobile

_ACCOUNT = re.compile(r"[0-9]{8,30}")
_LANDLINE = re.compile(r"0[0-9]{9,11}")


def in_field(field: str, check: Callable[[str], str], text: str) -> str:
    """What `check` makes of `text`; its refusal is shown at the form field `field`."""
    try:
        return check(text)
    except Refused as refusal:
        refusal.field = field
        raise


def check_phone(text: str) -> str:
    """A mobile number, or a landline with its area code, as digits. Raises Refused mobile_form."""
    digits = re.sub(r"[\s()（）-]+", "", text)
    return digits if _LANDLINE.fullmatch(digits) else check_mobile(text)


def check_bank_account(text: str) -> str:
    """A bank account number as digits, without spacing. Raises Refused bank_account_form."""
    digits = re.sub(r"[\s-]+", "", text)
    if not _ACCOUNT.fullmatch(digits):
        raise Refused("bank_account_form", N_("银行账号应为 8 至 30 位数字，请对照开户许可证填写"))
    return digits
