"""What goods may say of themselves: the word "organic" belongs to certified goods alone, not to goods in conversion.

Pure. "有机肥" and the like name what was used on the field and are no claim.
"""

from __future__ import annotations

import re
import unicodedata

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

_HIDDEN = re.compile(r"[\s\u200b-\u200d\u2060\ufeff·.\-_*]+")
_CHINESE = re.compile(r"有机(?!肥|质|物|磷|氯)[\u4e00-\u9fff]{0,2}")
_LATIN = re.compile(r"\borganic(?:ally)?\b(?!\s+(?:fertili[sz]ers?|matter|manure|carbon))", re.IGNORECASE)
CLAIM = "有机"


def organic_claim(text: str) -> str | None:
    """The words of `text` that claim to be organic, None when there are none. Spaces inside do not hide them."""
    narrowed = unicodedata.normalize("NFKC", text)
    found = _CHINESE.search(_HIDDEN.sub("", narrowed)) or _LATIN.search(narrowed)
    return found[0] if found else None


def refuse_organic_claim(text: str, *, field: str) -> None:
    """Raise Refused naming the words when `text`, of goods without an organic certificate in force, claims it."""
    words = organic_claim(text)
    if words:
        raise Refused(
            "organic_claim",
            N_("“%(words)s”只能用于持有有效有机产品认证的商品，有机转换期和未认证的商品不能使用，请改写"),
            field=field,
            words=words,
        )
