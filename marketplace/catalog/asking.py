"""Reading what a visitor asks of the shop from the address: words, filters, order. Nonsense is ignored, not refused."""

from __future__ import annotations

from werkzeug.datastructures import MultiDict

from marketplace.catalog.search.engine import SearchRequest, Sort
from marketplace.core.money import parse_yuan

MOST_VALUES = 20


def _price(text: str) -> int | None:
    try:
        return parse_yuan(text)
    except ValueError:
        return None


def read_request(args: MultiDict[str, str], *, page: int, size: int) -> SearchRequest:
    """The search the address asks for; `args` has q, category, county, certificate, cooperative, from, to, sort.

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
        sort=Sort.known(asked) or Sort.PRIORITY,
        page=page,
        size=size,
    )
