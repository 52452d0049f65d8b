"""Checks of single form fields that several rooms of the registry share."""

from __future__ import annotations

import re
from collections.abc import Callable

from marketplace.core.errors import Refused
from marketplace.registry.identifiers import check_mobile

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
