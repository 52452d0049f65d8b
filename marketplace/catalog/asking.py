"""Reading what a visitor asks of the shop from the address: words, filters, order.

Nonsense is not refused: what cannot be used is left out, and a kind word says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from marketplace.catalog.search.engine import SearchRequest, Sort
from marketplace.catalog.search.text import QUERY_CHARACTERS, concepts_of
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan

MOST_VALUES = 20
NO_WORDS = N_("您输入的都是标点或表情，没有可以查找的字，下面是全部商品。请输入品名、产地、合作社或拼音。")
TOO_LONG = N_("输入的内容太长，只按前 200 个字查找。")
NO_PRICE = N_("价格没有看懂，没有按价格筛选。请只填数字，例如 30 或 29.90。")
PRICES_CROSSED = N_("最低价高于最高价，请修改其中一个。")


@dataclass(frozen=True)
class Asked:
    """What is searched for, and what there is to say about how it was typed."""

    request: SearchRequest
    notices: tuple[str, ...] = ()


def _price(text: str) -> int | None:
    try:
        return parse_yuan(text)
    except ValueError:
        return None


def read_request(args: MultiDict[str, str], *, page: int, size: int) -> SearchRequest:
    """The search the address asks for; `args` has q, category, county, certificate, cooperative, from, to, stock, sort.

    Unless asked otherwise, priority entry decides among equally good matches, with words as without.
    """
    asked = args.get("sort", "")
    return SearchRequest(
        text=args.get("q", "").strip(),
        category=args.get("category", ""),
        counties=tuple(args.getlist("county")[:MOST_VALUES]),
        certificates=tuple(args.getlist("certificate")[:MOST_VALUES]),
        cooperatives=tuple(args.getlist("cooperative")[:MOST_VALUES]),
        price_min_fen=_price(args.get("from", "")),
        price_max_fen=_price(args.get("to", "")),
        in_stock_only=args.get("stock") == "1",
        sort=Sort.known(asked) or Sort.PRIORITY,
        page=page,
        size=size,
    )


def read_asked(args: MultiDict[str, str], *, page: int, size: int) -> Asked:
    """The search the address asks for, with what to tell its reader. Arguments as `read_request`."""
    asked = read_request(args, page=page, size=size)
    return Asked(asked, tuple(_notices(args, asked)))


def _notices(args: MultiDict[str, str], asked: SearchRequest) -> Iterator[str]:
    if asked.text and not concepts_of(asked.text):
        yield NO_WORDS
    if len(asked.text) > QUERY_CHARACTERS:
        yield TOO_LONG
    prices = {"from": asked.price_min_fen, "to": asked.price_max_fen}
    if any(args.get(name, "").strip() and price is None for name, price in prices.items()):
        yield NO_PRICE
    least, most = prices.values()
    if least is not None and most is not None and least > most:
        yield PRICES_CROSSED
