"""When two goods are the same specification, and when a product is goods that were listed before. Pure text.

The specification is what people type, less the size of the pack: "一级压榨，净重 460 克" and "一级压榨 2.5升" are one
specification and are compared per kilogram. The goods are the name less the size of the pack and the words of a pack.
"""

from __future__ import annotations

import re
import unicodedata

PLAIN = "-"  # the key of what holds no letter at all
MOST = 60
_AMOUNT = (
    r"(?:净重|净含量|毛重|重|约|单果|每\w)?约?\s*\d+(?:\.\d+)?\s*"
    r"(?:千克|公斤|毫克|毫升|市斤|克|斤|两|升|kg|mg|ml|g|l)(?![a-z])\s*(?:[x×*]\s*\d+)?(?:左右|以上)?"
)
_SIZE = re.compile(_AMOUNT, re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?\s*(?:个|只|瓶|袋|盒|罐|份|件|株|块|饼|条|枚|颗|双)?")
_PACK = re.compile(
    r"礼盒|家庭装|食堂装|试吃装|精品|特价|促销|新品|升级版|新包装|[大小中]?[瓶桶袋盒罐箱包]装|[一两双三四五六十][瓶桶袋盒罐个只]装?"
)
_SILENT = re.compile(r"[\W_]+")


def spec_key_of(specification: str, name: str) -> str:
    """The key of a specification, at most MOST characters: two of one category with one key are compared per kilogram.

    A specification that says nothing but the size of the pack leaves the goods themselves: their key is used.
    """
    kept = _SIZE.sub("", unicodedata.normalize("NFKC", specification).casefold())
    return _SILENT.sub("", kept)[:MOST] or goods_key_of(name)


def goods_key_of(name: str) -> str:
    """The key of goods, at most MOST characters: two of a cooperative and category with one key are the same."""
    text = _SIZE.sub("", unicodedata.normalize("NFKC", name).casefold())
    kept = _SILENT.sub("", _NUMBER.sub("", _PACK.sub("", text)))
    return (kept or _SILENT.sub("", text))[:MOST] or PLAIN
